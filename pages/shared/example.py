"""One example as people read it: image, text, label, and what the model says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import pandas as pd
import streamlit as st

from emap_core.figures import top_classes, waterfall
from emap_core.human_readable import shortened
from emap_core.inference.number_format import number
from emap_core.inference.predictions.scores import one_score, unit_of
from emap_core.modalities import TEXT_AND_IMAGE
from emap_core.presentation.charts import score_names
from emap_core.presentation.chosen_sides import looks, seen_and_read
from emap_core.runs import Run
from emap_core.runs.slices import correct_without, prediction_without
from pages.shared.display import item, show, theme
from pages.shared.plain_text import escaped, plain
from pages.shared.run_and_example import run_key

FLIP_WORDS = {
    "helped": "interactions made it right",
    "hurt": "interactions made it wrong",
    "changed": "interactions changed the answer",
    "same": "interactions changed nothing",
}


def examples_of(run: Run) -> pd.DataFrame:
    """Return the run's examples, shared by all visitors; do not write to them.

    They have two more columns than the run's own: ``without`` and ``correct_without``, the
    prediction without interactions and whether it is right.
    """
    return _examples(run_key(run), run)


@st.cache_resource(max_entries=8, show_spinner="Reading the examples …")
def _examples(key: tuple[str, str], _run: Run) -> pd.DataFrame:
    table = _run.examples()
    table["without"] = prediction_without(table)
    table["correct_without"] = correct_without(table)
    return table


def seen_beside_read(
    run: Run, widths: Sequence[float], gap: Literal["small", "medium"] = "small"
) -> tuple[Any, Any]:
    """Return the place for the sides that are looked at, and that for all else about an example.

    They are one where nothing is looked at.
    """
    if not seen_and_read(run.sides)[0]:
        place = st.container()
        return place, place
    seen, read = st.columns(widths, gap=gap)
    return seen, read


def show_seen(run: Run, position: int, *, across: int = 1) -> None:
    """Show the image of an example, or whatever else is looked at, so many side by side."""
    places = seen_and_read(run.sides)[0]
    if len(places) < 2 or across < 2:
        _show_items(run, position, places)
        return
    for start in range(0, len(places), across):
        for column, place in zip(st.columns(across), places[start : start + across], strict=False):
            with column:
                _show_items(run, position, [place])


def show_read(run: Run, position: int) -> None:
    """Show the text of an example, or whatever else is read or heard."""
    _show_items(run, position, seen_and_read(run.sides)[1])


def _show_items(run: Run, position: int, places: list[int]) -> None:
    for place in places:
        name = run.sides[place].name
        if run.sides != TEXT_AND_IMAGE:
            st.caption(plain(name))
        number_of_item = int(run.decomposition.index[place][position])
        alt = f"{name.capitalize()} of example {run.ids[position]}"
        item(run, place, number_of_item, alt=alt)


def pictured(run: Run) -> int:
    """Return the place of the side whose pictures stand for examples in lists."""
    seen, read = seen_and_read(run.sides)
    # A waveform tells more than a card with small words.
    heard = [place for place in read if run.sides[place].modality == "audio"]
    return [*seen, *heard, 1][0]


def show_answers(run: Run, position: int) -> None:
    """Show the true answer and the model's, with and without interactions."""
    row = examples_of(run).iloc[position]
    lines = [] if row.label is None else [("true", spoken_label(run, row.label), None)]
    lines += [
        ("the model", spoken(run, row.prediction), row.correct),
        ("without interactions", spoken(run, row.without), row.correct_without),
    ]
    strong = "margin:0;font-weight:600;overflow-wrap:anywhere"
    cells = "".join(
        f'<dt style="opacity:.8">{name}</dt>'
        f'<dd style="{strong}">{_isolated(value)}{_mark(right)}</dd>'
        for name, value, right in lines
    )
    st.html(
        '<dl style="display:grid;grid-template-columns:max-content 1fr;gap:.25rem .75rem;'
        f'margin:0;padding:0">{cells}</dl>'
    )


def spoken(run: Run, prediction: object) -> str | None:
    """Return a label or prediction as people write it: a class by name, a score as a number."""
    if run.decides or prediction is None:
        return prediction if prediction is None else str(prediction)
    try:
        return number(float(str(prediction)))
    except ValueError:
        # Several scores are a list.
        return str(prediction).replace("-", "−")


def spoken_label(run: Run, label: object) -> object:
    """Return a label as people write it; only a regression's label is a number."""
    return spoken(run, label) if run.task == "regression" else label


def show_waterfall(run: Run, position: int, key: str, *, most: int = 3) -> None:
    """Draw how an example's prediction builds up, top classes first.

    The classes always include the true one and those predicted with and without interactions.
    """
    true = _true_class(run, position)
    chart = waterfall(
        run.shares,
        position,
        score_names(run),
        shown=top_classes(
            run.shares, position, most, always=[] if true is None or most < 3 else [true]
        ),
        true_class=true,
        score=one_score(run.space, run.task),
        unit=unit_of(run.space, run.task),
        looks=looks(run),
        theme=theme(),
    )
    show(chart, key)


def _true_class(run: Run, position: int) -> int | None:
    several = run.task == "multiclass" and run.decomposition.logits.shape[1] > 1
    truth = run.true_classes
    return int(truth[position]) if several and truth is not None and truth[position] >= 0 else None


def _isolated(value: object) -> str:
    # The name keeps its own direction, so that an Arabic name does not move the mark behind it.
    return f"<bdi>{escaped(_said(value))}</bdi>"


def _mark(right: object) -> str:
    if right is None or pd.isna(right):
        return ""
    return f' <span style="white-space:nowrap">&nbsp;{"● right" if right else "✕ wrong"}</span>'


def _said(value: object) -> str:
    words = "nothing" if value is None or value == "" else str(value)
    return shortened(words, 120)
