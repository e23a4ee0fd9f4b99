"""Run a model: choose it and its data, see the cost, start, and follow the run."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import streamlit as st

from emap_core import jobs, methods
from emap_core.access import uploads
from emap_core.datasets import LOADERS as DATA_LOADERS
from emap_core.datasets import with_prefix
from emap_core.datasets.demo import NAMES as DEMO_DATA
from emap_core.datasets.preview import Preview, preview_elsewhere
from emap_core.datasets.sides import wanted_sides
from emap_core.datasets.upload import KINDS, as_uploaded, receive
from emap_core.errors import EmapError, SettingError
from emap_core.human_readable import duration, size
from emap_core.inference.predictions.scores import in_words
from emap_core.jobs import Job, RunSpecification
from emap_core.methods.method_settings import SETTINGS
from emap_core.modalities import NAMES as MODALITIES
from emap_core.modalities import Side, guessed
from emap_core.modalities.side_names import cells_of, grid_of
from emap_core.models import LOADERS as MODEL_LOADERS
from emap_core.models.demo import NAMES as DEMO_MODELS
from emap_core.models.local_checkpoints import checkpoints_nearby
from emap_core.option_names import BOXES, CHOICES, TABLE_BOXES, TYPED
from emap_core.presentation.run_titles import run_title
from emap_core.runs.annotations import LONGEST_NAME
from emap_core.runs.folder import STATUS_IN_WORDS
from emap_core.specs import typed_arguments
from emap_core.types import SPACES
from emap_core.untrusted_text import visible_table
from pages import shared

NONE = {"label": "(no labels)", "regions": "(no regions)"}
MOST_UNFINISHED = 5
KEPT = {"grid": "the whole grid", "classes": "the grid of some classes", "sums": "sums only"}


def main() -> None:
    """Draw the page."""
    followed = _followed()
    shared.header("Run a model", _answer(followed))
    here = followed is not None and _was_started_here(followed) and _why_not() is None
    if followed is not None and not here:
        _followed_job(followed)
    this = None if followed is None else (followed.id, followed.run_id)
    others = [job for job in shared.at_work() if (job.id, job.run_id) != this]
    if others:
        shared.section("Also running")
        for job in others:
            _other_job(job)
    _list_unfinished(followed)
    if (why := _why_not()) is not None:
        shared.empty(why)
        return
    shared.section("New run")
    work = _form()
    plan = _plan_of(work)
    _cost(work, plan, followed if here else None)


def _was_started_here(job: Job) -> bool:
    """Say whether the person has just pressed a button of this page to start the job."""
    return job.work is not None and job.work.key == st.session_state.get("run-started")


def _why_not() -> str | None:
    """Return why visitors may not start anything here, or None if they may."""
    try:
        shared.policy().check_full()
    except EmapError as error:
        return str(error)
    return None


def _followed() -> Job | None:
    """Return the job that this visitor started last, or the one of the run in the URL."""
    job_id = st.session_state.get("run-job")
    if job_id is not None:
        job = jobs.follow(job_id)
        if job.run_id is not None:
            # From now on the URL names the run, so the visitor can leave the page or share it.
            del st.session_state["run-job"]
            shared.select(run=job.run_id)
        return job
    run_id = shared.selected("run")
    return None if run_id is None else jobs.find(run_id)


def _answer(job: Job | None) -> str:
    if job is None or job.state == "finished":
        return "Choose a model and data. You see the cost before anything starts."
    if job.alive:
        return f"{shared.title_of_job(job)}: {shared.headline(job)}"
    return f"{shared.title_of_job(job)} {job.became}."


def _followed_job(job: Job) -> None:
    with st.container(border=True):
        st.markdown(f"**{shared.plain(shared.title_of_job(job))}**")
        if job.alive:
            shared.progress(job)
            return
        if job.state == "finished":
            st.success("This run is finished.", icon=":material/check_circle:")
            shared.link(
                "pages/overview.py",
                "Do interactions matter here?",
                icon=":material/arrow_forward:",
                run=job.run_id,
            )
            return
        if job.error:
            st.error(_said(job.error), icon=":material/error:")
        if _why_not() is not None:
            return
        if job.work is None:
            st.write("Start the same command again. It resumes where it stopped.")
        else:
            st.button(
                "Start it again",
                icon=":material/replay:",
                on_click=_start,
                args=(job.work,),
                help="It resumes where it stopped. Finished work is not repeated.",
            )


def _other_job(job: Job) -> None:
    words = f"{shared.title_of_job(job)}: {shared.headline(job)}"
    if job.run_id is not None:
        shared.link("pages/run.py", words, icon=":material/hourglass_top:", run=job.run_id)
    else:
        shared.text(words)


def _list_unfinished(followed: Job | None) -> None:
    """List the newest runs that did not finish, each with a link to resume it."""
    unfinished = [
        info
        for info in shared.all_runs()
        if info.status in ("cancelled", "interrupted", "failed")
        and (followed is None or followed.run_id != info.id)
    ]
    if not unfinished:
        return
    shared.section("Not finished")
    for info in unfinished[:MOST_UNFINISHED]:
        words = (
            f"{run_title(info.manifest)} {STATUS_IN_WORDS[info.status]} · "
            f"{shared.made_as(info.manifest, info.id)}"
        )
        shared.link("pages/run.py", words, icon=":material/replay:", run=info.id)
    if len(unfinished) > MOST_UNFINISHED:
        st.caption(f"The start page lists all {len(unfinished):,}.")


def _said(error: str) -> str:
    """Return a job's error in the words of the page, safe inside Markdown."""
    return shared.plain(as_uploaded(error, uploads()))


