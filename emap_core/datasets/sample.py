"""A seeded sample of a dataset, as a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from emap_core.datasets.base import Dataset, Examples, SideItems, as_examples, fingerprint_of
from emap_core.datasets.labels import unknown_labels
from emap_core.errors import LabelError, SettingError
from emap_core.option_names import option_name
from emap_core.types import Index


class Picked(Sequence[Any]):
    """Some entries of a sequence, each taken only on use."""

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
    """Return `limit` random examples of a dataset in their original order, or all if it has fewer.

    Raises
    ------
    SettingError
        If `limit` is less than 2, since recombining needs two examples.
    """
    if limit is None:
        return dataset
    dataset = as_examples(dataset)
    counts = isinstance(limit, (int, np.integer)) and not isinstance(limit, bool)
    if not counts or limit < 2:
        raise SettingError(
            f"{option_name('limit', 'data')} is {limit!r}; recombining texts and images needs at "
            "least 2"
        )
    if limit >= len(dataset):
        return dataset
    rows = np.sort(np.random.default_rng(seed).choice(len(dataset), limit, replace=False))
    whole = dataset.fingerprint
    return pick(dataset, rows, fingerprint_of(whole, f"{limit}, seed {seed}") if whole else None)


def pick(dataset: Dataset, rows: Index, fingerprint: str | None) -> Examples:
    """Return the examples at `rows`; images stay closed until they are used."""
    whole = as_examples(dataset)

    def chosen(values: Sequence[Any] | None) -> Any:
        return None if values is None else [values[int(row)] for row in rows]

    def unopened(values: Sequence[Any] | None) -> Any:
        return None if values is None else Picked(values, rows)

    def of_side(one: SideItems) -> SideItems:
        items = chosen(one.items) if one.side.modality == "text" else unopened(one.items)
        keys, words = chosen(one.keys), chosen(one.words)
        return replace(one, items=items, keys=keys, words=words, inputs=unopened(one.inputs))

    return replace(
        whole,
        texts=() if whole.other_sides else chosen(whole.texts),
        images=() if whole.other_sides else unopened(whole.images),
        labels=chosen(whole.labels),
        ids=chosen(whole.ids),
        # The class names that labels spell are those of all labels.
        classes=whole.classes,
        fingerprint=fingerprint,
        image_keys=chosen(whole.image_keys),
        image_inputs=unopened(whole.image_inputs),
        columns=None if whole.columns is None else whole.columns.iloc[rows],
        label_cells=chosen(whole.label_cells),
        other_sides=tuple(map(of_side, whole.other_sides)),
    )


def without_unknown_labels(
    dataset: Dataset, classes: list[str] | None, n_classes: int | None = None
) -> Dataset:
    """Return the examples whose labels are classes of a model; list the others as skipped.

    Parameters
    ----------
    dataset : Dataset
    classes : list of str or None
        The model's class names.
    n_classes : int, optional
        Number of classes, if the model does not name them.

    Raises
    ------
    LabelError
        If no example is left.
    """
    wrong = unknown_labels(dataset, classes, n_classes)
    if not wrong:
        return dataset
    if len(wrong) == len(dataset):
        raise LabelError(f"no label is a class of the model; the first: {wrong[0]}")
    rows = np.array([row for row in range(len(dataset)) if row not in wrong], dtype=np.intp)
    whole = dataset.fingerprint
    kept = pick(dataset, rows, fingerprint_of(whole, rows.tobytes()) if whole else None)
    return replace(kept, skipped=[*kept.skipped, *wrong.values()])
