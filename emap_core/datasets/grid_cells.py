"""The cells of the examples in the grid of unique items, and a data set's fingerprint."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from emap_core.datasets.base import Dataset, Examples, SideItems, as_examples
from emap_core.errors import DatasetError
from emap_core.modalities.fingerprints import fingerprint_of
from emap_core.modalities.image import pixel_key
from emap_core.types import Index


@dataclass(frozen=True, eq=False)
class UniqueOfSide:
    """The different items of a side, numbered in order of first appearance.

    Attributes
    ----------
    index : ndarray of shape (N,)
        Number of each example's item.
    examples : ndarray of shape (U,)
        For each item, the first example that has it.
    words : list of str or None
        A few words that tell each item from the others; None for images, which have none.
    """

    index: Index
    examples: Index
    words: list[str] | None

    def __len__(self) -> int:
        return len(self.examples)


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of the N examples in the grid of the unique items of every side.

    Rows of the grid are the items of the first side. Columns are the items of the second, or, with
    more than two sides, every combination of items of all other sides; the last side varies
    fastest.

    Attributes
    ----------
    sides : tuple of UniqueOfSide
        In order; at least two.
    """

    sides: tuple[UniqueOfSide, ...]

    @property
    def row_words(self) -> list[str]:
        """The unique texts of the first side, or the words of other items."""
        return self.sides[0].words or []

    @property
    def row_index(self) -> Index:
        """Number of each example's row, shape (N,)."""
        return self.sides[0].index

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of unique items of each side."""
        return tuple(map(len, self.sides))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the grid: with two sides, unique texts and unique images."""
        return self.sizes[0], prod(self.sizes[1:])

    @property
    def column_index(self) -> Index:
        """Number of each example's column, shape (N,)."""
        return column_numbers([one.index for one in self.sides[1:]], self.sizes[1:])


def column_numbers(index: Sequence[Index], sizes: Sequence[int]) -> Index:
    """Return the numbers of combinations of items of several sides; the last side varies fastest.

    Parameters
    ----------
    index : sequence of ndarray
        Numbers of items, one array per side.
    sizes : sequence of int
        Number of items of each side.
    """
    if len(index) == 1:
        return index[0]
    return np.ravel_multi_index(tuple(index), tuple(sizes)).astype(np.intp)


def find_cells(dataset: Dataset) -> Cells:
    """Give numbers to the unique items of every side, in order of first appearance.

    Texts are the same if their strings are equal, other items if their keys are, and images without
    keys if their pixels are.

    Raises
    ------
    DatasetError
        If there are fewer than two examples, or a text is not a string.
    """
    n = len(dataset)
    if n < 2:
        raise DatasetError(
            f"the dataset has {n} example{'' if n == 1 else 's'}; "
            "recombining texts and images needs at least 2"
        )
    whole = dataset if isinstance(dataset, Examples) else as_examples(dataset)
    first, *others = whole.items_by_side
    return Cells((_unique_rows(first, whole), *map(_unique_columns, others)))


def _unique_rows(first: SideItems, dataset: Examples) -> UniqueOfSide:
    import pandas as pd

    if first.side.modality != "text":
        words = [""] * len(first.items) if first.words is None else first.words
        return _unique(first, words)
    for row, text in enumerate(first.items):
        if not isinstance(text, str):
            raise DatasetError(
                f"the {first.side.name} of example {dataset.ids[row]!r} is "
                f"{type(text).__name__}; expected a string"
            )
    index, texts = pd.factorize(np.array(list(first.items), dtype=object))
    return UniqueOfSide(index.astype(np.intp), _first_of_each(index), [str(t) for t in texts])


def _unique_columns(of: SideItems) -> UniqueOfSide:
    return _unique(of, None if of.side.modality == "image" else of.words)


def _unique(of: SideItems, words: Sequence[str] | None) -> UniqueOfSide:
    index = _numbered(_keys(of.items, of.keys))
    examples = _first_of_each(index)
    # Items with the same words get different ones, since they are looked up by their words.
    told_apart = None if words is None else _told_apart([words[i] for i in examples])
    return UniqueOfSide(index, examples, told_apart)


def _keys(items: Sequence[Any], keys: Sequence[Hashable] | None) -> Sequence[Hashable]:
    return [pixel_key(items[i]) for i in range(len(items))] if keys is None else keys


def _first_of_each(index: Index) -> Index:
    return np.unique(index, return_index=True)[1].astype(np.intp)


def _told_apart(words: list[str]) -> list[str]:
    """Return the words of different items, numbered if several are the same."""
    found: dict[str, None] = {}
    numbers: dict[str, int] = {}
    for one in words:
        name = one
        # Another item's own words may already end in this number.
        while name in found:
            numbers[one] = numbers.get(one, 1) + 1
            name = f"{one} ({numbers[one]})"
        found[name] = None
    return list(found)


def fingerprint(dataset: Any, cells: Cells) -> str:
    """Return a dataset's own fingerprint, or a hash of texts, labels, ids and images."""
    stated = getattr(dataset, "fingerprint", None)
    if stated:
        return str(stated)
    whole = dataset if isinstance(dataset, Examples) else as_examples(dataset)
    first, second, *further = whole.items_by_side
    labels = None if whole.labels is None else [str(label) for label in whole.labels]
    if second.keys is not None:
        of_second = [str(key) for key in second.keys]
    else:
        items = (second.items[int(i)] for i in cells.sides[1].examples)
        of_second = [fingerprint_of(np.asarray(item).tobytes()) for item in items]
    of_first = cells.row_words
    if first.side.modality != "text":
        keys = _keys(first.items, first.keys)
        of_first = [str(keys[int(i)]) for i in cells.sides[0].examples]
    return fingerprint_of(
        json.dumps([of_first, labels, list(whole.ids), of_second]),
        cells.sides[0].index.tobytes(),
        cells.sides[1].index.tobytes(),
        *_of_further(further, cells),
    )


def _of_further(further: Sequence[SideItems], cells: Cells) -> Iterator[str | bytes]:
    for one, unique in zip(further, cells.sides[2:], strict=True):
        keys = _keys(one.items, one.keys)
        yield json.dumps([one.side.name, [str(keys[int(i)]) for i in unique.examples]])
        yield unique.index.tobytes()


def _numbered(keys: Sequence[Hashable]) -> Index:
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.intp)
