"""A question that needs the model again: its cost, a button to ask it, and its progress."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from emap_core import jobs
from emap_core.errors import EmapError
from emap_core.human_readable import duration
from emap_core.jobs import Job, ProbeSpecification
from emap_core.probes.base import Probe
from emap_core.probes.probed_run import ProbedRun
from emap_core.runs import Run
from pages.shared.job_progress import progress
from pages.shared.plain_text import plain
from pages.shared.visitor import ask, policy


def offer(
    run: Run,
    probes: Probe | Sequence[Probe],
    how: str,
    button: str = "Find out",
    **choices: str | list[str] | None,
) -> None:
    """Show what a probe would cost and a button that starts it, or its progress once started.

    Parameters
    ----------
    run : Run
    probes : Probe or sequence of Probe
        One job asks several; their costs are added.
    how : str
        What is done, to put before the cost: "Words are left out and regions covered".
    button : str
        What the button says.
    **choices
        Settings of the probe, as its job takes them; None leaves a setting out.
    """
    several = probes if isinstance(probes, Sequence) else [probes]
    probe = several[0]
    if policy().viewer:
        st.caption("Nobody has asked this yet, and this server only shows finished runs.")
        return
    reason = probe.needs(ProbedRun(run))
    if reason is not None:
        st.caption(plain(f"This run cannot be asked: {reason}."))
        return
    job = _job_of(run, probe, choices)
    if job is not None and job.alive:
        progress(job)
        return
    if job is not None and job.state in ("failed", "interrupted"):
        st.error(plain(job.error or "It was cut off."), icon=":material/error:")
    costs = [one.cost(run) for one in several]
    n_passes = sum(cost.passes for cost in costs)
    seconds = [cost.seconds for cost in costs if cost.seconds is not None]
    pairs = f"{n_passes:,} pairs to score" if n_passes else "no pairs to score"
    wait = f", about {duration(sum(seconds))} at this run’s speed" if seconds else ""
    st.caption(
        f"{how}: {pairs}{wait}, plus a few seconds to load the model. The result is kept with the "
        "run."
    )
    key = probe.name if probes is probe else f"{probe.name}-several"
    refused = f"{key}-refused"
    st.button(
        button,
        key=f"{key}-start",
        icon=":material/play_arrow:",
        on_click=_start,
        args=(run, probe, choices, refused),
    )
    why = st.session_state.pop(refused, None)
    if why is not None:
        st.error(plain(why), icon=":material/error:")


def _start(run: Run, probe: Probe, choices: dict[str, Any], refused: str) -> None:
    try:
        ask(run, probe.name, **choices)
    except EmapError as error:
        st.session_state[refused] = str(error)


def _job_of(run: Run, probe: Probe, choices: dict[str, Any]) -> Job | None:
    """Return the newest job that asks this question."""
    for job in jobs.list_jobs("probe"):
        asked = job.work
        if (
            isinstance(asked, ProbeSpecification)
            and (asked.run, asked.probe) == (run.id, probe.name)
            and all(asked.settings.get(name) == value for name, value in choices.items())
        ):
            return job
    return None
