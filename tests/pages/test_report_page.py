from __future__ import annotations

import pytest


def test_report_table_examples_and_folder_can_be_taken_along(open_page, words, runs_with_one):
    app = open_page("report", run=runs_with_one.id)
    assert runs_with_one.verdict().sentence in words(app)
    labels = [button.label for button in app.get("download_button")]
    assert labels[:4] == [
        "Download the report",
        "Table as CSV",
        "Examples as CSV",
        "The whole run as zip",
    ]
    assert f"python -m emap_core report {runs_with_one.id}" in app.code[0].value


def test_figures_for_a_paper_can_be_had_from_a_terminal(open_page, runs_with_one):
    pytest.importorskip("kaleido")
    app = open_page("report", run=runs_with_one.id)
    assert f"python -m emap_core figures {runs_with_one.id}" in app.code[1].value


def test_what_is_missing_for_figures_is_said(open_page, words, runs_with_one, monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "kaleido" else find(name, *a)
    )
    assert "SVG and PNG need kaleido" in words(open_page("report", run=runs_with_one.id))
