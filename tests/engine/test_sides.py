"""Runs of two sides of any modality, from data at hand and from tables, with one command each."""

import io
import json
import wave

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import emap_core as emap
from emap_core import cli
from emap_core.datasets import load_dataset
from emap_core.datasets.grid_cells import find_cells
from emap_core.errors import DatasetError, ModelError, SettingError
from emap_core.modalities import Side
from emap_core.modalities.audio import Sound
from emap_core.runs import Run

TEXTS = ["a cat sleeps", "a dog runs far", "two birds", "no animal at all here"]


def tone(height, seconds=0.05, rate=8000):
    at = np.arange(int(seconds * rate)) / rate
    return Sound((0.3 * np.sin(2 * np.pi * height * at)).astype(np.float32), rate)


def picture(value):
    return Image.new("RGB", (12, 8), (value, 40, 255 - value))


def number(item):
    """Return a number that tells items of one kind apart."""
    if isinstance(item, str):
        return len(item) / 10
    if isinstance(item, Sound):
        return float(np.abs(np.diff(np.sign(item.samples))).sum() / 50)
    if isinstance(item, dict):
        return item["age"] / 50
    if isinstance(item, np.ndarray):
        return float(item.mean())
    return np.asarray(item).mean() / 100


def model(first, second):
    x, y = (np.array([number(item) for item in items]) for items in (first, second))
    return np.stack([x * y, x - y], axis=1)


def items(kind):
    return {
        "text": TEXTS,
        "audio": [tone(height) for height in (300, 500, 700, 900)],
        "image": [picture(value) for value in (0, 80, 160, 240)],
        "table": [{"age": age, "smokes": bool(age % 2)} for age in (30, 41, 52, 63)],
        "array": [np.full(5, value) for value in (0.1, 0.4, 0.9, 1.6)],
    }[kind]


def expected(first, second):
    grid = np.array([[model([x], [y])[0] for y in second] for x in first])
    return emap.decompose(grid)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("text", "text"),
        ("audio", "text"),
        ("text", "audio"),
        ("image", "image"),
        ("image", "audio"),
        ("table", "image"),
        ("array", "table"),
    ],
)
def test_a_callable_takes_any_two_sides_in_the_order_of_the_data(first, second, tmp_path):
    sides = {"one": items(first), "two": items(second)[::-1]}
    data = {"sides": sides, "labels": ["a", "b", "a", "b"], "classes": ["a", "b"]}
    run = emap.compute(model, data, out=tmp_path / "run", batch_size=3)
    found = expected(*sides.values())
    np.testing.assert_allclose(run.decomposition.emap, found.emap, atol=1e-6)
    np.testing.assert_allclose(run.decomposition.variance_shares, found.variance_shares, atol=1e-6)
    assert run.sides == (Side("one", first), Side("two", second))
    for place, kind in enumerate((first, second)):
        if place == 0 and kind == "text":
            assert run.texts == TEXTS
            continue
        for item in range(4):
            with Image.open(io.BytesIO(run.poster(place, item))) as poster:
                assert max(poster.size) <= 256
            if kind == "audio":
                with wave.open(io.BytesIO(run.content(place, item))) as sound:
                    assert sound.getnframes() == 400
    # A sound of the first side stands where its words do, whatever order it was scored in.
    assert Run.load(run.path).record()["metrics"]["accuracy"]["gap"] is not None


@pytest.fixture
def folder(tmp_path):
    for k, item in enumerate(items("audio")):
        (tmp_path / f"{k}.wav").write_bytes(item.wav())
    for k, item in enumerate(items("image")):
        item.save(tmp_path / f"{k}.png")
    n = 12
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 4, (2, n))
    pd.DataFrame(
        {
            "sentence1": [TEXTS[k] for k in a],
            "sentence2": [TEXTS[k][::-1] for k in b],
            "sound": [f"{k}.wav" for k in a],
            "left": [f"{k}.png" for k in a],
            "right": [f"{k}.png" for k in b],
            "label": np.where(a > b, "yes", "no"),
        }
    ).to_csv(tmp_path / "pairs.csv", index=False)
    (tmp_path / "pair_model.py").write_text(
        "import numpy as np\n"
        "from emap_core.modalities.audio import Sound\n"
        "def number(item):\n"
        "    if isinstance(item, str): return len(item)\n"
        "    if isinstance(item, Sound): return item.seconds + item.samples.std()\n"
        "    return np.asarray(item).mean()\n"
        "def make():\n"
        "    def model(first, second):\n"
        "        x, y = (np.array([number(i) for i in s], float) for s in (first, second))\n"
        "        return np.stack([x * y, x - y], axis=1) / 100\n"
        "    model.classes, model.fingerprint = ['no', 'yes'], 'pairs'\n"
        "    return model\n"
    )
    return tmp_path