def _form() -> RunSpecification:
    left, right = st.columns(2)
    with left:
        models = [f"demo:{name}" for name in DEMO_MODELS]
        models += _checkpoints(shared.policy().roots)
        model = _spec("Model", models, "model", MODEL_LOADERS)
    with right:
        data = _spec("Data", [f"demo:{name}" for name in DEMO_DATA], "data", DATA_LOADERS)
        data = _uploaded() or data
    arguments = _of_table(data)
    arguments += _columns(data, arguments)
    with st.expander("Settings"):
        settings = _settings()
    settings["data_arg"] = [*arguments, *settings.pop("data_arg", [])]
    if not settings["data_arg"]:
        del settings["data_arg"]
    return RunSpecification(model, data, settings)


@st.cache_data(max_entries=5, ttl=30, show_spinner=False)
def _checkpoints(roots: tuple[Path, ...] | None) -> list[str]:
    return checkpoints_nearby([Path()] if roots is None else roots)


def _uploaded() -> str | None:
    """Draw the upload, and return the spec of what was uploaded."""
    file = st.file_uploader(
        "Or upload your own data; it replaces the choice above",
        list(KINDS),
        key="run-upload",
        help="A zip with a table (csv, json, jsonl or parquet) and the images it names, or a "
        "parquet file with both.",
    )
    if file is None:
        return None
    try:
        shared.policy().check_full()
        return _received(file.name, file.getvalue())
    except EmapError as error:
        st.error(shared.plain(error), icon=":material/error:")
        return None


@st.cache_data(max_entries=20, show_spinner="Unpacking …")
def _received(name: str, content: bytes) -> str:
    return receive(name, content, uploads())


def _of_table(data: str) -> list[str]:
    """Draw fields for where a table's images and answers are; return loader arguments."""
    if data.startswith("demo:"):
        return []
    arguments = []
    with st.expander("Images, choices and other files of the data"):
        columns = st.columns(2)
        for place, (name, (example, meaning)) in enumerate(TABLE_BOXES.items()):
            typed = columns[place % 2].text_input(
                BOXES[name],
                key=f"run-{name.replace('_', '-')}",
                placeholder=example,
                help=shared.plain(meaning),
                persist_state="session",
            )
            if typed.strip():
                # As JSON, so that a number stays the text that was typed.
                arguments.append(f"{name}={json.dumps(typed.strip())}")
        if columns[1].checkbox(
            BOXES["merge_labels"],
            key="run-merge-labels",
            help="Merge labels that differ only in capitals, spaces or a full stop.",
            persist_state="session",
        ):
            arguments.append("merge_labels=true")
    return arguments


