"""Questions about a written and a spoken digit are what they say, and no item is in both splits."""

import wave

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from emap_core.datasets import load_dataset
from emap_core.datasets.demo_digits import FOLDER, QUESTIONS, load
from emap_core.errors import SettingError, SpecError
from emap_core.modalities import modality


@pytest.fixture(scope="module")
def splits():
    return {split: load(split) for split in ("test", "train")}


@pytest.mark.parametrize(
    ("split", "sizes", "n_examples"),
    [("test", (6, 100, 50), 600), ("train", (6, 1697, 100), 10_182)],
)
def test_every_question_meets_every_image_once_and_sounds_in_turn(splits, split, sizes, n_examples):
    data = splits[split]
    assert tuple(len(items) for items in data.items.values()) == sizes
    assert len(data) == len(data.ids) == len(set(data.ids)) == n_examples
    pairs = set(zip(data.index["question"], data.index["written"], strict=True))
    assert len(pairs) == n_examples
    used = pd.crosstab(data.index["question"], data.index["spoken"]).to_numpy()
    assert used.shape == (6, sizes[2]) and np.ptp(used) <= 1


def test_no_image_and_no_voice_is_in_both_splits(splits):
    test, train = splits["test"], splits["train"]
    assert not set(test.columns["voice"]) & set(train.columns["voice"])
    for side in ("written", "spoken"):
        assert not set(test.keys[side]) & set(train.keys[side])
    assert test.fingerprint != train.fingerprint


def test_pictures_are_the_handwriting_of_scikit_learn(splits):
    known = load_digits()
    seen = set()
    for data in splits.values():
        digits = dict(zip(data.index["written"], data.columns["written_digit"], strict=True))
        for number in (0, 57, len(digits) - 1):
            place = int(data.keys["written"][number].removeprefix("written-"))
            ink = 16 * (1 - np.asarray(data.items["written"][number].convert("L"))[::8, ::8] / 255)
            np.testing.assert_allclose(ink, known.images[place], atol=0.05)
            assert digits[number] == known.target[place]
        seen |= set(data.keys["written"])
    assert len(seen) == len(known.target)


def test_sounds_are_short_files_of_a_voice_saying_each_digit(splits):
    listed = pd.read_csv(FOLDER / "digits.csv")
    assert set(listed["file"]) == {file.name for file in FOLDER.glob("*.wav")}
    assert (listed.groupby("voice")["digit"].apply(sorted).map(tuple) == tuple(range(10))).all()
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 1_500_000
    for row in listed.itertuples():
        with wave.open(str(FOLDER / row.file)) as file:
            assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (8_000, 2, 1)
        sound = modality("audio").open(FOLDER / row.file)
        assert 0.2 < sound.seconds <= 0.8
        assert np.abs(sound.samples).max() == pytest.approx(0.8, abs=1e-3)


def test_answers_follow_from_the_digits(splits):
    for data in splits.values():
        rows = zip(data.sides["question"], *data.columns.to_numpy().T, data.labels, strict=True)
        for question, kind, written, spoken, _, label in rows:
            said = {
                "Is the sum even?": (written + spoken) % 2 == 0,
                "Is the sum odd?": (written + spoken) % 2 == 1,
                "Is the written digit larger?": written > spoken,
                "Is the spoken digit larger?": spoken > written,
                "Are the digits the same?": written == spoken,
                "Are the digits different?": written != spoken,
            }
            assert (label == "yes") == said[question]
            assert QUESTIONS[question][0] == kind


def test_sides_are_the_items_of_each_example(splits):
    data = splits["test"]
    assert list(data.sides) == list(data.modalities) == ["question", "written", "spoken"]
    assert {len(items) for items in data.sides.values()} == {len(data)}
    assert isinstance(data.sides["written"][3], Image.Image)
    spoken = modality(data.modalities["spoken"]).open(
        FOLDER / f"{data.keys['spoken'][data.index['spoken'][9]]}.wav"
    )
    np.testing.assert_array_equal(data.sides["spoken"][9].samples, spoken.samples)


def test_a_run_has_the_same_examples(splits):
    given, data = splits["test"], load_dataset("demo:digits")
    assert [side.name for side in data.sides] == list(given.sides)
    assert [side.modality for side in data.sides] == list(given.modalities.values())
    for one in data.items_by_side:
        unique = {key: number for number, key in enumerate(dict.fromkeys(one.keys or one.items))}
        found = [unique[key] for key in one.keys or one.items]
        # The same numbers, once they are in order of first appearance.
        numbers = given.index[one.side.name]
        first = {number: place for place, number in enumerate(dict.fromkeys(numbers.tolist()))}
        assert found == [first[number] for number in numbers]
    assert data.labels == given.labels and list(data.columns["voice"]) == list(
        given.columns["voice"]
    )


def test_errors_name_what_is_missing(monkeypatch, tmp_path):
    with pytest.raises(SettingError, match="'validation'; expected 'test' or 'train'"):
        load("validation")
    monkeypatch.setattr("emap_core.datasets.demo_digits.FOLDER", tmp_path)
    with pytest.raises(SpecError, match="clone its repository"):
        load()
