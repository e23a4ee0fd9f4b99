from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image

from emap_core.datasets import load_dataset
from emap_core.datasets.grid_cells import find_cells
from emap_core.datasets.labels import match_labels
from emap_core.datasets.sample import without_unknown_labels
from emap_core.errors import DatasetError, EmapError, LabelError, SettingError, SpecError

COLOURS = ["red", "green", "blue"]
TEXTS = ["what colour?", "is it red?", "is it red?", "NA"]
SHOWN = ["red", "green", "blue", "red"]
ANSWERS = ["red", "no", "no", "red"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    for colour in COLOURS:
        Image.new("RGB", (8, 6), colour).save(tmp_path / "images" / f"{colour}.png")
    return tmp_path


@pytest.fixture
def table():
    return pd.DataFrame(
        {
            "question": TEXTS,
            "image_path": [f"images/{colour}.png" for colour in SHOWN],
            "answer": ANSWERS,
            "source": ["a", "a", "b", "b"],
        }
    )


def write_csv(table, path):
    table.to_csv(path, index=False)


def write_jsonl(table, path):
    table.to_json(path, orient="records", lines=True)


def write_parquet(table, path):
    table.to_parquet(path)


WRITERS = {"csv": write_csv, "jsonl": write_jsonl, "parquet": write_parquet}


def written(folder, table, kind="csv"):
    path = folder / f"data.{kind}"
    WRITERS[kind](table, path)
    return f"{kind}:{path}"


@pytest.mark.parametrize("kind", WRITERS)
def test_a_table_that_pandas_wrote_is_read_back(kind, folder, table):
    data = load_dataset(written(folder, table, kind))
    assert data.texts == TEXTS
    assert data.labels == ANSWERS
    assert data.task == "multiclass"
    assert data.classes == ["no", "red"]
    assert data.ids == ["1", "2", "3", "4"]
    assert [image.getpixel((0, 0)) for image in data.images] == [
        (255, 0, 0),
        (0, 128, 0),
        (0, 0, 255),
        (255, 0, 0),
    ]
    assert find_cells(data).shape == (3, 3)
    assert data.columns.to_dict("list") == {"source": ["a", "a", "b", "b"]}


@pytest.mark.parametrize("kind", WRITERS)
def test_an_image_folder_needs_its_metadata_alone(kind, folder, table):
    named = table.rename(columns={"image_path": "file_name", "question": "text"})
    WRITERS[kind](named, folder / f"metadata.{kind}")
    data = load_dataset(f"imagefolder:{folder}")
    assert data.texts == TEXTS
    assert data.images[2].getpixel((0, 0)) == (0, 0, 255)


@pytest.mark.parametrize("wrap", [lambda b: b, lambda b: {"bytes": b, "path": "x.png"}])
def test_images_may_be_in_the_table(wrap, folder, table):
    contents = [(folder / path).read_bytes() for path in table.pop("image_path")]
    data = load_dataset(written(folder, table.assign(image=[wrap(b) for b in contents]), "parquet"))
    assert find_cells(data).shape == (3, 3)
    assert data.images[2].getpixel((0, 0)) == (0, 0, 255)


def test_columns_can_be_named(folder, table):
    odd = table.rename(columns={"question": "q", "image_path": "where", "answer": "a"})
    data = load_dataset(
        written(folder, odd.assign(key=list("wxyz"))),
        text_column="q",
        image_column="where",
        label_column="a",
        id_column="key",
    )
    assert (data.texts, data.labels, data.ids) == (TEXTS, ANSWERS, list("wxyz"))


def test_a_table_without_labels_is_a_dataset_too(folder, table):
    assert load_dataset(written(folder, table), label_column="").labels is None
    assert load_dataset(written(folder, table.drop(columns="answer"))).labels is None


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize(
    ("labels", "settings", "task", "matched"),
    [
        ([2, 0, 1, 1], {}, "multiclass", [2, 0, 1, 1]),
        (["c", "a", "b", "b"], {"classes": "a, b, c"}, "multiclass", [2, 0, 1, 1]),
        (
            [["a", "c"], [], ["b"], ["a"]],
            {},
            "multilabel",
            [[1, 0, 1], [0] * 3, [0, 1, 0], [1, 0, 0]],
        ),
        ([[0, 2], [], [1], [0]], {}, "multilabel", [[1, 0, 1], [0] * 3, [0, 1, 0], [1, 0, 0]]),
    ],
)
def test_every_kind_of_label_reaches_the_class_axis(
    kind, labels, settings, task, matched, folder, table
):
    if kind == "csv" and isinstance(labels[0], list):
        labels = ["|".join(map(str, several)) for several in labels]
        settings = settings | {"task": task}
    data = load_dataset(written(folder, table.assign(answer=labels), kind), **settings)
    assert data.task == task
    found = match_labels(data, ["a", "b", "c"], 3)
    np.testing.assert_array_equal(found, matched)


def test_numbers_are_targets_when_asked(folder, table):
    spec = written(folder, table.assign(answer=[0.5, 1.25, -3, 4]))
    data = load_dataset(spec, task="regression")
    np.testing.assert_array_equal(match_labels(data, None, 1), [[0.5], [1.25], [-3], [4]])
    several = [[1.5, 0], [0, 1], [3, 3], [1, 2]]
    data = load_dataset(written(folder, table.assign(answer=several), "jsonl"), task="regression")
    np.testing.assert_array_equal(match_labels(data, None, 2), several)


def test_a_photograph_is_turned_upright_and_made_rgb(folder, table):
    image = Image.new("RGBA", (8, 6), "blue")
    note = image.getexif()
    note[0x0112] = 6
    image.save(folder / "images" / "red.png", exif=note)
    data = load_dataset(written(folder, table))
    assert (data.images[0].size, data.images[0].mode) == ((6, 8), "RGB")


def test_the_fingerprint_follows_the_content(folder, table):
    spec = written(folder, table)
    first = load_dataset(spec).fingerprint
    assert load_dataset(spec).fingerprint == first
    Image.new("RGB", (9, 6), "red").save(folder / "images" / "red.png")
    changed = load_dataset(spec).fingerprint
    relabelled = load_dataset(written(folder, table.assign(answer="red"))).fingerprint
    assert len({first, changed, relabelled}) == 3


BAD = {
    "missing image": (
        "image_path",
        "images/pink.png",
        DatasetError,
        ["images/pink.png", "not exist"],
    ),
    "unreadable image": ("image_path", "notes.txt", DatasetError, ["notes.txt", "not an image"]),
    "address": (
        "image_path",
        "https://a.b/c.png",
        DatasetError,
        ["https://a.b/c.png", "fetch_images=True downloads"],
    ),
    "no image": ("image_path", "", DatasetError, ["'image_path'", "no image"]),
    "empty text": ("question", "  ", DatasetError, ["'question'", "text is empty"]),
    "no label": ("answer", "", LabelError, ["'answer'", "no label"]),
}


def with_bytes(table, folder):
    def content(name):
        return (folder / name).read_bytes() if name else None

    return table.assign(image_path=table["image_path"].map(content)).rename(
        columns={"image_path": "image"}
    )


def write_hf(table, folder):
    """Write a table as `save_to_disk` does."""
    saved = folder / "saved"
    saved.mkdir(exist_ok=True)
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    with (
        pa.OSFile(str(saved / "data.arrow"), "wb") as file,
        pa.ipc.new_stream(file, arrow.schema) as to,
    ):
        to.write_table(arrow)
    state = {"_data_files": [{"filename": "data.arrow"}], "_indices_data_files": None}
    (saved / "state.json").write_text(json.dumps(state))
    return f"hf:{saved}"


def write_tar(table, folder):
    """Write a table as a shard in which every value is a file."""
    with tarfile.open(folder / "shard.tar", "w") as shard:
        for row, example in enumerate(table.to_dict("records"), start=1):
            files = {"txt": example["question"].encode(), "png": example["image"]}
            files["json"] = json.dumps({"answer": example["answer"]}).encode()
            for ending, content in files.items():
                if content is not None:
                    member = tarfile.TarInfo(f"p/ex{row}.{ending}")
                    member.size = len(content)
                    shard.addfile(member, io.BytesIO(content))
    return f"webdataset:{folder}/*.tar"


def stored(kind, folder, table):
    """Write a table in any of the formats; the spec, the row's name and the text's column."""
    if kind in WRITERS:
        return written(folder, table, kind), f"row 3 of {{}}data.{kind}"
    if kind.startswith("imagefolder"):
        file = folder / f"metadata.{kind.partition(' ')[2]}"
        WRITERS[file.suffix[1:]](table.rename(columns={"image_path": "file_name"}), file)
        return f"imagefolder:{folder}", f"row 3 of {{}}{file.name}"
    table = with_bytes(table, folder)
    if kind == "hf":
        return write_hf(table, folder), "row 3 of {}saved"
    if kind == "webdataset":
        return write_tar(table, folder), "example 'p/ex3' in shard.tar"
    return written(folder, table, "parquet"), "row 3 of {}data.parquet"


FORMATS = [
    *WRITERS,
    *(f"imagefolder {kind}" for kind in WRITERS),
    "parquet with bytes",
    "hf",
    "webdataset",
]
COLUMNS = {
    "imagefolder": {"image_path": "file_name"},
    "webdataset": {"image_path": "image", "question": "text"},
    "parquet with": {"image_path": "image"},
    "hf": {"image_path": "image"},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("bad", BAD)
def test_a_bad_row_is_named_or_skipped(kind, bad, folder, table):
    column, value, error, words = BAD[bad]
    within = kind in FORMATS[-3:]
    if within and bad in ("missing image", "address"):
        return
    (folder / "notes.txt").write_text("not a picture")
    table.loc[2, column] = value
    spec, name = stored(kind, folder, table)
    renamed = next((new for start, new in COLUMNS.items() if kind.startswith(start)), {})
    words = [
        word.replace(old, new)
        for word in words
        for old, new in [(column, renamed.get(column, column))]
    ]
    if within and bad == "unreadable image":
        words = ["the image in", "not an image in a known format"]
    with pytest.raises(error) as caught:
        load_dataset(spec, classes=["red", "no"])
    message = str(caught.value)
    assert all(word in message for word in [name.format(f"{folder}/"), *words]), message
    assert "\n" not in message
    data = load_dataset(spec, classes=["red", "no"], skip_bad=True)
    assert data.ids == ([f"p/ex{i}" for i in (1, 2, 4)] if kind == "webdataset" else list("124"))
    assert (data.texts, data.labels) == ([*TEXTS[:2], TEXTS[3]], [*ANSWERS[:2], ANSWERS[3]])
    assert [image.getpixel((0, 0)) for image in data.images] == [
        (255, 0, 0),
        (0, 128, 0),
        (255, 0, 0),
    ]
    assert len(data.skipped) == 1
    # A run lists it and goes to others, who have no business with folders of this machine.
    assert str(folder) not in data.skipped[0]
    assert all(word in data.skipped[0] for word in [name.format(""), *words]), data.skipped


def test_a_torn_line_is_named_or_left_out(folder, table):
    spec = written(folder, table, "jsonl")
    file = Path(spec.partition(":")[2])
    first, second, *others = file.read_text().splitlines(keepends=True)
    file.write_text(first + "\n" + second[:12] + "\n" + "".join(others))
    name = rf"row 2 of {file.name}: line 3 is not valid JSON: "
    with pytest.raises(DatasetError, match=name.replace(" of ", " of .*")):
        load_dataset(spec)
    data = load_dataset(spec, skip_bad=True)
    assert data.texts == [TEXTS[0], *TEXTS[2:]]
    assert len(data.skipped) == 1 and data.skipped[0].startswith(name)
    file.write_text("{\n")
    with pytest.raises(
        DatasetError, match=r"no valid row; the first: row 1 of .* line 1 is not valid JSON"
    ):
        load_dataset(spec, skip_bad=True)


def test_of_a_path_from_elsewhere_only_the_file_is_listed(folder, table, monkeypatch):
    (folder / "table").mkdir()
    table["image_path"] = [str(folder / name) for name in table["image_path"]]
    table.loc[1:2, "image_path"] = [str(folder / "no\0  ne.png"), "../images"]
    data = load_dataset(written(folder / "table", table), skip_bad=True)
    assert data.skipped == [
        "image no\\x00 ne.png in row 2 of data.csv cannot be read: embedded null byte",
        "image ../images in row 3 of data.csv cannot be read: Is a directory",
    ]
    monkeypatch.setenv("EMAP_ROOTS", str(folder / "table"))
    table["image_path"] = [*["../images/red.png"] * 2, f"/srv/{'long/' * 20}x.png", "blue.png"]
    Image.new("RGB", (8, 6), "blue").save(folder / "table" / "blue.png")
    skipped = load_dataset(written(folder / "table", table), skip_bad=True).skipped
    assert len(skipped) == 3 and "'x.png' is outside" in skipped[2] and "srv" not in str(skipped)


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("b.cls", b"dog", "b.cls holds 'dog'; expected a class number"),
        ("b.txt", b"caf\xe9", "b.txt is not UTF-8"),
        ("b.json", b"{nothing", "b.json is not valid JSON"),
    ],
)
def test_a_torn_file_of_a_shard_is_named_or_its_example_skipped(file, content, words, folder):
    picture = (folder / "images" / "red.png").read_bytes()
    with tarfile.open(folder / "shard.tar", "w") as shard:
        for key in "abc":
            files = {f"{key}.png": picture, f"{key}.txt": key.encode(), f"{key}.cls": b"1"}
            for name, held in (files | ({file: content} if key == "b" else {})).items():
                member = tarfile.TarInfo(name)
                member.size = len(held)
                shard.addfile(member, io.BytesIO(held))
    with pytest.raises(DatasetError) as caught:
        load_dataset(f"webdataset:{folder}/shard.tar")
    assert f"example 'b' in shard.tar: {words}" in str(caught.value)
    data = load_dataset(f"webdataset:{folder}/shard.tar", skip_bad=True)
    assert (data.ids, data.texts, data.labels) == (["a", "c"], ["a", "c"], [1, 1])
    assert len(data.skipped) == 1 and words in data.skipped[0]


