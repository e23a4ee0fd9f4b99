from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from emap_core.errors import AccessError, ModelError, SpecError
from emap_core.models import load_model
from emap_core.models.base import Scorer

tokenizers = pytest.importorskip("tokenizers")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

WRITTEN = Path(__file__).parent / "written_elsewhere"
TEXTS = ["cat", "a red cat", "dog dog"]
COLOURS = ["red", "white"]
DESCRIPTION = {
    "tokenizer": "words.json",
    "image_size": [4, 6],
    "mean": [0.0, 0.0, 0.0],
    "std": [1.0, 1.0, 1.0],
    "classes": ["first", "count", "light"],
}
# First word's number, number of words, mean of the pixels.
EXPECTED = [
    [[3, 1, 1 / 3], [3, 1, 1]],
    [[1, 3, 1 / 3], [1, 3, 1]],
    [[4, 2, 1 / 3], [4, 2, 1]],
]


class Small(torch.nn.Module):
    def forward(self, input_ids, attention_mask, pixel_values):
        count = attention_mask.sum(1).float()
        return torch.stack([input_ids[:, 0].float(), count, pixel_values.mean((1, 2, 3))], 1)


def inputs():
    return (
        torch.ones(2, 5, dtype=torch.long),
        torch.ones(2, 5, dtype=torch.long),
        torch.ones(2, 3, 4, 6),
    )


def write_torchscript(folder):
    torch.jit.trace(Small(), inputs()).save(str(folder / "model.pt"))
    return "torchscript:model.pt"


def write_export(folder):
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length")
    words = {0: batch, 1: length}
    shapes = {"input_ids": words, "attention_mask": words, "pixel_values": {0: batch}}
    program = torch.export.export(Small(), inputs(), dynamic_shapes=shapes)
    torch.export.save(program, folder / "model.pt2")
    return "export:model.pt2"


def write_onnx(folder):
    pytest.importorskip("onnxruntime")
    shutil.copy(WRITTEN / "small.onnx", folder / "model.onnx")
    return "onnx:model.onnx"


WRITERS = [write_torchscript, write_export, write_onnx]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    numbers = {"[PAD]": 0, "a": 1, "red": 2, "cat": 3, "dog": 4}
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel(numbers, "[PAD]"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    words.save(str(tmp_path / "words.json"))
    (tmp_path / "model.json").write_text(json.dumps(DESCRIPTION))
    return tmp_path


def grid_of(model):
    scorer = Scorer(model, "cpu")
    images = [Image.new("RGB", (10, 10), colour) for colour in COLOURS]
    return scorer.score_tile(scorer.encode_texts(TEXTS), scorer.encode_images(images), 4)


@pytest.mark.parametrize("write", WRITERS)
def test_an_exported_model_is_run_on_every_pair(write, folder):
    model = load_model(write(folder))
    np.testing.assert_allclose(grid_of(model), EXPECTED, atol=1e-6)
    assert model.classes == ["first", "count", "light"]


def test_pixels_are_scaled_and_texts_padded_as_described(folder):
    spec = write_torchscript(folder)
    before = load_model(spec).fingerprint
    changed = DESCRIPTION | {"length": 2, "mean": [0.5] * 3, "std": [0.25] * 3}
    (folder / "model.json").write_text(json.dumps(changed))
    model = load_model(spec)
    assert model.encode_texts(TEXTS)["input_ids"].tolist() == [[3, 0], [1, 2], [4, 4]]
    np.testing.assert_allclose(grid_of(model)[0, :, 2], [(1 / 3 - 0.5) / 0.25, 2], atol=1e-6)
    assert model.fingerprint != before


def test_a_tokenizer_without_a_number_for_unknown_words_is_named(folder):
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"cat": 0}, "[UNK]"))
    words.save(str(folder / "words.json"))
    model = load_model(write_torchscript(folder))
    with pytest.raises(ModelError, match=r"tokenizer cannot read these texts: .*UNK"):
        model.encode_texts(TEXTS)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: (f / "model.json").unlink(), ["model.json", "tokenizer"]),
        (lambda f: (f / "model.json").write_text("{"), ["model.json", "not a valid description"]),
        (
            lambda f: (f / "model.json").write_text('{"size": 3}'),
            ["model.json", "it has 'size'; expected only tokenizer, image_size"],
        ),
        (lambda f: (f / "model.json").write_text('{"tokenizer": "a"}'), ["it has no image_size"]),
        (lambda f: (f / "model.json").write_text("[]"), ["expected an object with names"]),
        (lambda f: (f / "words.json").unlink(), ["words.json", "not exist"]),
        (lambda f: (f / "model.pt").write_bytes(b"torn"), ["model.pt", "cannot be loaded"]),
        (lambda f: (f / "model.pt").unlink(), ["no file model.pt"]),
    ],
)
def test_what_is_missing_is_named(change, words, folder):
    spec = write_torchscript(folder)
    change(folder)
    with pytest.raises(SpecError) as caught:
        load_model(spec)
    assert all(word in str(caught.value) for word in words), caught.value
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("tokenizer", 5, "tokenizer is 5; expected the name of a file"),
        ("image_size", "ab", "expected a height and a width"),
        ("image_size", [0, 3], "image_size is [0, 3]"),
        ("mean", [1, 2], "expected three numbers"),
        ("std", [1, 1, 0], "three numbers above 0"),
        ("length", -1, "expected a number of tokens"),
        ("inputs", 5, "expected some of input_ids, attention_mask, pixel_values"),
        ("inputs", ["pixels"], "inputs is ['pixels']"),
        ("classes", [1], "expected a list of names"),
        ("output", [], "expected one of logits"),
    ],
)
def test_a_description_that_cannot_be_is_refused_by_name(name, value, words, folder):
    spec = write_torchscript(folder)
    (folder / "model.json").write_text(json.dumps(DESCRIPTION | {name: value}))
    with pytest.raises(SpecError) as caught:
        load_model(spec)
    assert words in str(caught.value) and "model.json" in str(caught.value)


