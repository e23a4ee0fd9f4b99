"""Several runs side by side, for notebooks and scripts."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from emap_core.notebook_display import ShownInNotebooks
from emap_core.presentation.comparison_tables import check_comparable, comparison_table
from emap_core.presentation.paper import chosen_metrics, paper_table
from emap_core.runs import Run


class Comparison(ShownInNotebooks):
    """Runs side by side: what interactions are worth in each.

    Attributes
    ----------
    runs : list of Run
    metrics : list of str
    table : DataFrame
        See `emap_core.presentation.comparison_tables.comparison_table`.
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
        """Return the same table as Markdown."""
        return paper_table(self.runs, "markdown", self.metrics)


def compare(*runs: Run, metrics: Sequence[str] = ()) -> Comparison:
    """Return runs side by side; a notebook shows them as a table with a dumbbell per run.

    Parameters
    ----------
    *runs : Run
        At least two.
    metrics : sequence of str
        By default, all metrics that every run has.

    Raises
    ------
    SettingError
        If they cannot be compared, or a run lacks one of the metrics.
    """
    return Comparison(runs, metrics)
