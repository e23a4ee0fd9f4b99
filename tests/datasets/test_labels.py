"""Labels that look like numbers, labels that nobody knows, and labels in another order."""

from __future__ import annotations

import io
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from samples import Staged, make_examples, score_pair
from sklearn import metrics as reference

import emap_core as emap
from emap_core.cli import main
from emap_core.datasets import load_dataset
from emap_core.datasets.base import Examples
from emap_core.datasets.labels import match_answers, match_labels
from emap_core.datasets.sample import without_unknown_labels
from emap_core.errors import DatasetError, LabelError, SettingError

COUNTING = ["yes", "no", "2", "1", "red", "3", "4", "blue", "0", "5", "10"]
ANSWERS = ["0", "1", "2", "3", "4", "2"]
PLACES = [COUNTING.index(answer) for answer in ANSWERS]


def png(colour="red") -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(written, "PNG")
    return written.getvalue()


def written(kind, labels, folder, **note):
    """Write a table with these labels as they are and return its spec."""
    n = len(labels)
    (folder / "a.png").write_bytes(png())
    columns = {"text": [f"how many {i}" for i in range(n)], "image": ["a.png"] * n, "label": labels}
    file = folder / f"data.{kind}"
    if kind == "csv":
        pd.DataFrame(columns).to_csv(file, index=False)
    elif kind == "parquet":
        pq.write_table(pa.table(columns).replace_schema_metadata(note or None), file)
    else:
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        file.write_text(
            json.dumps(rows) if kind == "json" else "\n".join(json.dumps(row) for row in rows)
        )
    return f"{kind}:{file}"


def at_hand(labels, **settings):
    n = len(labels)
    return Examples([str(i) for i in range(n)], [Image.new("L", (2, 2))] * n, labels, **settings)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "json", "parquet"])
@pytest.mark.parametrize("shape", [str, lambda a: f"{a}.0"])
def test_answers_that_are_digits_are_the_model_s_classes_of_these_names(kind, shape, tmp_path):
    data = load_dataset(written(kind, [shape(a) for a in ANSWERS], tmp_path))
    assert match_labels(data, COUNTING, 11).tolist() == PLACES
    at = at_hand([shape(a) for a in ANSWERS])
    assert match_labels(at, COUNTING, 11).tolist() == PLACES


def test_a_perfect_model_of_counting_questions_is_perfect(tmp_path):
    def says(texts, images):
        return 3.0 * np.eye(11)[[PLACES[int(text.split()[-1])] for text in texts]]

    says.classes = COUNTING  # type: ignore[attr-defined]
    spec = written("csv", ANSWERS, tmp_path)
    for i in range(2):
        Image.new("L", (2, 2), i).save(tmp_path / f"{i}.png")
    table = pd.read_csv(tmp_path / "data.csv", dtype=str)
    table["image"] = ["0.png", "1.png"] * 3
    table.to_csv(tmp_path / "data.csv", index=False)
    run = emap.compute(says, spec, out=tmp_path / "run", metrics=("accuracy",))
    assert run.table().loc["full", "accuracy"] == 1.0


INTEGERS = {
    "jsonl": lambda a: written("jsonl", [int(x) for x in ANSWERS], a),
    "parquet": lambda a: written("parquet", [int(x) for x in ANSWERS], a),
    "parquet of floats": lambda a: written("parquet", [float(x) for x in ANSWERS], a),
    "list": lambda _: at_hand([int(x) for x in ANSWERS]),
    "NumPy": lambda _: at_hand(np.array(ANSWERS, dtype=np.uint8)),
    "NumPy one by one": lambda _: at_hand([np.int32(x) for x in ANSWERS]),
    "floats": lambda _: at_hand([float(x) for x in ANSWERS]),
    "tensor": lambda _: at_hand(torch.tensor([int(x) for x in ANSWERS])),
    "pandas": lambda _: at_hand(pd.Series([int(x) for x in ANSWERS], dtype="Int64")),
    "lists": lambda _: at_hand([[int(x), 1] for x in ANSWERS], task="multilabel"),
}


