"""Rows of a table: named values, such as a patient's measurements."""

from __future__ import annotations

import json
import math
from typing import Any, ClassVar

import numpy as np

from emap_core.modalities.base import BadItemError, FindFile, Modality, Preview, left_out, stretches
from emap_core.modalities.posters import rows
from emap_core.types import Mask

Row = dict[str, Any]


class TableRow(Modality):
    """A dictionary of strings, numbers, booleans and None."""

    name: ClassVar[str] = "table"
    plural: ClassVar[str] = "table rows"
    usual_names: ClassVar[tuple[str, ...]] = ("table", "row", "record", "tabular")
    unit: ClassVar[str] = "columns"
    read_at_once: ClassVar[bool] = True

    def is_at_hand(self, cell: Any) -> bool:
        """Return whether a cell is clearly an item of this kind, by its type alone."""
        return isinstance(cell, dict) and not {"bytes", "path", "array"} & cell.keys()

    def source(self, cell: Any, find: FindFile) -> Row:
        """Return the row itself, also from JSON."""
        if isinstance(cell, str):
            try:
                cell = json.loads(cell)
            except (ValueError, RecursionError) as error:
                raise BadItemError(f"the row is not valid JSON: {error}") from error
        if not isinstance(cell, dict) or not cell:
            raise BadItemError("the row is not an object with names and values; write it as JSON")
        return {str(name): _plain(value) for name, value in cell.items()}

    def open(self, source: Row) -> Row:
        """Return the row itself."""
        return source

    def key(self, source: Row) -> str:
        """Return the row as JSON."""
        return json.dumps(source, sort_keys=True)

    def words(self, source: Row) -> str:
        """Return names and values in order."""
        return ", ".join(f"{name} {_shown(value)}" for name, value in source.items())

    def preview(self, item: Row, most_bytes: int) -> Preview:
        """Return a small table; the words of the run show the rest."""
        return Preview(rows([(name, _shown(value)) for name, value in item.items()]))

    def units(self, item: Row, most: int) -> list[str]:
        """Return the names of columns, or of neighbouring columns together if there are more."""
        names = list(item)
        return [", ".join(names[some]) for some in stretches(len(names), most)]

    def mask(self, item: Row, keep: Mask) -> Row:
        """Return the row with None in the columns left out."""
        names = list(item)
        places = left_out(stretches(len(names), len(keep)), keep)
        gone = {name for some in places for name in names[some]}
        return {name: None if name in gone else value for name, value in item.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and math.isnan(value):
        return None
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise BadItemError(f"the row holds a {type(value).__name__}; expected words and numbers")


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else "–" if value is None else str(value)


MODALITY = TableRow()
