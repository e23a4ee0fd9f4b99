"""Which columns there are, what is taken for what and why, and tables in other spellings."""

from __future__ import annotations

import base64
import io
import json
import tarfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from samples import picture

from emap_core.cli import main
from emap_core.datasets import load_dataset
from emap_core.datasets.labels import match_labels
from emap_core.datasets.sample import sample
from emap_core.errors import DatasetError, SettingError, SpecError
from emap_core.option_names import option, speaking, with_options_named


def content(colour: str) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (9, 9), colour).save(written, "PNG")
    return written.getvalue()


@pytest.fixture
def folder(tmp_path):
    for colour in ("red", "blue"):
        (tmp_path / f"{colour}.png").write_bytes(content(colour))
    return tmp_path


def table(**columns):
    usual = {"question": ["what?", "who?"], "image": ["red.png", "blue.png"]}
    return pd.DataFrame(usual | columns)


def as_csv(frame, folder, **settings):
    frame.to_csv(folder / "data.csv", index=False)
    return load_dataset(f"csv:{folder / 'data.csv'}", **settings)


def test_a_dataset_says_how_its_columns_were_taken(folder):
    data = as_csv(table(answer=["x", "y"], answer_type=["a", "b"], match=[0, 1]), folder)
    reading = data.reading
    assert reading.columns == ("question", "image", "answer", "answer_type", "match")
    assert reading.taken == {
        "text": "question",
        "image": "image",
        "label": "answer",
        "id": None,
        "regions": None,
    }
    assert reading.like_labels == ("match",), "what kind an answer has is not an answer"
    assert "label from 'answer' (a usual name)" in reading.lines[1]
    assert reading.lines[2] == "Not used, although they look like labels: match"
    assert sample(data, 2).reading is reading  # type: ignore[attr-defined]
    named = as_csv(table(answer=["x", "y"], match=[0, 1]), folder, label_column="match")
    assert named.reading.reasons["label"] == "named"


@pytest.mark.parametrize(
    "name", ["answers", "multiple_choice_answer", "match", "answer_idx", "isMatch", "gold-label"]
)
def test_a_column_that_looks_like_labels_is_asked_about_and_never_left_out(name, folder):
    found = table(**{name: ["x", "y"]})
    with pytest.raises(DatasetError) as caught:
        as_csv(found, folder)
    assert f"{name!r} looks like one; name it with label_column={name!r}" in str(caught.value)
    assert as_csv(found, folder, label_column=name).labels == ["x", "y"]
    bare = as_csv(found, folder, label_column="")
    assert bare.labels is None and bare.reading.reasons["label"] == "none is wanted"


def test_without_anything_like_a_label_the_terminal_says_so_before_the_run(
    folder, capsys, monkeypatch
):
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    (folder / "columns_model.py").write_text("from samples import Staged as model\n")
    for i in range(2):
        picture(i).save(folder / f"{i}.png")
    frame = table(source=["a", "b"]).assign(image=["0.png", "1.png"])
    frame.to_csv("data.csv", index=False)
    work = ["--model", "columns_model:model", "--data", "csv:data.csv"]
    assert main(["run", *work, "--out", "run"]) == 0
    said = capsys.readouterr().err
    assert "Columns: question, image, source\n" in said
    assert "Taken: text from 'question' (a usual name); image from 'image' (a usual name)" in said
    assert "No labels (no column is called label, labels, answer, " in said
    assert "this run says nothing about performance" in said
    assert main(["plan", *work]) == 0
    assert json.loads(capsys.readouterr().out)["columns"][0] == "Columns: question, image, source"
    frame.assign(answers=["a", "b"]).to_csv("data.csv", index=False)
    assert main(["run", *work, "--out", "none"]) == 2
    said = capsys.readouterr().err
    assert "name it with --label-column answers, or none with --label-column ''" in said
    assert not (folder / "none").exists()


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_a_table_may_be_cut_by_other_signs_than_commas(separator, suffix, folder):
    frame = table(answer=["a, b; c", "d|e"], question=["what, who?", "a\tb; c"])
    frame.to_csv(folder / f"data{suffix}", sep=separator, index=False)
    data = load_dataset(f"csv:{folder / f'data{suffix}'}")
    assert (data.texts, data.labels) == (["what, who?", "a\tb; c"], ["a, b; c", "d|e"])


def test_an_array_of_objects_is_a_table(folder):
    rows = table(answer=[3, "x"]).to_dict("records")
    (folder / "data.json").write_text(json.dumps(rows, indent=1))
    data = load_dataset(f"json:{folder / 'data.json'}")
    assert data.texts == ["what?", "who?"]
    assert match_labels(data, ["x", "3"], 2).tolist() == [1, 0]


@pytest.mark.parametrize("write", [str, json.dumps])
def test_lists_may_be_written_as_python_or_json_writes_them(write, folder):
    data = as_csv(table(answer=[write(["a", "it's"]), write([])]), folder)
    assert (data.task, data.labels) == ("multilabel", [["a", "it's"], []])
    answers = [["yes", "yes", "no"], ["no", "no", "no"]]
    data = as_csv(table(answer=list(map(write, answers))), folder)
    assert (data.task, data.labels) == ("multiclass", answers)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda c: base64.b64encode(c).decode(),
        lambda c: "data:image/png;base64," + base64.b64encode(c).decode(),
        lambda c: [base64.encodebytes(c).decode()],
        lambda c: {"bytes": base64.b64encode(c).decode(), "path": None},
    ],
)
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_pictures_may_be_written_in_base64(wrap, kind, folder):
    written = [wrap(content(colour)) for colour in ("blue", "red")]
    frame = table(answer=["x", "y"]).assign(image=written)
    if kind == "csv":
        if not isinstance(written[0], str):
            return
        frame.to_csv(folder / "data.csv", index=False)
    else:
        frame.to_json(folder / "data.jsonl", orient="records", lines=True)
    data = load_dataset(f"{kind}:{folder / f'data.{kind}'}")
    assert [image.getpixel((0, 0)) for image in data.images] == [(0, 0, 255), (255, 0, 0)]