@pytest.mark.parametrize("way", INTEGERS)
def test_integers_that_could_be_both_are_refused_until_somebody_says_which(way, tmp_path):
    made = INTEGERS[way](tmp_path)
    data = load_dataset(made)
    with pytest.raises(LabelError) as caught:
        match_labels(data, COUNTING, 11)
    message = str(caught.value)
    for words in ("as a name it is the class", "as a number it is the class"):
        assert words in message
    assert "labels_as='names' or labels_as='numbers'" in message
    data.labels_as = "names"
    by_name = match_labels(data, COUNTING, 11)
    data.labels_as = "numbers"
    by_number = match_labels(data, COUNTING, 11)
    if data.task == "multilabel":
        assert [set(np.flatnonzero(row)) for row in by_name] == [{p, 3} for p in PLACES]
        assert [set(np.flatnonzero(row)) for row in by_number] == [{int(a), 1} for a in ANSWERS]
    else:
        assert by_name.tolist() == PLACES
        assert by_number.tolist() == [int(answer) for answer in ANSWERS]


@pytest.mark.parametrize(
    ("labels", "classes", "n_classes", "matched"),
    [
        # Names in their order: both readings are the same.
        ([3, 1, 2], ["0", "1", "2", "3"], 4, [3, 1, 2]),
        # No class is called so.
        ([1, 0, 1], ["no", "yes"], 2, [1, 0, 1]),
        (["1", "0", "1"], ["no", "yes"], 2, [1, 0, 1]),
        (["1.0", "0.0", "1.0"], ["no", "yes"], 2, [1, 0, 1]),
        # No name at all.
        ([2, 0, 10], None, 11, [2, 0, 10]),
        (["2", "0", "10"], None, 11, [2, 0, 10]),
        # Too large for numbers.
        ([2, 3, 10], ["10", "3", "2"], 3, [2, 1, 0]),
        # Beside words, numbers are words.
        (["yes", 2, "1"], COUNTING, 11, [0, 2, 3]),
        ([True, False], ["false", "true"], 2, [1, 0]),
        ([True, False], None, 2, [1, 0]),
    ],
)
def test_labels_are_read_the_only_way_they_can_be(labels, classes, n_classes, matched):
    assert match_labels(at_hand(labels), classes, n_classes).tolist() == matched


@pytest.mark.parametrize("shape", [int, str, lambda label: f"{label}.0"])
def test_numbers_that_fit_counted_from_0_and_from_1_are_refused(shape):
    labels = [shape(label) for label in (1, 3, 2, 1)]
    both = (
        "labels 1 to 3 can be read in two ways: counted from 0, the label 1 is {}; counted from 1,"
    )
    with pytest.raises(LabelError, match=f"{both.format('output 1')} it is output 0; choose"):
        match_labels(at_hand(labels), None, 4)
    with pytest.raises(LabelError, match=f"{both.format('the class .b.')} it is .* subtract 1"):
        match_labels(at_hand(labels), list("abcd"), 4)
    data = at_hand(labels, labels_as="numbers")
    assert match_labels(data, None, 4).tolist() == [1, 3, 2, 1]
    data = at_hand(labels, labels_as="names", classes=["1", "2", "3", "4"])
    assert match_labels(data, None, 4).tolist() == [0, 2, 1, 0]
    with pytest.raises(LabelError, match=r"label .?3.*numbered 0 to 2; if .* from 1, subtract"):
        match_labels(at_hand(labels), None, 3)


@pytest.mark.parametrize(
    "labels", [[0, 1, 2], [1, 1, 1], [2, 3], [1, 3], [True, False], [True, True]]
)
def test_other_numbers_count_from_0(labels):
    assert match_labels(at_hand(labels), None, 4).tolist() == labels


@pytest.mark.parametrize("labels", [["2", "0"], ["0", "1"], ["3"], [["2", "2"], ["0", "2"]]])
def test_digits_of_which_the_model_has_none_as_an_answer_are_refused(labels):
    classes = ["yes", "no", "red", "blue"]
    match = match_answers if isinstance(labels[0], list) else match_labels
    with pytest.raises(LabelError) as caught:
        match(at_hand(labels), classes, 4)
    for words in ("as a name it is not a class of the model (yes, no", "as a number it is '"):
        assert words in str(caught.value)
    assert str(caught.value).endswith("labels_as='names' or labels_as='numbers'")
    with pytest.raises(LabelError, match=r"is a class of the model|not a class of the model"):
        match(at_hand(labels, labels_as="names"), classes, 4)
    read = np.asarray(match(at_hand(labels, labels_as="numbers"), classes, 4)).tolist()
    assert str(read) == str(labels).replace("'", "")


