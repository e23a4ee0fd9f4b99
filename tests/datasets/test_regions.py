from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from emap_core.datasets import load_dataset
from emap_core.datasets.grid_cells import find_cells
from emap_core.errors import DatasetError

WRITTEN = Path(__file__).parent / "written_elsewhere" / "datasets_regions.parquet"
TEXTS = ["what colour?", "is it red?", "how many?"]


def some_regions(seed=0, sizes=(3, 5, 2)):
    rng = np.random.default_rng(seed)
    return [
        {
            "features": rng.normal(size=(n, 6)).astype(np.float32),
            "boxes": rng.uniform(size=(n, 4)).astype(np.float32),
        }
        for n in sizes
    ]


def as_lists(regions):
    return {name: values.tolist() for name, values in regions.items()}


@pytest.fixture
def folder(tmp_path):
    Image.new("RGB", (8, 6), "red").save(tmp_path / "red.png")
    (tmp_path / "found").mkdir()
    for name, regions in zip("abc", some_regions(), strict=True):
        np.savez(tmp_path / "found" / f"{name}.npz", **regions)
    return tmp_path


def table(cells, name="regions"):
    return pd.DataFrame({"text": TEXTS, "image": "red.png", name: cells})


PATHS = ["found/a.npz", "found/b.npz", "found/c.npz"]


def load(folder, rows, kind="csv", **settings):
    file = folder / f"data.{kind}"
    if kind == "csv":
        rows.to_csv(file, index=False)
    elif kind == "jsonl":
        rows.to_json(file, orient="records", lines=True, double_precision=15)
    else:
        rows.to_parquet(file)
    return load_dataset(f"{kind}:{file}", **settings)


def check(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        for name in other:
            np.testing.assert_allclose(one[name], other[name], rtol=1e-6)


@pytest.mark.parametrize("name", ["regions", "Region_Features", "features"])
@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_regions_come_from_files_that_a_table_names(kind, name, folder):
    data = load(folder, table(PATHS, name), kind)
    check(data.image_inputs, some_regions())
    check(data.image_inputs[1:], some_regions()[1:])
    assert data.images[0].getpixel((0, 0)) == (255, 0, 0)
    assert data.columns is None


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_regions_may_stand_in_the_table_itself(kind, folder):
    data = load(folder, table([as_lists(one) for one in some_regions()]), kind)
    check(data.image_inputs, some_regions())
    only_features = [{"features": one["features"].tolist()} for one in some_regions()]
    assert list(load(folder, table(only_features), kind).image_inputs[0]) == ["features"]


def test_shards_may_hold_the_files_of_regions(folder):
    with tarfile.open(folder / "shard.tar", "w") as shard:
        for number, name in enumerate("abc"):
            (folder / "words.txt").write_text(TEXTS[number])
            shard.add(folder / "words.txt", f"{number}.txt")
            shard.add(folder / "red.png", f"{number}.png")
            shard.add(folder / "found" / f"{name}.npz", f"{number}.npz")
    data = load_dataset(f"webdataset:{folder}/*.tar", regions_column="npz")
    check(data.image_inputs, some_regions())
    assert find_cells(data).shape == (3, 3)


def test_regions_are_read_as_datasets_wrote_them():
    data = load_dataset(f"parquet:{WRITTEN}")
    check(data.image_inputs, some_regions(sizes=(3, 5, 2, 4)))


def test_an_image_folder_may_hold_regions(folder):
    table(PATHS).rename(columns={"image": "file_name"}).to_csv(folder / "metadata.csv")
    check(load_dataset(f"imagefolder:{folder}").image_inputs, some_regions())


def test_images_with_other_regions_are_other_images(folder):
    same = load(folder, table(["found/a.npz", "found/b.npz", "found/a.npz"]))
    assert find_cells(same).shape == (3, 2)
    first, second, _ = [as_lists(one) for one in some_regions()]
    assert find_cells(load(folder, table([first, second, first]), "parquet")).shape == (3, 2)
    assert find_cells(load(folder, table(PATHS), regions_column="")).shape == (3, 1)
    assert find_cells(load_dataset(f"parquet:{WRITTEN}")).shape == (2, 4)


def test_the_fingerprint_follows_the_regions(folder):
    inside = [
        load(folder, table([as_lists(one) for one in some_regions(seed)]), "parquet").fingerprint
        for seed in (0, 1, 1)
    ]
    assert inside[0] != inside[1] == inside[2]
    before = load(folder, table(PATHS)).fingerprint
    assert load(folder, table(PATHS)).fingerprint == before
    np.savez(folder / "found" / "b.npz", **some_regions(1)[0])
    assert load(folder, table(PATHS)).fingerprint != before


@pytest.mark.parametrize(
    "cells",
    [["two", "three", "four"], ["found/a.npz", "b.png", ""], [{"x": 1}] * 3, [1, 2, 3], [""] * 3],
)
def test_a_column_of_something_else_is_not_taken_for_regions(cells, folder):
    data = load(folder, table(cells, "features"), "jsonl")
    assert data.image_inputs is None


def test_a_column_can_be_named_and_another_is_left_to_slice_by(folder):
    rows = table(PATHS, "found").assign(features=["few", "many", "many"])
    data = load(folder, rows, regions_column="found")
    check(data.image_inputs, some_regions())
    assert data.columns["features"].tolist() == ["few", "many", "many"]
    with pytest.raises(DatasetError, match=r"no column 'regions' for the regions; it has text"):
        load(folder, rows, regions_column="regions")


def test_a_sample_keeps_each_example_s_regions(folder):
    data = load(folder, table(PATHS), limit=2)
    rows = [int(name) - 1 for name in data.ids]
    check(data.image_inputs, [some_regions()[row] for row in rows])


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def torn_npz():
    written = io.BytesIO()
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (10**9, 10**6)}
    )
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("features.npy", header.getvalue())
    return written.getvalue()


