import json
import math
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from samples import Staged, make_examples, picture, score_pair

import emap_core as emap
from emap_core import datasets, models
from emap_core.cli import _parser, main
from emap_core.models.encodings import take
from emap_core.specs import typed_arguments

MODULE = """
import numpy as np
from samples import Staged, make_examples

def model():
    return Staged()

def data(n=60, label=None):
    made = make_examples(n=n)
    if label is not None:
        made.labels = [label] * n
    return made

class Wrong(Staged):
    def score(self, texts, images):
        return super().score(texts, images)[:, :1].reshape(-1)

class NotANumber(Staged):
    def score(self, texts, images):
        return super().score(texts, images) * np.nan

class OneNumber(Staged):
    def score(self, texts, images):
        return super().score(texts, images)[:, :1]

def one_number():
    return OneNumber()

def wrong_shape():
    return Wrong()

def nan():
    return NotANumber()
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "my_model.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "my_model", raising=False)
    return tmp_path


RUN = ["run", "--model", "my_model:model", "--data", "my_model:data", "--out", "run"]


def test_run_and_show_tell_the_same_numbers(here, capsys):
    assert main(RUN) == 0
    assert "accuracy" in capsys.readouterr().out
    assert main(["show", "run", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    data = make_examples()
    direct = emap.decompose(np.array([[score_pair(t, v) for v in data.images] for t in data.texts]))
    right = direct.emap.argmax(1) == data.labels
    accuracy = record["metrics"]["accuracy"]
    assert accuracy["full"] == 1.0
    assert accuracy["emap"] == pytest.approx(right.mean())
    assert accuracy["gap"] == pytest.approx(1 - right.mean())
    assert accuracy["gap_low"] <= accuracy["gap"] <= accuracy["gap_high"]
    shares = direct.class_centred().variance_shares
    np.testing.assert_allclose(record["variance_shares"]["interaction"], shares[2], atol=1e-9)
    assert sum(record["variance_shares"]["pooled"].values()) == pytest.approx(1)
    assert record["n_pairs_evaluated"] == 11 * 23
    table = emap.Run.load("run").table()
    for name, numbers in record["metrics"].items():
        for row in table.index:
            assert numbers[row] == pytest.approx(table.loc[row, name])


@pytest.mark.process
def test_show_reads_a_finished_run_without_what_computes_tabulates_or_draws(here):
    main(RUN)
    code = (
        "import sys\nfrom emap_core.cli import main\nmain(['show', 'run'])\n"
        "slow = {'torch', 'sklearn', 'zarr', 'scipy.optimize', 'pandas', 'plotly', 'pyarrow'}\n"
        "print(sorted(slow & set(sys.modules)))"
    )
    root = str(Path(emap.__file__).parents[1])
    shown = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": root}, capture_output=True
    )
    assert shown.stdout.decode().splitlines()[-1] == "[]"


def test_examples_classes_and_predictions_are_shown_before_the_run(here, capsys):
    assert main([*RUN, "--out", "quiet", "--progress", "none"]) == 0
    assert capsys.readouterr().err == ""
    assert main(RUN) == 0
    shown = capsys.readouterr().err
    data = make_examples()
    assert f"The first of 60 examples, multiclass, 3 classes: {', '.join(Staged.classes)}" in shown
    for i in range(2):
        says = Staged.classes[int(np.argmax(score_pair(data.texts[i], data.images[i])))]
        label = Staged.classes[data.labels[i]]
        wanted = f"{data.ids[i]}: “{data.texts[i]}”: label {label}, the model says {says}"
        assert wanted in shown
    assert "11 texts × 23 images, 253 pairs to score" in shown
    with np.load("quiet/sums.npz") as quiet, np.load("run/sums.npz") as run:
        assert all((quiet[name] == run[name]).all() for name in quiet)
    assert main(RUN) == 0
    assert "The first of" not in capsys.readouterr().err, "a finished run shows its table alone"


def test_every_promised_entry_is_there(here, capsys):
    main(RUN)
    capsys.readouterr()
    main(["show", "run", "--json"])
    record = json.loads(capsys.readouterr().out)
    promised = {"n_examples", "n_texts", "n_images", "n_pairs_evaluated", "method", "space"}
    assert promised | {"classes", "metrics", "variance_shares"} <= set(record)
    rows = {"full", "emap", "emap_leave_one_out", "text_only", "image_only", "constant"}
    gaps = {
        f"gap{left}{bound}" for left in ("", "_leave_one_out") for bound in ("", "_low", "_high")
    }
    for numbers in record["metrics"].values():
        assert rows | gaps | {"p_value", "p_value_holm"} <= set(numbers)


def test_without_labels_there_is_still_a_decomposition(here, capsys):
    emap.compute(Staged(), make_examples(labels=None), out="bare")
    assert main(["show", "bare", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["metrics"] == {}
    assert 0 < record["variance_shares"]["pooled"]["interaction"] < 1


def test_examples_as_a_table(here, capsys):
    main(RUN)
    assert main(["show", "run", "--csv", "examples.csv"]) == 0
    table = pd.read_csv("examples.csv")
    assert list(table["id"]) == make_examples().ids
    assert set(table["flip"]) <= {"helped", "hurt", "changed", "same"}


def test_columns_of_a_table_are_named_and_bad_rows_left_out(here, capsys):
    for i in range(3):
        picture(i).save(here / f"{i}.png")
    rows = [(f"w {i % 4}", f"{i % 3}.png", Staged.classes[i % 3]) for i in range(9)]
    rows[4:4] = [("w 9", "missing.png", "one"), ("w 9", "0.png", "nine")]
    table = pd.DataFrame(rows, columns=["wording", "where", "verdict"])
    table.to_csv(here / "table.csv", index=False)
    work = ["run", "--model", "my_model:model", "--data", "csv:table.csv", "--out", "run"]
    assert main(work) == 2
    assert "no column for the text" in capsys.readouterr().err
    work += ["--text-column", "wording", "--image-column", "where", "--label-column", "verdict"]
    assert main(work) == 2
    assert "row 5 of table.csv" in capsys.readouterr().err
    picture(0).save(here / "missing.png")
    assert main(work) == 2
    nine = "row 6 of table.csv, column 'verdict' has the label 'nine', which is not a class of the "
    assert nine in capsys.readouterr().err
    (here / "missing.png").unlink()
    work[work.index("csv:table.csv")] = f"csv:{here / 'table.csv'}"
    assert main([*work, "--skip-bad", "--out", "run"]) == 2, "bad rows are another matter"
    said = capsys.readouterr().err
    assert "'nine'" in said and "--unknown-labels skip leaves such examples out" in said
    assert main([*work, "--skip-bad", "--unknown-labels", "skip", "--out", "run"]) == 0
    said = capsys.readouterr().out
    assert "1 example has a label that is not a class of the model. It was left out." in said
    assert "2 rows were left out:\n  image missing.png in row 5" in said
    assert "\n  row 6 of " in said
    assert main(["show", "run", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["skipped"]) == 2
    run = emap.Run.load("run")
    assert run.ids == ["1", "2", "3", "4", *map(str, range(7, 12))]
    assert [run.classes[label] for label in run.labels] == [rows[int(i) - 1][2] for i in run.ids]
    assert run.manifest["skipped"] == [
        "image missing.png in row 5 of table.csv does not exist",
        f"{nine}model; its classes are zero, one, two",
    ]
    for way in ([], ["--skip-bad"], ["--unknown-labels", "skip"], ["--unknown-labels", "wrong"]):
        table.assign(verdict="nine").drop(index=4).to_csv(here / "table.csv", index=False)
        assert main([*work, *way, "--out", "none"]) == 2
        said = capsys.readouterr().err
        assert "row 1 of " in said and "table.csv, column 'verdict' has the label 'nine'" in said


def test_progress_as_json_lines(here, capsys):
    assert main([*RUN, "--progress", "json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[0]["event"] == "planned"
    assert events[-1]["event"] == "finished"
    assert {event["run"] for event in events} == {"run"}


def test_plan_says_the_id_and_the_cost(here, capsys, monkeypatch):
    monkeypatch.setenv("EMAP_RUNS", str(here / "runs"))
    work = ["--model", "my_model:model", "--data", "my_model:data"]
    assert main(["plan", *work]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["n_pairs"] == 11 * 23
    assert main(["run", *work]) == 0
    assert (here / "runs" / plan["run_id"] / "run.json").exists()


def test_more_metrics_of_a_finished_run_need_no_model(here, capsys):
    main(RUN)
    assert main([*RUN, "--metric", "f1_micro"]) == 0
    table = emap.Run.load("run").table()
    assert table.loc["full", "f1_micro"] == 1.0
    assert "accuracy" in table


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "my_model:data", "--data-arg", "label=maybe"], "not a class of the model"),
        (["--data", "my_model:data", "--data-arg", "n=1"], "at least 2"),
        (["--model", "my_model:wrong_shape"], "shape (4,) for 4 pairs"),
        (
            ["--model", "my_model:one_number"],
            "choose --data-arg task=binary and --data-arg classes=no,yes",
        ),
        (["--model", "my_model:nan"], "returned nan for the text"),
        (["--model", "my_model:absent"], "absent"),
        (["--model", "nonsense"], "nonsense"),
        (["--space", "odds"], "expected one of logits"),
        (["--metric", "beauty"], "beauty"),
        (["--model-arg", "size"], "not a valid K=V"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_no_folder(arguments, message, here, capsys):
    assert main([*RUN, *arguments]) == 2
    written = capsys.readouterr()
    assert message in written.err
    assert written.err.startswith("error: ")
    assert written.err.count("\n") == 1
    assert written.out == ""
    assert not (here / "run").exists()


def test_show_of_nothing_says_so(here, capsys):
    assert main(["show", "nowhere"]) == 2
    assert "there is no run 'nowhere'" in capsys.readouterr().err


@pytest.mark.slow
def test_demo_additive_has_no_gap(here, capsys):
    arguments = ["--model", "demo:additive", "--data", "demo:easy-vqa", "--limit", "200"]
    assert main(["run", *arguments, "--out", "additive"]) == 0
    run = emap.Run.load("additive")
    assert np.abs(run.decomposition.interaction).max() < 1e-4
    assert run.gap("accuracy", "emap").difference == 0


@pytest.mark.slow
def test_demo_text_only_has_text_alone(here):
    run = emap.compute("demo:text-only", "demo:easy-vqa", out="text")
    shares = run.decomposition.variance_shares
    assert np.nanmax(shares[1:]) < 1e-9


@pytest.mark.slow
def test_demo_concat_relies_on_interactions(here, capsys):
    work = ["--model", "demo:concat", "--data", "demo:easy-vqa", "--out", "concat"]
    main(["run", *work, "--n-resamples", "100"])
    capsys.readouterr()
    main(["show", "concat", "--json"])
    record = json.loads(capsys.readouterr().out)
    assert record["n_pairs_evaluated"] == 107 * 1000
    assert record["n_examples"] == 9673
    assert record["metrics"]["accuracy"]["full"] >= 0.98
    assert record["metrics"]["accuracy"]["gap"] >= 0.10
    assert not math.isnan(record["metrics"]["accuracy"]["gap_leave_one_out_low"])


@pytest.mark.slow
def test_demo_projection_equals_all_pairs_spelled_out(here):
    data = emap.load_dataset("demo:easy-vqa", limit=200)
    model = emap.load_model("demo:concat")
    run = emap.compute(model, data, out="few")
    texts = model.encode_texts(list(data.texts))
    images = model.encode_images([data.images[i] for i in range(200)])
    rows, columns = (index.ravel() for index in np.indices((200, 200)))
    spelled_out = model.score(take(texts, rows), take(images, columns)).detach().numpy()
    expected = emap.decompose(spelled_out.reshape(200, 200, -1))
    np.testing.assert_allclose(run.decomposition.emap, expected.emap, rtol=0, atol=1e-5)


README = (Path(__file__).parents[1] / "README.md").read_text()


@pytest.mark.parametrize(
    "line", re.findall(r"`(--(?:model|data) .*?)`", README.partition("## What can be loaded")[2])
)
def test_the_readme_names_specs_and_flags_that_there_are(line):
    given = shlex.split(line)
    rest = [] if "--data" in given else ["--data", "demo:easy-vqa"]
    rest += [] if "--model" in given else ["--model", "demo:concat"]
    found = _parser().parse_args(["run", *given, *rest])
    for spec, loaders in ((found.model, models.LOADERS), (found.data, datasets.LOADERS)):
        prefix = spec.partition(":")[0]
        assert prefix in loaders or prefix.startswith("my_package.")


def test_a_plan_prints_pictures_only_where_they_are_asked_for(capsys):
    work = ["plan", "--model", "demo:concat", "--data", "demo:easy-vqa", "--limit", "20"]
    assert main(work) == 0
    plain = json.loads(capsys.readouterr().out)
    assert [one["items"][1]["image"] for one in plain["previews"]] == [None] * 4
    assert main([*work, "--images"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert all(one["items"][1]["image"] for one in shown["previews"])


@pytest.mark.slow
def test_what_a_model_returns_is_said_on_the_terminal(tmp_path, monkeypatch, capsys):
    (tmp_path / "rows_of_softmax.py").write_text(
        "from emap_core import load_model\n"
        "def load():\n"
        "    model = load_model('demo:concat')\n"
        "    def scores(texts, images):\n"
        "        found = model.score(model.encode_texts(texts), model.encode_images(images))\n"
        "        return found.softmax(1)\n"
        "    scores.classes = model.classes\n"
        "    return scores\n"
    )
    monkeypatch.chdir(tmp_path)
    work = ["run", "--model", "rows_of_softmax:load", "--data", "demo:easy-vqa", "--limit", "20"]
    work += ["--out", str(tmp_path / "run"), "--n-resamples", "100"]
    assert main(work) == 2
    said = capsys.readouterr().err
    assert "set --output probabilities or, if these are logits, --output logits" in said
    assert not (tmp_path / "run").exists()
    assert main([*work, "--output", "probabilities", "--allow-noise"]) == 0
    assert "Noise makes up about 0% of the variance" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command",
    [
        ["show", "RUN", "--csv", "FOLDER"],
        ["show", "RUN", "--csv", "FILE/table.csv"],
        ["report", "RUN", "--out", "FOLDER"],
        ["figures", "RUN", "--out", "FILE/figures"],
        ["merge", "RUN", "--out", "FILE/merged"],
    ],
)
def test_what_cannot_be_written_is_said_before_a_run_is_read(command, tmp_path, capsys):
    (tmp_path / "FILE").write_text("")
    (tmp_path / "FOLDER").mkdir()
    places = ("FILE", "FOLDER")
    given = [str(tmp_path / one) if one.startswith(places) else one for one in command]
    assert main(given) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_an_option_of_show_that_would_change_nothing_is_refused(tmp_path, capsys):
    path = str(emap.compute(Staged(), make_examples(), out=tmp_path / "run").path)
    for options in (["--json", "--metric=f1_macro"], ["--by=label", "--margin=0.02"]):
        assert main(["show", path, *options]) == 2
        assert "leave it out" in capsys.readouterr().err
    assert main(["show", path, "--metric=f1_macro"]) == 0
    assert "macro F1" in capsys.readouterr().out.split("\n")[0]


@pytest.mark.parametrize("command", ["run", "show"])
def test_a_gap_under_what_is_required_fails_the_command(command, here, capsys):
    assert main(RUN) == 0
    gap = emap.Run.load("run").gap("accuracy")
    again = RUN if command == "run" else ["show", "run", "--json"]
    for required, failures in ((gap.low - 1e-6, 0), (gap.low + 1e-6, 1), (gap.difference, 1)):
        capsys.readouterr()
        given = [f"--fail-under={required}", "--junit", "reports/gap.xml"]
        assert main([*again, *given]) == failures
        out, err = capsys.readouterr()
        line = err.splitlines()[-1]
        assert line.startswith("failed: " if failures else "passed: ")
        assert "the gap in accuracy is at least" in line
        suite = ElementTree.parse("reports/gap.xml").getroot()[0]  # noqa: S314 - just written
        assert (suite.get("tests"), suite.get("failures")) == ("1", str(failures))
        assert [one.get("message") for one in suite.iter("failure")] == [line] * failures
    if command == "show":
        json.loads(out)


def test_the_gap_of_another_metric_can_be_required(here, capsys):
    main([*RUN, "--metric", "accuracy", "--metric", "f1_macro"])
    limit = emap.Run.load("run").gap("f1_macro").low
    assert main(["show", "run", "--metric=f1_macro", f"--fail-under={limit + 1e-6}"]) == 1
    assert "the gap in macro F1" in capsys.readouterr().err


def test_a_gap_that_cannot_be_measured_is_not_the_required_one(one_item_allowed, tmp_path, capsys):
    path = str(emap.compute(Staged(), make_examples(n_texts=1), out=tmp_path / "run").path)
    assert main(["show", path, "--fail-under=-0.5"]) == 1
    assert "all examples share one text, so it is not measurable" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--fail-under", "5"], "0.05 is 5 points"),
        (["--fail-under", "nan"], "expected a number below 1"),
        (["--fail-under", "0", "--shard", "1/2", "--batch-size", "64"], "for whole runs"),
        (["--junit", "gap.xml"], "give --fail-under, too"),
        (["--fail-under", "0", "--junit", "."], "cannot be written"),
    ],
)
def test_a_requirement_that_makes_no_sense_is_refused_before_the_run(
    arguments, message, here, capsys
):
    assert main([*RUN, *arguments, "--progress", "none"]) == 2
    assert message in capsys.readouterr().err
    assert not (here / "run").exists()


def test_a_requirement_needs_labels(tmp_path, capsys):
    path = str(emap.compute(Staged(), make_examples(labels=None), out=tmp_path / "run").path)
    assert main(["show", path, "--fail-under", "0"]) == 2
    assert "--fail-under needs labels" in capsys.readouterr().err


@pytest.mark.slow
def test_probe_asks_a_run_and_says_what_it_found(tmp_path, capsys):
    path = str(tmp_path / "run")
    run = emap.compute("demo:concat", "demo:easy-vqa", data_args={"limit": 40}, out=path)
    name = run.ids[0]
    assert main(["probe", path, "attribution", "--example", name, "--cost"]) == 0
    passes = json.loads(capsys.readouterr().out)["passes"]
    assert main(["probe", path, "attribution", "--example", name]) == 0
    said = capsys.readouterr().out
    assert name in said and "of what masking changes" in said
    assert main(["probe", path, "attribution", "--example", name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["passes"] == passes
    assert main(["probe", path, "attribution", "--largest", "2", "--json"]) == 0
    found = [json.loads(line)["example"] for line in capsys.readouterr().out.splitlines()]
    table = run.examples().sort_values("interaction_size", ascending=False)
    assert found == table.id.head(2).tolist()
    assert main(["probe", path, "attribution", "--largest", "2"]) == 0
    assert "Over 2 examples, “" in capsys.readouterr().out
    assert main(["check", path]) == 0
    capsys.readouterr()
    for wrong, words in (
        (["attribution"], "--example says which example to ask about, --largest how many"),
        (["attribution", "--example", "nobody"], "has no example 'nobody'"),
        (["attribution", "--largest", "0"], "--largest is 0"),
        (["colour", "--example", name], "there is no probe 'colour'"),
    ):
        assert main(["probe", path, *wrong]) == 2
        assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (".5", 0.5),
        ("1.", 1.0),
        ("-.5e-1", -0.05),
        ("3", 3),
        ("007", "007"),
        (".", "."),
        ("1.2.3", "1.2.3"),
    ],
)
def test_numbers_are_read_as_people_write_them(written, read):
    found = typed_arguments([f"x={written}"], "--model-arg")["x"]
    assert found == read
    assert type(found) is type(read)


@pytest.mark.process
def test_a_terminal_that_is_not_in_utf_8_shows_what_it_can(here):
    data = make_examples()
    data.texts = [f"ünï {text}" for text in data.texts]
    emap.compute(Staged(), data, out=here / "run")
    strict = {"PYTHONIOENCODING": "latin-1:strict", "PYTHONUTF8": "0", "LC_ALL": "C"}
    root = str(Path(emap.__file__).parents[1])
    environment = os.environ | strict | {"PYTHONCOERCECLOCALE": "0", "PYTHONPATH": root}

    def said(*arguments):
        command = [sys.executable, "-m", "emap_core", "show", "run", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, check=True).stdout

    assert "Accuracy ?" in said().decode("latin-1")
    said("--csv", "examples.csv")
    assert "ünï" in (here / "examples.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize("number", [None, 15])
def test_an_interrupt_while_a_model_is_loaded_is_one_line(number, here, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("emap_core.cli._run", interrupted)
    monkeypatch.setattr("emap_core.cli._Stop.signal", number)
    assert main(RUN) == 128 + (number or 2)
    assert capsys.readouterr().err == "stopped; start it again to resume it\n"


@pytest.mark.process
def test_an_interrupt_while_the_program_starts_prints_nothing(tmp_path):
    (tmp_path / "argparse.py").write_text("raise KeyboardInterrupt")
    root = str(Path(emap.__file__).parents[1])
    path = os.pathsep.join([str(tmp_path), root])
    stopped = subprocess.run(
        [sys.executable, "-m", "emap_core", "list"],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
    )
    assert (stopped.returncode, stopped.stderr) == (130, b"")
