"""The columns of the data that a run keeps, so that its examples can be grouped by them."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from emap_core.datasets.base import plain_label
from emap_core.datasets.table_values import is_missing
from emap_core.human_readable import size

BUDGET = 16 * 2**20
"""Bytes of text that all columns of a run may have; the smallest are kept first."""
_MOST_COLUMNS = 200
_FOLDER = re.compile(r"(file:)?(~|/|[A-Za-z]:\\)[^\s/\\]*[/\\]")


def kept_columns(dataset: Any) -> tuple[pd.DataFrame | None, list[str]]:
    """Return the other columns of a dataset as text, and a note on those that are too large.

    Parameters
    ----------
    dataset : Dataset

    Returns
    -------
    (DataFrame or None, list of str)
        One row per example; an empty cell is an empty text.
    """
    columns = getattr(dataset, "columns", None)
    if columns is None or columns.empty:
        return None, []
    texts = {
        str(name): [_as_text(value) for value in columns[name].tolist()] for name in columns.columns
    }
    # Runs are shared, and other people have no business with this machine's folders.
    private = [name for name, values in texts.items() if any(map(_FOLDER.match, values))]
    texts = {name: values for name, values in texts.items() if name not in private}
    sizes = {name: sum(map(len, values)) for name, values in texts.items()}
    kept, taken = [], 0
    for name in sorted(sizes, key=lambda name: sizes[name])[:_MOST_COLUMNS]:
        taken += sizes[name]
        if taken <= BUDGET:
            kept.append(name)
    notes = [
        f"columns not kept because {why}: {', '.join(names[:8])}"
        for names, why in (
            (private, "they name folders of this machine"),
            (
                [name for name in texts if name not in kept],
                f"together they would exceed {size(BUDGET)}",
            ),
        )
        if names
    ]
    if not kept:
        return None, notes
    return pd.DataFrame({name: texts[name] for name in texts if name in kept}, dtype=str), notes


def _as_text(value: Any) -> str:
    return "" if is_missing(value) else str(plain_label(value))
