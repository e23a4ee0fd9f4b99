"""Every page of a run of a question, a written and a spoken digit."""

from __future__ import annotations

import pytest

import emap_core as emap
from emap_core.modalities import why_not_two
from pages import page_names


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Runs of two models of three sides in a folder of their own; the first of them."""
    root = tmp_path_factory.mktemp("runs")
    settings = {"cluster": "written+spoken", "n_resamples": 100}
    runs = [
        emap.compute(f"demo:digits-{name}", "demo:digits", **settings, out=root / name)
        for name in ("joint", "pairs")
    ]
    return runs[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", page_names(of_a_run=True))
def test_each_page_shows_its_part_or_says_why_not(name, digits, open_page, words, monkeypatch):
    monkeypatch.setenv("EMAP_RUNS", str(digits.path.parent))
    said = words(open_page(name, run=digits.id))
    expected = {
        "overview": "needs all three together",
        "contributions": "The question moves",
        "examples": "Another spoken item",
        "recombine": "What if the question or spoken item were different?",
        "modes": "Question items and spoken items of the **same side**",
        "measures": why_not_two(digits.sides, "Each of these measures"),
        "compare": "2 of 2 runs use their sides together measurably",
        "report": "Share this result",
    }
    assert expected[name] in said
    assert "6 question × 100 written × 50 spoken" in said


@pytest.mark.slow
def test_a_link_that_names_other_sides_shows_these(digits, open_page, words, monkeypatch):
    monkeypatch.setenv("EMAP_RUNS", str(digits.path.parent))
    view = {"run": digits.id, "view": "first.written~second.spoken"}
    assert "mean over all items of question" in words(open_page("recombine", **view))
    boxes = {box.label: box.value for box in open_page("contributions", **view).selectbox}
    assert (boxes["Across"], boxes["Upwards"]) == ("written", "spoken")
