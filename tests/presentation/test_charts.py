from __future__ import annotations

import importlib.util
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from samples import Staged, make_examples

import emap_core as emap
from emap_core.cli import main
from emap_core.presentation.charts import report_charts, run_figure


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


def test_two_sides_of_other_modalities_have_their_own_colours(tmp_path):
    numbers = np.random.default_rng(0).normal(size=(12, 2, 3))
    sounds = [{"array": np.full(8, abs(one[0, 0]) / 4), "sampling_rate": 8_000} for one in numbers]
    rows = [{"height": float(height)} for height in numbers[:, 1, 0]]

    def model(sounds, rows):
        first = np.array([sound.samples.mean() for sound in sounds])
        second = np.array([row["height"] for row in rows])
        return np.stack([first, first * second], axis=1)

    sides = {"sound": sounds, "body": rows}
    data = {"sides": sides, "labels": ["a", "b"] * 6, "classes": ["a", "b"]}
    run = emap.compute(model, data, out=tmp_path / "run", n_resamples=100, fingerprint="c")
    green, sky, blue, orange = "#009E73", "#56B4E9", "#0072B2", "#E69F00"
    drawn = {name: str(draw().figure.data) for name, draw in report_charts(run).items()}
    assert not [name for name, seen in drawn.items() if blue in seen or orange in seen]
    for name in ("shares", "contributions", "example-1"):
        assert green in drawn[name] and sky in drawn[name]


def test_words_of_the_data_stay_where_sides_get_their_names(tmp_path):
    sides = {"left": ["u", "v", "w"], "right": ["x", "y", "z"]}

    def model(left, right):
        a, b = ([len(one) + ord(one[0]) for one in some] for some in (left, right))
        return np.stack([np.multiply(a, b) % 7, np.add(a, b) % 5], axis=1).astype(float)

    data = {"sides": sides, "labels": [0, 1, 0], "classes": ["an image", "no text"]}
    run = emap.compute(model, data, out=tmp_path / "run", n_resamples=100, fingerprint="d")
    classes = run_figure(run, "shares").figure.layout.yaxis.ticktext
    assert {"an image", "no text"} < set(classes)
    steps = run_figure(run, "waterfall").figure.layout.yaxis.ticktext
    assert list(steps) == ["mean", "left", "right", "EMAP", "interaction", "logit"]


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