def _columns(data: str, given: list[str]) -> list[str]:
    """Draw the first rows of a table and what each column is; return loader arguments."""
    try:
        shared.policy().check_data(data)
        typed = st.session_state.get("run-data-options", "").splitlines()
        settings = typed_arguments(
            [*given, *filter(None, map(str.strip, typed))],
            TYPED["data"],
        )
        if (split := st.session_state.get(f"run-split-{data}")) is not None:
            settings["split"] = split
        found = _preview(with_prefix(data), json.dumps(settings), shared.policy().roots)
    except EmapError as error:
        st.error(_said(str(error)), icon=":material/error:")
        return []
    if found is None:
        return []
    arguments = []
    if found.splits:
        split = st.segmented_control(
            "Split", found.splits, default=found.splits[0], key=f"run-split-{data}", required=True
        )
        arguments.append(f"split={split}")
    of_all = "rows" if found.n_rows is None else f"of {found.n_rows:,} rows"
    st.markdown(f"**The first {of_all}.** Which column is what?")
    st.dataframe(visible_table(found.rows), hide_index=True)
    if found.like_labels:
        some = ", ".join(found.like_labels[:8])
        st.info(
            shared.plain(
                f"These columns look like labels: {some}. Choose one, or {NONE['label']}."
            ),
            icon=":material/help:",
        )
    sides = _sides(data, found)
    if sides:
        # As JSON, so that a name may hold a space.
        arguments.append(f"side={json.dumps(sides)}")
    not_asked = ("text", "image", "regions") if sides else ()
    boxes = [
        (what, names) for what, names in found.offered.items() if names and what not in not_asked
    ]
    for side, (what, names) in zip(st.columns(len(boxes)), boxes, strict=True):
        taken, none = found.taken[what], NONE.get(what)
        start = taken or (None if what == "label" and found.like_labels else none)
        offered = names if none is None else [none, *names]
        chosen = side.selectbox(
            BOXES[f"{what}_column"],
            offered,
            None if start is None else offered.index(start),
            key=f"run-column-{what}-{data}",
            placeholder="choose",
            persist_state="session",
        )
        if chosen is not None and chosen != start:
            arguments.append(f"{what}_column={'' if chosen == none else chosen}")
    if st.checkbox(
        BOXES["skip_bad"],
        key="run-skip-bad",
        help="The run lists them. If this is off, the first one stops the run.",
        persist_state="session",
    ):
        arguments.append("skip_bad=true")
    return arguments


def _sides(data: str, found: Preview) -> list[str]:
    """Draw the choice of sides other than a text and an image, or of more than two.

    Returns
    -------
    Each as ``NAME=COLUMN:MODALITY``, in the order in which the model reads them; none where the
    sides are a text and an image.
    """
    columns = st.multiselect(
        BOXES["side"],
        list(found.modalities),
        key=f"run-sides-{data}",
        accept_new_options=True,
        persist_state="session",
        placeholder="two or more columns, in the order in which the model reads them",
        help="For example, a premise and a hypothesis, or a question, a picture and a sound. "
        "A pattern of columns in braces, such as {id}.wav, can replace a column.",
    )
    if not columns:
        return []
    sides = []
    for number, (place, column) in enumerate(zip(st.columns(len(columns)), columns, strict=True)):
        key = f"{number}-{column}-{data}"
        name = place.text_input(
            f"Name of side {number + 1}",
            value=column,
            key=f"run-side-name-{key}",
            persist_state="session",
        )
        guess = found.modalities.get(column) or guessed(column, [column])
        kind = place.selectbox(
            f"Kind of side {number + 1}",
            MODALITIES,
            MODALITIES.index(guess),
            key=f"run-side-kind-{key}",
            persist_state="session",
        )
        sides.append(f"{name.strip() or column}={column}:{kind}")
    try:
        wanted_sides(sides)
    except SettingError as error:
        st.error(shared.plain(error), icon=":material/error:")
    return sides


@st.cache_data(max_entries=20, ttl=60, show_spinner="Reading the table …")
def _preview(data: str, settings: str, roots: tuple[Path, ...] | None) -> Preview | None:
    return preview_elsewhere(data, json.loads(settings), roots)


def _spec(label: str, demos: list[str], key: str, loaders: Iterable[str]) -> str:
    first = "demo:concat" if "demo:concat" in demos else demos[0]
    prefixes = ", ".join(f"{prefix}:" for prefix in loaders)
    value = st.selectbox(
        label,
        demos,
        index=demos.index(first),
        key=f"run-{key}",
        disabled=key == "data" and st.session_state.get("run-upload") is not None,
        accept_new_options=True,
        persist_state="session",
        help=shared.plain(
            f"Choose a demo or type a spec: {prefixes} or module:factory, a Python function that "
            f"returns the {label.lower()}."
        ),
    )
    return value or first