@pytest.mark.parametrize(
    ("labels", "classes", "words"),
    [
        ([0, 7], COUNTING, "label 0 can be read in two ways"),
        ([10, 6], ["10", *"abcdef"], "others, such as 6, can only be class numbers"),
        (["6", "2"], COUNTING, "'6', which is not a class .* labels_as='numbers'"),
        ([True, False], ["yes", "no"], "True and False, but the classes are yes, no"),
        ([0, None], ["no", "yes"], "'1' has the label None; expected the name or number"),
        ([0, 1.5], ["no", "yes"], "'1' has the label 1.5; expected the name or number"),
        ([0, 2], ["no", "yes"], "label 2; classes are numbered 0 to 1"),
    ],
)
def test_other_labels_are_refused(labels, classes, words):
    with pytest.raises(LabelError, match=words):
        match_labels(at_hand(labels), classes, len(classes))


def test_classes_of_the_data_are_read_by_the_same_rule(tmp_path):
    spec = written("csv", ["2", "0", "1"], tmp_path)
    named = load_dataset(spec, classes="0,1,2")
    assert named.labels == ["2", "0", "1"]
    assert match_labels(named, ["1", "2", "0"], 3).tolist() == [1, 2, 0]
    words = load_dataset(spec, classes="a,b,c")
    assert match_labels(words, ["c", "b", "a"], 3).tolist() == [0, 2, 1]
    numbers = written("jsonl", [2, 0, 1], tmp_path)
    with pytest.raises(LabelError, match="in two ways"):
        load_dataset(numbers, classes="1,2,0")
    assert load_dataset(numbers, classes="1,2,0", labels_as="names").labels == ["2", "0", "1"]
    assert load_dataset(numbers, classes="1,2,0", labels_as="numbers").labels == ["0", "1", "2"]


def test_annotators_answers_that_are_numbers_are_names(tmp_path):
    answers = [["2", "2", "3"], ["10", "2", "10"]]
    for given in (answers, [[int(a) for a in each] for each in answers]):
        data = load_dataset(written("jsonl", given, tmp_path))
        assert match_answers(data, COUNTING, 11) == [[2, 2, 5], [10, 2, 10]]


@pytest.mark.parametrize(
    ("kind", "labels_as"), [(int, None), (float, None), (bool, None), (int, "numbers")]
)
@pytest.mark.parametrize(
    "chosen",
    [np.eye(3)[[0, 1, 2, 1]], np.array([[1, 0, 1], [0, 0, 0]] * 2)],
)
def test_a_column_per_class_is_not_read_as_answers_of_annotators(chosen, kind, labels_as):
    pictures = [Image.new("RGB", (4, 4), (k, 0, 0)) for k in range(len(chosen))]
    table = {"text": list("abcd"), "image": pictures, "label": chosen.astype(kind).tolist()}

    def model(texts, images):
        return np.zeros((len(texts), 3))

    with pytest.raises(LabelError, match=r"zeros and ones, as many as|has 2 different labels"):
        emap.compute(model, table, out=None, data_args={"labels_as": labels_as})


def test_as_many_annotators_as_classes_may_answer_with_names():
    answers = [["no", "yes"], ["yes", "yes"]]
    assert match_answers(at_hand(answers), ["no", "yes"], 2) == [[0, 1], [1, 1]]
    digits = [["0", "1"], ["1", "1"]]
    assert match_answers(at_hand(digits), ["1", "0"], 2) == [[1, 0], [0, 0]]
    three = [[0, 1, 1], [1, 0, 1]]
    assert match_answers(at_hand(three, labels_as="numbers"), ["no", "yes"], 2) == three


def test_a_model_with_open_classes_takes_digits_as_answers(tmp_path):
    class Open(Staged):
        classes = None

        def with_classes(self, classes):
            made = Open()
            made.classes = list(classes)
            return made

    data = make_examples(labels=["2", "0", "10"] * 20)
    run = emap.compute(Open(), data, out=tmp_path / "run", metrics=("accuracy",))
    assert run.classes == ["0", "2", "10"]
    assert run.labels.tolist() == [1, 0, 2] * 20


def note(feature):
    return {b"huggingface": json.dumps({"info": {"features": {"label": feature}}}).encode()}


