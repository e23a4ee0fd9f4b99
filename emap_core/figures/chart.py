"""What every figure function returns: the figure, its message in words, and its data."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from emap_core.visible import visible


@dataclass(frozen=True, eq=False)
class Chart:
    """A figure for the eyes, and the same for everyone else.

    Attributes
    ----------
    figure : plotly.graph_objects.Figure
        The figure itself; the same data gives the same figure.
    alt : str
        Its message in words, for screen readers and captions.
    table : pandas.DataFrame
        The numbers that it draws.
    least_width : int
        Pixels that it needs, or words and numbers lie over one another.
    """

    figure: go.Figure
    alt: str
    table: pd.DataFrame
    least_width: int = 0
    worded: bool = False
    """Whether it calls the sides of its run by their names."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "alt", visible(self.alt))