def _settings() -> dict[str, Any]:
    first, second, third = st.columns(3)
    kept: dict[str, Any] = {"persist_state": "session"}
    limit = first.number_input(
        BOXES["limit"],
        min_value=2,
        value=None,
        step=100,
        key="run-limit",
        placeholder="all",
        help="A random sample, the same one every time.",
        **kept,
    )
    space = second.selectbox(
        BOXES["space"],
        SPACES,
        format_func=in_words,
        key="run-space",
        help="EMAP of logits and EMAP of probabilities differ. Logits are the usual choice.",
        **kept,
    )
    keep = third.selectbox(
        BOXES["keep"],
        list(CHOICES["keep"]),
        format_func=CHOICES["keep"].__getitem__,
        key="run-keep",
        **kept,
    )
    method = first.selectbox(
        BOXES["method"],
        methods.NAMES,
        key="run-method",
        help="; ".join(f"{one.name} {one.summary}" for one in methods.methods()) + ".",
        **kept,
    )
    settings: dict[str, Any] = {
        "limit": limit,
        "space": None if space == "logits" else space,
        "keep": None if keep == "auto" else "grid" if keep == "classes" else keep,
        "method": None if method == methods.DEFAULT else method,
    }
    if methods.method(method).scores_all_pairs and third.checkbox(
        BOXES["density"],
        key="run-density",
        help="Tests whether the verdict depends on unlikely recombinations, judged by the model’s "
        "encodings. Needs a model with encoders, labels, and the grid on disk.",
        **kept,
    ):
        settings["density"] = "encodings"
    if keep == "classes":
        settings["keep_classes"] = third.number_input(
            BOXES["keep_classes"], min_value=1, value=10, key="run-keep-classes", **kept
        )
    of_method = [(one, one.box) for one in SETTINGS if one.method == method and one.box]
    for column, (one, (least, value)) in zip((second, third), of_method, strict=False):
        settings[one.name] = column.number_input(
            BOXES[one.name],
            min_value=least,
            value=value,
            key=f"run-{one.name.replace('_', '-')}",
            **kept,
        )
    cluster = second.selectbox(
        BOXES["cluster"],
        list(CHOICES["cluster"]),
        format_func=lambda one: CHOICES["cluster"].get(one, one),
        key="run-cluster",
        accept_new_options=True,
        help="Decides whom the intervals speak of. Examples that share a text or an image are not "
        "independent. With more than two sides, type the names of the sides to draw, joined by +.",
        **kept,
    )
    settings["cluster"] = None if cluster == "auto" else cluster
    unknown = first.selectbox(
        BOXES["unknown_labels"],
        list(CHOICES["unknown_labels"]),
        format_func=CHOICES["unknown_labels"].__getitem__,
        key="run-unknown-labels",
        help="For example, an answer that is not in the model’s list. The result says how many "
        "there were.",
        **kept,
    )
    settings["unknown_labels"] = None if unknown == "error" else unknown
    settings["output"] = second.selectbox(
        BOXES["output"],
        list(CHOICES["output"]),
        format_func=CHOICES["output"].__getitem__,
        key="run-output",
        help="If outputs look like probabilities, the run stops until you say what they are.",
        **kept,
    )
    noisy = third.checkbox(
        BOXES["allow_noise"],
        key="run-allow-noise",
        help="A noisy model scores the same input differently each time, and the noise counts as "
        "interaction. The result gives its share.",
        **kept,
    )
    settings["allow_noise"] = True if noisy else None
    for side, what in ((first, "model"), (second, "data")):
        typed = side.text_area(
            TYPED[what],
            key=f"run-{what}-options",
            placeholder="name=value, one per line",
            height=80,
            help="Keyword arguments for its loader, such as classes=yes,no or template=…",
            **kept,
        )
        settings[f"{what}_arg"] = [line.strip() for line in typed.splitlines() if line.strip()]
    settings["name"] = third.text_input(
        BOXES["name"],
        key="run-name",
        max_chars=LONGEST_NAME,
        placeholder="late fusion, seed 0",
        help="The run’s name in every list. You can change it later on the start page.",
        **kept,
    ).strip()
    return {name: value for name, value in settings.items() if value not in (None, "", [])}