GENRES = {"_type": "ClassLabel", "names": ["Comedy", "Drama", "War"]}


@pytest.mark.parametrize(
    "feature",
    [
        {"_type": "Sequence", "feature": GENRES},
        {"_type": "List", "feature": GENRES},
        {"_type": "LargeList", "feature": GENRES},
        {"_type": "Sequence", "length": -1, "feature": {"_type": "Sequence", "feature": GENRES}},
        [GENRES],
    ],
)
def test_numbers_in_lists_of_class_labels_are_those_of_the_file(feature, tmp_path):
    file = tmp_path / "data.parquet"
    table = pa.table({"text": ["a", "b"], "image": [png()] * 2, "label": [[1], [0, 2]]})
    pq.write_table(table.replace_schema_metadata(note(feature)), file)
    data = load_dataset(f"parquet:{file}")
    assert (data.task, data.labels) == ("multilabel", [["Drama"], ["Comedy", "War"]])
    found = match_labels(data, ["War", "Drama", "Comedy"], 3)
    np.testing.assert_array_equal(found, [[0, 1, 0], [1, 0, 1]])
    saved = tmp_path / "saved"
    saved.mkdir()
    with pa.OSFile(str(saved / "x.arrow"), "wb") as out:
        stored = table.replace_schema_metadata(note(feature))
        with pa.ipc.new_stream(out, stored.schema) as to:
            to.write_table(stored)
    (saved / "state.json").write_text(json.dumps({"_data_files": [{"filename": "x.arrow"}]}))
    assert load_dataset(f"hf:{saved}").labels == data.labels


def test_files_of_one_dataset_that_number_classes_differently_are_refused(tmp_path):
    names = [["Comedy", "Drama"], ["Drama", "Comedy"]]
    for i, classes in enumerate(names):
        table = pa.table({"text": ["a"], "image": [png()], "label": [1]})
        stored = table.replace_schema_metadata(note({"_type": "ClassLabel", "names": classes}))
        file = pa.OSFile(str(tmp_path / f"{i}.arrow"), "wb")
        with file as out, pa.ipc.new_stream(out, stored.schema) as to:
            to.write_table(stored)
    files = [{"filename": f"{i}.arrow"} for i in range(2)]
    (tmp_path / "state.json").write_text(json.dumps({"_data_files": files}))
    with pytest.raises(DatasetError, match="name the classes of their labels differently"):
        load_dataset(f"hf:{tmp_path}")


def test_an_array_of_zeros_and_ones_says_which_classes(tmp_path):
    ones = np.array([[0, 1, 1], [1, 0, 0]])
    for labels in (ones, torch.tensor(ones).numpy(), pd.DataFrame(ones, columns=list("abc"))):
        data = at_hand(labels, task="multilabel")
        np.testing.assert_array_equal(match_labels(data, ["a", "b", "c"], 3), ones)
    reordered = at_hand(pd.DataFrame(ones, columns=list("abc")), task="multilabel")
    np.testing.assert_array_equal(match_labels(reordered, ["c", "a", "b"], 3), ones[:, [2, 0, 1]])


def test_rows_of_zeros_and_ones_say_the_same_whatever_they_come_in():
    ones = np.array([[0, 1, 1], [1, 0, 0]])
    for rows in (ones.tolist(), list(ones), torch.tensor(ones), ones.astype(bool).tolist()):
        data = at_hand(rows, task="multilabel")
        np.testing.assert_array_equal(match_labels(data, ["a", "b", "c"], 3), ones)
    lists = at_hand([[0, 2], [0, 1]], task="multilabel")
    np.testing.assert_array_equal(match_labels(lists, None, 3), [[1, 0, 1], [1, 1, 0]])


@pytest.mark.parametrize("label", ["ab", None, {"a": 1, "b": 0}])
def test_a_multilabel_label_that_is_not_a_list_is_refused(label):
    # The letters of a string are not its classes, and keys are there whatever they say.
    data = at_hand([["a"], label], task="multilabel")
    with pytest.raises(LabelError, match="needs the list of an example's classes"):
        match_labels(data, ["a", "b"], 2)


