"""The gap of a run by any column of its examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from emap_core import inference, methods
from emap_core.errors import RunError, SettingError
from emap_core.inference import Gap
from emap_core.inference.comparisons.example_scores import ExampleScores
from emap_core.inference.comparisons.group_gaps import group_gaps
from emap_core.modalities.side_names import cells_of

if TYPE_CHECKING:
    import pandas as pd

    from emap_core.runs.run import Run

COLUMNS = ("label", "prediction", "kind")
"""Columns that every run with labels and decisions has."""
MOST_GROUPS = 100
"""With more groups, each says little, and all together take long."""


def gaps_by(run: Run, by: str | Sequence[str], metric: str | None = None) -> dict[str, Gap]:
    """Return the leave-one-out gap in each group of a run's examples, largest group first.

    The limits hold for the gaps of all groups at once. Groups by ``prediction`` or ``kind`` depend
    on what the model does: their gaps describe the model and are not evidence that a kind of
    example needs interactions.

    Parameters
    ----------
    run : Run
    by : str or sequence of str
        One of `COLUMNS`, a column of the data that the run keeps, or a name for each example.
    metric : str, optional
        One of the run's metrics; the first by default.

    Raises
    ------
    RunError
        If the run has no labels, or did not score all pairs.
    SettingError
        If `by` or `metric` does not fit the run.
    """
    import pandas as pd

    if run.labels is None or not run.metrics:
        raise RunError(f"run {run.id!r} has no labels, so no group has a gap")
    if not run.method.scores_all_pairs:
        raise RunError(
            f"run {run.id!r} scored only some of the {cells_of(len(run.sides))}, too few for "
            f"single groups; compute it with the {methods.DEFAULT} method"
        )
    which = run.metrics[0] if metric is None else inference.metric(metric).name
    if which not in run.metrics:
        raise SettingError(f"metric is {which!r}; choose one of {', '.join(run.metrics)}")
    names = pd.Series(_names(run, by))
    resampling = run.manifest["resampling"]
    examples = ExampleScores(
        run.decomposition, run.labels, run.task, which, run.space, **resampling
    )
    found = group_gaps(examples, names.tolist())
    return {name: found[name] for name in names.value_counts(sort=True).index}


def table_by(run: Run, by: str | Sequence[str], metric: str | None = None) -> pd.DataFrame:
    """Return `gaps_by` as a table.

    Returns
    -------
    DataFrame
        One row per group; columns ``n_examples``, ``full``, ``emap_leave_one_out``, ``gap``,
        ``gap_low``, ``gap_high`` and ``p_value``, the last three adjusted for the number of groups.
    """
    import pandas as pd

    rows = {
        name: {
            "n_examples": gap.n_examples,
            "full": gap.full,
            gap.projection: gap.projected,
            "gap": gap.difference,
            "gap_low": gap.low,
            "gap_high": gap.high,
            "p_value": gap.p_value,
        }
        for name, gap in gaps_by(run, by, metric).items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("group")


def _names(run: Run, by: str | Sequence[str]) -> list[str]:
    if not isinstance(by, str):
        names = [str(name) for name in by]
        if len(names) != len(run.ids):
            raise SettingError(
                f"by has {len(names):,} names, but the run has {len(run.ids):,} examples; give one "
                "name per example"
            )
        return names
    of_data = run.manifest["columns"]
    column = run.examples()[by] if by in COLUMNS else None
    if column is not None and not column.isna().all():
        return [str(name) for name in column.fillna("none")]
    if by in of_data:
        # If the run has nothing under this name, the data may: with three sides, its own kinds.
        return _of_few([value or "none" for value in run.columns[by]], by)
    if column is not None:
        raise SettingError(f"the examples of run {run.id!r} have no {by}; choose another column")
    there = ", ".join(dict.fromkeys([*COLUMNS, *of_data]))
    raise SettingError(f"by is {by!r}; choose one of {there:.800}")


def groupable(run: Run) -> list[str]:
    """Return the columns of the data with more than one value, but not too many to group by."""
    return [
        name for name in run.manifest["columns"] if 2 <= run.columns[name].nunique() <= MOST_GROUPS
    ]


def _of_few(names: list[str], by: str) -> list[str]:
    n = len(set(names))
    if n > MOST_GROUPS:
        raise SettingError(
            f"column {by!r} has {n:,} different values; choose one with at most {MOST_GROUPS}"
        )
    return names
