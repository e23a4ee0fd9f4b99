"""How one prediction builds up: mean, text, image, EMAP, interaction, score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from emap_core.decomposition import Decomposition
from emap_core.figures.chart import Chart
from emap_core.figures.style import (
    CONSTANT,
    JOINT,
    TEXT_AND_IMAGE,
    Look,
    column_names,
    hatching,
    new_figure,
    outline,
    words,
    words_apart,
)
from emap_core.inference.number_format import number, signed
from emap_core.themes import LIGHT, Theme

_BETWEEN = 0.04
"""Share of the width between two panels."""

_STEPS_OF_TWO = 6

_REST = {2: "interaction", 3: "all three"}
"""Name of what only all sides together add, by number of sides."""


@dataclass(frozen=True)
class _Step:
    """A bar: what a part adds, or the sum of the parts so far.

    Attributes
    ----------
    name : str
    value : float
    look : Look or None
        Look of a part; None for a sum.
    """

    name: str
    value: float
    look: Look | None = None


def top_classes(
    decomposition: Decomposition, example: int, count: int = 3, always: Sequence[int] = ()
) -> list[int]:
    """Return the `count` classes with an example's largest logits, largest first.

    Classes in `always` (such as the true one) are always included, and so is the additive
    prediction, so that a flip shows both classes.
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
    looks: Mapping[str, Look] = TEXT_AND_IMAGE,
    theme: Theme = LIGHT,
) -> Chart:
    """Draw how an example's logit builds up from its parts, one panel per class.

    The parts are the mean, each side, and the interaction; with more than two sides, what each pair
    adds, if it is known, and then the rest.

    Parameters
    ----------
    decomposition : Decomposition
    example : int
        Position of the example, 0 to N − 1.
    classes : sequence of str
        Names of the classes.
    shown : sequence of int, optional
        The classes to draw; by default `top_classes`.
    true_class : int, optional
        Column of the true class; its panel says so.
    score : str
        Name of the model's output for a class.
    unit : str
        Unit of the numbers, for the axis.
    looks : mapping of str to Look
        Look of each side; see `emap_core.figures.style.looks_of`.
    """
    if shown is None:
        known = [] if true_class is None else [true_class]
        shown = top_classes(decomposition, example, always=known)
    names = column_names(classes, len(decomposition.mean))
    rows = _steps(decomposition, example, shown, score, looks)
    table = pd.DataFrame([[step.value for step in row] for row in rows])
    table.columns = [step.name for step in rows[0]]
    table.insert(0, "class", [names[c] for c in shown])

    predicted = int(np.argmax(decomposition.logits[example])) if len(names) > 1 else None
    additive = int(np.argmax(decomposition.emap[example])) if len(names) > 1 else None
    short = words_apart([names[c] for c in shown], 54 // max(len(shown), 2))
    titles = [
        _title(name, c, true_class, predicted, additive)
        for name, c in zip(short, shown, strict=True)
    ]
    low, high = _reach(rows)
    # Numbers are beside the bars, so leave room on both sides.
    room = (0.1 + 0.16 * len(shown)) * (high - low)
    figure = new_figure(
        theme,
        height=330 + 34 * (len(rows[0]) - _STEPS_OF_TWO),
        showlegend=False,
        bargap=0.35,
        dragmode=False,
        margin={"t": 64 if any("<br>" in title for title in titles) else 40},
        **_panels(titles, [low - room, high + room], rows[0], unit),
    )
    figure.add_traces(
        [
            draw(values, theme, panel)
            for panel, values in enumerate(rows)
            for draw in (_guides, _bars, _numbers)
        ]
    )
    least_width = 120 + 150 * len(rows)
    return Chart(figure, _message(rows, table["class"].tolist()), table, least_width)


def _panels(
    titles: list[str], reach: list[float], steps: Sequence[_Step], unit: str
) -> dict[str, Any]:
    """Return a layout of panels side by side; built in one piece, it is several times faster."""
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
            "tickvals": list(range(len(steps))),
            "ticktext": [words(step.name) for step in steps],
            # In narrow panels, a number may need more room than there is.
            "ticklabelstandoff": 8 * len(titles),
            "range": [len(steps) - 0.4, -0.6],
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


def _steps(
    decomposition: Decomposition,
    example: int,
    columns: Sequence[int],
    score: str,
    looks: Mapping[str, Look],
) -> list[list[_Step]]:
    """Return the bars of each class, from top to bottom."""
    sides = decomposition.sides
    emap, logits = decomposition.emap[example], decomposition.logits[example]
    together = {
        " × ".join(pair): decomposition.contribution(*pair)[example]
        for pair in (combinations(sides, 2) if len(sides) > 2 and decomposition.knows_sets else ())
    }
    rest = decomposition.interaction[example] - sum(together.values())

    def beyond_noise(value: float, c: int) -> float:
        """Return a part as it is, and 0 in place of what is only rounding."""
        return float(value) if abs(value) > decomposition.noise[c] else 0.0

    return [
        [
            _Step("mean", float(decomposition.mean[c])),
            *(
                _Step(side, beyond_noise(decomposition.effects[side][example, c], c), looks[side])
                for side in sides
            ),
            _Step("EMAP", float(emap[c])),
            *(_Step(pair, beyond_noise(added[c], c), JOINT) for pair, added in together.items()),
            _Step(
                _REST.get(len(sides), "the rest") if decomposition.knows_sets else "interaction",
                beyond_noise(rest[c], c),
                JOINT,
            ),
            _Step(score, float(logits[c])),
        ]
        for c in columns
    ]


def _starts(steps: Sequence[_Step]) -> list[float]:
    starts, reached = [], 0.0
    for step in steps:
        starts.append(0.0 if step.look is None else reached)
        reached = starts[-1] + step.value
    return starts


def _bars(steps: Sequence[_Step], theme: Theme, panel: int) -> go.Bar:
    last = len(steps) - 1
    colours = [
        step.look.colour
        if step.look
        else CONSTANT
        if place == 0
        else theme.ink
        if place == last
        else "rgba(0,0,0,0)"
        for place, step in enumerate(steps)
    ]
    shapes = [step.look.hatch if step.look else "" for step in steps]
    # A hollow bar is only an outline.
    widths = [2 if colour.startswith("rgba") else 1 for colour in colours]
    return go.Bar(
        **_in(panel),
        y=list(range(len(steps))),
        x=[step.value for step in steps],
        base=_starts(steps),
        orientation="h",
        marker={
            "color": colours,
            "line": {"color": [outline(theme)["color"]] * len(steps), "width": widths},
            "pattern": hatching("", theme) | {"shape": shapes},
        },
        hovertext=[f"{words(step.name)}: {_shown(step)}" for step in steps],
        hoverinfo="text",
    )


def _numbers(steps: Sequence[_Step], theme: Theme, panel: int) -> go.Scatter:
    # Beside a bar on the side away from zero, where no number meets the zero line.
    places = [
        (max(start, end), "middle right") if end >= 0 else (min(start, end), "middle left")
        for start, end in zip(_starts(steps), _ends(steps), strict=True)
    ]
    return go.Scatter(
        **_in(panel),
        y=list(range(len(steps))),
        x=[outer for outer, _ in places],
        text=[f"\u00a0{_shown(step)}\u00a0" for step in steps],
        mode="text",
        textposition=[side for _, side in places],
        textfont={"shadow": _halo(theme)},
        cliponaxis=False,
        hoverinfo="skip",
    )


def _halo(theme: Theme) -> str:
    # This keeps a number readable where it crosses a line.
    return ", ".join(f"{x}px {y}px 1px {theme.paper}" for x in (-2, 0, 2) for y in (-1, 1))


def _shown(step: _Step) -> str:
    return number(step.value) if step.look is None else signed(step.value)


def _guides(steps: Sequence[_Step], theme: Theme, panel: int) -> go.Scatter:
    """Return the dotted lines from the end of each bar to the next."""
    ends = _ends(steps)[:-1]
    return go.Scatter(
        **_in(panel),
        x=[x for end in ends for x in (end, end, None)],
        y=[y for place in range(len(ends)) for y in (place, place + 1, None)],
        mode="lines",
        line={"color": theme.ink, "width": 1, "dash": "dot"},
        hoverinfo="skip",
    )


def _ends(steps: Sequence[_Step]) -> list[float]:
    return [start + step.value for start, step in zip(_starts(steps), steps, strict=True)]


def _reach(rows: Sequence[Sequence[_Step]]) -> tuple[float, float]:
    points = [0.0]
    for steps in rows:
        points += _ends(steps)
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


def _message(rows: Sequence[Sequence[_Step]], classes: Sequence[str]) -> str:
    sentences = []
    for name, steps in zip(classes, rows, strict=True):
        said = [f"{step.name} {_shown(step)}" for step in steps]
        emap = next(k for k, step in enumerate(steps) if k and step.look is None)
        sentences.append(
            f"{name}: {', '.join(said[:emap])}, which makes {said[emap]}; "
            f"{', '.join(said[emap + 1 : -1])}, which makes the {said[-1]}."
        )
    return "How the prediction builds up. " + " ".join(sentences)
