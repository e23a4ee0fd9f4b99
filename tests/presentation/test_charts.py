from __future__ import annotations

import importlib.util
import sys
from xml.etree import ElementTree

import pytest
from samples import Staged, make_examples

import emap_core as emap
from emap_core.cli import main
from emap_core.presentation.charts import report_charts


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return emap.compute(Staged(), make_examples(), out=folder / "staged", fingerprint="a")


@pytest.mark.slow
def test_figures_of_a_run_are_those_of_its_report(run):
    charts = report_charts(run)
    assert list(charts)[:6] == ["gap", "shares", "decisions", "contributions", "modes", "mode-1"]
    assert [name for name in charts if name.startswith("example")][:2] == ["example-1", "example-2"]
    for draw in charts.values():
        assert len(draw().figure.data) > 0


def test_without_labels_and_grid_there_are_fewer(tmp_path):
    data = make_examples(labels=None)
    run = emap.compute(Staged(), data, out=tmp_path / "run", fingerprint="b", keep="sums")
    names = [name for name in report_charts(run) if not name.startswith("example")]
    assert names == ["shares", "contributions", "measures"]


def test_without_kaleido_the_command_says_what_to_install(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "kaleido.errors", None)
    assert main(["figures", str(run.path), "--out", str(tmp_path / "figures")]) == 2
    assert "pip install '.[images]'" in capsys.readouterr().err
    assert not (tmp_path / "figures").exists()


@pytest.mark.skipif(importlib.util.find_spec("kaleido") is None, reason="needs kaleido")
def test_the_command_writes_a_picture_a_figure(run, tmp_path, monkeypatch, capsys):
    import emap_core.presentation.charts

    charts = report_charts(run)
    few = {name: charts[name] for name in ("gap", "decisions")}
    monkeypatch.setattr(emap_core.presentation.charts, "report_charts", lambda _: few)
    if main(["figures", str(run.path), "--out", str(tmp_path / "figures")]):
        pytest.skip(capsys.readouterr().err)
    written = sorted((tmp_path / "figures").iterdir())
    assert [path.name for path in written] == ["decisions.svg", "gap.svg"]
    for path in written:
        assert ElementTree.parse(path).getroot().tag.endswith("svg")  # noqa: S314 — our own file
