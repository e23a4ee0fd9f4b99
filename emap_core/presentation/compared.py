"""Several runs side by side, for a notebook and a script."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from emap_core.in_notebooks import ShownInNotebooks
from emap_core.presentation.comparison import check_comparable, comparison_table
from emap_core.presentation.paper import chosen_metrics, paper_table
from emap_core.runs import Run


class Comparison(ShownInNotebooks):
    """Runs side by side: what interactions are worth in each.

    Attributes
    ----------
    runs : list of Run
    metrics : list of str
    table : DataFrame
        See `emap_core.presentation.comparison.comparison_table`.
    """

    def __init__(self, runs: Sequence[Run], metrics: Sequence[str]) -> None:
        check_comparable(runs)
        self.runs = list(runs)
        self.metrics = chosen_metrics(runs, metrics)
        self.table: pd.DataFrame = comparison_table(runs, self.metrics)

    def latex(self) -> str:
        """Return a paper's table with its caption; it needs the package booktabs."""
        return paper_table(self.runs, "latex", self.metrics)

    def markdown(self) -> str:
        """Return the same as Markdown."""
        return paper_table(self.runs, "markdown", self.metrics)


def compare(*runs: Run, metrics: Sequence[str] = ()) -> Comparison:
    """Return runs side by side, which a notebook shows as a table and a dumbbell each.

    Parameters
    ----------
    *runs : Run
        Two at least.
    metrics : sequence of str
        Those that all runs have by default.

    Raises
    ------
    SettingError
        If they cannot be compared, or do not all have such a metric.
    """
    return Comparison(runs, metrics)
