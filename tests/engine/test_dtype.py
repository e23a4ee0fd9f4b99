"""What a model computed in is recorded, since its rounding is the noise in its decisions."""

import functools

import numpy as np
import pytest
import torch
from samples import Staged, as_callable, make_examples
from torch import nn

import emap_core as emap


class InHalf(Staged):
    """Weights of 16 bits behind outputs of 32."""

    fingerprint = None

    def __init__(self, dtype):
        super().__init__()
        self.nested = {"head": nn.Linear(3, 3).to(dtype).eval()}

    def score(self, text_states, image_states):
        found = super().score(text_states, image_states).float()
        return self.nested["head"](found.to(self.nested["head"].weight.dtype)).float()


def returning(dtype):
    return lambda texts, images: as_callable(texts, images).astype(dtype)


def returning_tensors(dtype):
    return lambda texts, images: torch.tensor(as_callable(texts, images)).to(dtype)


def of_a_bound_method(dtype):
    return InHalf(dtype).score


@pytest.mark.parametrize(
    ("model", "output", "computed"),
    [
        (returning(np.float16), "float16", "float16"),
        (returning(np.float64), "float64", "float64"),
        (returning(np.int32), "int32", "int32"),
        (returning_tensors(torch.bfloat16), "bfloat16", "bfloat16"),
        (returning_tensors(torch.float32), "float32", "float32"),
        (InHalf(torch.bfloat16), "float32", "bfloat16"),
        (InHalf(torch.float32), "float32", "float32"),
    ],
)
@pytest.mark.parametrize("settings", [{}, {"space": "probabilities"}, {"batch_size": 5}])
def test_the_dtype_of_outputs_and_of_what_they_were_computed_in(
    model, output, computed, settings, tmp_path
):
    run = emap.compute(model, make_examples(), out=tmp_path / "run", **settings)
    assert run.manifest["output_dtype"] == output
    assert run.manifest["computed_dtype"] == computed


def test_modules_are_found_behind_functions_methods_and_partials():
    from emap_core.models.modules import modules_of

    module = nn.Linear(2, 2)

    class Holds:
        def __init__(self):
            self.inner = type("Inner", (), {})()
            self.inner.parts = [module]

        def score(self, texts, images):
            return None

    def encloses(texts, images):
        return module(texts)

    for model in (
        module,
        module.forward,
        Holds(),
        Holds().score,
        encloses,
        functools.partial(encloses, images=None),
        functools.partial(lambda net, t, v: None, module),
    ):
        assert [id(one) for one in modules_of(model)] == [id(module)]
    assert modules_of(as_callable) == []
