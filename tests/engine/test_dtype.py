"""What a model computed in is recorded, since its rounding is the noise in its decisions."""

import functools

import numpy as np
import pytest
import torch
from PIL import Image
from samples import Staged, as_callable, make_examples
from torch import nn

import emap_core as emap
from emap_core.datasets.base import Examples
from emap_core.presentation.run_titles import made_from


class InHalf(Staged):
    """Weights of 16 bits behind outputs of 32."""

    fingerprint = None

    def __init__(self, dtype):
        super().__init__()
        self.nested = {"head": nn.Linear(3, 3).to(dtype).eval()}

    def score(self, text_encodings, image_encodings):
        found = super().score(text_encodings, image_encodings).float()
        return self.nested["head"](found.to(self.nested["head"].weight.dtype)).float()


def returning(dtype):
    return lambda texts, images: as_callable(texts, images).astype(dtype)


def returning_tensors(dtype):
    return lambda texts, images: torch.tensor(as_callable(texts, images)).to(dtype)


def of_a_bound_method(dtype):
    return InHalf(dtype).score


@pytest.mark.slow
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
    types = made_from(run.manifest)["Number types"]
    assert types.endswith(f"computed in {computed}, outputs {output}")


def test_modules_are_found_behind_functions_methods_and_partials():
    from emap_core.models.torch_modules import modules_of

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


def test_an_additive_model_of_16_bits_gains_nothing_from_interactions(tmp_path):
    rng = np.random.default_rng(3)
    text, image = rng.integers(0, 5, (2, 40, 3)) / 3

    class Votes:
        classes = ("a", "b", "c")
        fingerprint = "votes"

        def encode_texts(self, texts):
            return torch.tensor(text[[int(t) for t in texts]], dtype=torch.bfloat16)

        def encode_images(self, images):
            return torch.tensor(image[[v.getpixel((0, 0)) for v in images]], dtype=torch.bfloat16)

        def score(self, texts, images):
            return texts + images

    pictures = [Image.new("L", (2, 2), i) for i in range(40)]
    decided = (
        (torch.tensor(text).bfloat16() + torch.tensor(image).bfloat16()).float().argmax(1).tolist()
    )
    data = Examples([str(i) for i in range(40)], pictures, labels=decided)
    for method in ({}, {"method": "subsample", "subsample_size": 20, "repeats": 3}):
        run = emap.compute(Votes(), data, out=tmp_path / str(len(method)), **method)
        table = run.table()
        assert (table.loc[["emap", "emap_leave_one_out"], "accuracy"] == 1.0).all()
        assert set(run.examples()["flip"]) == {"same"}
