"""Rows as files hold them: JSON within an object, two files joined, other delimiters, gzip."""

from __future__ import annotations

import gzip
import json

import pytest
from PIL import Image

from emap_core.datasets import load_dataset
from emap_core.datasets.preview import preview_table
from emap_core.errors import AccessError, DatasetError, SettingError, SpecError

ROWS = [
    {"question": "what?", "image": "red.png", "answer": "x", "n": 3},
    {"question": "who?", "image": "blue.png", "answer": "y", "n": 4},
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for colour in ("red", "blue"):
        Image.new("RGB", (4, 4), colour).save(f"{colour}.png")
    return tmp_path


def load_json(held, name="data.json", **settings):
    content = json.dumps(held).encode()
    with open(name, "wb") as file:  # noqa: PTH123 - gzip takes its name
        file.write(gzip.compress(content) if name.endswith(".gz") else content)
    return load_dataset(f"json:{name}", **settings)


@pytest.mark.parametrize(
    ("held", "settings", "told"),
    [
        (ROWS, {}, None),
        ({"info": {"year": 2014}, "questions": ROWS}, {}, "Rows: 'questions' in the file"),
        ({"train": ROWS[:1], "test": ROWS}, {"records": "test"}, "Rows: 'test' in the file"),
        ({"data": {"test": ROWS}}, {"records": "data.test"}, "Rows: 'data.test' in the file"),
        ({"a.b": {"7": ROWS[0], "9": ROWS[1]}}, {"records": "a.b"}, "Rows: 'a.b' in the file"),
    ],
)
def test_the_examples_of_a_json_file_are_found_or_named(held, settings, told, folder):
    for name in ("data.json", "data.json.gz"):
        data = load_json(held, name, **settings)
        assert (data.texts, data.labels) == (["what?", "who?"], ["x", "y"])
        assert (told in data.reading.lines) if told else data.reading.told == ()


def test_the_names_of_objects_are_their_ids(folder):
    data = load_json({"q7": ROWS[0], "q9": ROWS[1]})
    assert (data.ids, data.reading.taken["id"]) == (["q7", "q9"], "key")
    assert "Rows: the objects in the file; their names are the column 'key'" in data.reading.told
    assert preview_table("json:data.json").rows["key"].tolist() == ["q7", "q9"]


def test_of_several_arrays_one_has_to_be_named(folder):
    held = {"train": ROWS, "test": ROWS}
    with pytest.raises(DatasetError, match=r"'train', 'test'; name the one .* records='train'"):
        load_json(held)
    with pytest.raises(DatasetError, match=r"no value 'dev', which records names; .* 'train', 'te"):
        load_json(held, records="dev")
    with pytest.raises(DatasetError, match=r"'train' in .* is a int; expected an array"):
        load_json({"train": 5}, records="train")


@pytest.mark.parametrize("sign", ["\t", ";", "|", "^"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_table_without_names_of_columns_is_given_them(sign, packed, folder):
    lines = f"red.png{sign}a cake, sweet{sign}cake\nblue.png{sign}a pie{sign}pie\n".encode()
    (folder / "data.csv").write_bytes(gzip.compress(lines) if packed else lines)
    settings = {"delimiter": "^"} if sign == "^" else {}
    data = load_dataset("csv:data.csv", column_names="image,title,label", **settings)
    assert (data.texts, data.labels) == (["a cake, sweet", "a pie"], ["cake", "pie"])
    with pytest.raises(
        DatasetError, match="or, if these are an example, name all columns with column_names"
    ):
        load_dataset("csv:data.csv", **settings)


def test_several_signs_may_each_cut_a_line(folder):
    # As MVSA writes its labels.
    (folder / "labels.txt").write_text("ID\ttext,image\n1\tpositive,neutral\n2\tneutral,neutral\n")
    (folder / "data.csv").write_text("ID,caption,picture\n2,b,red.png\n1,a,blue.png\n")
    settings = {"text_column": "caption", "image_column": "picture"}
    data = load_dataset("csv:data.csv", join="labels.txt:ID", label_column="text,image", **settings)
    assert data.labels == ["neutral,neutral", "positive,neutral"]
    cut = preview_table("csv:labels.txt", settings={"delimiter": "\\t,"})
    assert cut.rows.to_dict("list") == {
        "ID": ["1", "2"],
        "text": ["positive", "neutral"],
        "image": ["neutral", "neutral"],
    }
    with pytest.raises(SettingError, match="delimiter is ''; expected one or more characters"):
        load_dataset("csv:labels.txt", delimiter="")


def test_two_columns_of_one_name_are_told_apart(folder):
    (folder / "data.tsv").write_text("label\timage\ttext\ttext\n0\tred.png\ta $T$\tb\n")
    with pytest.raises(
        DatasetError, match=r"two columns 'text'; .*='text' or text_column='text.1'"
    ):
        load_dataset("csv:data.tsv")
    assert load_dataset("csv:data.tsv", text_column="text.1").texts == ["b"]


def test_two_files_are_joined_on_a_key(folder):
    answers = [
        {"id": "9", "answer": "y", "n": 4, "image": "other.png"},
        {"id": 7, "answer": "x", "n": 3, "image": "red.png"},
    ]
    (folder / "parts").mkdir()
    (folder / "parts" / "answers.json").write_text(json.dumps({"annotations": answers}))
    questions = [{"question_id": key, **row} for key, row in zip((7, 9), ROWS, strict=True)]
    for row in questions:
        del row["answer"]
    data = load_json(questions, join="parts/answers.json:question_id=id")
    assert (data.labels, data.ids) == (["x", "y"], ["7", "9"])
    # What both say alike is there once, and what they say otherwise has its file's name.
    assert list(data.reading.columns) == [
        *("question_id", "question", "image", "n", "answer", "answers.image"),
    ]
    questions.append({"question_id": 8, "question": "why?", "image": "red.png"})
    with pytest.raises(DatasetError, match=r"row 3 of .*: no row of answers.json has id '8'"):
        load_json(questions, join="parts/answers.json:question_id=id")
    kept = load_json(questions, join="parts/answers.json:question_id=id", skip_bad=True)
    assert kept.ids == ["7", "9"] and len(kept.skipped) == 1


@pytest.mark.parametrize(
    ("join", "error", "words"),
    [
        ("answers.json", SettingError, "join is 'answers.json'; expected FILE:KEY"),
        ("none.json:n", SpecError, "there is no file none.json, neither here nor in"),
        ("red.png:n", SpecError, "has an unknown kind; expected one of .csv"),
        ("answers.json:m", DatasetError, "has no column 'm' to join on; it has question, image"),
        ("answers.json:n=m", DatasetError, r"answers.json has no column 'm' .*FILE:KEY=OTHER"),
        ("twice.json:n", DatasetError, "twice.json has n '3' twice"),
        ("other.json:n", DatasetError, "no n of data.json is in other.json, .* '3' and '5'"),
    ],
)
def test_what_cannot_be_joined_is_told(join, error, words, folder):
    (folder / "answers.json").write_text(json.dumps([{"n": 3}, {"n": 4}]))
    (folder / "twice.json").write_text(json.dumps([{"n": 3}, {"n": "3"}]))
    (folder / "other.json").write_text(json.dumps([{"n": 5}]))
    with pytest.raises(error, match=words):
        load_json(ROWS, join=join)


def test_a_joined_file_lies_beside_the_table_or_in_the_roots(folder, monkeypatch):
    for name in ("open", "closed"):
        (folder / name).mkdir()
        (folder / name / "answers.json").write_text(json.dumps([{"n": 3}, {"n": 4}]))
    (folder / "open" / "link.json").symlink_to(folder / "closed" / "answers.json")
    for colour in ("red", "blue"):
        (folder / f"{colour}.png").rename(folder / "open" / f"{colour}.png")
    monkeypatch.setenv("EMAP_ROOTS", str(folder / "open"))
    load = {"held": ROWS, "name": "open/data.json"}
    assert len(load_json(**load, join="answers.json:n")) == 2
    for file in (f"{folder}/closed/answers.json", "../../x.json", "link.json"):
        with pytest.raises(AccessError, match="outside the folders"):
            load_json(**load, join=f"{file}:n")
    # Whether there is such a file beside the folder makes no difference.
    for file in ("closed/answers.json", "closed/none.json", "open/link.json"):
        with pytest.raises(SpecError, match=f"there is no file {file}, neither here nor in open"):
            load_json(**load, join=f"{file}:n")


def test_a_folder_of_files_with_a_name_in_common_is_read_as_shards_are(folder):
    (folder / "photos" / "deep").mkdir(parents=True)
    for key, colour in (("1", "red"), ("deep/2", "blue")):
        (folder / f"{colour}.png").rename(folder / "photos" / f"{key}.png")
        (folder / "photos" / f"{key}.txt").write_text(f"number {key}")
        (folder / "photos" / f"{key}.pth").write_bytes(b"left alone")
    data = load_dataset("webdataset:photos")
    assert (data.texts, data.ids) == (["number 1", "number deep/2"], ["1", "deep/2"])
    assert data.images[1].getpixel((0, 0)) == (0, 0, 255)
    (folder / "photos" / "3.txt").write_text("no image")
    with pytest.raises(DatasetError, match="example '3' in photos, column 'image': there is no im"):
        load_dataset("webdataset:photos")
    (folder / "empty").mkdir()
    with pytest.raises(DatasetError, match=r"folder empty has no files \*.jpg"):
        load_dataset("webdataset:empty")
