"""What is this, and what can I do with it? Open a finished run, or start with the demo."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from emap_core import jobs
from emap_core.errors import EmapError, reason
from emap_core.human_readable import capitalised, counted
from emap_core.modalities import sides_of
from emap_core.modalities.side_names import worded
from emap_core.option_names import ORDERS
from emap_core.presentation.run_list import gap_in_words, in_order, matching
from emap_core.runs import RunInfo
from emap_core.runs.folder import STATUS_IN_WORDS
from pages import shared


@dataclass(frozen=True)
class Demo:
    """A run to try that needs nothing but this page.

    Attributes
    ----------
    title, about : str
        What it is, in one line and in a few sentences.
    button : str
    work : RunSpecification
    """

    title: str
    about: str
    button: str
    work: jobs.RunSpecification


DEMOS = (
    Demo(
        "Try it on a small model that answers questions about shapes",
        "9,673 questions about 1,000 images, and a network trained on similar ones. The demo "
        "takes about ten seconds on a laptop.",
        "Run the demo",
        jobs.RunSpecification("demo:concat", "demo:easy-vqa"),
    ),
    Demo(
        "Or on one that reads a question, a written and a spoken digit",
        "“Is the sum even?” takes all three of them. 600 such examples, six questions, and a "
        "network trained on other examples. This demo also takes about ten seconds on a laptop.",
        "Try three sides",
        # There are only these six questions.
        jobs.RunSpecification("demo:digits-joint", "demo:digits", {"cluster": "written+spoken"}),
    ),
)
SHOWN = 12
# From this many runs on, people need a search.
SEARCHED_FROM = 10

PICTURE = """
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 322 112" width="400" height="139"
 font-family="sans-serif" font-size="14">
 <g stroke="INK" stroke-width="1">
  <rect x="1" y="36" width="90" height="36" fill="#0072B2"/>
  <rect x="91" y="36" width="130" height="36" fill="#E69F00"/>
  <rect x="221" y="36" width="100" height="36" fill="#CC79A7"/>
  <path d="M1 28v-8h320v8M1 80v8h220v-8" fill="none"/>
 </g>
 <g text-anchor="middle">
  <text x="161" y="13" fill="INK">what the model predicts</text>
  <text x="46" y="59" fill="#FFFFFF">text</text>
  <text x="156" y="59" fill="#1F2328">image</text>
  <text x="271" y="59" fill="#1F2328">interaction</text>
 </g>
 <text x="1" y="106" fill="INK">what is left without interactions: its EMAP</text>
