"""What every figure function returns: the figure, its message in words, and its data."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from emap_core.untrusted_text import visible


@dataclass(frozen=True, eq=False)
class Chart:
    """A figure to look at, and the same in words and numbers.

    Attributes
    ----------
    figure : plotly.graph_objects.Figure
        The figure; equal data gives equal figures.
    alt : str
        Its message in words, for screen readers and captions.
    table : pandas.DataFrame
        The numbers drawn.
    least_width : int
        Width in pixels below which words and numbers overlap.
    """

    figure: go.Figure
    alt: str
    table: pd.DataFrame
    least_width: int = 0
    worded: bool = False
    """Whether it already uses the names of its run's sides."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "alt", visible(self.alt))
