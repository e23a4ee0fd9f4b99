"""A job's progress, redrawn twice a second while it runs."""

from __future__ import annotations

from typing import Any

import streamlit as st

from emap_core import jobs
from emap_core.access import uploads
from emap_core.errors import RunError
from emap_core.human_readable import duration, size
from emap_core.jobs import Job, RunSpecification
from emap_core.modalities import sides_of
from emap_core.modalities.side_names import cells_of
from emap_core.presentation.run_titles import run_title
from pages.shared.layout import link
from pages.shared.plain_text import plain
from pages.shared.run_and_example import all_runs, run_info
from pages.shared.visitor import cancel, is_own, may_cancel, visitor

_SECONDS = 0.5
_SECONDS_ON_OTHER_PAGES = 5.0


def progress(job: Job) -> None:
    """Draw a running job with a button that cancels it; the page redraws when the job ends."""

    @st.fragment(run_every=_SECONDS, key=f"progress-{job.id}")
    def poll() -> None:
        now = newest(job)
        if not now.alive:
            st.rerun()
        st.progress(done(now), text=plain(headline(now)))
        st.caption(plain(details(now)) or " ")
        if not may_cancel(now):
            return
        st.button(
            "Cancel",
            key=f"cancel-{job.id or job.run_id}",
            icon=":material/stop_circle:",
            on_click=cancel,
            args=(now,),
            help="Finished work is kept. You can start the run again.",
        )

    poll()


def at_work() -> list[Job]:
    """Return the running jobs: those started here, then those of other processes in the folder.

    A run started in a terminal or by another server is known only by its folder. It is running if
    its manifest says so and a process holds its lock.
    """
    here = jobs.list_jobs("run", alive=True)
    known = {job.run_id for job in here}
    elsewhere = (
        jobs.find(info.id)
        for info in all_runs()
        if info.status in ("running", "queued") and info.id not in known
    )
    return [*here, *(job for job in elsewhere if job is not None)]


def say_what_runs(page: str) -> None:
    """Say on every page that a run is still running, with a link to it, until it ends."""
    told = [job for job in at_work() if _concerns(job, page)]
    if not told:
        return

    @st.fragment(run_every=_SECONDS_ON_OTHER_PAGES, key="what-runs")
    def poll() -> None:
        for job in map(newest, told):
            whose = "Your run" if is_own(job) else "A run"
            if job.alive:
                link(
                    "pages/run.py",
                    f"{whose} is still running: {title_of_job(job)}: {headline(job)}",
                    icon=":material/hourglass_top:",
                    run=job.run_id,
                )
            elif job.state == "finished":
                link(
                    "pages/overview.py",
                    f"{whose} is finished: {title_of_job(job)}",
                    icon=":material/check_circle:",
                    run=job.run_id,
                )
            else:
                link(
                    "pages/run.py",
                    f"{whose} {job.became}: {title_of_job(job)}",
                    icon=":material/error:",
                    run=job.run_id,
                )

    poll()


def _concerns(job: Job, page: str) -> bool:
    """Return whether a page mentions a job that it does not follow itself."""
    if page == "run" or (not page and job.id == st.session_state.get("demo-job")):
        return False
    return visitor() is None or is_own(job)


def title_of_job(job: Job) -> str:
    """Return what a job computes: the name given to its run, or its model on its data."""
    if not isinstance(job.work, RunSpecification):
        info = run_info(job.run_id or "")
        return job.id if info is None else run_title(info.manifest)
    from emap_core.datasets.upload import as_uploaded

    of_both = f"{job.work.model} on {as_uploaded(job.work.data, uploads())}"
    return str(job.work.settings.get("name") or of_both)


def newest(job: Job) -> Job:
    """Return the current state of the same job."""
    try:
        return (jobs.follow(job.id) if job.id else jobs.find(job.run_id or "")) or job
    except RunError:
        return job


def done(job: Job) -> float:
    """Return the share of pairs that are done, or of a download that comes first."""
    event = job.event
    if job.state == "finished":
        return 1.0
    if event.get("event") == "download":
        return min(float(event["done"] / event["total"]), 1.0)
    total = event.get("pairs_total") or 0
    return min(event.get("pairs_done", 0) / total, 1.0) if total else 0.0


def _amount(event: dict[str, Any]) -> str:
    if event["unit"] == "B":
        return f"{size(event['done'])} of {size(event['total'])}"
    return f"{event['done']:,} of {event['total']:,}"


def headline(job: Job) -> str:
    """Return in a sentence what a job is doing now."""
    event = job.event
    if event.get("event") == "download" and event["done"] < event["total"]:
        return f"Downloading {event['what']}: {_amount(event)}"
    if job.state == "starting":
        return "Loading the model and the data, scoring a small part of the grid …"
    if job.state == "queued":
        return "Queued: another run is using the device."
    if event.get("event") == "encoding":
        return f"Encoding {event['what']}: {event['done'] / event['total']:.0%}"
    if event.get("event") in ("linear_probes", "density"):
        message = str(event.get("message", ""))
        return f"{message[:1].upper()}{message[1:]} …"
    if "pairs_done" not in event:
        return f"About to score {event.get('pairs_total', 0):,} {_cells(job)} …"
    left = event.get("seconds_left")
    wait = f", {duration(left)} left" if left else ""
    return f"{event['pairs_done']:,} of {event['pairs_total']:,} {_cells(job)}{wait}"


def details(job: Job) -> str:
    """Return speed and, marked as an estimate, the gap so far."""
    event, parts = job.event, []
    if event.get("pairs_per_second"):
        parts.append(f"{event['pairs_per_second']:,.0f} {_cells(job)} a second")
    if event.get("gap") is not None:
        parts.append(f"gap so far {event['gap']:.3f} (an estimate from some of the {_cells(job)})")
    return " · ".join(parts)


def _cells(job: Job) -> str:
    info = run_info(job.run_id or "")
    return cells_of(2 if info is None else len(sides_of(info.manifest)))
