"""How far a job is, drawn anew every second while it is at work."""

from __future__ import annotations

from typing import Any

import streamlit as st

from emap_core import jobs
from emap_core.errors import RunError
from emap_core.jobs import Job
from emap_core.text import duration
from pages.shared.access import cancel, may_cancel
from pages.shared.escape import plain

_SECONDS = 1.0


def progress(job: Job) -> None:
    """Draw a job that is at work, with a button that cancels it; the page follows its end."""

    @st.fragment(run_every=_SECONDS, key=f"progress-{job.id}")
    def poll() -> None:
        now = newest(job)
        if not now.alive:
            st.rerun()
        st.progress(done(now), text=plain(headline(now)))
        st.caption(plain(details(now.event)) or " ")
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


def newest(job: Job) -> Job:
    """Return the same job as it is now."""
    try:
        return (jobs.follow(job.id) if job.id else jobs.find(job.run_id or "")) or job
    except RunError:
        return job


def done(job: Job) -> float:
    """Return the share of the pairs that are done."""
    event = job.event
    if job.state == "finished":
        return 1.0
    total = event.get("pairs_total") or 0
    return min(event.get("pairs_done", 0) / total, 1.0) if total else 0.0


def headline(job: Job) -> str:
    """Return in a sentence what a job does just now."""
    event = job.event
    if job.state == "starting":
        return "Loading model and data, scoring a first few pairs …"
    if job.state == "queued":
        return "Queued: another run is using the device."
    if event.get("event") == "encoding":
        return f"Encoding {event['what']}: {event['done'] / event['total']:.0%}"
    if event.get("event") in ("linear_probes", "density"):
        message = str(event.get("message", ""))
        return f"{message[:1].upper()}{message[1:]} …"
    if "pairs_done" not in event:
        return f"About to score {event.get('pairs_total', 0):,} pairs …"
    left = event.get("seconds_left")
    wait = f", {duration(left)} left" if left else ""
    return f"{event['pairs_done']:,} of {event['pairs_total']:,} pairs{wait}"


def details(event: dict[str, Any]) -> str:
    """Return speed and, marked as an estimate, the gap so far."""
    parts = []
    if event.get("pairs_per_second"):
        parts.append(f"{event['pairs_per_second']:,.0f} pairs a second")
    if event.get("gap") is not None:
        parts.append(f"gap so far {event['gap']:.3f} (an estimate from a part of the pairs)")
    return " · ".join(parts)
