from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from emap_core.datasets import load_dataset
from emap_core.errors import ModelError, SettingError, SpecError
from emap_core.models import load_model
from emap_core.models.base import Scorer

SOURCE = """
import numpy as np
from PIL import Image
from emap_core.datasets.base import Examples
from emap_core.errors import ModelError

def lengths(scale=1.0, classes=("short", "long")):
    def model(texts, images):
        return np.array([[-len(t), len(t)] for t in texts]) * scale
    model.classes = list(classes)
    return model

def data():
    images = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue", "green")]
    return Examples(["a", "bb", "ccc"], images)

def score(texts, images):
    return np.zeros((len(texts), 1))

class Scoring:
    def __call__(self, texts, images):
        return score(texts, images)

scoring = Scoring()

def broken():
    raise KeyError("weights")

def refused():
    raise ModelError("weights are of another model")

def nothing():
    return None

number = 3
"""


@pytest.fixture(autouse=True)
def _module_in_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "my_models.py").write_text(SOURCE)
    (tmp_path / "needs_more.py").write_text("import a_package_that_is_nowhere\n")
    (tmp_path / "mistyped.py").write_text("def model(:\n")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "inner.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", list(sys.path))
    yield
    for name in ("my_models", "needs_more", "mistyped", "package", "package.inner"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("module", ["my_models", "package.inner"])
def test_a_factory_in_the_working_folder_makes_the_model(module):
    model = load_model(f"{module}:lengths", scale=2.0)
    assert model.classes == ["short", "long"]
    np.testing.assert_array_equal(model(["abc"], [None]), [[-6.0, 6.0]])


def test_a_factory_makes_a_dataset_and_limit_samples_it():
    assert load_dataset("my_models:data").texts == ["a", "bb", "ccc"]
    assert len(load_dataset("my_models:data", limit=2)) == 2


@pytest.mark.parametrize(
    ("spec", "settings", "error", "words"),
    [
        ("nowhere:model", {}, SpecError, ["no module 'nowhere'", "demo:"]),
        ("my_models:missing", {}, SpecError, ["'missing'", "lengths"]),
        ("my_models:number", {}, SpecError, ["is 3", "function that returns the model"]),
        ("my_models:nothing", {}, SpecError, ["returned None"]),
        ("my_models:broken", {}, SpecError, ["my_models:broken", "KeyError", "weights"]),
        ("my_models:refused", {}, ModelError, ["weights are of another model"]),
        ("my_models:score", {}, SpecError, ["my_models:score", "texts and images", "def load()"]),
        ("my_models:scoring", {}, SpecError, ["texts and images", "my_models:load"]),
        ("my_models.py:lengths", {}, SpecError, ["path of a file", "name: my_models:lengths"]),
        ("a/my_models.py:lengths", {}, SpecError, ["expected a module's name: a.my_models:"]),
        ("/a/my_models.py:f", {}, SpecError, ["name: my_models:f, from the folder /a"]),
        ("my_models:lengths", {"size": 1}, SettingError, ["size", "scale, classes"]),
        ("needs_more:model", {}, SpecError, ["needs", "a_package_that_is_nowhere"]),
        ("mistyped:model", {}, SpecError, ["mistyped", "SyntaxError"]),
    ],
)
def test_an_error_names_the_thing_and_what_would_be_right(spec, settings, error, words):
    with pytest.raises(error) as caught:
        load_model(spec, **settings)
    message = str(caught.value)
    assert all(word in message for word in words), message


@pytest.mark.library
def test_an_output_object_s_logits_are_taken():
    transformers = pytest.importorskip("transformers")
    output = transformers.modeling_outputs.SequenceClassifierOutput(
        logits=torch.ones(2, 3), hidden_states=(torch.zeros(2, 8),)
    )
    scorer = Scorer(lambda texts, images: output, "cpu")
    np.testing.assert_array_equal(scorer.score_pairs(["a", "b"], ["c", "d"], 2), np.ones((2, 3)))
