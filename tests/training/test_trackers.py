"""Finished runs in the trackers that training uses."""

import sys
from types import SimpleNamespace

import pytest
from samples import Staged, make_examples

import emap_core as emap
from emap_core.cli import main
from emap_core.training import numbers_of


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    return emap.compute(Staged(), make_examples(), out=folder, n_resamples=100, name="late", step=7)


def test_numbers_go_to_tensorboard(run, tmp_path, capsys):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert main(["log", str(run.path), "--to", "tensorboard", "--out", str(tmp_path / "tb")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "tb")
    found = EventAccumulator(str(tmp_path / "tb"))
    found.Reload()
    for name, value in numbers_of(run).items():
        (one,) = found.Scalars(name)
        assert one.step == 7 and one.value == pytest.approx(value)
    (told,) = found.Tensors("emap/run/text_summary")
    assert run.verdict().sentence in told.tensor_proto.string_val[0].decode()


@pytest.mark.process
def test_numbers_go_to_mlflow(run, tmp_path, monkeypatch, capsys):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    assert main(["log", str(run.path), "--to", "mlflow", "--step", "9"]) == 0
    assert "run " in capsys.readouterr().out
    client = mlflow.MlflowClient()
    (experiment,) = client.search_experiments()
    (kept,) = client.search_runs([experiment.experiment_id])
    assert kept.info.run_name == "late"
    assert kept.data.metrics == pytest.approx(numbers_of(run))
    assert kept.data.tags["emap.verdict"].startswith(run.verdict().sentence)
    (point,) = client.get_metric_history(kept.info.run_id, "emap/accuracy_gap")
    assert point.step == 9


def test_numbers_go_to_wandb(run, monkeypatch, capsys):
    """Against its public interface: without an account it sends nothing."""
    done: list = []
    begun = SimpleNamespace(
        log=lambda numbers, step: done.append((numbers, step)),
        finish=lambda: done.append("finished"),
        url="https://wandb.test/1",
        dir="wandb",
    )
    asked: dict = {}
    library = SimpleNamespace(init=lambda **given: asked.update(given) or begun)
    monkeypatch.setitem(sys.modules, "wandb", library)
    assert main(["log", str(run.path), "--to", "wandb"]) == 0
    assert capsys.readouterr().out.strip() == begun.url
    assert asked["name"] == "late" and asked["config"]["Method"] == "exact"
    assert done == [(numbers_of(run), 7), "finished"]


def test_a_tracker_that_refuses_is_one_line_without_its_password(run, monkeypatch, capsys):
    where = "postgresql://me:pass@word@host/db"

    def refused(**_):
        raise RuntimeError(f"no login at {where}\nTraceback")

    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(start_run=refused))
    assert main(["log", str(run.path), "--to", "mlflow"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.partition(", raised in")[0] == (
        "error: mlflow did not accept the run: no login at postgresql://…@host/db"
    )

    class Begun:
        info = SimpleNamespace(run_id="1a")

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

    library = SimpleNamespace(
        start_run=lambda **_: Begun(),
        log_metrics=lambda *_, **__: None,
        set_tags=lambda _: None,
        get_tracking_uri=lambda: where,
    )
    monkeypatch.setitem(sys.modules, "mlflow", library)
    assert main(["log", str(run.path), "--to", "mlflow"]) == 0
    assert capsys.readouterr().out.strip() == "run 1a of postgresql://…@host/db"
    assert main(["log", str(run.path), "--to", "mlflow", "--step", str(2**63)]) == 2
    assert "expected a whole number from 0 to" in capsys.readouterr().err


def test_what_is_missing_or_unused_is_told(run, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    assert main(["log", str(run.path), "--to", "mlflow"]) == 2
    assert "needs mlflow: pip install '.[mlflow]'" in capsys.readouterr().err
    assert main(["log", str(run.path), "--to", "wandb", "--out", "x"]) == 2
    assert "--out is for the files of TensorBoard; leave it out" in capsys.readouterr().err