</svg>
"""


def main() -> None:
    """Draw the page."""
    shared.header("Does your model use the image and the text together?")
    shared.say(
        "EMAP Lens compares a model with its best additive version, which only adds what the text "
        "says to what the image says. The difference is what the model gains from using both "
        "together. See how large it is, and in which examples."
    )
    st.image(
        PICTURE.replace("INK", shared.theme().ink),
        # On a phone it shrinks to the width of the page, and its words stay readable.
        width=400,
        alt="A prediction is a text part plus an image part plus their interaction. EMAP is what "
        "is left without the interaction.",
    )
    runs = shared.finished_runs()
    demo = st.session_state.get("demo-job")
    if demo is not None:
        _follow_demo(jobs.follow(demo))
    elif not runs and shared.policy().viewer:
        shared.empty("There is nothing to see yet. This server only shows finished runs.")
    elif not runs:
        _offer_demos()
    if runs:
        shared.section("Finished runs")
        found = _searched(runs) if len(runs) >= SEARCHED_FROM else runs
        for info in found[:SHOWN]:
            _run_card(info)
        if len(found) > SHOWN:
            _run_lines(counted(len(found) - SHOWN, "more run"), "more-runs", found[SHOWN:])
    archived = shared.archived_runs()
    if archived:
        _run_lines(counted(len(archived), "archived run"), "archived-runs", archived)
    damaged = shared.damaged_runs()
    if damaged:
        with st.expander(counted(len(damaged), "damaged run")):
            for info in damaged:
                shared.text(f"{info.id}: {info.error}")
    unfinished = [
        info
        for info in shared.all_runs()
        if info.status not in ("finished", "damaged") and not info.is_archived
    ]
    if unfinished:
        with st.expander(counted(len(unfinished), "unfinished run")):
            for info in unfinished:
                words = f"{info.id} {STATUS_IN_WORDS[info.status]}"
                shared.link("pages/run.py", words, icon=":material/hourglass_top:", run=info.id)
    shared.link("pages/run.py", "Run a model on your data", icon=":material/play_circle:", run=None)
    if runs and demo is None and not shared.policy().viewer:
        # Other people's runs do not show a newcomer how to make one.
        with st.expander("New here? Try a demo"):
            _offer_demos(folded=True)


def _offer_demos(*, folded: bool = False) -> None:
    heading = shared.subsection if folded else shared.section
    for number, (place, demo) in enumerate(zip(st.columns(len(DEMOS)), DEMOS, strict=True)):
        with place, st.container(border=True, height="stretch"):
            heading(demo.title)
            st.write(demo.about)
            st.button(
                demo.button,
                # Begin with one of them.
                type="secondary" if number or folded else "primary",
                icon=":material/play_arrow:",
                on_click=_start_demo,
                args=(number,),
            )


def _start_demo(number: int) -> None:
    try:
        st.session_state["demo-job"] = shared.start(DEMOS[number].work).id
    except EmapError as error:
        st.error(shared.plain(error))


def _follow_demo(job: jobs.Job) -> None:
    if job.alive:
        with st.container(border=True):
            shared.section("The demo is running")
            shared.progress(job)
        return
    if job.state == "finished" and job.run_id:
        del st.session_state["demo-job"]
        shared.go_to("overview", run=job.run_id)
    why = f": {job.error}" if job.error else "."
    st.error(shared.plain(f"The demo {job.became}{why}"), icon=":material/error:")
    _offer_demos()


def _searched(runs: list[RunInfo]) -> list[RunInfo]:
    """Draw a search over the runs, kept in the link, and return those found."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        words = shared.type_in(
            "Find runs",
            "find",
            placeholder="A part of name, tag, model, data, date or comment",
            icon=":material/search:",
        )
        by = shared.choose("Order", ORDERS, "order", width=200)
        shared.copy_link()
    found = matching(runs, words)
    if not found:
        st.caption(shared.plain(f"None of {len(runs):,} runs has all these words: {words}"))
    elif len(found) < len(runs):
        st.caption(f"{len(found):,} of {len(runs):,} runs")
    return in_order(found, by, shared.gap_of)


def _run_lines(words: str, key: str, runs: list[RunInfo]) -> None:
    """Fold runs behind a label, one line each."""
    unfolded = st.expander(words, key=key, on_change="rerun")
    # Only visitors who unfold them wait for hundreds of menus.
    if unfolded.open:
        with unfolded:
            for info in runs:
                _run_line(info)


def _run_card(info: RunInfo) -> None:
    try:
        run = shared.open_run(info.id)
        picture, sentence = run.thumbnail(0), shared.known_verdict(run)
    except Exception as error:
        # Whatever is wrong with one run, the others still open.
        said = error if isinstance(error, EmapError) else f"run {info.id!r}: {reason(error)}"
        st.error(shared.plain(said), icon=":material/error:")
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        with st.container(key=f"card-picture-{info.id}", width=72):
            st.image(picture, alt="The first image of the data")
        with st.container(width="stretch", gap="xsmall"):
            st.markdown(f"**{shared.plain(shared.about(info.manifest, shared.title_of(run)))}**")
            if sentence:
                shared.text(sentence)
            else:
                st.caption("Nobody has computed the verdict yet. Open the run to compute it.")
            shared.said_of(info)
            made = shared.made_as(info.manifest, info.id)
            if sentence and run.known_gap is not None:
                made = f"interval {worded(run.sides, run.known_gap.population)} · {made}"
            st.caption(shared.plain(capitalised(made)))
        shared.link("pages/overview.py", "Open", icon=":material/arrow_forward:", run=info.id)
        shared.run_menu(info)


def _run_line(info: RunInfo) -> None:
    gap = shared.gap_of(info) if shared.view("order") == "gap" else None
    words = shared.about(info.manifest, shared.title_of(info))
    if gap is not None:
        words += f" · {gap_in_words(gap)} {worded(sides_of(info.manifest), gap.population)}"
    words += f" · {shared.made_as(info.manifest, info.id)}"
    if tags := ", ".join(info.manifest["tags"]):
        words += f" · {tags}"
    with st.container(horizontal=True, vertical_alignment="center"):
        shared.link("pages/overview.py", words, run=info.id)
        shared.run_menu(info)


main()
