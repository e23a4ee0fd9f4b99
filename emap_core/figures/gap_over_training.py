"""Interactions over training: the gap of a model's checkpoints, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from emap_core.figures.chart import Chart
from emap_core.figures.style import new_figure, words
from emap_core.inference import Gap, metric
from emap_core.inference.number_format import bracket, change
from emap_core.themes import LIGHT, Theme
from emap_core.types import Array

_DASHES = ("solid", "dash", "dot", "dashdot")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up")


@dataclass(frozen=True)
class Checkpoint:
    """The gap of a training at one step.

    Attributes
    ----------
    training : str
        Name of the training; a line joins its checkpoints.
    step : int
    gap : Gap
    """

    training: str
    step: int
    gap: Gap


def gap_over_training(checkpoints: Sequence[Checkpoint], *, theme: Theme = LIGHT) -> Chart:
    """Draw the gap of each checkpoint with its 95% interval, a line for each training.

    If a step has several checkpoints, for example of several seeds, they are only points.

    Parameters
    ----------
    checkpoints : sequence of Checkpoint
        All by the same metric, at two or more steps.
    """
    which = metric(checkpoints[0].gap.metric)
    scale = 100.0 if which.unit == "points" else 1.0
    table = pd.DataFrame(
        {
            "training": [one.training for one in checkpoints],
            "step": [one.step for one in checkpoints],
            **{
                name: [getattr(one.gap, name) for one in checkpoints]
                for name in ("difference", "low", "high", "n_examples", "population")
            },
        }
    ).sort_values(["training", "step"], kind="stable", ignore_index=True)
    several = table.training.nunique() > 1
    figure = new_figure(theme, height=380, dragmode=False, showlegend=several)
    figure.add_hline(y=0, line={"color": theme.faint, "width": 1.5})
    for place, (training, rows) in enumerate(table.groupby("training", sort=False)):
        y = scale * rows.difference.to_numpy()
        figure.add_trace(
            go.Scatter(
                x=rows.step,
                y=y,
                name=words(str(training)),
                mode="markers" if rows.step.duplicated().any() else "lines+markers",
                line={"color": theme.ink, "width": 2, "dash": _DASHES[place % len(_DASHES)]},
                marker={
                    "size": 11,
                    "color": theme.paper,
                    "symbol": _SYMBOLS[place % len(_SYMBOLS)],
                    "line": {"color": theme.ink, "width": 2.5},
                },
                error_y={
                    "array": _without_nan(scale * rows.high.to_numpy() - y),
                    "arrayminus": _without_nan(y - scale * rows.low.to_numpy()),
                    "color": theme.ink,
                    "thickness": 1.5,
                    "width": 5,
                },
                hovertemplate="step %{x:,}: %{y:.3g}<extra></extra>",
            )
        )
    in_units = f"{which.label}, points" if which.unit == "points" else which.label
    figure.update_xaxes(title="training step", tickformat=",", rangemode="tozero")
    figure.update_yaxes(title=f"gap in {in_units}", zeroline=False)
    return Chart(figure, _message(table, which.label, which.unit, several), table, 300)


def _without_nan(lengths: Array) -> Array:
    found: Array = np.nan_to_num(lengths)
    return found


def _message(table: pd.DataFrame, label: str, unit: str, several: bool) -> str:
    parts = []
    for training, rows in table.groupby("training", sort=False):
        first, last = rows.iloc[0], rows.iloc[-1]
        said = " and ".join(
            f"{change(row.difference, unit)} {bracket(row.low, row.high, unit)} at step "
            f"{row.step:,}"
            for row in (first, last)
        )
        parts.append(f"{training}: {said}" if several else said)
    populations = " or ".join(dict.fromkeys(table.population))
    return (
        f"Interactions over training. The gap in {label} is {'; '.join(parts)}. 95% intervals, "
        f"{populations}."
    )
