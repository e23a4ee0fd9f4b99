"""Which examples a page is about: the filter and the slice in the URL, and slices by name."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from emap_core.errors import EmapError
from emap_core.figures import gap_dumbbell
from emap_core.human_readable import or_no_text
from emap_core.inference import Gap, metric
from emap_core.inference.comparisons.example_scores import ExampleScores
from emap_core.inference.comparisons.slice_gap import slice_gap
from emap_core.modalities import TEXT_AND_IMAGE
from emap_core.runs import Run
from emap_core.runs.gaps_by_column import groupable
from emap_core.runs.selections import keep_selection, kept_selection
from emap_core.runs.slices import (
    SHOWN,
    Filter,
    decode_positions,
    encode_positions,
    possible,
    to_csv,
)
from emap_core.types import Mask
from emap_core.untrusted_text import visible_table
from pages.shared.display import show, theme
from pages.shared.example import FLIP_WORDS, examples_of, spoken, spoken_label
from pages.shared.plain_text import plain
from pages.shared.run_and_example import current_example, file_of, run_key, select_example
from pages.shared.side_names_on_pages import in_own_words
from pages.shared.url_selection import choose, select, selected, set_view, view
from pages.shared.visitor import policy

_NOT_IN_LINKS = "this-session"
_KEPT = "kept-"
_MOST_OFFERED = 1_000
_MOST_ROWS = 1_000
_LONGEST_NAME = 60


def current_filter() -> Filter:
    """Return the filter of the current view."""
    return Filter.from_settings({name: view(name) for name in Filter.__dataclass_fields__})


def filter_mask(run: Run) -> Mask:
    """Return a mask of the examples that pass the current view's filter, shape (N,)."""
    return _filter_mask(run_key(run), current_filter(), run)


@st.cache_data(max_entries=64, show_spinner=False)
def _filter_mask(key: tuple[str, str], asked: Filter, _run: Run) -> Mask:
    return asked.mask(examples_of(_run))


def chosen_positions(run: Run) -> np.ndarray | None:
    """Return the positions that were chosen by hand, or None."""
    code = _code()
    if code == _NOT_IN_LINKS:
        found = st.session_state.get("_chosen", {}).get(run.id)
    elif code.startswith(_KEPT):
        found = _kept_selection(run_key(run), code.removeprefix(_KEPT), run)
    else:
        found = decode_positions(code, len(run.ids)) if code else None
    return found if found is not None and len(found) else None


def choose_positions(run: Run, positions: Any) -> None:
    """Choose examples by hand, for this page and for links; none clears the choice."""
    if not len(positions):
        select(slice=None)
        return
    select(slice=f"~{encode_positions(positions) or _keep(run, np.sort(np.asarray(positions)))}")


def _code() -> str:
    """Return the URL's word for the examples chosen by hand, an empty text for none."""
    return (selected("slice") or "").partition("~")[2]


def _keep(run: Run, positions: np.ndarray) -> str:
    """Keep in the run what is too long for a link; only in this session if that is not allowed."""
    try:
        policy().check_full()
        key = keep_selection(run, positions)
        _kept_selection.clear(run_key(run), key)
        return _KEPT + key
    except EmapError:
        st.session_state.setdefault("_chosen", {})[run.id] = positions
        return _NOT_IN_LINKS


@st.cache_data(max_entries=32, show_spinner=False)
def _kept_selection(key: tuple[str, str], name: str, _run: Run) -> np.ndarray | None:
    return kept_selection(_run, name)


def current_mask(run: Run) -> Mask:
    """Return the examples that pass the filter and, if any were chosen by hand, are among those."""
    return _with_choice(filter_mask(run), chosen_positions(run))


def saved(run: Run) -> dict[str, dict[str, Any]]:
    """Return the slices of a run that this visitor saved: name to filter and positions."""
    found: dict[str, dict[str, Any]]
    found = st.session_state.setdefault("_slices", {}).setdefault(run.id, {})
    return found


def ask_filter(run: Run) -> None:
    """Draw the filter, folded, with the number of examples that pass and a button to clear it."""
    examples, current = examples_of(run), current_filter()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.session_state["filter-words"] = view("words")
        st.text_input(
            "Find an example",
            key="filter-words",
            on_change=lambda: set_view(words=st.session_state["filter-words"] or None),
            placeholder="Find an id, text or label",
            label_visibility="collapsed",
            icon=":material/search:",
            width=320,
        )
        with st.popover("Filter", icon=":material/filter_alt:"):
            _ask_fields(run)
        size = int(current_mask(run).sum())
        st.markdown(plain(f"{size:,} of {len(examples):,}: {_in_words(run)}"), width="content")
        if current.settings() or chosen_positions(run) is not None:
            st.button("Show all", type="tertiary", icon=":material/close:", on_click=_lift)
    if _is_lost(run):
        st.warning(
            "The examples chosen by hand are gone: there were too many for a link, and this server "
            "did not keep them. Choose them again, or use a filter.",
            icon=":material/warning:",
        )