def test_numbers_are_those_of_the_data_s_own_classes():
    data = at_hand([0, 1, 2], classes=["c", "b", "a"])
    assert match_labels(data, ["a", "b", "c"], 3).tolist() == [2, 1, 0]
    assert match_labels(data, ["LABEL_0", "LABEL_1", "LABEL_2"], 3).tolist() == [0, 1, 2]
    both = at_hand([[0, 2], [1]], classes=["c", "b", "a"], task="multilabel")
    assert match_labels(both, ["a", "b", "c"], 3).tolist() == [[1, 0, 1], [0, 1, 0]]
    binary = at_hand([0, 1, 1], classes=["yes", "no"], task="binary")
    assert match_labels(binary, ["no", "yes"], 1).tolist() == [1, 0, 0]
    with pytest.raises(LabelError, match="which is 'd' in the data and not a class"):
        match_labels(at_hand([0, 1], classes=["d", "a"]), ["a", "b"], 2)


def test_a_name_of_two_classes_is_refused_where_a_label_has_it():
    with pytest.raises(LabelError, match="'a' is the name of more than one class"):
        match_labels(at_hand(["a", "c"]), ["a", "a", "c"], 3)
    assert match_labels(at_hand(["c", "c"]), ["a", "a", "c"], 3).tolist() == [2, 2]


UNKNOWN = ["zero", "pink", "one", "two", "mauve", "one"] * 10


@pytest.fixture
def told(tmp_path):
    """A run in which a third of the labels are not classes of the model."""
    return emap.compute(
        Staged(),
        make_examples(labels=UNKNOWN),
        out=tmp_path / "wrong",
        unknown_labels="wrong",
        metrics=("accuracy", "f1_macro", "f1_micro", "f1_weighted", "balanced_accuracy"),
    )


def test_what_is_not_a_class_counts_as_not_right(told):
    truth = [-1 if label in ("pink", "mauve") else Staged.classes.index(label) for label in UNKNOWN]
    assert told.labels.tolist() == truth
    data = make_examples()
    logits = np.stack([score_pair(t, v) for t, v in zip(data.texts, data.images, strict=True)])
    says = logits.argmax(axis=1)
    full = told.table().loc["full"]
    assert full["accuracy"] == pytest.approx(np.mean(says == truth))
    assert full["balanced_accuracy"] == pytest.approx(
        reference.recall_score(
            truth, says, average="macro", labels=np.unique(truth), zero_division=0
        )
    )
    for kind in ("macro", "micro", "weighted"):
        expected = reference.f1_score(truth, says, average=kind, zero_division=0)
        assert full[f"f1_{kind}"] == pytest.approx(expected)
    examples = told.examples()
    unknown = np.array(truth) < 0
    assert not examples["correct"][unknown].any()
    assert (examples["label"][unknown] == "none of the classes").all()
    assert set(examples["flip"][unknown]) <= {"changed", "same"}
    assert told.unknown_labels_note == (
        "20 examples have labels that are not classes of the model. They count as wrong."
    )
    assert told.record()["unknown_labels"]["n_examples"] == 20


