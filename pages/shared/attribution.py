"""Which words of an example meet which regions: what is known of it, or how to find it out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from emap_core import jobs
from emap_core.errors import EmapError, RunError
from emap_core.inference.digits import number, signed
from emap_core.jobs import Job, ProbeSpecification
from emap_core.probes.ask import finished
from emap_core.probes.attribution import Attributed, Attribution
from emap_core.probes.subject import Subject
from emap_core.runs import Run
from emap_core.text import duration
from emap_core.visible import visible
from pages.shared.access import ask, policy
from pages.shared.escape import plain
from pages.shared.layout import section
from pages.shared.progress import progress
from pages.shared.selection import choose, set_view, view
from pages.shared.show import selected_ids, show, theme

_CHART = "attribution-map"
_PARTS = {
    "interaction": "What they add together",
    "text": "Text by itself",
    "image": "Image by itself",
}
_PAIRS = 5
_REFUSED = "attribution-refused"


def show_attribution(run: Run, example: int) -> None:
    """Draw which words of an example meet which regions, or offer to find out."""
    probe = Attribution(run.ids[example])
    section(probe.question)
    try:
        found = finished(run, probe)
    except RunError as error:
        st.error(plain(error), icon=":material/error:")
        return
    if isinstance(found, Attributed):
        _show_found(run, example, found)
    else:
        _offer(run, probe)


def _offer(run: Run, probe: Attribution) -> None:
    if policy().viewer:
        st.caption(
            "Nobody has asked this about the example yet, and this server shows finished runs and "
            "starts nothing."
        )
        return
    reason = probe.needs(Subject(run))
    if reason is not None:
        st.caption(plain(f"This run cannot be asked: {reason}."))
        return
    job = _job_of(run, probe)
    if job is not None and job.alive:
        progress(job)
        return
    if job is not None and job.state in ("failed", "interrupted"):
        st.error(plain(job.error or "It was cut off."), icon=":material/error:")
    cost = probe.cost(run)
    wait = "" if cost.seconds is None else f", about {duration(cost.seconds)} at this run’s speed"
    st.caption(
        f"Words are left out and regions covered in many ways: {cost.passes:,} pairs to score"
        f"{wait}, after some seconds to load the model. What is found is kept with the run."
    )
    st.button(
        "Find out",
        key="attribution-start",
        icon=":material/play_arrow:",
        on_click=_start,
        args=(run, probe),
    )
    refused = st.session_state.pop(_REFUSED, None)
    if refused is not None:
        st.error(plain(refused), icon=":material/error:")


def _start(run: Run, probe: Attribution) -> None:
    try:
        ask(run, probe.name, example=str(probe.example))
    except EmapError as error:
        st.session_state[_REFUSED] = str(error)


def _job_of(run: Run, probe: Attribution) -> Job | None:
    """Return the newest job that asks this."""
    for job in jobs.list_jobs("probe"):
        asked = job.work
        if (
            isinstance(asked, ProbeSpecification)
            and (asked.run, asked.probe) == (run.id, probe.name)
            and asked.settings.get("example") == probe.example
        ):
            return job
    return None


def _show_found(run: Run, example: int, found: Attributed) -> None:
    st.markdown(plain(found.sentence))
    part = choose("Show", _PARTS, "part", label_visibility="collapsed")
    pair = _pair(example, found)
    if part == "interaction":
        _choice(
            st.pills,
            "A word, and its regions in the picture",
            "word",
            pair[0],
            {k: plain(name) for k, name in enumerate(found.words)},
            lambda word: _choose(example, word, found.region_of(word)),
        )
    chart = found.chart(
        theme(),
        pair=pair,
        show=part,
        picture=run.thumbnail(int(run.decomposition.image_index[example])),
    )
    show(
        chart,
        _CHART,
        on_select=lambda: _clicked(example, found, pair),
        selection_mode="points",
    )
    if part == "interaction":
        _choice(
            st.selectbox,
            "A region, and its words beside the picture",
            "region",
            pair[1],
            {k: visible(f"{found.where(k)}: {name}") for k, name in enumerate(found.regions)},
            lambda region: _choose(example, pair[0], region),
        )
        _list_pairs(found)
    st.caption(plain(" ".join(found.details)))


def _pair(example: int, found: Attributed) -> tuple[int, int]:
    """Return the word and the region of the link, the strongest where it is of another example."""
    given = [int(part) for part in view("pair").split(":") if part.isdecimal()]
    if len(given) == 3 and given[0] == example:
        word, region = given[1:]
        if word < len(found.words) and region < len(found.regions):
            return word, region
    return found.strongest(1)[0]


def _choose(example: int, word: int, region: int) -> None:
    set_view(pair=f"{example}:{word}:{region}")


def _choice(
    draw: Any,
    label: str,
    name: str,
    current: int,
    options: dict[int, str],
    take: Callable[[int], None],
) -> None:
    key = f"attribution-{name}"
    # The URL is the truth.
    st.session_state[key] = current

    def changed() -> None:
        chosen = st.session_state[key]
        take(current if chosen is None else chosen)

    draw(label, list(options), format_func=options.__getitem__, key=key, on_change=changed)


def _clicked(example: int, found: Attributed, pair: tuple[int, int]) -> None:
    for one in selected_ids(st.session_state[_CHART])[:1]:
        name, _, number_of = one.partition("-")
        if name == "word":
            _choose(example, int(number_of), found.region_of(int(number_of)))
        elif name == "region":
            _choose(example, pair[0], int(number_of))


def _list_pairs(found: Attributed) -> None:
    if found.nothing:
        return
    lines = [
        "- "
        + plain(
            f"“{found.words[w]}” with the {found.where(p)} ({found.regions[p]}): "
            f"{signed(found.interactions[w, p])} ± {number(1.96 * found.standard_errors[w, p])}"
        )
        for w, p in found.strongest(_PAIRS)
    ]
    st.markdown("\n".join([f"The strongest pairs, in {found.unit}:", "", *lines]))