def list_table(run: Run, positions: np.ndarray, key: str) -> None:
    """Draw examples as a table; a row chosen becomes the current example."""
    columns = {"id": "id", "text": "text", "label": "true", "prediction": "the model"}
    columns |= {"without": "without interactions", "flip": "what interactions did"}
    columns |= {"kind": "kind", "interaction_size": "size of interaction"}
    # A copy: Streamlit keeps whatever a callback refers to for the whole session.
    listed = positions[:_MOST_ROWS].copy()
    table = examples_of(run).iloc[listed][list(columns)].rename(columns=columns)
    table["text"] = table["text"].map(or_no_text)
    if run.sides != TEXT_AND_IMAGE:
        table = _with_each_side(run, table, listed)
    for column in ("the model", "without interactions"):
        table[column] = [spoken(run, value) for value in table[column]]
    table["true"] = [spoken_label(run, value) for value in table["true"]]
    table["what interactions did"] = table["what interactions did"].map(FLIP_WORDS)
    table = table.dropna(axis=1, how="all")

    def chosen() -> None:
        rows = st.session_state[key]["selection"]["rows"]
        if rows:
            select_example(run, int(listed[rows[0]]))

    st.dataframe(
        visible_table(table),
        key=key,
        hide_index=True,
        on_select=chosen,
        selection_mode="single-row",
        height=300,
        column_config={
            "text": st.column_config.TextColumn(width="medium"),
            "size of interaction": st.column_config.NumberColumn(
                format="%.3g", help="Length of the interaction vector over all classes."
            ),
        },
        alt=f"{len(table):,} examples, flips first, the largest interaction first",
    )
    if len(positions) > _MOST_ROWS:
        st.caption(
            f"The first {_MOST_ROWS:,} of {len(positions):,}. The table’s own search covers only "
            "these; the box above searches all, and the CSV has them all."
        )


def _with_each_side(run: Run, table: pd.DataFrame, listed: np.ndarray) -> pd.DataFrame:
    """Return a table of examples with one column per side, in place of the text."""
    table = table.drop(columns="text")
    for place, side in enumerate(run.sides):
        items = run.decomposition.index[place][listed]
        # A side may have the name of a column: "kind", say.
        name = f"{side.name} item" if side.name in table else side.name
        table.insert(1 + place, name, [or_no_text(run.words(place, int(one))) for one in items])
    return table


def slices(run: Run) -> None:
    """Draw what visitors can do with the current examples: save, compare, download."""
    mask = current_mask(run)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input(
            f"Name for these {int(mask.sum()):,} examples",
            key="slice-name",
            max_chars=_LONGEST_NAME,
            placeholder="for example, yes or no",
        )
        st.button(
            "Save as a slice",
            icon=":material/bookmark_add:",
            on_click=_save,
            args=(run,),
            disabled=not mask.any(),
        )
        st.download_button(
            "As CSV",
            lambda: to_csv(examples_of(run), mask),
            file_name=file_of(run, f"{name or 'examples'}.csv"),
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
            disabled=not mask.any(),
        )
    if _code() == _NOT_IN_LINKS and not _is_lost(run):
        st.caption(
            "There are too many for a link, and this server does not keep selections. They are "
            "gone when the page reloads. Use a filter to come back to them or to share them."
        )
    _show_saved(run)
    if run.metrics:
        _compare(run, mask)


def _is_lost(run: Run) -> bool:
    """Return whether examples chosen by hand are no longer known."""
    code = _code()
    unknown = code == _NOT_IN_LINKS or code.startswith(_KEPT)
    return unknown and chosen_positions(run) is None


def _forget(run: Run, name: str) -> None:
    saved(run).pop(name, None)


def _show_saved(run: Run) -> None:
    for name in saved(run):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(plain(name), width="content")
            st.button("Show", key=f"show-{name}", on_click=_open, args=(run, name))
            st.button(
                "Forget",
                key=f"forget-{name}",
                type="tertiary",
                on_click=_forget,
                args=(run, name),
            )


def _compare(run: Run, mask: Mask) -> None:
    examples = examples_of(run)
    masks = {"all examples": np.ones(len(mask), dtype=bool)}
    for name, kept in saved(run).items():
        masks[name] = _with_choice(
            Filter.from_settings(kept["filter"]).mask(examples), kept["positions"]
        )
    if not any(np.array_equal(mask, other) for other in masks.values()):
        masks["these examples"] = mask
    if len(masks) < 2:
        st.caption("Save a slice, filter or select examples to compare them with all.")
        return
    which = choose("Compare by", {name: metric(name).label for name in run.metrics}, "metric")
    gaps = {
        f"{name} (N = {int(m.sum()):,})": _slice_gap(run, which, m)
        for name, m in masks.items()
        if m.any()
    }
    show(gap_dumbbell(gaps, title=f"{metric(which).label}, %", theme=theme()), "slices-compared")
    whom = " or ".join(dict.fromkeys(in_own_words(gap.population) for gap in gaps.values()))
    st.caption(
        f"95% intervals {plain(whom)}. Those of slices resample only the scores. A slice chosen by "
        "its answers, such as flips, has a gap by construction. That gap is not evidence."
    )