@pytest.mark.parametrize(
    ("sides", "modalities"),
    [
        (("premise=sentence1", "hypothesis=sentence2"), ("text", "text")),
        (("sound=sound", "caption=sentence2"), ("audio", "text")),
        (("left=left", "right=right"), ("image", "image")),
        (("left=left:text", "right=right:text"), ("text", "text")),
    ],
)
def test_one_command_runs_two_sides_of_a_table(sides, modalities, folder, monkeypatch, capsys):
    monkeypatch.syspath_prepend(folder)
    out = folder / "run"
    flags = [part for side in sides for part in ("--side", side)]
    asked = ["run", "--model", "pair_model:make", "--data", f"csv:{folder / 'pairs.csv'}", *flags]
    assert cli.main([*asked, "--out", str(out), "--progress", "none"]) == 0
    names = tuple(side.split("=")[0] for side in sides)
    run = Run.load(out)
    assert run.sides == tuple(map(Side, names, modalities))
    assert run.manifest["provenance"]["data"]["arguments"]["side"] == list(sides)
    assert cli.main([*asked, "--out", str(out), "--progress", "none"]) == 0
    assert "is not" not in capsys.readouterr().err


def test_encoders_run_once_an_item_and_sides_are_matched_by_name(tmp_path):
    class Staged:
        sides = ("caption", "sound")
        classes = ("a", "b")
        fingerprint = "staged"
        n_encoded = 0

        def _encode(self, given):
            Staged.n_encoded += len(given)
            return np.array([[number(item)] for item in given])

        @property
        def encoders(self):
            return {"sound": self._encode, "caption": self._encode}

        def score(self, caption, sound):
            return np.concatenate([caption * sound, caption - sound], axis=1)

    data = {"sides": {"sound": items("audio"), "caption": TEXTS}, "labels": list("abab")}
    run = emap.compute(Staged(), data, out=tmp_path / "run")
    # The four of each side once, and a few again to see whether outputs are the same.
    assert run.sides == (Side("caption", "text"), Side("sound", "audio"))
    np.testing.assert_allclose(
        run.decomposition.emap, expected(TEXTS, items("audio")).emap, atol=1e-6
    )
    with pytest.raises(DatasetError, match="reads caption and sound, but the data has a and b"):
        emap.compute(Staged(), {"sides": {"a": TEXTS, "b": TEXTS}}, out=tmp_path / "other")


def test_a_run_goes_on_where_it_was_cut_off(tmp_path):
    data = {"sides": {"left": items("image"), "right": items("image")}, "labels": list("abab")}
    whole = emap.compute(model, data, out=tmp_path / "whole", batch_size=2, fingerprint="m")
    left = [6]

    def fragile(first, second):
        left[0] -= 1
        if left[0] == 0:
            raise ZeroDivisionError
        return model(first, second)

    with pytest.raises(ZeroDivisionError):
        emap.compute(fragile, data, out=tmp_path / "run", batch_size=2, fingerprint="m")
    run = emap.compute(model, data, out=tmp_path / "run", batch_size=2, fingerprint="m")
    assert run.decomposition.equals(whole.decomposition)
    assert run.poster(0, 2) == whole.poster(0, 2)


