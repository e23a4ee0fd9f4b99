from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from emap_core.datasets import load_dataset
from emap_core.datasets.grid_cells import find_cells
from emap_core.datasets.labels import match_labels
from emap_core.datasets.preview import preview_table
from emap_core.errors import DatasetError, SpecError

# Files that the libraries datasets and webdataset wrote; write.py beside them says how.
FOLDER = Path(__file__).parent / "written_elsewhere"
TEXTS = ["what colour?", "is it red?", "is it red?", "what colour?"]
COLOURS = [(255, 0, 0), (0, 128, 0), (0, 0, 255), (255, 0, 0)]
ANSWERS = ["red", "no", "no", "red"]


@pytest.mark.parametrize(
    "spec",
    [
        f"parquet:{FOLDER / 'datasets.parquet'}",
        f"hf:{FOLDER / 'datasets_one'}",
        f"webdataset:{FOLDER / 'shard-*.tar'}",
    ],
)
def test_it_is_read_as_it_was_written(spec):
    data = load_dataset(spec)
    assert data.texts == TEXTS
    assert [image.getpixel((0, 0)) for image in data.images] == COLOURS
    assert find_cells(data).shape == (2, 3)
    classes = ["red", "blue", "no"]
    assert [classes[label] for label in match_labels(data, classes, 3)] == ANSWERS


def test_of_several_splits_one_is_chosen():
    spec = f"hf:{FOLDER / 'datasets_splits'}"
    assert load_dataset(spec, split="test").texts == TEXTS[2:]
    with pytest.raises(DatasetError, match=r"several splits.*train, test"):
        load_dataset(spec)
    with pytest.raises(DatasetError, match=r"no split 'dev'.*train, test"):
        load_dataset(spec, split="dev")


@pytest.mark.parametrize(
    ("spec", "n_rows"),
    [(f"hf:{FOLDER / 'datasets_one'}", 4), (f"webdataset:{FOLDER / 'shard-*.tar'}", None)],
)
def test_its_columns_are_shown_before_a_run(spec, n_rows):
    seen = preview_table(spec, 3)
    assert seen.rows[seen.taken["text"]].tolist() == TEXTS[:3]
    assert seen.rows[seen.taken["image"]].str.endswith("bytes").all()
    assert seen.taken["label"] in seen.offered["label"]
    assert (seen.n_rows, seen.splits) == (n_rows, [])


def test_the_first_split_is_shown_unless_another_is_chosen():
    spec = f"hf:{FOLDER / 'datasets_splits'}"
    seen, test = preview_table(spec), preview_table(spec, settings={"split": "test"})
    assert seen.splits == test.splits == ["train", "test"]
    assert [one.rows[one.taken["text"]].tolist() for one in (seen, test)] == [TEXTS[:2], TEXTS[2:]]
    assert preview_table("hf:somebody/colours") is None


def test_a_hub_id_is_found_in_the_local_cache(tmp_path, monkeypatch):
    pytest.importorskip("huggingface_hub")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(tmp_path))
    cache, commit = tmp_path / "datasets--somebody--colours", "0" * 40
    (cache / "snapshots" / commit / "data").mkdir(parents=True)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(commit)
    for split in ("train", "test"):
        file = cache / "snapshots" / commit / "data" / f"{split}-00000-of-00001.parquet"
        shutil.copy(FOLDER / "datasets.parquet", file)
    assert load_dataset("hf:somebody/colours", split="test").texts == TEXTS
    with pytest.raises(DatasetError, match="test, train"):
        load_dataset("hf:somebody/colours")
    with pytest.raises(SpecError, match="somebody/shapes"):
        load_dataset("hf:somebody/shapes")


def test_what_is_no_dataset_is_named(tmp_path):
    (tmp_path / "torn.tar").write_bytes(b"no tar")
    (tmp_path / "folder").mkdir()
    for spec, error, words in [
        (f"webdataset:{tmp_path}/shard-*.tar", SpecError, ["shard-*.tar"]),
        (f"webdataset:{tmp_path}/torn.tar", DatasetError, ["torn.tar", "cannot be read"]),
        (f"hf:{tmp_path}/folder", SpecError, ["folder", "state.json"]),
    ]:
        with pytest.raises(error) as caught:
            load_dataset(spec)
        assert all(word in str(caught.value) for word in words), caught.value
