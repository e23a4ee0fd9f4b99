"""The run, the example and the class that every page is about."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import streamlit as st

from emap_core.errors import RunError, SettingError
from emap_core.inference import Gap, Verdict
from emap_core.presentation.run_list import known_gap
from emap_core.presentation.run_titles import file_name, run_title
from emap_core.presentation.run_titles import run_titles as titles_of
from emap_core.runs import Run, RunInfo, list_runs
from emap_core.runs.folder import describe_run, holds_run, runs_root
from emap_core.runs.store import address, location
from emap_core.untrusted_text import visible
from pages.shared.page_lifecycle import inside_app
from pages.shared.plain_text import plain
from pages.shared.side_names_on_pages import speak_of
from pages.shared.url_selection import assume, select, selected, view


def finished_runs() -> list[RunInfo]:
    """Return the finished runs that lists show, the newest first."""
    return [run for run in all_runs() if run.status == "finished" and not run.is_archived]


def archived_runs() -> list[RunInfo]:
    """Return the runs that lists hide, the newest first."""
    return [run for run in all_runs() if run.is_archived]


def gap_of(info: RunInfo) -> Gap | None:
    """Return the gap of a run's first metric, or None if its interval was never computed."""
    try:
        return _known_gap(run_key(info), info)
    except LookupError:
        return None


@st.cache_resource(max_entries=2000, show_spinner=False)
def _known_gap(key: tuple[str, str], _info: RunInfo) -> Gap:
    gap = known_gap(_info)
    if gap is None:
        # Nothing is cached in this case: the next look may find one.
        raise LookupError
    return gap


def damaged_runs() -> list[RunInfo]:
    """Return the runs whose folders cannot be read, each with the reason."""
    return [run for run in all_runs() if run.status == "damaged"]


def run_titles() -> dict[str, str]:
    """Return the ids of the finished runs that lists show, each with a name of its own.

    Streamlit tells the options of a choice apart by their labels alone.
    """
    titles = _listed(address(runs_root())).titles
    return {info.id: titles[info.id] for info in finished_runs()}


def title_of(run: Run | RunInfo) -> str:
    """Return the name of a run on pages."""
    titles = _listed(address(runs_root())).titles
    return titles.get(run.id) or visible(run_title(run.manifest))


def file_of(run: Run, what: str) -> str:
    """Return a name for a file about a run: the run's name on pages, then what the file is."""
    return file_name(title_of(run), what)


def all_runs() -> list[RunInfo]:
    """Return all runs in any state, newest first."""
    return _listed(address(runs_root())).runs


def forget_lists() -> None:
    """Read the list of runs again after one of them changed."""
    _listed.clear()


@dataclass(frozen=True)
class _Listing:
    """All runs in any state, and the titles of the finished ones, by id."""

    runs: list[RunInfo]
    titles: dict[str, str]


@st.cache_resource(ttl=2, show_spinner=False)
def _listed(root: str) -> _Listing:
    runs = list_runs(location(root))
    titles = titles_of({info.id: info.manifest for info in runs if info.status == "finished"})
    return _Listing(runs, {run_id: visible(title) for run_id, title in titles.items()})


def run_info(run_id: str) -> RunInfo | None:
    """Return what is known about a run, or None if there is no such run."""
    # A link must never lead out of the runs folder.
    if not run_id or run_id != Path(run_id).name or run_id.startswith("."):
        return None
    path = runs_root() / run_id
    return describe_run(path) if holds_run(path) else None


def open_run(run_id: str) -> Run:
    """Return a finished run by its id; visitors share it.

    Raises
    ------
    RunError
        If there is no such run, or it is not finished.
    """
    info = run_info(run_id)
    if info is None:
        raise RunError(f"there is no run {run_id!r} here")
    return _load(address(info.path), json.dumps(info.manifest))


def run_key(run: Run | RunInfo) -> tuple[str, str]:
    """Return what tells a run apart in caches, also from a run computed later in its place.

    A finished run can be asked for other metrics or resamples at any time.
    """
    wishes = (run.manifest[name] for name in ("created", "metrics", "resampling"))
    return str(run.path), json.dumps([*wishes])


def known_verdict(run: Run) -> str | None:
    """Return a run's verdict if its interval was computed before; None rather than wait."""
    return run.verdict_sentence if run.has_intervals else None


def verdict_of(run: Run) -> Verdict:
    """Return a run's verdict by the view's equivalence margin, if the view has one."""
    try:
        return run.verdict(float(view("smallest")))
    except (ValueError, SettingError):
        return run.verdict()


def current_run() -> Run | None:
    """Return the finished run that the URL names, or None."""
    try:
        return open_run(selected("run") or "")
    except RunError:
        return None


def require_run(question: str) -> Run:
    """Return the run that the URL names, or the newest.

    If there is none, show the page's question, say what to do and stop.
    """
    inside_app()
    run_id = selected("run")
    if run_id is None:
        run_id = _newest_whole_run()
        if run_id is None:
            st.title(question, anchor=False)
            _stop("There is no finished run yet.", "pages/start.py", "Start with the demo")
        assume(run=run_id)
    try:
        run = open_run(run_id)
        # Whatever stands above the header in the code is about this run, too.
        speak_of(run)
        return run
    except RunError as error:
        st.title(question, anchor=False)
        info = run_info(run_id)
        if info is not None and info.status in ("running", "queued"):
            _stop("This run is still being computed.", "pages/run.py", "See its progress", run_id)
        st.error(plain(error), icon=":material/error:")
        if info is not None and info.status == "damaged":
            _stop("Other runs are not affected.", "pages/start.py", "Choose a run")
        if info is not None:
            _stop("Finished work is kept.", "pages/run.py", "Start it again", run_id)
        _stop("The link may be old, or from another server.", "pages/start.py", "Choose a run")


def _newest_whole_run() -> str | None:
    for info in finished_runs():
        try:
            open_run(info.id).verify()
        except RunError:
            continue
        return info.id
    return None


def current_example(run: Run) -> int | None:
    """Return the position of the example that the URL names, or None if it is not here."""
    return _positions(run).get(selected("example") or "")


def missing_example(run: Run) -> str | None:
    """Return the name of the example in the URL if the run does not have it, such as another's."""
    name = selected("example")
    return None if not name or name in _positions(run) else name


def select_example(run: Run, position: int | None) -> None:
    """Make an example the current one on every page; None selects none."""
    select(example=None if position is None else run.ids[position])


def current_class(run: Run) -> int | None:
    """Return the column of the class that the URL names, or None if it is not here."""
    name = selected("class")
    return run.classes.index(name) if name in run.classes else None


def select_class(run: Run, column: int | None) -> None:
    """Make a class the current one on every page; None selects none."""
    select(**{"class": None if column is None else run.classes[column]})


@st.cache_resource(max_entries=8, show_spinner="Opening the run …")
def _load(path: str, manifest: str) -> Run:
    return Run.load(path)


def _positions(run: Run) -> dict[str, int]:
    return _positions_of(run_key(run), run)


@st.cache_resource(max_entries=8, show_spinner=False)
def _positions_of(key: tuple[str, str], _run: Run) -> dict[str, int]:
    return {name: position for position, name in reversed(list(enumerate(_run.ids)))}


def _stop(message: str, page: str, label: str, run_id: str | None = None) -> NoReturn:
    st.info(message, icon=":material/info:")
    st.page_link(
        page,
        label=label,
        icon=":material/arrow_forward:",
        query_params={"run": run_id} if run_id else {},
    )
    st.stop()