GOOD = np.ones((2, 6), np.float32)
BAD_FILES = {
    "missing": (None, "does not exist"),
    "no archive": (b"nothing", "not a valid .npz file"),
    "no features": (npz(x=GOOD), "no 'features'"),
    "one axis": (npz(features=np.ones(6)), "shape (6,)"),
    "no regions": (npz(features=np.ones((0, 6))), "shape (0, 6)"),
    "fewer boxes": (npz(features=GOOD, boxes=np.ones((1, 4))), "boxes have shape (1, 4)"),
    "other width": (npz(features=np.ones((2, 7))), "7 features, but those above have 6"),
    "words": (npz(features=np.array([["a"]])), "type <U1"),
    "objects": (npz(features=np.array([[None]])), "type object"),
    "torn": (torn_npz(), "end before"),
}


@pytest.mark.parametrize(("content", "words"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_file_of_regions_is_named_by_row_and_column_or_skipped(content, words, folder):
    (folder / "found" / "b.npz").unlink()
    if content is not None:
        (folder / "found" / "b.npz").write_bytes(content)
    with pytest.raises(DatasetError) as caught:
        load(folder, table(PATHS))
    for word in ("row 2 of", "data.csv", "column 'regions'", words):
        assert word in str(caught.value)
    data = load(folder, table(PATHS), skip_bad=True)
    assert data.ids == ["1", "3"]
    assert words in data.skipped[0]
    assert str(folder) not in data.skipped[0]
    check(data.image_inputs, [some_regions()[0], some_regions()[2]])


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("found/a.npy", "expected an .npz file"),
        ("https://example.com/a.npz", "is the address"),
        ("", "no regions"),
        (3, "is a int"),
        ({"boxes": [[0, 0, 1, 1]]}, "no 'features'"),
        ({"features": [[1, 2], [3]]}, "not arrays of numbers"),
        ({"features": [["a", "b"]]}, "not arrays of numbers"),
        ({"features": [[1.0] * 6, [float("nan")] * 6]}, "NaN or infinity"),
    ],
)
def test_a_bad_cell_of_regions_is_named_by_row_and_column(cell, words, folder):
    with pytest.raises(DatasetError) as caught:
        load(folder, table(["found/a.npz", cell, "found/c.npz"]), "jsonl", regions_column="regions")
    for word in ("row 2 of", "data.jsonl", "column 'regions'", words):
        assert word in str(caught.value)


def test_numbers_that_are_none_are_named_when_they_are_read(folder):
    np.savez(folder / "found" / "b.npz", features=np.full((2, 6), np.nan))
    data = load(folder, table(PATHS))
    with pytest.raises(DatasetError, match=r"row 2 of .*'regions'.*NaN"):
        data.image_inputs[1]
    assert load(folder, table(PATHS), skip_bad=True).ids == ["1", "3"]


def test_files_of_regions_lie_where_images_may(folder, tmp_path_factory, monkeypatch):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    np.savez(elsewhere / "b.npz", **some_regions()[1])
    rows = table(["found/a.npz", str(elsewhere / "b.npz"), "found/c.npz"])
    check(load(folder, rows).image_inputs, some_regions())
    monkeypatch.setenv("EMAP_ROOTS", "")
    with pytest.raises(DatasetError, match=r"row 2 of .*outside the table's folder"):
        load(folder, rows)
    monkeypatch.setenv("EMAP_ROOTS", str(elsewhere))
    check(load(folder, rows).image_inputs, some_regions())


def test_files_of_regions_have_a_limit(folder, monkeypatch):
    monkeypatch.setenv("EMAP_MAX_REGION_BYTES", "200")
    with pytest.raises(DatasetError, match=r"row 2 of .*bytes, more than the 200"):
        load(folder, table(PATHS))