def _plan_of(work: RunSpecification) -> Job | None:
    """Return the plan that this visitor asked for, if it is for exactly this work."""
    job_id = st.session_state.get("run-plan")
    if job_id != f"plan-{work.key}":
        return None
    return jobs.follow(job_id)


def _cost(work: RunSpecification, plan: Job | None, started: Job | None) -> None:
    """Draw what the work costs and the button that starts it, or how far the work is."""
    if plan is not None and plan.alive:
        _wait(plan)
        return
    if plan is not None and plan.state != "finished":
        st.error(_said(plan.error or f"The check {plan.became}."), icon=":material/error:")
    elif plan is not None:
        _first_rows(plan.event)
        pairs, time, disk = st.columns(3)
        cost = plan.event
        sides = tuple(Side(one["name"], one["modality"]) for one in cost["sides"])
        grid = grid_of(sides, [one["n_items"] for one in cost["sides"]])
        pairs.metric(
            f"{cells_of(len(sides)).capitalize()} to score",
            f"{cost['n_pairs']:,}",
            grid,
            "off",
            delta_arrow="off",
        )
        time.metric(
            "Time, about",
            duration(cost["seconds"]),
            f"measured on {cost['device']}",
            "off",
            delta_arrow="off",
        )
        grid_bytes = 0 if cost["keep"] == "sums" else cost["grid_bytes"]
        pictures = cost["picture_bytes"]
        disk.metric(
            "Disk, about",
            size(grid_bytes + pictures) if grid_bytes + pictures else "little",
            KEPT[cost["keep"]] + (f", and {size(pictures)} of pictures" if pictures else ""),
            "off",
            delta_arrow="off",
        )
    if started is not None:
        # A toast is visible wherever the page is scrolled to; the button need not be at the top.
        with st.bottom:
            _followed_job(started)
        if started.work is not None and started.work.key == work.key:
            return
    row = st.container(horizontal=True)
    if plan is not None and plan.state == "finished":
        row.button(
            "Start", type="primary", icon=":material/play_arrow:", on_click=_start, args=(work,)
        )
    else:
        row.button(
            "See what it costs",
            type="primary",
            icon=":material/calculate:",
            on_click=_plan,
            args=(work,),
            help="Loads the model and the data, scores a small part of the grid and keeps nothing.",
        )


@st.fragment(run_every=0.5)
def _wait(plan: Job) -> None:
    now = shared.newest(plan)
    if not now.alive:
        st.rerun()
    st.progress(shared.done(now), text=shared.plain(shared.headline(now)))
    st.skeleton(height=280)


def _first_rows(plan: dict[str, Any]) -> None:
    n, classes = plan["n_examples"], plan["classes"]
    st.markdown(
        f"**The first of {n:,} examples**, {shared.plain(plan['task'])}, "
        f"{len(classes)} classes: {shared.plain(', '.join(classes[:20]))}"
        + (" …" if len(classes) > 20 else "")
    )
    for line in plan["columns"]:
        if line.startswith("No labels"):
            st.warning(shared.plain(line), icon=":material/warning:")
        else:
            st.caption(shared.plain(line))
    if reads := plan.get("reads"):
        st.markdown("**How the model reads the first of them**")
        for line in reads:
            shared.text(line)
    for note in plan["notes"]:
        st.info(shared.plain(note), icon=":material/info:")
    previews = plan["previews"]
    for column, preview in zip(st.columns(len(previews)), previews, strict=True):
        with column, st.container(border=True):
            # As everywhere, a picture stands above what is read.
            for item in sorted(preview["items"], key=lambda item: item["image"] is None):
                if item["image"] is not None:
                    st.image(base64.b64decode(item["image"]), width=160, alt="")
                if item["words"]:
                    shared.text(item["words"])
            if preview["label"] is not None:
                st.caption(f"label: {shared.plain(preview['label'])}")
            st.caption(f"the model says: {shared.plain(preview['prediction'])}")


def _plan(work: RunSpecification) -> None:
    try:
        st.session_state["run-plan"] = shared.start(work, "plan").id
    except EmapError as error:
        st.error(shared.plain(error), icon=":material/error:")


def _start(work: RunSpecification) -> None:
    try:
        st.session_state["run-job"] = shared.start(work).id
        st.session_state["run-started"] = work.key
    except EmapError as error:
        st.error(shared.plain(error), icon=":material/error:")


main()
