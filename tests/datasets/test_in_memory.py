"""Data that is at hand in Python: read by position, whatever it comes in."""

from __future__ import annotations

import io
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from PIL import Image
from samples import Staged, make_examples, picture

import emap_core as emap
from emap_core.datasets import load_dataset
from emap_core.datasets.base import Examples, as_examples
from emap_core.datasets.grid_cells import find_cells
from emap_core.datasets.sample import pick, sample
from emap_core.errors import DatasetError, EmapError, SettingError, SpecError

SEQUENCES = ("texts", "images", "labels", "ids", "image_keys", "image_inputs", "label_cells")


class Theirs:
    """A dataset of a user's own, with what a dataset needs and nothing else."""

    def __init__(self, **sequences):
        vars(self).update(sequences)
        self.task = "multiclass"

    def __len__(self):
        return len(self.texts)  # type: ignore[attr-defined]


def frame(n=12, n_texts=12, n_images=12):
    """Return a shuffled frame of all sequences of a dataset, and the same as lists."""
    data = make_examples(n=n, n_texts=n_texts, n_images=n_images)
    lists = {
        "texts": list(data.texts),
        "images": list(data.images),
        "labels": [Staged.classes[label] for label in data.labels],
        "ids": list(data.ids),
        "image_keys": list(data.image_keys),
        "image_inputs": list(data.images),
        "label_cells": [f"cell {i}" for i in range(n)],
    }
    order = np.random.default_rng(3).permutation(n)
    # The index says where each row stood before it was shuffled.
    return pd.DataFrame(lists, index=order), lists


@pytest.mark.parametrize("kind", [Examples, Theirs])
@pytest.mark.parametrize("change", [lambda f: f, lambda f: f.iloc[3:9], lambda f: f[::2]])
def test_every_sequence_of_a_shuffled_or_filtered_frame_is_read_by_position(kind, change):
    whole, _ = frame()
    part = change(whole)
    given = kind(**{name: part[name] for name in SEQUENCES})
    data = as_examples(given)
    for name in SEQUENCES:
        read = list(getattr(data, name))
        assert len(read) == len(part)
        assert all(a is b or a == b for a, b in zip(read, part[name].tolist(), strict=True)), name
    rows = np.array([4, 1])
    for chosen in (pick(given, rows, None), pick(data, rows, None)):
        for name in SEQUENCES:
            expected = [part[name].tolist()[row] for row in rows]
            read = [getattr(chosen, name)[i] for i in range(2)]
            assert all(a is b or a == b for a, b in zip(read, expected, strict=True)), name
    fewer = sample(given, 4)
    table = dict(zip(part["ids"], part["texts"], strict=True))
    assert fewer.texts == [table[name] for name in fewer.ids]
    cells = find_cells(given)
    assert [cells.row_words[u] for u in cells.row_index] == part["texts"].tolist()
    assert cells.sides[1].examples.max() < len(part)


@pytest.mark.parametrize("kind", [Examples, Theirs])
def test_a_run_of_a_shuffled_frame_is_that_of_its_lists(kind, tmp_path):
    shuffled, lists = frame()
    names = ("texts", "images", "labels")
    runs = [
        emap.compute(Staged(), kind(**{n: given[n] for n in names}), out=tmp_path / out)
        for given, out in ((lists, "lists"), (shuffled, "frame"))
    ]
    first, second = (run.examples() for run in runs)
    assert first["correct"].all(), "the labels are the model's own decisions"
    pd.testing.assert_frame_equal(first, second)


def test_what_numbers_cannot_index_is_refused_and_what_they_can_is_read():
    picture = Image.new("L", (2, 2))
    arrow = Examples(pa.array(["a", "b"]), [picture] * 2, labels=pa.chunked_array([["x", "y"]]))
    assert (arrow.texts, arrow.labels) == (["a", "b"], ["x", "y"])
    assert Examples(np.array(["a", "b"]), [picture] * 2).texts == ["a", "b"]
    groups = pd.DataFrame({"g": [1, 2]}, index=[1, 0])
    assert Examples(["a", "b"], [picture] * 2, columns=groups).columns.index.tolist() == [0, 1]
    with pytest.raises(DatasetError, match="a dict has no order of examples"):
        Examples(["a", "b"], {0: picture, 1: picture})


def test_images_may_be_paths_content_or_arrays(tmp_path):
    files = []
    for name in ("red", "blue"):
        Image.new("RGB", (4, 4), name).save(tmp_path / f"{name}.png")
        files.append(tmp_path / f"{name}.png")
    pixels = [np.asarray(Image.open(file)) for file in files]
    for images in (files, list(map(str, files)), [f.read_bytes() for f in files], pixels):
        data = Examples(["a", "b", "c"], [images[1], images[0], images[1]])
        assert data.images[0].getpixel((0, 0)) == (0, 0, 255)
        assert find_cells(data).column_index.tolist() == [0, 1, 0]
    with pytest.raises(DatasetError, match=r"none\.png does not exist"):
        Examples(["a"], [str(tmp_path / "none.png")]).images[0]
    with pytest.raises(DatasetError, match="array of float64 of shape"):
        Examples(["a"], [np.zeros((2, 2))])
    with pytest.raises(DatasetError, match="an image is a int; give PIL images, file paths"):
        find_cells(Examples(["a", "b"], [1, 2]))


