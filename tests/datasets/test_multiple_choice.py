"""Questions with options, and labels that are spelled in several ways."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from emap_core.datasets import load_dataset
from emap_core.datasets.labels import match_labels
from emap_core.errors import DatasetError, LabelError, SettingError, SpecError

OPTIONS = [["cat", "dog", "cow"], ["one", "two"]]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (4, 4), "red").save("red.png")
    return tmp_path


def table(**columns):
    n = len(next(iter(columns.values())))
    usual = {"question": [f"question {i}?" for i in range(n)], "image": ["red.png"] * n}
    return pd.DataFrame(usual | columns)


@pytest.mark.parametrize("write", [list, np.array, str, json.dumps])
@pytest.mark.parametrize(
    "labels", [[2, 0], ["C", "A"], ["(c)", "a."], ["cow", "one"], [2.0, 0.0], ["2", "0"]]
)
def test_options_are_written_into_the_text_and_their_letters_are_the_classes(write, labels):
    data = load_dataset(
        table(options=list(map(write, OPTIONS)), answer=labels), choices_column="options"
    )
    assert data.texts == [
        "question 0?\nA. cat\nB. dog\nC. cow",
        "question 1?\nA. one\nB. two",
    ]
    assert (data.labels, data.classes, data.task) == (["C", "A"], ["A", "B", "C"], "multiclass")
    assert data.reading.told == (
        "Choices: the text lists them, and A to C are the classes; 1 of 2 examples have fewer",
    )
    assert match_labels(data, ["C", "B", "A"], 3).tolist() == [0, 2]


def test_options_may_stand_in_columns_of_their_own():
    frame = table(
        A=["cat", "one"], B=["dog", "two"], C=["cow", None], D=["", ""], answer=["C", "B"]
    )
    frame.to_csv("data.tsv", sep="\t", index=False)
    for spec in (frame, "csv:data.tsv"):
        data = load_dataset(spec, choices_column="A,B,C,D")
        assert data.texts[1] == "question 1?\nA. one\nB. two" and data.labels == ["C", "B"]
    unlabelled = load_dataset(frame, choices_column="A,B,C", label_column="")
    assert unlabelled.labels is None and unlabelled.classes == ["A", "B", "C"]


def test_what_could_be_the_number_of_an_option_or_the_option_is_refused():
    frame = table(options=[["1", "2", "0"]] * 2, answer=["1", "2"])
    with pytest.raises(
        LabelError, match="'1' can be read as choice B and as choice A; choose with"
    ):
        load_dataset(frame, choices_column="options")
    for labels_as, letters in (("names", ["A", "B"]), ("numbers", ["B", "C"])):
        data = load_dataset(frame, choices_column="options", labels_as=labels_as)
        assert data.labels == letters


@pytest.mark.parametrize(
    ("options", "label", "words"),
    [
        ([], "B", "row 2 of .*, column 'options': there are 0 choices; expected 2 to 26"),
        ("no list", "B", "the choices are not a list"),
        (["x", ""], "B", "the text is empty"),
        (
            ["x", "y"],
            "7",
            "column 'answer': the label '7' is not one of the 2 choices; expected a l",
        ),
        (["x", "y"], None, "there is no label"),
    ],
)
def test_a_row_whose_choices_do_not_fit_is_named_or_left_out(options, label, words):
    frame = table(options=[["a", "b"], options, ["c", "d"]], answer=["A", label, "B"])
    with pytest.raises(DatasetError, match=words):
        load_dataset(frame, choices_column="options")
    data = load_dataset(frame, choices_column="options", skip_bad=True)
    assert (data.ids, data.labels) == (["1", "3"], ["A", "B"])
    with pytest.raises(DatasetError, match="has no column 'E' for the choices; it has question"):
        load_dataset(frame, choices_column="options,E")


SAID = ["Yes", "yes", "yes.", "No ", "no", "no"]


def test_labels_that_differ_in_capitals_are_told_and_merged_when_asked():
    frame = table(answer=SAID)
    data = load_dataset(frame)
    assert data.classes == ["No", "Yes", "no", "yes", "yes."]
    told = data.reading.lines[-1]
    assert "'Yes' (1) and 'yes' (1) and 'yes.' (1); 'no' (2) and 'No' (1); merge_labels=T" in told
    one = load_dataset(frame, merge_labels=True)
    assert one.classes == ["Yes", "no"] and one.labels == ["Yes"] * 3 + ["no"] * 3
    named = load_dataset(frame, merge_labels=True, classes="No,yes")
    assert named.labels == ["yes"] * 3 + ["No"] * 3
    several = load_dataset(table(answer=[["Yes", "yes", "no"], ["no"] * 3]), merge_labels=True)
    assert several.labels == [["Yes", "Yes", "no"], ["no"] * 3]
    assert load_dataset(table(answer=["a", "b"])).reading.told == ()


def test_classes_of_several_labels_each_are_derived():
    data = load_dataset(table(genres=[["drama", "war"], [], ["comedy"]]), label_column="genres")
    assert (data.task, data.classes) == ("multilabel", ["comedy", "drama", "war"])
    assert data.classes_guessed
    assert match_labels(data, None, 3).tolist() == [[0, 1, 1], [0, 0, 0], [1, 0, 0]]
    numbers = load_dataset(table(genres=[[0, 1], []]), label_column="genres")
    assert numbers.classes is None


@pytest.mark.parametrize(
    "content", ["b\na\n\n", '["b", "a"]', '{"b": 0, "a": 1}', '{"1": "a", "0": "b"}']
)
def test_classes_may_stand_in_a_file(content, folder):
    (folder / "classes").write_text(content)
    data = load_dataset(table(answer=[0, 1]), classes_file="classes")
    assert (data.classes, data.labels) == (["b", "a"], ["b", "a"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "has no class names"),
        ('{"a": 1, "b": 2}', "does not number its 2 classes from 0"),
        ("[1, ", "cannot be read"),
    ],
)
def test_a_file_that_names_no_classes_is_told(content, words, folder, monkeypatch):
    (folder / "classes").write_text(content)
    with pytest.raises(DatasetError, match=words):
        load_dataset(table(answer=[0, 1]), classes_file="classes")
    with pytest.raises(SettingError, match="classes and classes_file both name the classes"):
        load_dataset(table(answer=[0, 1]), classes_file="classes", classes="a,b")
    with pytest.raises(SpecError, match="there is no file none, neither here nor in"):
        load_dataset(table(answer=[0, 1]), classes_file="none")