def _slice_gap(run: Run, which: str, mask: Mask) -> Gap:
    projection = "emap_leave_one_out"
    if run.gap(which).projected != run.gap(which).projected:
        projection = "emap"
    if mask.all():
        return run.gap(which, projection)
    digest = hashlib.sha256(np.packbits(mask).tobytes()).hexdigest()
    return _cached_slice_gap(run_key(run), which, projection, digest, run, mask)


@st.cache_data(max_entries=200, show_spinner="Computing intervals of the slices …")
def _cached_slice_gap(
    key: tuple[str, str], which: str, projection: Any, digest: str, _run: Run, _mask: Mask
) -> Gap:
    assert _run.labels is not None  # noqa: S101 - a run with metrics has labels
    resampling = _run.manifest.get("resampling") or {}
    examples = ExampleScores(
        _run.decomposition, _run.labels, _run.task, which, _run.space, projection, **resampling
    )
    return slice_gap(examples, _mask)


def _with_choice(mask: Mask, positions: np.ndarray | None) -> Mask:
    if positions is None:
        return mask
    by_hand = np.zeros(len(mask), dtype=bool)
    by_hand[positions] = True
    return mask & by_hand


def _in_words(run: Run) -> str:
    """Return which examples are shown: the filter, whether they were chosen by hand, or both."""
    if chosen_positions(run) is None:
        return str(current_filter())
    # "All examples, chosen by hand" would contradict itself.
    return (
        f"{current_filter()}, chosen by hand" if current_filter().settings() else "chosen by hand"
    )


def _save(run: Run) -> None:
    name = st.session_state["slice-name"] or _in_words(run)
    name = name[:_LONGEST_NAME].replace("~", "-")
    saved(run)[name] = {"filter": current_filter().settings(), "positions": chosen_positions(run)}
    code = _code()
    select(slice=f"{name}~{code}" if code else name)
    st.session_state["slice-name"] = ""


def _open(run: Run, name: str) -> None:
    kept = saved(run)[name]
    cleared = dict.fromkeys(Filter.__dataclass_fields__)
    set_view(**{**cleared, **kept["filter"]})
    if kept["positions"] is None:
        select(slice=name)
        return
    choose_positions(run, kept["positions"])
    select(slice=name + (selected("slice") or ""))


def _lift() -> None:
    set_view(**dict.fromkeys(Filter.__dataclass_fields__))
    select(slice=None)


def _ask_fields(run: Run) -> None:
    examples = examples_of(run)
    shown = possible(examples)
    if shown:
        choose("Right and wrong", {"": "all", **{name: SHOWN[name] for name in shown}}, "show")
    for column, words in (("label", "True answer"), ("prediction", "The model’s answer")):
        names = _names(run, column)
        if len(names) > 1:
            _choose_among(words, {name: name for name in names}, column)
    if not examples["kind"].isna().all():
        kinds = sorted(set(examples["kind"]))
        choose("Kind", {"": "any", **{kind: kind for kind in kinds}}, "kind")
    cells = {
        f"{name}={value}": f"{name}: {value or '(empty)'}"
        for name in groupable(run)
        for value in sorted(set(run.columns[name]))
    }
    if cells:
        _choose_among("Other columns", cells, "where")
    _ask_range(float(examples["interaction_size"].max()))


def _choose_among(words: str, names: dict[str, str], setting: str) -> None:
    """Draw a choice of names that can also be typed; of thousands, it lists the first ones."""
    offered = dict(list(names.items())[:_MOST_OFFERED])
    if current := view(setting):
        offered.setdefault(current, names.get(current, current))
    typed: dict[str, Any] = {}
    if len(names) > _MOST_OFFERED:
        typed["accept_new_options"] = True
        typed["help"] = (
            f"The list has the first {_MOST_OFFERED:,} of {len(names):,}. Type any other."
        )
    choose(words, {"": "any", **offered}, setting, **typed)


def _ask_range(largest: float) -> None:
    if not largest > 0:
        return
    current = current_filter()
    low, high = _bounded(current.least, 0.0, largest), _bounded(current.most, largest, largest)
    st.session_state["filter-range"] = (min(low, high), max(low, high))

    def changed() -> None:
        low, high = st.session_state["filter-range"]
        set_view(
            least=f"{low:.4g}" if low > 0 else None, most=f"{high:.4g}" if high < largest else None
        )

    st.slider(
        "Size of the interaction",
        0.0,
        largest,
        key="filter-range",
        step=largest / 100,
        format="%.3g",
        on_change=changed,
    )


def _bounded(text: str, default: float, largest: float) -> float:
    try:
        return min(max(float(text), 0.0), largest)
    except ValueError:
        return default


@st.cache_data(max_entries=32, show_spinner=False)
def _cached_names(key: tuple[str, str], column: str, _run: Run) -> list[str]:
    return sorted(set(examples_of(_run)[column].dropna().astype(str)))


def _names(run: Run, column: str) -> list[str]:
    return _cached_names(run_key(run), column, run)


def example_or_first(run: Run, order: np.ndarray) -> int | None:
    """Return the current example, or the first of `order`, or None if that is empty."""
    current = current_example(run)
    if current is not None:
        return current
    return int(order[0]) if len(order) else None