def test_an_image_may_stand_alone_in_a_list(folder):
    rows = [{"text": "a", "images": ["red.png"]}, {"text": "b", "images": ["blue.png"]}]
    (folder / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = load_dataset(f"jsonl:{folder / 'data.jsonl'}")
    assert data.images[1].getpixel((0, 0)) == (0, 0, 255)
    stored = table().drop(columns="image").assign(images=[[{"bytes": content("red")}]] * 2)
    stored.to_parquet(folder / "data.parquet")
    data = load_dataset(f"parquet:{folder / 'data.parquet'}")
    assert data.images[0].getpixel((0, 0)) == (255, 0, 0)


def shard(path, *keys):
    with tarfile.open(path, "w") as file:
        for key in keys:
            for ending, held in (("png", content("red")), ("txt", key.encode()), ("cls", b"1")):
                member = tarfile.TarInfo(f"{key}.{ending}")
                member.size = len(held)
                file.addfile(member, io.BytesIO(held))


def test_braces_name_shards_in_a_row(tmp_path):
    for number in range(8, 12):
        shard(tmp_path / f"s-{number:03d}.tar", f"k{number}")
    shard(tmp_path / "extra.tar", "x")

    def texts(pattern):
        return load_dataset(f"webdataset:{pattern}").texts

    assert texts(f"{tmp_path}/s-{{008..010}}.tar") == ["k8", "k9", "k10"]
    assert texts(f"{tmp_path}/{{extra,s-009}}.tar") == ["x", "k9"]
    assert texts(f"{tmp_path}/s-{{008..009}}.tar::{tmp_path}/extra.tar") == ["k8", "k9", "x"]
    with pytest.raises(SpecError, match=r"no file matches .*s-012\.tar, which .* names"):
        texts(f"{tmp_path}/s-{{008..012}}.tar")
    shard(tmp_path / "s-012.tar", "k8", "y")
    repeated = load_dataset(f"webdataset:{tmp_path}/s-*.tar")
    assert repeated.ids == ["s-008/k8", "s-009/k9", "s-010/k10", "s-011/k11", "s-012/k8", "s-012/y"]


def test_an_option_is_called_as_it_is_where_the_reader_is():
    said = (
        f"{option('label_column', 'x y')}, {option('label_column', '')}, {option('id_column')}, "
        f"{option('skip_bad', 'true')}, {option('classes', 'a,b')}, "
        f"{option('unknown_labels', 'skip', 'run')}, {option('template', of='model')}"
    )
    told = {}
    for place in ("python", "terminal", "browser"):
        with speaking(place):
            told[place] = with_options_named(said)
    assert told["python"] == (
        "label_column='x y', label_column='', id_column=…, skip_bad=True, classes='a,b', "
        "unknown_labels='skip', template=…"
    )
    assert told["terminal"] == (
        "--label-column 'x y', --label-column '', --id-column, --skip-bad, "
        "--data-arg classes=a,b, --unknown-labels skip, --model-arg template=…"
    )
    assert told["browser"] == (
        "“Label” (x y), “Label”, id_column=… under “Options of the data”, "
        "“Leave out rows with something wrong”, classes=a,b under “Options of the data”, "
        "“Labels that are not classes of the model” (Their examples are left out), "
        "template=… under “Options of the model”"
    )
    assert with_options_named(said) == told["python"]


@pytest.mark.parametrize("image", ["File name", " image ", "file-name", "IMAGE PATH"])
def test_usual_names_may_be_written_with_spaces_and_hyphens(image, folder):
    frame = table(answer=["x", "y"]).rename(columns={"image": image})
    assert as_csv(frame, folder).reading.taken["image"] == image


def test_a_table_without_a_line_is_empty(tmp_path):
    for name, given in (("a.csv", ""), ("b.csv", "\n\n")):
        (tmp_path / name).write_text(given)
        with pytest.raises(DatasetError, match=f"{name} is empty; give a file with a line of"):
            load_dataset(f"csv:{tmp_path / name}")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32-be", "latin-1"])
def test_a_table_in_another_encoding_is_told_to_be_saved_as_utf_8(encoding, folder):
    content = "question,image,answer\nwhät?,red.png,x\nwho?,blue.png,y\n".encode(encoding)
    (folder / "data.csv").write_bytes(content)
    with pytest.raises(DatasetError, match=r"data.csv is not UTF-8.*save it as UTF-8"):
        load_dataset(f"csv:{folder / 'data.csv'}")


@pytest.mark.parametrize("limit", ["x", 2.5, True, 1, "10"])
def test_a_limit_that_is_no_number_of_examples_is_refused(limit, folder):
    with pytest.raises(SettingError, match=r"limit is .*needs at least 2"):
        as_csv(table(), folder, limit=limit)


@pytest.mark.parametrize(
    "image", [np.zeros((0, 4, 3), np.uint8), np.zeros((4, 0), np.uint8), Image.new("RGB", (0, 3))]
)
def test_an_image_without_pixels_is_refused(image):
    with pytest.raises(DatasetError, match=r"row 1 of the table, column 'image': .*0"):
        load_dataset({"text": ["a", "b"], "image": [image, Image.new("RGB", (2, 2))]})