def test_a_frame_is_a_dataset_wherever_a_spec_is_taken(tmp_path):
    shuffled, _ = frame(n=24, n_texts=8, n_images=6)
    for key, image in zip(shuffled["image_keys"], shuffled["images"], strict=True):
        image.save(tmp_path / f"{key}.png")
    table = pd.DataFrame(
        {
            "question": shuffled["texts"],
            "image": [str(tmp_path / f"{key}.png") for key in shuffled["image_keys"]],
            "answer": shuffled["labels"],
        }
    )
    run = emap.compute(Staged(), table, out=tmp_path / "run", data_args={"limit": 20})
    assert len(run.ids) == 20
    assert run.table().loc["full", "accuracy"] == 1.0
    assert load_dataset(table[::2], label_column="").labels is None


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ([("a", "b")], DatasetError, "the data is a list without 'texts'; give a spec"),
        (None, DatasetError, "the data is a NoneType without 'texts'"),
        ({"texts": [], "images": []}, DatasetError, "the dataset has 0 examples"),
        ({"texts": [], "images": [], "x": []}, DatasetError, "a dict that is not a dataset: .*'x'"),
        ({"text": ["a"], "image": []}, DatasetError, r"different lengths \(text 1, image 0\)"),
        ({"text": "abc", "image": []}, DatasetError, "a column is a str; give a list with one"),
        ("https://x.org/data.csv", SpecError, "is an address; download the file"),
    ],
)
def test_what_is_not_data_is_told_what_would_be(given, error, words):
    with pytest.raises(error, match=words):
        find_cells(load_dataset(given))
    with pytest.raises(EmapError, match=words):
        emap.compute(Staged(), given)


def as_rows(columns):
    return [{name: column[row] for name, column in columns.items()} for row in range(2)]


@pytest.mark.parametrize("columns", [dict, as_rows])
def test_columns_and_rows_at_hand_are_a_table(columns, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 255, (2, 4, 5, 3), dtype=np.uint8)
    for i in range(2):
        Image.fromarray(pixels[i]).save(tmp_path / f"{i}.png")
    paths = [tmp_path / f"{i}.png" for i in range(2)]
    for images in (
        *(list(pixels), pixels, list(map(Image.fromarray, pixels)), paths, ["0.png", "1.png"]),
        *([path.read_bytes() for path in paths], torch.tensor(pixels)),
        torch.tensor(pixels).permute(0, 3, 1, 2),
    ):
        given = {"question": np.array(["a", "b"]), "image": images, "answer": ["x", "y"]}
        data = load_dataset(columns(given | {"source": [1, 2]}))
        assert (data.texts, data.labels) == (["a", "b"], ["x", "y"])
        assert np.asarray(data.images[1]).tolist() == pixels[1].tolist()
        assert data.columns["source"].tolist() == [1, 2]
        whole = Examples(["a", "b"], images)
        assert np.asarray(whole.images[1]).tolist() == pixels[1].tolist()
    assert load_dataset({"texts": ["a", "b"], "images": pixels}).texts == ["a", "b"]
    with pytest.raises(DatasetError, match=r"row 1 .*: an image is an array of float32"):
        load_dataset({"text": ["a"], "image": torch.rand(1, 3, 4, 5)})


def test_an_arrow_table_says_what_its_labels_mean():
    pixels = picture(0)
    held = io.BytesIO()
    pixels.save(held, "PNG")
    features = {"label": {"names": ["no", "yes"], "_type": "ClassLabel"}}
    note = json.dumps({"info": {"features": features}})
    table = pa.table({"text": ["a", "b"], "image": [held.getvalue()] * 2, "label": [1, 0]})
    data = load_dataset(table.replace_schema_metadata({"huggingface": note}))
    assert (data.labels, data.classes) == (["yes", "no"], ["no", "yes"])


def test_a_factory_may_return_a_table(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "a_table.py").write_text(
        "from samples import picture\n"
        "def load(n=2):\n"
        "    images = [picture(i) for i in range(n)]\n"
        "    return {'text': list('abcd')[:n], 'image': images, 'label': list('xyxy')[:n]}\n"
    )
    assert load_dataset("a_table:load", n=3).labels == ["x", "y", "x"]


def test_the_name_of_a_file_that_tells_its_kind_is_enough(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("red", "blue"):
        Image.new("RGB", (4, 4), name).save(f"{name}.png")
    images = ["red.png", "blue.png"]
    table = pd.DataFrame({"text": ["a", "b"], "image": images, "label": ["one", "two"]})
    table.to_csv("data.csv", index=False)
    table.to_parquet("data.parquet")
    for given in ("data.csv", tmp_path / "data.csv", "data.parquet"):
        assert load_dataset(given).labels == ["one", "two"]
    run = emap.compute(Staged(), tmp_path / "data.csv", out="run")
    assert run.manifest["provenance"]["data"]["spec"] == "csv:data.csv"


def test_arguments_of_a_loader_are_refused_where_there_is_none():
    with pytest.raises(SettingError, match="text_column is for a loader, but the data is a Exam"):
        load_dataset(make_examples(), text_column="words")


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "1"])
def test_pictures_in_a_frame_are_read_as_they_are(mode):
    pictures = [Image.new("L", (3, 2), 40 * i).convert(mode) for i in (1, 4)]
    table = pd.DataFrame({"text": ["a", "b"], "image": pictures, "label": ["x", "y"]}, index=[7, 2])
    data = load_dataset(table)
    for read, given in zip(data.images, pictures, strict=True):
        assert (
            np.asarray(read.convert("RGB")).tolist()
            == np.asarray(Examples(["a"], [given]).images[0].convert("RGB")).tolist()
        )


def test_a_picture_that_no_file_can_hold_is_refused():
    table = pd.DataFrame({"text": ["a", "b"], "image": [Image.new("CMYK", (2, 2))] * 2})
    with pytest.raises(DatasetError, match=r"has the mode CMYK; convert it with image.convert"):
        load_dataset(table)
