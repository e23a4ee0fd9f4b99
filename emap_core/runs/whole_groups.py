"""Which examples of a run belong together: by a column of the data, or by their text or image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emap_core import methods
from emap_core.errors import SettingError
from emap_core.modalities import why_not_two

if TYPE_CHECKING:
    import pandas as pd

    from emap_core.runs.cached_inference import CachedInference

USUAL_NAMES = ("group", "group_id", "triplet_id", "quadruple_id", "pair_id", "set_id")
"""Usual names of columns of groups, in order of preference; case does not matter."""
SIDES = ("image", "text")
"""Groups of examples that share one of these, if the data has no column of this name."""

_MOST_TOGETHER = 50
"""If groups are larger on average, they are never right as a whole."""


def why_no_groups(run: CachedInference) -> str | None:
    """Return a sentence on why no group of a run can be right as a whole; None if some can."""
    if (why := why_not_two(run.sides, "The score of a group")) is not None:
        return f"{why}."
    if run.labels is None:
        return "The data has no labels, so no group can be right."
    if (why := why_not_two(run.sides, "A group that is right as a whole")) is not None:
        return f"{why}."
    if run.labels.ndim != 1 or run.task not in ("multiclass", "binary"):
        return "Groups can only be right or wrong if each example has one right answer."
    if not run.method.scores_all_pairs or run.method.draws_examples:
        return (
            "Only some of the pairs were scored, too few for single groups; compute the run "
            f"with the {methods.DEFAULT} method."
        )
    if run.shared_by_all is not None:
        return f"All examples share one {run.shared_by_all}, so nothing can be recombined."
    return None


def groupings(run: CachedInference) -> list[str]:
    """Return what examples can be grouped by, usual names first."""
    import pandas as pd

    columns = run.columns
    found = [str(name) for name in columns if _is_grouping(columns[name])]
    d = run.decomposition
    for side, index in (("image", d.column_index), ("text", d.row_index)):
        if side not in columns and _is_grouping(pd.Series(index.astype(str))):
            found.append(side)
    usual = [name for word in USUAL_NAMES for name in found if name.lower() == word]
    return list(dict.fromkeys([*usual, *[name for name in found if name in SIDES], *found]))


def names_of_groups(run: CachedInference, by: str) -> list[str]:
    """Return the name of each example's group; empty if it is in none.

    Raises
    ------
    SettingError
        If the run has no such column.
    """
    if by in run.manifest["columns"]:
        return [str(name) for name in run.columns[by]]
    if by not in SIDES:
        there = ", ".join([*run.manifest["columns"], *SIDES])
        raise SettingError(f"groups are by {by!r}; choose one of {there:.800}")
    d = run.decomposition
    return [str(item) for item in (d.column_index if by == "image" else d.row_index)]


def _is_grouping(values: pd.Series) -> bool:
    sizes = values[values != ""].value_counts()
    together = sizes[sizes > 1]
    return bool(len(together) > 1 and np.mean(together) <= _MOST_TOGETHER)
