import gc
import html
import sys
import tempfile
from types import SimpleNamespace

import plotly.graph_objects as go
import pytest
from samples import Staged, make_examples

import emap_core as emap
from emap_core.inference.number_format import change, p_value, percent
from emap_core.presentation.charts import figures_of

NASTY = '</script><img src=x onerror="alert(1)">'


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    return emap.compute(Staged(), make_examples(), out=folder, n_resamples=100)


def test_a_cell_shows_verdict_table_and_dumbbell(run):
    shown = run._repr_html_()
    assert run.verdict().sentence in shown
    assert percent(run.table().accuracy["text_only"]) in shown
    assert "EMAP, leave-one-out" in shown
    assert shown.count("Plotly.newPlot(") == 1


def test_names_from_data_are_shown_as_they_are(tmp_path):
    model = Staged()
    model.classes = (NASTY, "one", "two")
    data = make_examples(labels=None)
    run = emap.compute(model, data, out=tmp_path / "run", name=f"<b>{'x' * 9}", fingerprint="n")
    shown = run._repr_html_()
    assert "<b>x" not in shown and "&lt;b&gt;x" in shown and "<img" not in shown
    assert "Plotly" not in shown, "without labels there is no gap to draw"


@pytest.mark.slow
def test_every_figure_of_a_run_can_be_asked_for_by_name(run):
    for figure in figures_of(run):
        assert isinstance(run.figure(figure.name), go.Figure)


def test_a_figure_takes_its_choices(run):
    loaded = emap.load_run(run.path)
    d = run.shares
    drawn = loaded.figure("contributions", class_name="two")
    points = [trace for trace in drawn.data if trace.type == "scattergl"]
    texts = sorted(x for trace in points for x in trace.x if x is not None)
    assert texts == pytest.approx(sorted(d.text_effect[:, 2]), abs=1e-5)
    assert loaded.figure("waterfall", example=run.ids[3]) != loaded.figure("waterfall")


@pytest.mark.parametrize(
    ("name", "choice", "message"),
    [
        ("scatter", {}, "has no figure 'scatter'; choose one of gap, shares, decisions"),
        ("gap", {"metric": "accuracy"}, "figure 'gap' has no choice 'metric'; leave it out"),
        ("contributions", {"class_name": "ten"}, "class_name is 'ten'; choose one of zero, one"),
        ("mode-ends", {"mode": 0}, "mode is 0; choose one of 1 to"),
        ("waterfall", {"example": "nobody"}, "example is 'nobody'"),
    ],
)
def test_what_a_figure_has_not_is_refused(run, name, choice, message):
    with pytest.raises(emap.EmapError, match=message):
        run.figure(name, **choice)


def test_a_run_is_renamed_and_deleted_from_python(tmp_path):
    run = emap.compute(Staged(), make_examples(), out=tmp_path / "run", n_resamples=100)
    emap.annotate_run(run.path, name="late fusion")
    assert emap.load_run(run.path).manifest["name"] == "late fusion"
    emap.delete_run(run.path)
    assert not run.path.exists()


def test_out_none_keeps_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("EMAP_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    run = emap.compute(Staged(), make_examples(), out=None, n_resamples=100)
    assert run.verdict().sentence and len(run.examples()) == 60
    assert run.path.is_dir() and run.grid is not None
    del run
    gc.collect()
    assert not list(tmp_path.iterdir())
    with pytest.raises(emap.EmapError, match="labels"):
        emap.compute(Staged(), make_examples(labels=["no such"] * 60), out=None)
    assert not list(tmp_path.iterdir())


def test_a_notebook_shows_how_far_a_run_is(tmp_path, monkeypatch, capsys):
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    heard = []
    for told in ({}, {"progress": True, "listener": heard.append}):
        emap.compute(Staged(), make_examples(), out=None, **told)
        assert "253/253" in capsys.readouterr().err
    assert heard[-1]["event"] == "finished"
    emap.compute(Staged(), make_examples(), out=None, progress=False)
    assert "253" not in capsys.readouterr().err
    monkeypatch.delitem(sys.modules, "IPython")
    emap.compute(Staged(), make_examples(), out=None)
    assert not capsys.readouterr().err


def test_a_gap_and_a_decomposition_say_what_they_are(run):
    gap = run.gap("accuracy")
    shown = gap._repr_html_()
    assert change(gap.difference, "points") in shown and gap.population in shown
    assert "(EMAP, leave-one-out), N = 60." in shown and p_value(gap.p_value) in html.unescape(
        shown
    )
    shown = run.shares._repr_html_()
    assert "60 examples, 11 (text) × 23 (image) recombined, 3 classes" in shown
    assert all(percent(share) in shown for share in run.shares.pooled_shares)