def test_a_model_of_texts_and_images_refuses_other_sides(tmp_path):
    from samples import Staged

    with pytest.raises(DatasetError, match=r"reads text and image, but the data has a \(text\)"):
        emap.compute(Staged(), {"sides": {"a": TEXTS, "b": TEXTS}}, out=tmp_path / "run")


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        ({"sides": {"a": TEXTS, "b": TEXTS, "c": TEXTS}}, ModelError, "has 3 sides"),
        ({"sides": {"a": TEXTS}}, DatasetError, "has 1 sides; give two or more"),
        ({"sides": {"a": TEXTS, "b": TEXTS, "c": TEXTS[:3]}}, DatasetError, "'c' has 3 entries"),
        ({"sides": {"a": TEXTS, "b": ["x.wav"] * 4}}, DatasetError, "b 0 does not exist"),
        ({"sides": {"a": TEXTS, "b": TEXTS[:2]}}, DatasetError, "has 2 entries"),
        ({"sides": {"a": TEXTS, "b": ["one"] * 4}}, DatasetError, "have the same b"),
    ],
)
def test_wrong_sides_are_told(data, kind, message, tmp_path):
    with pytest.raises(kind, match=message):
        emap.compute(model, data, out=tmp_path / "run")


@pytest.mark.parametrize(
    ("side", "message"),
    [
        (["premise=sentence1"], "a run needs two or more sides with different names"),
        (["premise", "b=sentence2"], "write it as NAME=COLUMN"),
        (["a=sentence1", "b=nothing"], "has no column 'nothing' for the b"),
        (
            ["a=sentence1", "b={nothing}.png"],
            "side names the column 'nothing', which does not",
        ),
    ],
)
def test_sides_of_a_table_that_cannot_be_are_told(side, message, folder):
    with pytest.raises((SettingError, DatasetError), match=message):
        emap.load_dataset(f"csv:{folder / 'pairs.csv'}", side=side)


def test_a_missing_sound_names_its_row_and_can_be_left_out(folder):
    (folder / "1.wav").unlink()
    side = ["sound=sound", "text=sentence2"]
    with pytest.raises(DatasetError, match=r"sound .*1\.wav in row \d+ of .* does not exist"):
        emap.load_dataset(f"csv:{folder / 'pairs.csv'}", side=side)
    data = emap.load_dataset(f"csv:{folder / 'pairs.csv'}", side=side, skip_bad=True)
    assert len(data) < 12 and len(data.skipped) == 12 - len(data)
    sample = emap.load_dataset(f"csv:{folder / 'pairs.csv'}", side=side, skip_bad=True, limit=4)
    assert len(sample) == 4 and isinstance(sample.items_by_side[0].items[0], Sound)


def test_a_folder_of_sounds_has_its_captions_in_a_table_beside_them(folder):
    metadata = pd.DataFrame({"file_name": [f"{k}.wav" for k in range(4)], "caption": TEXTS})
    metadata.to_csv(folder / "metadata.csv", index=False)
    side = ["sound=file_name", "caption=caption"]
    data = emap.load_dataset(f"imagefolder:{folder}", side=side)
    assert data.sides == (Side("sound", "audio"), Side("caption", "text"))
    sounds, captions = (one.items for one in data.items_by_side)
    assert all(isinstance(one, Sound) for one in sounds) and captions == TEXTS
    with pytest.raises(SettingError, match="side and text_column both say where the sides are"):
        emap.load_dataset(f"imagefolder:{folder}", side=side, text_column="caption")


def test_an_unknown_encoder_is_told():
    class Wrong:
        sides = ("a", "b")
        encoders = {"a": len}  # noqa: RUF012

        def score(self, a, b):
            return a

    with pytest.raises(ModelError, match="encoders has a; give one for each of its sides: a, b"):
        emap.compute(Wrong(), {"sides": {"a": TEXTS, "b": TEXTS}})


def test_plans_of_other_sides_show_their_words(capsys, folder, monkeypatch):
    monkeypatch.syspath_prepend(folder)
    asked = ["plan", "--model", "pair_model:make", "--data", f"csv:{folder / 'pairs.csv'}"]
    assert cli.main([*asked, "--side", "sound=sound", "--side", "text=sentence2"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["previews"][0]["items"][0]["words"].endswith(".wav")
    assert "sound from 'sound'" in " ".join(plan["columns"])


def test_words_of_different_items_never_become_those_of_another():
    cells = [{"c": 1}, {"c": "1"}, {"c": "1 (2)"}, {"c": 1.0}]
    data = load_dataset({"sides": {"row": cells, "other": cells}, "labels": list("pqpq")})
    assert len(set(find_cells(data).row_words)) == 4
