import io
import zipfile

import pandas as pd
import pytest
from samples import picture

from emap_core.datasets import load_dataset
from emap_core.datasets.preview import preview_table
from emap_core.datasets.upload import receive
from emap_core.errors import DatasetError

# An archive is unpacked in a process of its own.
pytestmark = pytest.mark.process


def png(seed):
    written = io.BytesIO()
    picture(seed).save(written, "PNG")
    return written.getvalue()


def archive(table_name="metadata.csv", image_column="file_name", within="", **extra):
    rows = [(f"img/{i % 3}.png", f"text {i % 4}", ["yes", "no"][i % 2]) for i in range(6)]
    table = pd.DataFrame(rows, columns=[image_column, "question", "answer"])
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as file:
        as_json = table_name.endswith(".json")
        held = table.to_json(orient="records") if as_json else table.to_csv(index=False)
        file.writestr(within + table_name, held)
        for i in range(3):
            file.writestr(f"{within}img/{i}.png", png(i))
        for name, content in extra.items():
            file.writestr(within + name.replace("__", "."), content)
    return written.getvalue()


@pytest.mark.parametrize(
    ("content", "prefix"),
    [
        (archive(), "imagefolder"),
        (archive("data.csv", "image"), "csv"),
        (archive("data.csv", "image", within="photos/"), "csv"),
        (archive("data.json", "image"), "json"),
        (archive("data.csv", "image", about__json="{}"), "csv"),
    ],
)
def test_a_zip_with_a_table_and_images_is_a_dataset(content, prefix, tmp_path):
    spec = receive("my photos (1).zip", content, tmp_path)
    assert spec.startswith(f"{prefix}:")
    data = load_dataset(spec)
    assert "my-photos-1" in spec.rpartition("/")[2] or prefix == "imagefolder"
    assert (len(data), data.texts[1], data.labels[:2]) == (6, "text 1", ["yes", "no"])
    assert data.images[4].size == (6, 6)
    assert receive("my photos (1).zip", content, tmp_path) == spec
    assert len(list(tmp_path.iterdir())) == 1, "the same file is kept once"


def test_the_same_archive_under_a_second_name_leaves_the_first_visitors_table(tmp_path):
    content = archive("data.csv", "image")
    first = receive("mine.zip", content, tmp_path)
    assert receive("yours.zip", content, tmp_path) == first
    assert first.endswith("mine.csv") and len(load_dataset(first)) == 6


def test_a_parquet_file_with_its_images_is_a_dataset(tmp_path):
    table = pd.DataFrame(
        {"text": ["a", "b"], "image": [{"bytes": png(i), "path": None} for i in range(2)]}
    )
    written = io.BytesIO()
    table.to_parquet(written)
    spec = receive("../../evil.parquet", written.getvalue(), tmp_path / "uploads")
    assert len(load_dataset(spec)) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["uploads"]
    seen = preview_table(spec)
    assert seen.rows["image"][0] == f"{len(png(0)):,} bytes"
    assert seen.taken == {"text": "text", "image": "image", "label": None, "regions": None}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("notes.txt", b"hello", r"notes.txt is neither a .zip nor a .parquet file"),
        ("broken.zip", b"hello", "broken"),
        ("two.zip", archive("a.csv", b__csv="x"), r"two.zip has a.csv and b.csv .* expected one"),
        ("none.zip", archive("a.txt"), "none.zip has none of"),
    ],
)
def test_what_is_no_dataset_is_refused_and_leaves_nothing_half_there(
    name, content, message, tmp_path
):
    with pytest.raises(DatasetError, match=message):
        receive(name, content, tmp_path)
    assert not list(tmp_path.glob("tmp*"))


def test_the_columns_of_a_table_are_shown_as_they_are_taken(tmp_path):
    spec = receive("photos.zip", archive(), tmp_path)
    seen = preview_table(spec)
    taken = {"text": "question", "image": "file_name", "label": "answer", "regions": None}
    assert seen.taken == taken
    assert seen.offered["regions"] == []
    assert (seen.n_rows, len(seen.rows)) == (6, 5)
    assert preview_table("demo:easy-vqa") is None


def test_columns_that_may_hold_regions_are_offered(tmp_path):
    found = {"features": [[0.1, 0.2], [0.3, 0.4]], "boxes": [[0.0, 0.0, 1.0, 1.0]] * 2}
    table = pd.DataFrame(
        {"text": ["a"], "image": ["a.png"], "regions": [found], "other": ["b.npz"]}
    )
    table.to_parquet(tmp_path / "data.parquet")
    seen = preview_table(f"parquet:{tmp_path / 'data.parquet'}")
    assert seen.taken["regions"] == "regions"
    assert seen.offered["regions"] == ["regions", "other"]
    assert seen.rows["regions"][0] == "2 regions"
