"""Report: share a run."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import streamlit as st

from emap_core.figures.export import HOW_TO_INSTALL
from emap_core.installation import program
from emap_core.presentation.paper import bibtex, methods_paragraph
from emap_core.presentation.report import report_html
from emap_core.presentation.tables import intervals_note
from emap_core.runs import Run
from emap_core.runs.store import zipped
from emap_core.untrusted_text import visible
from pages import shared

TITLE = "Share this result"


def _page() -> None:
    run = shared.require_run(TITLE)
    verdict = shared.verdict_of(run)
    shared.header(TITLE, verdict.sentence, run)
    if run.metrics and run.shared_by_all is None:
        st.caption(shared.plain(intervals_note(run)))
    shared.section("One file for a colleague")
    st.markdown(
        "The report is one HTML file with the verdict, interactive figures, images and examples. "
        "It opens offline in any browser; nothing needs to be installed."
    )
    st.download_button(
        "Download the report",
        lambda: _report(shared.run_key(run), verdict.equivalence_margin, shared.title_of(run), run),
        shared.file_of(run, "report.html"),
        "text/html",
        type="primary",
        icon=":material/download:",
        on_click="ignore",
    )
    st.caption("Or from a terminal:")
    st.code(f"{program()} report {run.id} --out report.html", language=None, wrap_lines=True)

    shared.section("The numbers")
    with st.container(horizontal=True):
        if run.metrics:
            st.download_button(
                "Table as CSV",
                lambda: run.table(intervals=True).to_csv(),
                shared.file_of(run, "table.csv"),
                "text/csv",
                icon=":material/download:",
                on_click="ignore",
            )
        st.download_button(
            "Examples as CSV",
            lambda: _examples(run),
            shared.file_of(run, "examples.csv"),
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
        st.download_button(
            "The whole run as zip",
            lambda: zipped(run.path),
            shared.file_of(run, "run.zip"),
            "application/zip",
            icon=":material/folder_zip:",
            on_click="ignore",
            help="Unpack it into the runs folder on another machine. It opens there without the "
            "model.",
        )

    shared.section("Words for a paper")
    st.caption("How it was computed, with the run’s own numbers:")
    st.code(visible(methods_paragraph(run)), language=None, wrap_lines=True)
    with st.expander("What to cite, as BibTeX"):
        st.code(bibtex(run), language=None, wrap_lines=True)
    st.caption(
        "What an editor will ask, and where to find each answer: docs/what_an_editor_will_ask.md "
        "in the source. From a terminal: show --methods and show --bibtex."
    )

    shared.section("Figures for a paper")
    st.markdown(
        "On every page and in the report, two buttons below each figure save it as PNG or SVG. "
        "To save all figures of the report at once, from a terminal:"
    )
    st.code(
        f"{program()} figures {run.id} --out figures --form pdf --width column",
        language=None,
        wrap_lines=True,
    )
    st.caption(shared.plain(f"There, {HOW_TO_INSTALL}."))
    shared.next_step("pages/compare.py", "Compare it with other models")


@st.cache_data(max_entries=2, show_spinner=False)
def _report(key: tuple[str, str], equivalence_margin: float | None, title: str, _run: Run) -> str:
    return report_html(_run, equivalence_margin=equivalence_margin, title=title)


def _examples(run: Run) -> str:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "examples.csv"
        run.write_examples(path)
        return path.read_text(encoding="utf-8")


_page()
