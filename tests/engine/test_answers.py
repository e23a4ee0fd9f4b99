"""From a table with the answers of several annotators to VQA accuracy in the shown record."""

import json

import numpy as np
import pandas as pd
import pytest
from samples import Staged, as_callable, make_examples
from sklearn.metrics import roc_auc_score

import emap_core as emap
from emap_core.cli import main
from emap_core.errors import EmapError, LabelError, SettingError

CLASSES = Staged.classes


def official(result, answers):
    """Return VQA accuracy as the official evaluation script computes it."""
    matches = []
    for i in range(len(answers)):
        others = answers[:i] + answers[i + 1 :]
        matches.append(min(1, sum(answer == result for answer in others) / 3))
    return sum(matches) / len(matches)


def annotators(n, seed=0):
    rng = np.random.default_rng(seed)
    return [
        [str(answer) for answer in rng.choice([*CLASSES, "unsure"], 10, p=[0.5, 0.3, 0.15, 0.05])]
        for _ in range(n)
    ]


@pytest.fixture
def table(tmp_path):
    data = make_examples(12, 4, 6)
    for key, image in zip(data.image_keys, data.images, strict=True):
        image.save(tmp_path / f"{key}.png")
    return pd.DataFrame(
        {
            "text": data.texts,
            "image": [f"{key}.png" for key in data.image_keys],
            "answers": annotators(12),
        }
    )


def written(table, form, folder):
    file = folder / f"data.{form.split()[0]}"
    if form == "csv":
        table.assign(answers=table.answers.map("|".join)).to_csv(file, index=False)
    elif form == "jsonl":
        table.to_json(file, orient="records", lines=True)
    elif form == "jsonl of dicts":
        as_dicts = table.answers.map(lambda each: [{"answer": answer} for answer in each])
        table.assign(answers=as_dicts).to_json(file, orient="records", lines=True)
    else:
        table.to_parquet(file)
    return f"{form.split()[0]}:{file}"


@pytest.mark.parametrize("form", ["csv", "jsonl", "jsonl of dicts", "parquet"])
def test_answers_in_a_table_become_the_official_accuracy(form, table, tmp_path, capsys):
    data = emap.load_dataset(written(table, form, tmp_path), label_column="answers")
    run = emap.compute(Staged(), data, out=tmp_path / "run")
    predicted = [CLASSES[c] for c in run.decomposition.logits.argmax(axis=1)]
    expected = np.mean(
        [official(p, answers) for p, answers in zip(predicted, table.answers, strict=True)]
    )
    assert run.metrics == ["vqa_accuracy"]
    assert run.table().loc["full", "vqa_accuracy"] == pytest.approx(expected)
    assert main(["show", str(run.path), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)["metrics"]["vqa_accuracy"]
    assert record["full"] == pytest.approx(expected)
    assert record["gap_leave_one_out_low"] <= record["gap_leave_one_out"]
    assert 0 < record["p_value"] <= 1


def test_examples_say_what_most_answered_and_whether_the_model_agrees(tmp_path):
    answers = annotators(60)
    answers[0] = ["one"] * 9 + ["zero"]
    answers[1] = ["unsure"] * 10
    with pytest.raises(LabelError, match="'example-1' has the answers 'unsure', none of which is"):
        emap.compute(Staged(), make_examples(labels=answers), out=tmp_path / "refused")
    run = emap.compute(
        Staged(), make_examples(labels=answers), out=tmp_path / "run", unknown_labels="wrong"
    )
    assert run.unknown_labels_note.startswith("1 example has a label that is not a class of the")
    examples = run.examples()
    assert examples["label"][0] == "one, zero"
    assert examples["label"][1] == "none of the classes"
    for i in range(60):
        assert examples["correct"][i] == (official(examples["prediction"][i], answers[i]) >= 0.5)
    assert list(run.true_classes[:2]) == [1, -1]
    assert not examples["correct"][1]


def test_lists_of_different_classes_stay_a_multilabel_task(table, tmp_path):
    table["answers"] = [["zero", "one"], ["two"], []] * 4
    data = emap.load_dataset(written(table, "jsonl", tmp_path), label_column="answers")
    assert data.task == "multilabel"


@pytest.mark.parametrize(
    ("changes", "metrics", "error", "message"),
    [
        ({"labels": annotators(60)}, ("accuracy",), SettingError, "choose vqa_accuracy"),
        ({}, ("vqa_accuracy",), SettingError, "choose accuracy"),
        ({"labels": [["red"] * 10] * 60}, (), LabelError, "no annotator's answer is a class"),
    ],
)
def test_answers_and_metrics_that_do_not_fit_are_refused(
    changes, metrics, error, message, tmp_path
):
    with pytest.raises(error, match=message):
        emap.compute(Staged(), make_examples(**changes), out=tmp_path / "run", metrics=metrics)


def test_a_missing_answer_names_its_row(table, tmp_path):
    table.loc[3, "answers"] = None
    with pytest.raises(EmapError, match="there is no answer"):
        emap.load_dataset(written(table, "jsonl", tmp_path), label_column="answers")


class Similarity:
    """Ranks pairs by one number; 0 decides nothing."""

    fingerprint = "similarity"
    has_threshold = False

    def __call__(self, texts, images):
        return as_callable(texts, images)[:, :1] + 5.0


@pytest.mark.slow
def test_a_score_without_a_threshold_is_judged_by_its_ranking(tmp_path):
    labels = [i % 2 for i in range(60)]
    data = make_examples(labels=labels, task="binary", classes=["no", "yes"])
    run = emap.compute(Similarity(), data, out=tmp_path / "run")
    assert run.metrics == ["roc_auc", "average_precision"]
    examples = run.examples()
    assert examples[["correct", "flip", "kind"]].isna().all(axis=None)
    assert float(examples["prediction"][0]) == pytest.approx(
        run.decomposition.logits[0, 0], rel=1e-2
    )
    assert "changes" not in "".join(run.verdict().details)
    said = [one["prediction"] for one in emap.estimate(Similarity(), data).previews]
    assert said == [f"a score of {shown}" for shown in examples["prediction"][:4]]


def test_similarities_to_several_classes_are_ranked_where_each_is_decided_alone(tmp_path):
    class Prompts(Staged):
        """Says how alike a pair and each prompt are; that all are above 0 says nothing."""

        similarity = True

        def score(self, texts, images):
            return super().score(texts, images) + 20.0

    data = make_examples()
    sets = [["zero"], ["one", "two"], ["two"], ["zero", "one"]] * 15
    several = make_examples(labels=sets, task="multilabel", classes=list(Staged.classes))
    run = emap.compute(Prompts(), several, out=tmp_path / "run")
    assert run.metrics == ["roc_auc", "average_precision"]
    truth = np.array([[name in one for name in Staged.classes] for one in sets])
    expected = roc_auc_score(truth, run.decomposition.logits, average="macro")
    assert run.table().loc["full", "roc_auc"] == pytest.approx(expected)
    assert run.examples()[["correct", "flip", "kind"]].isna().all(axis=None)
    with pytest.raises(SettingError, match="'f1_micro' needs a threshold above which the model"):
        emap.compute(Prompts(), several, out=tmp_path / "other", metrics=("f1_micro",))
    assert not (tmp_path / "other").exists()
    one = emap.compute(Prompts(), data, out=tmp_path / "one")
    assert one.metrics == ["accuracy", "f1_macro", "log_loss"], "the highest of them decides"
