"""Report: share a run."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import streamlit as st

from emap_core.figures import Chart
from emap_core.figures.export import FORMS, HOW_TO_INSTALL, picture
from emap_core.presentation.charts import overview_figures
from emap_core.presentation.report import report_html
from emap_core.runs import Run
from emap_core.runs.store import zipped
from pages import shared

TITLE = "Share this result"


def _page() -> None:
    run = shared.require_run(TITLE)
    verdict = shared.verdict_of(run)
    shared.header(TITLE, verdict.sentence, run)
    st.subheader("One file for a colleague", anchor=False)
    st.markdown(
        "The report is one HTML file with the verdict, interactive figures, images and examples. "
        "It opens in any browser, offline, with nothing installed."
    )
    st.download_button(
        "Download the report",
        lambda: _report(shared.run_key(run), verdict.equivalence_margin, run),
        f"{run.id}.html",
        "text/html",
        type="primary",
        icon=":material/download:",
        on_click="ignore",
    )
    st.caption("Or from a terminal:")
    st.code(f"python -m emap_core report {run.id} --out report.html", language="shell")

    st.subheader("The numbers", anchor=False)
    with st.container(horizontal=True):
        if run.metrics:
            st.download_button(
                "Table as CSV",
                lambda: run.table(intervals=True).to_csv(),
                f"{run.id}-table.csv",
                "text/csv",
                icon=":material/download:",
                on_click="ignore",
            )
        st.download_button(
            "Examples as CSV",
            lambda: _examples(run),
            f"{run.id}-examples.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
        st.download_button(
            "The whole run as zip",
            lambda: zipped(run.path),
            f"{run.id}.zip",
            "application/zip",
            icon=":material/folder_zip:",
            on_click="ignore",
            help="Unpack it into the folder of runs on another machine. It opens there without "
            "the model.",
        )

    st.subheader("Figures for a paper", anchor=False)
    _show_figures(run)
    shared.next_step("pages/compare.py", "Compare it with other models")


def _show_figures(run: Run) -> None:
    if importlib.util.find_spec("kaleido") is None:
        st.markdown(
            f"{shared.plain(HOW_TO_INSTALL)}, then start the app again. Each figure of the report "
            "can be saved as PNG from the camera at its upper right."
        )
        return
    charts = {one.name: partial(one.draw, run) for one in overview_figures(run)}
    if not charts:
        st.caption("No text or image can be recombined in this run, so it has no such figure.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox("Figure", list(charts), key="report-figure")
        for form, media in FORMS.items():
            st.download_button(
                form.upper(),
                partial(_picture, charts[name], form),
                f"{run.id}-{name}.{form}",
                media,
                icon=":material/download:",
                on_click="ignore",
            )
    st.caption("Every figure of the report, from a terminal:")
    st.code(f"python -m emap_core figures {run.id} --out figures --form svg", language="shell")


def _picture(draw: Callable[[], Chart], form: str) -> bytes:
    return picture(draw(), form)


@st.cache_data(max_entries=2, show_spinner=False)
def _report(key: tuple[str, str], equivalence_margin: float | None, _run: Run) -> str:
    return report_html(_run, equivalence_margin=equivalence_margin)


def _examples(run: Run) -> str:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "examples.csv"
        run.write_examples(path)
        return path.read_text(encoding="utf-8")


_page()