def test_a_torn_image_is_named_when_opened_or_skipped(folder, table):
    file = folder / "images" / "blue.png"
    Image.effect_noise((64, 64), 50).save(file)
    file.write_bytes(file.read_bytes()[:2_000])
    spec = written(folder, table)
    with pytest.raises(DatasetError, match=r"blue\.png in row 3 of .* cannot be read"):
        load_dataset(spec).images[2]
    data = load_dataset(spec, skip_bad=True, limit=2)
    assert "3" not in data.ids
    assert len(data.skipped) == 1


def test_a_label_that_the_model_has_no_class_for_is_named(folder, table):
    data = load_dataset(written(folder, table))
    words = r"row 1 of .*data\.csv, column 'answer' .*'red'.*cat, dog; unknown_labels='skip' leaves"
    with pytest.raises(LabelError, match=words):
        match_labels(data, ["cat", "dog"], 2)
    several = load_dataset(written(folder, table.assign(answer=list("abca"))))
    with pytest.raises(LabelError, match=r"row 3 of .*'c', one of 3 classes .*; the model has 2"):
        match_labels(several, None, 2)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("labels", "settings", "kept", "matched"),
    [
        (["a", "pink", None, "b"], {}, "14", [0, 1]),
        ([1, 7, None, 0], {}, "14", [1, 0]),
        (["b", None, "pink", "a"], {"task": "binary", "classes": "a,b"}, "14", [1, 0]),
        ([0.5, None, float("nan"), -2], {"task": "regression"}, "14", [[0.5], [-2]]),
        (
            [["a", "b"], None, ["a", "pink"], ["b"]],
            {"task": "multilabel"},
            "124",
            [[1, 1], [0, 0], [0, 1]],
        ),
    ],
)
def test_labels_that_are_none_or_of_no_class_leave_their_neighbours_alone(
    kind, labels, settings, kept, matched, folder, table
):
    if kind == "csv":
        labels = ["|".join(one) if isinstance(one, list) else one for one in labels]
    spec = written(folder, table.assign(answer=labels), kind)
    data = load_dataset(spec, skip_bad=True, **settings)
    assert "pink" in str(data.labels) or "pink" not in str(labels), "only a model can tell"
    found = without_unknown_labels(data, ["a", "b"])
    assert "".join(found.ids) == kept
    assert found.texts == [TEXTS[int(name) - 1] for name in kept]
    assert sorted(int(one.split(" of ")[0].split()[-1]) for one in found.skipped) == [  # type: ignore[attr-defined]
        row for row in range(1, 5) if str(row) not in kept
    ]
    n_classes = 1 if settings.get("task") in ("binary", "regression") else 2
    np.testing.assert_array_equal(match_labels(found, ["a", "b"], n_classes), matched)
    if len(found) < len(data):
        assert found.fingerprint != data.fingerprint


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"text_column": "words"}, ["'words'", "question, image_path, answer, source"]),
        ({"image_column": "picture"}, ["'picture'", "image_path"]),
        ({"label_column": "truth"}, ["'truth'", "answer"]),
        ({"colour": "red"}, ["colour", "text_column", "skip_bad"]),
        ({"task": "guessing"}, ["guessing", "multiclass"]),
    ],
)
def test_settings_that_do_not_fit_are_named(settings, words, folder, table):
    with pytest.raises((DatasetError, SettingError)) as caught:
        load_dataset(written(folder, table), **settings)
    assert all(word in str(caught.value) for word in words), caught.value


def test_tables_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "header.csv").write_text("text,image\n")
    (tmp_path / "columns.csv").write_text("a,b\n1,2\n")
    (tmp_path / "torn.jsonl").write_text(json.dumps({"text": "a", "image": "b"}) + "\n{nothing\n")
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 nothing")
    (tmp_path / "no_metadata").mkdir()
    for spec, words in {
        "csv:nowhere.csv": ["no file", "nowhere.csv"],
        "csv:empty.csv": ["empty.csv", "is empty"],
        "csv:header.csv": ["header.csv", "no rows"],
        "csv:columns.csv": ["no column for the text", "a, b", "text_column"],
        "jsonl:torn.jsonl": ["line 2"],
        "parquet:torn.parquet": ["torn.parquet", "cannot be read"],
        "imagefolder:nowhere": ["no folder"],
        "imagefolder:no_metadata": ["metadata.csv", "file_name"],
    }.items():
        kind, name = spec.split(":")
        with pytest.raises((EmapError, SpecError)) as caught:
            load_dataset(f"{kind}:{tmp_path / name}")
        assert all(word in str(caught.value) for word in words), caught.value
