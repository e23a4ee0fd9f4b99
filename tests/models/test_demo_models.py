from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from PIL import Image

from emap_core import decompose
from emap_core.datasets import load_dataset
from emap_core.datasets.grid_cells import find_cells
from emap_core.datasets.labels import match_labels
from emap_core.errors import SettingError, SpecError
from emap_core.models import demo_digit_networks, load_model
from emap_core.models.base import Scorer
from emap_core.models.demo import NAMES, OF_DIGITS
from emap_core.models.demo_networks import ARCHITECTURES
from emap_core.models.encodings import take

EMOJI = ["emoji-groups", "emoji-match"]
EASY_VQA = [name for name in NAMES if name not in (*EMOJI, *OF_DIGITS)]


@functools.cache
def model_of(name):
    return load_model(f"demo:{name}")


def test_every_architecture_is_offered():
    assert (*ARCHITECTURES, *demo_digit_networks.ARCHITECTURES) == NAMES


@functools.cache
def examples():
    data = load_dataset("demo:easy-vqa", limit=400, seed=1)
    return data, find_cells(data)


@functools.cache
def grid_of(name):
    data, cells = examples()
    scorer = Scorer(model_of(name), "cpu")
    texts = scorer.encode_texts(cells.row_words)
    images = scorer.encode_images([data.images[i] for i in cells.sides[1].examples])
    return scorer.score_tile(texts, images, 4_096)


@pytest.mark.slow
@pytest.mark.parametrize("name", EASY_VQA)
def test_grid_pairs_and_plain_calls_agree(name):
    model, (data, cells) = model_of(name), examples()
    texts = cells.row_words[:6]
    images = [data.images[i] for i in cells.sides[1].examples[:5]]
    text_encodings, image_encodings = model.encode_texts(texts), model.encode_images(images)
    grid = model.score_grid(text_encodings, image_encodings)
    assert grid.shape == (6, 5, 13)
    rows, columns = np.repeat(range(6), 5), np.tile(range(5), 6)
    pairs = model.score(take(text_encodings, rows), take(image_encodings, columns))
    plain = model([texts[u] for u in rows], [images[w] for w in columns])
    torch.testing.assert_close(grid.reshape(30, 13), pairs, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(pairs, plain, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", EASY_VQA)
def test_neither_padding_nor_order_nor_company_changes_a_logit(name):
    model, (data, _) = model_of(name), examples()
    image = data.images[0]
    short, long = "what shape is there?", " ".join(["is there a red shape in the image"] * 3)
    alone = model([short], [image])
    padded = model([long, short], [data.images[5], image])[1:]
    torch.testing.assert_close(alone, padded, atol=1e-4, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["concat", "self-attention", "cross-attention"])
def test_a_fusion_answers_by_looking_at_both(name):
    data, cells = examples()
    result = decompose(grid_of(name), cells.row_index, cells.column_index)
    labels = match_labels(data, model_of(name).classes, 13)
    full = (result.logits.argmax(axis=1) == labels).mean()
    projected = (result.emap_leave_one_out.argmax(axis=1) == labels).mean()
    assert full > 0.97
    assert full - projected > 0.10


def test_the_additive_model_is_its_own_projection():
    _, cells = examples()
    result = decompose(grid_of("additive"), cells.row_index, cells.column_index)
    assert np.abs(result.interaction).max() < 1e-4


@pytest.mark.parametrize(("name", "other_parts"), [("text-only", [1, 2]), ("image-only", [0, 2])])
def test_a_one_sided_model_has_no_other_part(name, other_parts):
    _, cells = examples()
    result = decompose(grid_of(name), cells.row_index, cells.column_index)
    assert (result.variance_shares[other_parts] < 1e-9).all()


def test_text_only_gives_a_text_the_same_bits_with_every_image():
    grid = grid_of("text-only")
    assert (grid == grid[:, :1]).all()


@pytest.mark.parametrize("name", EASY_VQA)
def test_unknown_words_no_words_and_images_of_any_size_are_taken(name):
    images = [Image.new("L", (200, 31)), Image.new("RGBA", (9, 9), "red")]
    logits = model_of(name)(["is there a zeppelin?", ""], images)
    assert logits.shape == (2, 13)
    assert torch.isfinite(logits).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "relies_on_interactions"), [("emoji-groups", False), ("emoji-match", True)]
)
def test_on_emoji_interactions_are_everything_or_nothing(name, relies_on_interactions):
    model, data = model_of(name), load_dataset(f"demo:{name}")
    cells = find_cells(data)
    texts = model.encode_texts(cells.row_words)
    images = model.encode_images([data.images[i] for i in cells.sides[1].examples])
    grid = model.score_grid(texts, images).numpy()
    some = np.arange(20)
    pairs = model.score(take(texts, some), take(images, some))
    np.testing.assert_allclose(grid[some, some], pairs, atol=1e-5)
    result = decompose(grid, cells.row_index, cells.column_index)
    labels = match_labels(data, model.classes, grid.shape[2])

    def accuracy(scores):
        predicted = scores.argmax(axis=1) if scores.shape[1] > 1 else scores[:, 0] > 0
        return (predicted == labels).mean()

    gap = accuracy(result.logits) - accuracy(result.emap_leave_one_out)
    assert accuracy(result.logits) > 0.7
    assert (gap > 0.2) if relies_on_interactions else (abs(gap) < 0.02)


@pytest.mark.slow
def test_each_model_has_its_own_fingerprint_and_classes_of_the_data():
    models = [model_of(name) for name in EASY_VQA]
    assert len({model.fingerprint for model in models}) == len(EASY_VQA)
    assert all(model.classes == load_dataset("demo:easy-vqa").classes for model in models)
    assert load_model("demo:concat").fingerprint == model_of("concat").fingerprint


@pytest.mark.parametrize(
    ("spec", "settings", "error", "words"),
    [
        ("demo:nothing", {}, SpecError, ["demo:nothing", "demo:concat"]),
        ("concat", {}, SpecError, ["'concat'", "demo:", "module:factory"]),
        ("demo:", {}, SpecError, ["'demo:'"]),
        ("demo:concat", {"size": 3}, SettingError, ["size", "no arguments"]),
    ],
)
def test_an_error_names_the_thing_and_what_would_be_right(spec, settings, error, words):
    with pytest.raises(error) as caught:
        load_model(spec, **settings)
    message = str(caught.value)
    assert all(word in message for word in words), message


def test_without_the_repository_it_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr("emap_core.models.demo.FOLDER", tmp_path)
    with pytest.raises(SpecError, match="clone its repository"):
        load_model("demo:concat")
