"""How one prediction comes about: mean, text, image, EMAP, interaction, score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from emap_core.decomposition import Decomposition
from emap_core.figures.chart import Chart
from emap_core.figures.style import (
    CONSTANT,
    LIGHT,
    PART_COLOURS,
    Theme,
    column_names,
    new_figure,
    outline,
    pattern,
    words_apart,
)
from emap_core.inference.digits import number, signed

_BETWEEN = 0.04
"""Of the width, between two panels."""

STEPS = ("mean", "text", "image", "EMAP", "interaction", "score")
"""What is drawn, from the top; the last one is called what the score is."""


def top_classes(
    decomposition: Decomposition, example: int, count: int = 3, always: Sequence[int] = ()
) -> list[int]:
    """Return the `count` classes with the largest logits of an example, largest first.

    Classes named in `always` (the true one, say) stand among them; the additive prediction does
    too, so that a flip shows on both sides.
    """
    logits = decomposition.logits[example]
    wanted = dict.fromkeys([int(np.argmax(logits)), *map(int, always)])
    wanted[int(np.argmax(decomposition.emap[example]))] = None
    for number_of_class in np.argsort(-logits, kind="stable"):
        if len(wanted) >= min(count, len(logits)):
            break
        wanted[int(number_of_class)] = None
    return sorted(wanted, key=lambda c: -logits[c])


def waterfall(
    decomposition: Decomposition,
    example: int,
    classes: Sequence[str],
    *,
    shown: Sequence[int] | None = None,
    true_class: int | None = None,
    score: str = "logit",
    unit: str = "logits",
    theme: Theme = LIGHT,
) -> Chart:
    """Draw how an example's logit builds up from its parts, one panel per class.

    Parameters
    ----------
    decomposition : Decomposition
    example : int
        Position of the example, 0 to N − 1.
    classes : sequence of str
        Names of the classes.
    shown : sequence of int, optional
        The classes to draw; by default those of `top_classes`.
    true_class : int, optional
        Column of the true class, named so above its panel.
    score : str
        What the model gives for a class.
    unit : str
        What the numbers are, for the axis.
    """
    if shown is None:
        known = [] if true_class is None else [true_class]
        shown = top_classes(decomposition, example, always=known)
    names = column_names(classes, len(decomposition.mean))
    rows = [_steps(decomposition, example, c) for c in shown]
    table = pd.DataFrame(rows, columns=STEPS)
    table.insert(0, "class", [names[c] for c in shown])

    predicted = int(np.argmax(decomposition.logits[example])) if len(names) > 1 else None
    additive = int(np.argmax(decomposition.emap[example])) if len(names) > 1 else None
    short = words_apart([names[c] for c in shown], 54 // max(len(shown), 2))
    titles = [
        _title(name, c, true_class, predicted, additive)
        for name, c in zip(short, shown, strict=True)
    ]
    low, high = _reach(table)
    # Numbers stand beside the bars: room for them on both sides.
    room = (0.1 + 0.16 * len(shown)) * (high - low)
    figure = new_figure(
        theme,
        height=330,
        showlegend=False,
        bargap=0.35,
        dragmode=False,
        margin={"t": 64 if any("<br>" in title for title in titles) else 40},
        **_panels(titles, [low - room, high + room], score, unit),
    )
    figure.add_traces(
        [
            draw(values, theme, panel)
            for panel, values in enumerate(rows)
            for draw in (_guides, _bars, _numbers)
        ]
    )
    least_width = 120 + 150 * len(rows)
    named = table.rename(columns={STEPS[-1]: score})
    return Chart(figure, _message(table, score), named, least_width)


def _panels(titles: list[str], reach: list[float], score: str, unit: str) -> dict[str, Any]:
    """Return a layout of panels side by side; in one piece it is several times as fast."""
    layout: dict[str, Any] = {"annotations": []}
    width = (1.0 + _BETWEEN) / len(titles)
    for panel, title in enumerate(titles):
        name, left = _axis(panel), panel * width
        layout[f"xaxis{name}"] = {
            "anchor": f"y{name}",
            "domain": [left, min(left + width - _BETWEEN, 1.0)],
            "range": reach,
            "zeroline": True,
            "nticks": max(4, 9 // len(titles)),
            "title": unit,
            "showgrid": False,
        }
        layout[f"yaxis{name}"] = {
            "anchor": f"x{name}",
            "matches": "y" if panel else None,
            "showticklabels": panel == 0,
            "tickvals": list(range(len(STEPS))),
            "ticktext": [*STEPS[:-1], score],
            # In narrow panels a number may need more room than there is.
            "ticklabelstandoff": 8 * len(titles),
            "range": [5.6, -0.6],
            "showgrid": False,
        }
        layout["annotations"].append(
            {
                "text": title,
                "x": left + (width - _BETWEEN) / 2,
                "y": 1.0,
                "xref": "paper",
                "yref": "paper",
                "xanchor": "center",
                "yanchor": "bottom",
                "yshift": 4,
                "font": {"size": 15},
                "showarrow": False,
            }
        )
    return layout


def _axis(panel: int) -> str:
    return str(panel + 1) if panel else ""


def _in(panel: int) -> dict[str, str]:
    return {"xaxis": f"x{_axis(panel)}", "yaxis": f"y{_axis(panel)}"}


def _steps(decomposition: Decomposition, example: int, column: int) -> tuple[float, ...]:
    return (
        float(decomposition.mean[column]),
        float(decomposition.text_effect[example, column]),
        float(decomposition.image_effect[example, column]),
        float(decomposition.emap[example, column]),
        float(decomposition.interaction[example, column]),
        float(decomposition.logits[example, column]),
    )


def _starts(values: tuple[float, ...]) -> list[float]:
    mean, text, _, emap, _, _ = values
    return [0.0, mean, mean + text, 0.0, emap, 0.0]


def _bars(values: tuple[float, ...], theme: Theme, panel: int) -> go.Bar:
    markers = [_marker(step, theme) for step in STEPS]
    outlines = [marker["line"] for marker in markers]
    patterns = [marker.get("pattern", pattern("interaction", theme)) for marker in markers]
    return go.Bar(
        **_in(panel),
        y=list(range(len(STEPS))),
        x=values,
        base=_starts(values),
        orientation="h",
        marker={
            "color": [marker["color"] for marker in markers],
            "line": {name: [line[name] for line in outlines] for name in ("color", "width")},
            "pattern": patterns[0] | {"shape": [each["shape"] for each in patterns]},
        },
        hovertext=[
            f"{step}: {_shown(step, value)}" for step, value in zip(STEPS, values, strict=True)
        ],
        hoverinfo="text",
    )


def _marker(step: str, theme: Theme) -> dict[str, Any]:
    if step in PART_COLOURS:
        return {
            "color": PART_COLOURS[step],
            "line": outline(theme),
            "pattern": pattern(step, theme),
        }
    if step == "EMAP":
        return {"color": "rgba(0,0,0,0)", "line": outline(theme, 2)}
    return {"color": theme.ink if step == STEPS[-1] else CONSTANT, "line": outline(theme)}


def _numbers(values: tuple[float, ...], theme: Theme, panel: int) -> go.Scatter:
    # Beside a bar on the side away from zero, where no number meets the zero line.
    places = [
        (max(start, end), "middle right") if end >= 0 else (min(start, end), "middle left")
        for start, end in zip(_starts(values), _ends(values), strict=True)
    ]
    return go.Scatter(
        **_in(panel),
        y=list(range(len(STEPS))),
        x=[outer for outer, _ in places],
        text=[f"\u00a0{_shown(*each)}\u00a0" for each in zip(STEPS, values, strict=True)],
        mode="text",
        textposition=[side for _, side in places],
        textfont={"shadow": _halo(theme)},
        cliponaxis=False,
        hoverinfo="skip",
    )


def _halo(theme: Theme) -> str:
    # Where a number crosses a line it is read all the same.
    return ", ".join(f"{x}px {y}px 1px {theme.paper}" for x in (-2, 0, 2) for y in (-1, 1))


def _shown(step: str, value: float) -> str:
    return signed(value) if step in PART_COLOURS else number(value)


def _guides(values: tuple[float, ...], theme: Theme, panel: int) -> go.Scatter:
    """Return the dotted lines that lead from the end of each bar to the next."""
    ends = _ends(values)[:-1]
    return go.Scatter(
        **_in(panel),
        x=[x for end in ends for x in (end, end, None)],
        y=[y for place in range(len(ends)) for y in (place, place + 1, None)],
        mode="lines",
        line={"color": theme.ink, "width": 1, "dash": "dot"},
        hoverinfo="skip",
    )


def _ends(values: tuple[float, ...]) -> list[float]:
    return [start + value for start, value in zip(_starts(values), values, strict=True)]


def _reach(table: pd.DataFrame) -> tuple[float, float]:
    points = [0.0]
    for row in table[list(STEPS)].to_numpy():
        points += _ends(tuple(row))
    low, high = min(points), max(points)
    return (low, high) if high > low else (-1.0, 1.0)


def _title(
    name: str, column: int, true: int | None, predicted: int | None, additive: int | None
) -> str:
    roles = [
        role
        for role, c in (("true", true), ("predicted", predicted), ("EMAP’s", additive))
        if c == column
    ]
    return f"<b>{name}</b>" + (f"<br>{', '.join(roles)}" if roles else "")


def _message(table: pd.DataFrame, score: str) -> str:
    sentences = [
        f"{row['class']}: mean {number(row['mean'])}, text {signed(row.text)}, "
        f"image {signed(row.image)}, which makes EMAP {number(row.EMAP)}; "
        f"interaction {signed(row.interaction)}, which makes the {score} {number(row.score)}."
        for _, row in table.iterrows()
    ]
    return "How the prediction builds up. " + " ".join(sentences)