def test_texts_that_are_cut_are_counted(folder):
    spec = write_torchscript(folder)
    assert load_model(spec).notes(["a " * 1000]) == []
    (folder / "model.json").write_text(json.dumps(DESCRIPTION | {"length": 2}))
    model = load_model(spec)
    assert model.notes(["a cat", "cat"]) == []
    (note,) = model.notes(["a cat", "a red cat", "a red"])
    assert note.startswith("1 of 3 different texts is longer than the 2 tokens")


@pytest.mark.parametrize("name", ["../words.json", "{folder}/words.json", "../nothing.json", ""])
def test_a_tokenizer_elsewhere_is_refused_whether_it_is_there_or_not(name, folder):
    spec = write_torchscript(folder)
    shutil.copy(folder / "words.json", folder.parent / "words.json")
    named = name.format(folder=folder)
    (folder / "model.json").write_text(json.dumps(DESCRIPTION | {"tokenizer": named}))
    with pytest.raises(SpecError, match=r"model.json names the tokenizer .* not in its folder"):
        load_model(spec)


@pytest.mark.parametrize("name", ["words.json", "model.json", "model.pt"])
def test_a_link_is_followed_only_where_files_may_be_opened(name, folder, monkeypatch):
    inside = folder / "inside"
    inside.mkdir()
    write_torchscript(folder)
    for file in ("words.json", "model.json", "model.pt"):
        shutil.copy(folder / file, inside / file)
    (inside / name).unlink()
    (inside / name).symlink_to(folder / name)
    load_model("torchscript:inside/model.pt")
    monkeypatch.setenv("EMAP_ROOTS", str(inside))
    with pytest.raises(AccessError, match="is outside the folders"):
        load_model("torchscript:inside/model.pt")


def edit_tokenizer(folder, **parts):
    words = json.loads((folder / "words.json").read_text())
    (folder / "words.json").write_text(json.dumps(words | parts))


def test_a_tokenizer_that_panics_is_one_line(folder):
    spec = write_torchscript(folder)
    edit_tokenizer(folder, pre_tokenizer={"type": "FixedLength", "length": 0})
    with pytest.raises(ModelError, match="tokenizer cannot read these texts: chunk size must be"):
        load_model(spec).encode_texts(TEXTS)
    edit_tokenizer(folder, normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA"})
    with pytest.raises(SpecError, match=r"words.json cannot be loaded: Precompiled"):
        load_model(spec)


class Unsteady(torch.nn.Module):
    """Has a layer that does something else in training."""

    def __init__(self, layer):
        super().__init__()
        self.small, self.layer = Small(), layer

    def forward(self, input_ids, attention_mask, pixel_values):
        return self.layer(self.small(input_ids, attention_mask, pixel_values))


LAYERS = [torch.nn.Dropout(0.5), torch.nn.AlphaDropout(0.5), torch.nn.BatchNorm1d(3)]


@pytest.mark.parametrize("layer", LAYERS, ids=["dropout", "alpha_dropout", "batch_norm"])
def test_a_model_that_was_written_in_training_mode_is_refused(layer, folder):
    module = Unsteady(layer)
    for training in (True, False):
        module.train(training)
        torch.jit.trace(module, inputs(), check_trace=False).save(str(folder / "model.pt"))
        torch.export.save(torch.export.export(module, inputs()), folder / "model.pt2")
        for spec in ("torchscript:model.pt", "export:model.pt2"):
            if training:
                with pytest.raises(SpecError, match=r"was saved in training mode.*model.eval"):
                    load_model(spec)
            else:
                assert load_model(spec).dtype == (
                    "float32" if isinstance(layer, torch.nn.BatchNorm1d) else None
                )
    # A script keeps a switch, which the loader turns.
    torch.jit.script(module.train()).save(str(folder / "model.pt"))
    ids, mask, pixels = inputs()
    said = load_model("torchscript:model.pt").score(
        {"input_ids": ids, "attention_mask": mask}, pixels
    )
    torch.testing.assert_close(said, module.eval()(ids, mask, pixels))


def test_half_weights_get_half_pixels_and_are_recorded(folder):
    class Half(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(3, 3)

        def forward(self, input_ids, attention_mask, pixel_values):
            return self.layer(pixel_values.mean((2, 3)))

    module = Half().half().eval()
    ids, mask, pixels = inputs()
    torch.jit.trace(module, (ids, mask, pixels.half())).save(str(folder / "model.pt"))
    model = load_model("torchscript:model.pt")
    scorer = Scorer(model, "cpu")
    assert scorer.dtype == "float16"
    assert grid_of(model).dtype == np.float32
    assert model.description["file"] == "model.pt"
    assert model.description["classes"] == DESCRIPTION["classes"]
    assert str(folder) not in str(model.description)


def test_weights_beside_an_onnx_model_are_part_of_its_fingerprint(folder):
    spec = write_onnx(folder)
    before = load_model(spec)
    assert before.dtype == "float32"
    # The file names tensors and inputs; a file of such a name may hold weights.
    (folder / "pixel_values").write_bytes(b"1")
    (folder / "of no meaning").write_bytes(b"1")
    first = load_model(spec).fingerprint
    (folder / "of no meaning").write_bytes(b"2")
    assert load_model(spec).fingerprint == first
    (folder / "pixel_values").write_bytes(b"2")
    assert len({before.fingerprint, first, load_model(spec).fingerprint}) == 3
