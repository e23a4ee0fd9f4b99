"""What the architecture page says about adding a metric, a figure and a page, done at run time.

Each is an entry of a registry and one function or file; from there on it is everywhere.
"""

import json

import plotly.graph_objects as go
import pytest
from samples import Staged, make_examples
from streamlit.testing.v1 import AppTest

import emap_core as emap
from emap_core.cli import main
from emap_core.figures import Chart
from emap_core.inference.metrics import METRICS, Metric, formulas
from emap_core.inference.number_format import percent
from emap_core.presentation import charts
from emap_core.presentation.charts import RunFigure
from emap_core.presentation.report import report_html
from emap_core.themes import LIGHT
from pages import FOLDER, PAGES, Page, page_names


@pytest.fixture
def run_of(tmp_path, monkeypatch):
    """Return a function that computes a small run in the app's folder."""
    monkeypatch.setenv("EMAP_RUNS", str(tmp_path / "runs"))
    folder = tmp_path / "runs" / "run"
    return lambda **settings: emap.compute(
        Staged(), make_examples(), out=folder, n_resamples=100, **settings
    )


def test_an_invented_metric_is_a_formula_and_an_entry(run_of, monkeypatch, open_page, capsys):
    invented = Metric(
        "half_accuracy",
        "half accuracy",
        ("multiclass",),
        range=(0.0, 0.5),
        of_examples=lambda scored: formulas.right(scored) / 2,
    )
    monkeypatch.setitem(METRICS, invented.name, invented)
    run = run_of(metrics=("accuracy", "half_accuracy"))
    table = run.table()
    assert list(table.half_accuracy) == pytest.approx(list(table.accuracy / 2))
    shown = percent(table.accuracy["emap"] / 2)

    assert main(["show", str(run.path)]) == 0
    said = capsys.readouterr().out
    assert "Half accuracy ↑" in said and shown in said and "Gap in half accuracy: " in said
    assert main(["show", str(run.path), "--json"]) == 0
    assert "half_accuracy" in json.loads(capsys.readouterr().out)["metrics"]
    report = report_html(run)
    assert "Half accuracy ↑" in report and shown in report
    assert "Half accuracy ↑" in run._repr_html_()
    app = open_page("overview", run=run.id)
    scores = app.table[0].value
    assert scores["Half accuracy ↑"].iloc[1].startswith(shown.replace("%", ""))


def test_an_invented_figure_is_a_function_and_an_entry(
    run_of, monkeypatch, open_page, capsys, tmp_path
):
    def text_lengths(run, theme=LIGHT, longest=10**6):
        lengths = [min(len(text), longest) for text in run.texts]
        figure = go.Figure(go.Histogram(x=lengths))
        return Chart(figure, f"The longest text has {max(lengths)} characters.", run.table())

    entry = RunFigure("text-lengths", "How long the texts are", text_lengths)
    monkeypatch.setattr(charts, "FIGURES", [*charts.FIGURES, entry])
    run = run_of()
    message = f"The longest text has {max(map(len, run.texts))} characters."

    app = open_page("overview", run=run.id)
    assert "How long the texts are" in [heading.value for heading in app.header]
    assert message in [chart.proto.alt for chart in app.get("plotly_chart")]
    report = report_html(run)
    assert "<h2>How long the texts are</h2>" in report and message in report
    monkeypatch.setattr("emap_core.figures.export.picture", lambda chart, *_: chart.alt.encode())
    assert main(["figures", str(run.path), "--out", str(tmp_path / "figures")]) == 0
    assert (tmp_path / "figures" / "text-lengths.svg").read_text() == message
    assert max(run.figure("text-lengths", longest=9).data[0].x) == 9
    with pytest.raises(emap.EmapError, match="has no choice 'shortest'; choose one of longest"):
        run.figure("text-lengths", shortest=9)


INVENTED = """
import streamlit as st

from pages import shared

QUESTION = "How long are the texts?"
run = shared.require_run(QUESTION)
shared.header(QUESTION, f"The longest has {max(map(len, run.texts))} characters.", run)
"""


def test_the_list_names_every_file_and_every_file_is_listed():
    files = {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}
    assert {page.path for page in PAGES} == {FOLDER / f"{name}.py" for name in files}
    assert len(page_names()) == len(files)


def test_an_invented_page_is_a_file_and_a_line(tmp_path, monkeypatch, words, runs_with_one):
    (tmp_path / "lengths.py").write_text(INVENTED)
    monkeypatch.setattr(
        "pages.PAGES", [*PAGES, Page("lengths", "Lengths", "straighten", "One model", tmp_path)]
    )
    app = AppTest.from_file(str(FOLDER.parent / "app.py"), default_timeout=60).run()
    app.query_params["run"] = runs_with_one.id
    app.switch_page(str(tmp_path / "lengths.py")).run()
    longest = max(map(len, runs_with_one.texts))
    assert f"The longest has {longest} characters." in words(app)
    assert [title.value for title in app.title] == ["How long are the texts?"]
    assert page_names(of_a_run=True)[-1] == "lengths"