def test_without_a_word_they_are_refused_and_left_out_when_asked(tmp_path):
    data = make_examples(labels=UNKNOWN)
    words = "'example-1' has the label 'pink', which is not a class .* unknown_labels='skip' leaves"
    with pytest.raises(LabelError, match=words):
        emap.compute(Staged(), data, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    run = emap.compute(Staged(), data, out=tmp_path / "run", unknown_labels="skip")
    assert len(run.ids) == 40 and len(run.skipped) == 20
    assert run.unknown_labels_note.endswith("not classes of the model. They were left out.")
    assert set(run.metrics) == {"accuracy", "f1_macro", "log_loss"}


def test_metrics_that_need_the_class_are_not_given_one(tmp_path):
    data = make_examples(labels=UNKNOWN)
    run = emap.compute(Staged(), data, out=tmp_path / "run", unknown_labels="wrong")
    assert run.metrics == ["accuracy", "f1_macro"]
    for name in ("log_loss", "roc_auc", "average_precision", "brier_score"):
        with pytest.raises(SettingError, match=r"20 examples are not classes .* choose accuracy"):
            emap.compute(
                Staged(), data, out=tmp_path / name, unknown_labels="wrong", metrics=(name,)
            )
        assert not (tmp_path / name).exists()


def test_a_score_that_is_not_a_number_is_not_right_about_what_is_not_a_class():
    from emap_core import inference

    scores = np.array([[np.nan, np.nan], [1.0, 0.0]])
    assert inference.earned(inference.predict(scores, "multiclass"), [-1, 0]).tolist() == [0, 1]
    assert inference.evaluate("top_1_accuracy", [-1, 1], [[0.0, 1], [0, 1]], "multiclass") == 0.5


@pytest.mark.slow
def test_the_rule_holds_for_answers_lists_and_training_data(tmp_path):
    answers = at_hand([["red", "red"], ["2", "red"], ["?", "!"]])
    with pytest.raises(LabelError, match="has the answers '\\?', '!', none of which is a class"):
        match_answers(answers, COUNTING, 11)
    assert match_answers(answers, COUNTING, 11, "wrong") == [[4, 4], [2, 4], [-1, -1]]
    assert without_unknown_labels(answers, COUNTING).ids == ["0", "1"]
    several = at_hand([["red"], ["red", "pink"]], task="multilabel")
    with pytest.raises(LabelError, match="not right or wrong as a whole"):
        match_labels(several, COUNTING, 11, "wrong")
    assert without_unknown_labels(several, COUNTING).ids == ["0"]
    train = make_examples(seed=1, labels=["zero", "one", "pink"] * 20)
    with pytest.raises(LabelError, match="pink"):
        emap.compute(Staged(), make_examples(), train=train, out=tmp_path / "refused")
    for rule in ("skip", "wrong"):
        out = tmp_path / rule
        run = emap.compute(Staged(), make_examples(), train=train, out=out, unknown_labels=rule)
        assert run.unknown_labels_note == (
            "20 training examples have labels that are not classes of the model. "
            "They were left out."
        )
        assert "linear_both" in run.table().index


def test_the_terminal_says_what_became_of_them(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "unknown_answers.py").write_text(
        "from samples import Staged as model, make_examples\n"
        f"def data():\n    return make_examples(labels={UNKNOWN!r})\n"
    )
    work = ["run", "--model", "unknown_answers:model", "--data", "unknown_answers:data"]
    assert main([*work, "--out", "run"]) == 2
    assert "--unknown-labels wrong counts them as wrong" in capsys.readouterr().err
    assert main([*work, "--out", "run", "--unknown-labels", "wrong"]) == 0
    assert "20 examples have labels that are not classes of the model" in capsys.readouterr().out


def test_digits_that_are_taken_for_numbers_are_told_before_the_run_and_beside_it(tmp_path):
    labels = ["0", "2", "1"] * 20
    said = "labels are numbers and are read as class numbers, counted from 0: 0 is zero, 1 is"
    seen = []
    run = emap.compute(
        Staged(),
        make_examples(labels=labels),
        out=tmp_path / "run",
        preview=lambda found: seen.extend(found.notes),
    )
    assert [note for note in seen if note.startswith(said)]
    assert [note for note in run.notes if note.startswith(said)]
    assert run.labels.tolist() == [0, 2, 1] * 20


@pytest.mark.parametrize("label", ["Yes", "yes ", "YES."])
def test_a_label_spelled_otherwise_than_the_class_is_told_and_merged_where_that_is_wanted(label):
    images = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    table = {"text": ["a", "b"], "image": images, "label": [label, "no"]}
    apart = load_dataset(table)
    if label.strip() != "yes":
        with pytest.raises(LabelError, match=r"if it is 'yes' in another spelling, give merge_l"):
            match_labels(apart, ["yes", "no"], 2)
    one = load_dataset(table, merge_labels=True)
    assert match_labels(one, ["yes", "no"], 2).tolist() == [0, 1]
    assert one.fingerprint != apart.fingerprint
    # What could be either of two classes is neither.
    either = load_dataset(table | {"label": ["yEs", "no"]}, merge_labels=True)
    with pytest.raises(LabelError, match="not a class of the model"):
        match_labels(either, ["YES", "yes", "no"], 3)


def test_two_classes_of_other_names_than_the_models_are_told_with_what_makes_them_the_same():
    images = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    table = {"text": ["a", "b"], "image": images, "label": [0, 1]}
    data = load_dataset(table, task="binary", classes="false,true")
    with pytest.raises(LabelError, match=r"false and true are these in this order, give classes="):
        match_labels(data, ["no", "yes"], 1)
    assert match_labels(load_dataset(table, task="binary", classes="no,yes"), ["no", "yes"], 1)[1]
