"""Sides other than text and image: items of any modality, opened when indexed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from emap_core.datasets.base import Examples, SideItems
from emap_core.errors import DatasetError, SettingError
from emap_core.modalities import (
    NAMES,
    TEXT_AND_IMAGE,
    BadItemError,
    Modality,
    Side,
    guessed,
    modality,
)
from emap_core.option_names import option, option_name


class Items(Sequence[Any]):
    """Items of a modality, each opened when it is indexed, never all at once.

    Parameters
    ----------
    kind : Modality
    sources : sequence
        What each item is opened from; see `Modality.source`.
    names : sequence of str
        What to call each item in messages.
    """

    def __init__(self, kind: Modality, sources: Sequence[Any], names: Sequence[str]) -> None:
        self.kind = kind
        self.sources = list(sources)
        self.names = list(names)

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Items(self.kind, self.sources[index], self.names[index])
        try:
            return self.kind.open(self.sources[index])
        except BadItemError as error:
            raise DatasetError(f"{self.names[index]} {error}") from error


@dataclass(frozen=True)
class Wanted:
    """A side as the user gave it: its name and its column.

    Attributes
    ----------
    name, column : str
    modality : str or None
        None to guess from the cells.
    """

    name: str
    column: str
    modality: str | None = None

    def side(self, cells: Sequence[Any]) -> Side:
        """Return the side; guess its modality from the cells of its column if it is not given."""
        return Side(self.name, self.modality or guessed(self.column, cells))


def wanted_sides(given: str | Sequence[str] | Mapping[str, str]) -> tuple[Wanted, ...]:
    """Return the sides given as ``NAME=COLUMN`` or ``NAME=COLUMN:MODALITY``.

    Parameters
    ----------
    given : str, sequence of str or mapping
        Two or more, in the order in which the model reads them; also as one string with spaces
        between, or as a mapping of names to columns.

    Raises
    ------
    SettingError
        If there are fewer than two, two have the same name, or one has another form.
    """
    if isinstance(given, Mapping):
        given = [f"{name}={column}" for name, column in given.items()]
    found = [_wanted(one) for one in (given.split() if isinstance(given, str) else given)]
    if len(found) < 2 or len({one.name for one in found}) < len(found):
        raise SettingError(
            f"{option_name('side', 'data')} names {', '.join(repr(one.name) for one in found)}; "
            "a run needs two or more sides with different names: give the option once for each"
        )
    return tuple(found)


def _wanted(written: str) -> Wanted:
    name, equals, column = written.partition("=")
    before, colon, kind = column.rpartition(":")
    if colon and kind in NAMES:
        column = before
    else:
        # A column may be named audio, or have a colon in its name.
        kind = ""
    if not (name.strip() and equals and column):
        raise SettingError(
            f"{option_name('side', 'data')} is {written!r}; write it as NAME=COLUMN, such as "
            f"{option('side', 'premise=sentence1')}, or NAME=COLUMN:MODALITY, with one of "
            f"{', '.join(NAMES)}"
        )
    return Wanted(name.strip(), column, kind or None)


def examples_of_sides(
    sides: Mapping[str, Sequence[Any]],
    modalities: Mapping[str, str] | None = None,
    **further: Any,
) -> Examples:
    """Return a dataset from a sequence of items for each of two or more sides.

    Parameters
    ----------
    sides : mapping of str to sequence
        In the order in which the model reads them. Items are strings, PIL images, paths, file
        contents, arrays, or whatever else their modality reads.
    modalities : mapping of str to str, optional
        For sides whose modality is not clear from the first item.
    **further
        Further arguments of `Examples`.

    Raises
    ------
    DatasetError
        If there are fewer than two sides, or an item does not fit its side.
    """
    if len(sides) < 2:
        raise DatasetError(f"the data has {len(sides)} sides; give two or more, by name")
    found = []
    for name, values in sides.items():
        cells = list(values)
        side = Side(name, (modalities or {}).get(name) or guessed(name, cells))
        kind, sources = modality(side.modality), []
        for row, cell in enumerate(cells):
            try:
                sources.append(kind.source(cell, lambda _, path: Path(path)))
            except BadItemError as error:
                raise DatasetError(f"{name} {row}: {error}") from error
        found.append(side_of(side, sources, [f"{name} {row}" for row in range(len(cells))]))
    return Examples(**fields_of(found), **further)


def fields_of(sides: Sequence[SideItems]) -> dict[str, Any]:
    """Return the fields of `Examples` for the items of two or more sides."""
    if tuple(one.side for one in sides) != TEXT_AND_IMAGE:
        of_two = dict.fromkeys(("image_keys", "image_inputs"))
        return {"other_sides": tuple(sides), "texts": (), "images": (), **of_two}
    text, image = sides
    return {
        "other_sides": (),
        "texts": text.items,
        "images": image.items,
        "image_keys": image.keys,
        "image_inputs": image.inputs,
    }


def side_of(side: Side, sources: Sequence[Any], names: Sequence[str]) -> SideItems:
    """Return the items of a side from their sources."""
    kind = modality(side.modality)
    items = list(sources) if kind.read_at_once else Items(kind, sources, names)
    keys, words = [], []
    for source in sources:
        keys.append(kind.key(source))
        words.append(kind.words(source))
    return SideItems(side, items, keys, words)


def in_order(data: Examples, order: Sequence[int]) -> Examples:
    """Return a dataset with its sides in another order.

    Parameters
    ----------
    data : Examples
    order : sequence of int
        The current place of each side.
    """
    if list(order) == sorted(order):
        return data
    sides = [data.items_by_side[place] for place in order]
    if sides[0].inputs is not None:
        raise DatasetError(
            f"the side {sides[0].side.name!r} has separate inputs for the model, so it cannot "
            "become the first"
        )
    return replace(data, **fields_of(sides))
