"""A seeded sample of a dataset, as a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from emap_core.datasets.base import Dataset, Examples, Index, fingerprint_of, unknown_labels
from emap_core.errors import LabelError, SettingError


class Picked(Sequence[Any]):
    """Some entries of a sequence, each taken only when it is asked for."""

    def __init__(self, entries: Sequence[Any], rows: Index) -> None:
        self.entries = entries
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Picked(self.entries, self.rows[index])
        return self.entries[int(self.rows[index])]


def sample(dataset: Dataset, limit: int | None, seed: int = 0) -> Dataset:
    """Return `limit` random examples of a dataset in their order, or all if it has no more.

    Raises
    ------
    SettingError
        If `limit` is less than 2, since recombining needs two examples.
    """
    if limit is None:
        return dataset
    if limit < 2:
        raise SettingError(f"limit is {limit}; recombining texts and images needs at least 2")
    if limit >= len(dataset):
        return dataset
    rows = np.sort(np.random.default_rng(seed).choice(len(dataset), limit, replace=False))
    whole = dataset.fingerprint
    return pick(dataset, rows, fingerprint_of(whole, f"{limit}, seed {seed}") if whole else None)


def pick(dataset: Dataset, rows: Index, fingerprint: str | None) -> Examples:
    """Return the examples at `rows`; images stay unopened until they are asked for."""

    def chosen(name: str) -> Any:
        values = getattr(dataset, name, None)
        return None if values is None else [values[int(row)] for row in rows]

    def unopened(name: str) -> Any:
        values = getattr(dataset, name, None)
        return None if values is None else Picked(values, rows)

    groups = getattr(dataset, "groups", None)
    return Examples(
        texts=chosen("texts"),
        images=unopened("images"),
        labels=chosen("labels"),
        ids=chosen("ids") or [str(row) for row in rows],
        classes=getattr(dataset, "classes", None),
        task=getattr(dataset, "task", "multiclass"),
        fingerprint=fingerprint,
        image_keys=chosen("image_keys"),
        image_inputs=unopened("image_inputs"),
        groups=None if groups is None else groups.iloc[rows].reset_index(drop=True),
        skipped=list(getattr(dataset, "skipped", [])),
        skip_bad=getattr(dataset, "skip_bad", False),
        label_cells=chosen("label_cells"),
    )


def without_unknown_labels(
    dataset: Dataset, classes: list[str] | None, n_classes: int | None = None
) -> Dataset:
    """Return the examples whose labels a model has classes for, if bad ones are to be left out.

    Parameters
    ----------
    dataset : Dataset
    classes : list of str or None
        The model's.
    n_classes : int, optional
        How many there are, if it names none.

    Raises
    ------
    LabelError
        If none is left.
    """
    if not getattr(dataset, "skip_bad", False):
        return dataset
    wrong = unknown_labels(dataset, classes, n_classes)
    if not wrong:
        return dataset
    if len(wrong) == len(dataset):
        raise LabelError(f"no label is a class of the model; the first: {wrong[0]}")
    rows = np.array([row for row in range(len(dataset)) if row not in wrong], dtype=np.intp)
    whole = dataset.fingerprint
    kept = pick(dataset, rows, fingerprint_of(whole, rows.tobytes()) if whole else None)
    return replace(kept, skipped=[*kept.skipped, *wrong.values()])
