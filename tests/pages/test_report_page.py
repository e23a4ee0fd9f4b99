from __future__ import annotations

from emap_core.presentation.paper import bibtex, methods_paragraph


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


def test_it_says_how_figures_are_saved_one_by_one_and_all_at_once(open_page, words, runs_with_one):
    app = open_page("report", run=runs_with_one.id)
    assert "two buttons below each figure save it as PNG or SVG" in words(app)
    assert f"python -m emap_core figures {runs_with_one.id}" in app.code[-1].value
    assert "SVG, PNG and PDF need kaleido" in words(app)


def test_it_has_the_words_for_a_paper(open_page, runs_with_one):
    told = [one.value for one in open_page("report", run=runs_with_one.id).code]
    assert methods_paragraph(runs_with_one) in told and bibtex(runs_with_one).strip() in told
