from __future__ import annotations

import json
from pathlib import Path

import easy_vqa
import pytest
from PIL import Image

from emap_core.datasets import load_dataset
from emap_core.datasets.grid_cells import find_cells
from emap_core.datasets.labels import match_labels
from emap_core.errors import SettingError, SpecError

PACKAGE = Path(easy_vqa.__file__).parent / "data"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("split", "n_examples", "n_images"), [("test", 9_673, 1_000), ("train", 38_575, 4_000)]
)
def test_a_split_is_the_package_s_own_files(split, n_examples, n_images):
    questions = json.loads((PACKAGE / split / "questions.json").read_text())
    data = load_dataset("demo:easy-vqa", split=split)
    cells = find_cells(data)
    assert len(data) == len(questions) == n_examples
    assert cells.shape == (107, n_images)
    for row in (0, 17, n_examples - 1):
        text, answer, image = questions[row]
        assert (data.texts[row], data.labels[row]) == (text, answer)
        with Image.open(PACKAGE / split / "images" / f"{image}.png") as expected:
            assert data.images[row].tobytes() == expected.convert("RGB").tobytes()


def test_answers_are_the_classes():
    data = load_dataset("demo:easy-vqa")
    assert len(data.classes) == 13
    assert set(data.labels) == set(data.classes)


def test_unique_images_are_found_without_opening_one():
    data = load_dataset("demo:easy-vqa")
    data.images = [None] * len(data)
    assert find_cells(data).shape == (107, 1_000)


def test_yes_no_keeps_the_questions_with_these_answers():
    answers = [a for _, a, _ in json.loads((PACKAGE / "test" / "questions.json").read_text())]
    data = load_dataset("demo:easy-vqa-yes-no")
    assert len(data) == answers.count("yes") + answers.count("no")
    assert set(data.labels) == {"yes", "no"}
    thirteen = load_dataset("demo:easy-vqa").classes
    labels = match_labels(data, thirteen, 13)
    assert {thirteen[label] for label in labels} == {"yes", "no"}


def test_emoji_are_split_once_and_each_has_its_own_picture():
    test, train = (load_dataset("demo:emoji-groups", split=split) for split in ("test", "train"))
    assert not set(test.texts) & set(train.texts)
    assert (len(test), len(train)) == (569, 1_336)
    assert find_cells(test).shape == (569, 569)
    assert set(test.labels) == set(train.labels) == set(test.classes)
    assert len(test.classes) == 9
    assert test.images[0].size == (64, 64)


def test_emoji_pairs_are_balanced_for_every_name_and_picture():
    names = dict(zip(*(lambda d: (d.ids, d.texts))(load_dataset("demo:emoji-groups")), strict=True))
    data = load_dataset("demo:emoji-match")
    answers = {}
    for text, image, label in zip(data.texts, data.image_keys, data.labels, strict=True):
        assert (names[image] == text) == (label == "yes")
        answers.setdefault(("text", text), []).append(label)
        answers.setdefault(("image", image), []).append(label)
    assert {tuple(sorted(labels)) for labels in answers.values()} == {("no", "yes")}
    assert match_labels(data, data.classes, 1).mean() == 0.5
    # Two names with two pictures, in all four ways.
    groups = {}
    for group, text, image in zip(data.columns["group"], data.texts, data.image_keys, strict=True):
        if group:
            groups.setdefault(group, set()).add((text, image))
    assert len(groups) == 283 and {len(pairs) for pairs in groups.values()} == {4}
    assert {len({text for text, _ in pairs}) for pairs in groups.values()} == {2}


@pytest.mark.slow
def test_a_sample_keeps_order_and_is_its_seed_s():
    whole = load_dataset("demo:easy-vqa")
    some = load_dataset("demo:easy-vqa", limit=50, seed=3)
    place = {example: row for row, example in enumerate(whole.ids)}
    rows = [place[example] for example in some.ids]
    assert rows == sorted(set(rows)) and len(rows) == 50
    assert some.texts == [whole.texts[row] for row in rows]
    assert some.images[7].tobytes() == whole.images[rows[7]].tobytes()
    assert load_dataset("demo:easy-vqa", limit=50, seed=3).ids == some.ids
    assert load_dataset("demo:easy-vqa", limit=50, seed=4).ids != some.ids


@pytest.mark.slow
def test_fingerprints_differ_whenever_the_examples_do():
    names = [
        load_dataset(spec, **settings).fingerprint
        for spec, settings in [
            ("demo:easy-vqa", {}),
            ("demo:easy-vqa", {"split": "train"}),
            ("demo:easy-vqa-yes-no", {}),
            ("demo:easy-vqa", {"limit": 50}),
            ("demo:easy-vqa", {"limit": 51}),
            ("demo:easy-vqa", {"limit": 50, "seed": 1}),
        ]
    ]
    assert len(set(names)) == len(names)
    assert load_dataset("demo:easy-vqa", limit=9_673).fingerprint == names[0]


@pytest.mark.parametrize(
    ("spec", "settings", "error", "words"),
    [
        ("demo:nothing", {}, SpecError, ["demo:nothing", "demo:easy-vqa", "demo:easy-vqa-yes-no"]),
        ("easy-vqa", {}, SpecError, ["'easy-vqa'", "demo:"]),
        ("nowhere:data", {}, SpecError, ["nowhere", "demo:"]),
        ("demo:easy-vqa", {"split": "validation"}, SettingError, ["validation", "test", "train"]),
        ("demo:easy-vqa", {"colour": "red"}, SettingError, ["colour", "split"]),
        ("demo:easy-vqa", {"limit": 1}, SettingError, ["limit is 1", "at least 2"]),
    ],
)
def test_an_error_names_the_thing_and_what_would_be_right(spec, settings, error, words):
    with pytest.raises(error) as caught:
        load_dataset(spec, **settings)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message
