"""Examples: what happened in one example."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from emap_core import inference
from emap_core.decomposition.contrasts import answers_changed
from emap_core.human_readable import or_no_text, shortened, shortened_apart
from emap_core.inference.number_format import number, percent
from emap_core.modalities import TEXT_AND_IMAGE
from emap_core.modalities.side_names import cells_of, item_of
from emap_core.runs import Run
from emap_core.runs.slices import ranked
from emap_core.untrusted_text import visible
from pages import shared
from pages.shared.example import (
    FLIP_WORDS,
    examples_of,
    pictured,
    seen_beside_read,
    show_answers,
    show_read,
    show_seen,
    show_waterfall,
    spoken,
)
from pages.shared.gallery import gallery
from pages.shared.glossary import explain
from pages.shared.keyboard import arrow_keys
from pages.shared.plain_text import beside
from pages.shared.side_by_side import sides
from pages.shared.slices import ask_filter, current_mask
from pages.shared.words_with_regions import show_attribution

QUESTION = "Why this prediction?"
PAGE = 8
WHAT_IF = 8


def _page() -> None:
    run = shared.require_run(QUESTION)
    order = _order(run)
    example = shared.current_example(run)
    if example is None and len(order):
        example = int(order[0])
    shared.header(QUESTION, "" if example is None else _answer(run, example), run)
    shared.say_if_another_example(run)
    ask_filter(run)
    if example is None:
        shared.empty("No example passes this filter. “Show all” clears it.")
        return
    _show_steps(run, order, example)
    listed, one = sides("list", [1, 2], last_first=True)
    with listed:
        _show_list(run, order, example)
    with one:
        _show_example(run, example)
    if run.sides == TEXT_AND_IMAGE:
        # This question leaves words out of a text and regions out of an image.
        show_attribution(run, example, current_mask(run))
    _show_what_if(run, example)
    explain(
        "interaction", "EMAP", "leave-one-out EMAP", "recombination", "kind", "words and regions"
    )
    shared.next_step(
        "pages/recombine.py",
        "Try any other text or image" if len(run.sides) == 2 else "See two sides, item by item",
        example=run.ids[example],
        view=None,
    )


def _answer(run: Run, example: int) -> str:
    row = examples_of(run).iloc[example]
    if not run.decides:
        says, without = spoken(run, row.prediction), spoken(run, row.without)
        return f"The model says {says}; without interactions it would say {without}."
    short, short_without = shortened_apart([row.prediction, str(row.without)], 60)
    model = f"The model answers “{short}”{_right(row.correct)}"
    if row.flip == "same":
        return f"{model}. Without interactions it would answer the same."
    other = f"“{short_without}”{_right(row.correct_without)}"
    return f"{model}. Without interactions it would answer {other}."


def _right(correct: object) -> str:
    if correct is None or pd.isna(correct):
        return ""
    return ", which is right" if correct else ", which is wrong"


def _place(order: NDArray[np.intp], example: int) -> int | None:
    places = np.flatnonzero(order == example)
    return int(places[0]) if len(places) else None


def _show_steps(run: Run, order: NDArray[np.intp], example: int) -> None:
    place = _place(order, example)
    with st.container(horizontal=True, vertical_alignment="center"):
        for words, step in (("← Previous", -1), ("Next →", 1)):
            st.button(words, on_click=_step, args=(run, step), disabled=not len(order))
        arrow_keys("examples-keys", lambda steps: _step(run, steps))
        where = "not in this list" if place is None else f"{place + 1:,} of {len(order):,}"
        first = "flips first, then by" if run.decides else "by"
        st.caption(f"{where} · {first} size of interaction", width="content")


def _step(run: Run, steps: int) -> None:
    """Move on by a number of examples from where the visitor is now."""
    order = _order(run)
    example = shared.current_example(run)
    if example is None and len(order):
        example = int(order[0])
    if example is not None and len(order):
        shared.select_example(run, _neighbour(order, example, steps))


def _order(run: Run) -> NDArray[np.intp]:
    return ranked(examples_of(run), current_mask(run))


def _show_list(run: Run, order: NDArray[np.intp], example: int) -> None:
    """Draw the list one page at a time; it follows the current example."""
    # A new key for each example: the list turns to its page, and otherwise stays put.
    key = f"examples-page-{run.id}-{example}-{len(order)}"
    pages = max(1, -(-len(order) // PAGE))
    own_page = (_place(order, example) or 0) // PAGE + 1
    start = PAGE * (st.session_state.get(key, own_page) - 1)
    for row_number, position in enumerate(order[start : start + PAGE].tolist()):
        _show_row(run, row_number, position, chosen=position == example)
    if pages > 1:
        st.pagination(pages, default=own_page, key=key, max_visible_pages=5)


def _neighbour(order: NDArray[np.intp], example: int, step: int) -> int:
    """Return the example some steps before or after one, wrapping around; from outside, an end."""
    place = _place(order, example)
    start = place if place is not None else (-1 if step > 0 else 0)
    return int(order[(start + step) % len(order)])


def _show_row(run: Run, row_number: int, position: int, *, chosen: bool) -> None:
    row = examples_of(run).iloc[position]
    with st.container(horizontal=True, vertical_alignment="center", gap="small", border=chosen):
        with st.container(width=52):
            place = pictured(run)
            item = int(run.decomposition.index[place][position])
            gallery(run, [item], height=44, place=place)
        with st.container(gap=None, width="stretch"):
            st.button(
                shared.plain(shortened(or_no_text(row.text), 32)),
                # Keyed by row, not by example: Streamlit never forgets a key in a session.
                key=f"row-{row_number}",
                type="tertiary",
                on_click=shared.select_example,
                args=(run, position),
                help=None if len(row.text) <= 32 else shared.plain(shortened(row.text, 400)),
                wrap=False,
            )
            st.caption(shared.plain(_answers_in_short(run, row)))


def _answers_in_short(run: Run, row: pd.Series) -> str:
    answer = spoken(run, row.prediction) or ""
    if row.flip in (None, "same"):
        return shortened(answer, 40)
    short, without = shortened_apart([answer, spoken(run, row.without) or ""], 26)
    return f"{short}, without: {without}"


def _show_example(run: Run, example: int) -> None:
    row = examples_of(run).iloc[example]
    image, words = seen_beside_read(run, [2, 3], "medium")
    with image:
        show_seen(run, example, across=2)
    with words:
        show_read(run, example)
        show_answers(run, example)
        said = [FLIP_WORDS[row.flip]] if row.flip in FLIP_WORDS else []
        said += [shared.in_own_words(f"kind: {row.kind}")] if row.kind else []
        st.caption(shared.plain(" · ".join(said)))
        st.code(visible(row.id), language=None, wrap_lines=True)
    shared.section("How the prediction builds up")
    show_waterfall(run, example, "examples-waterfall")
    if _plain_differs(run, example):
        st.caption(
            "EMAP in this picture includes the example’s own prediction. The answer without "
            "interactions above leaves it out, and differs here."
        )


def _plain_differs(run: Run, example: int) -> bool:
    row = examples_of(run).iloc[example]
    decided = run.decides and run.task == "multiclass"
    return bool(decided and row.prediction_emap != row.without)


def _show_what_if(run: Run, example: int) -> None:
    if len(run.sides) == 2:
        shared.section("What if the text or image were different?")
    else:
        shared.section("What if one side were different?")
    if run.grid is None:
        why = run.method.why_no_grid
        if run.kept_classes:
            why = "This run kept only the grid of some classes."
        shared.empty(
            f"{why} Keep the whole grid to see the model’s answers to other "
            f"{cells_of(len(run.sides))} here.",
            "pages/run.py",
            "Run it again and keep the grid",
        )
        return
    d = run.decomposition
    items = tuple(int(index[example]) for index in d.index)
    if len(items) > 2:
        _show_other_items(run, items)
        return
    st.caption(
        "The model’s actual outputs for other pairs in the grid, clearest changes first. Some "
        "pairs may make no sense."
    )
    left, right = sides("what-if", [1, 1])
    with left:
        shared.subsection("The same text, other images")
        _show_others(run, 1, items, height=112)
    with right:
        shared.subsection("The same image, other texts")
        _show_others(run, 0, items, height=112)


def _show_other_items(run: Run, items: tuple[int, ...]) -> None:
    """Show what the model says with another item of one side, a column for each side."""
    st.caption(
        "The model’s actual outputs for other combinations in the grid, clearest changes first. "
        "One side is replaced; the others stay. Some combinations may make no sense."
    )
    for column, (place, side) in zip(st.columns(len(items)), enumerate(run.sides), strict=True):
        with column:
            shared.subsection(f"Other {side.name} items")
            _show_others(run, place, items, height=72)


def _show_others(run: Run, place: int, items: tuple[int, ...], *, height: int) -> None:
    """Show other items of a side and what the model says with each."""
    others, answers, notes = _others(run, place, items)
    if not others:
        name = item_of(run.sides[place], run.sides)
        st.caption(shared.plain(f"There is no other {name}."))
    elif run.sides[place].modality == "text":
        _list_answers([run.words(place, one) for one in others], answers, notes)
    else:
        gallery(run, others, answers, notes, height=height, place=place)


def _list_answers(words: list[str], answers: list[str], notes: list[str]) -> None:
    rows = "".join(
        f'<tr><td dir="auto" style="padding:.3rem .75rem .3rem 0;width:60%">'
        f"{shared.escaped(shortened(or_no_text(one), 140))}</td>"
        f'<td style="padding:.3rem 0;font-weight:600">{beside(answer, note)}</td>'
        "</tr>"
        for one, answer, note in zip(words, answers, notes, strict=True)
    )
    st.html(
        '<table style="border-collapse:collapse;width:100%;table-layout:fixed;'
        f'overflow-wrap:anywhere">{rows}</table>'
    )


@st.cache_data(max_entries=500, show_spinner="Reading the grid …")
def _read(
    key: tuple[str, str], place: int, items: tuple[int, ...], _run: Run
) -> tuple[list[int], list[str], list[str]]:
    """Return what changes the answer most on one side, the answers, and how sure they are."""
    grid = _run.grid
    assert grid is not None  # noqa: S101 - the page has said so where there is none
    first, *others_of = items
    if place == 0:
        cells = grid.column(*others_of).astype(float)
    else:
        # Each other side is fixed at the example's item; this side's axis stays whole.
        where: list[Any] = list(others_of)
        where[place - 1] = slice(None)
        cells = grid.row(first)[tuple(where)].astype(float)
    own = items[place]
    rest = np.delete(np.arange(len(cells)), own)
    if not len(rest):
        return [], [], []
    decides = _run.decides and _run.task != "multilabel"
    chosen = rest[answers_changed(cells[rest], cells[own], WHAT_IF, decides=decides)]
    answers, notes = _in_words(_run, cells[chosen])
    return [int(i) for i in chosen], answers, notes


def _others(run: Run, place: int, items: tuple[int, ...]) -> tuple[list[int], list[str], list[str]]:
    return _read(shared.run_key(run), place, items, run)


def _in_words(run: Run, scores: NDArray[np.float64]) -> tuple[list[str], list[str]]:
    names = inference.prediction_names(scores, run.classes, run.task, run.space)
    unsure = [""] * len(scores)
    if not run.decides:
        return [
            number(float(row[0])) if len(row) == 1 else str(name)
            for row, name in zip(scores, names, strict=True)
        ], unsure
    if run.task == "multilabel":
        return [str(name) or "nothing" for name in names], unsure
    chances = inference.probabilities(scores, run.task, run.space)
    if scores.shape[1] == 1:
        sure = np.maximum(chances[:, 0], 1 - chances[:, 0])
    else:
        sure = chances.max(axis=1)
    return [str(name) for name in names], [percent(float(p)) for p in sure]


_page()
