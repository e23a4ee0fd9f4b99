"""Text made of columns, such as ``val2014/COCO_val2014_{image_id:012d}.jpg``."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Sequence
from typing import Any

from emap_core.datasets.base import label_number, plain_label
from emap_core.datasets.table_values import BadValueError, is_missing, written_list
from emap_core.errors import DatasetError, SettingError

_PARTS = re.compile(r"(.+?)((?:\[[^\[\]]*\])*)")
_SPEC = re.compile(r"[<>^=]?[+ -]?0?[0-9]{0,3}(\.[0-9]{1,3})?[dsfegxX]?")
"""The part of Python's format that file names need, with widths too small to fill memory."""


class EmptyCellError(BadValueError):
    """A cell that a pattern needs is empty."""


class Pattern:
    """A text with columns in braces, filled row by row.

    ``{name}`` is the cell of a column; ``{name:012d}`` writes a number with twelve digits;
    ``{name[0]}`` is the first entry of a list, ``{name[key]}`` a value of an object,
    ``{name[:-2]}`` all but the last two characters of a text; ``{{`` is a brace.

    Parameters
    ----------
    pattern : str
    columns : sequence of str
        The columns of the table.
    called : str
        What to call its option in messages.

    Raises
    ------
    SettingError
        If it is not such a text, or does not name a column.
    DatasetError
        If there is no such column.
    """

    def __init__(self, pattern: str, columns: Sequence[str], called: str) -> None:
        self.columns: list[str] = []
        self._parts: list[tuple[str, Callable[[dict[str, Any]], str] | None]] = []
        try:
            parsed = list(string.Formatter().parse(pattern))
        except ValueError as error:
            raise SettingError(f"{called} is {pattern!r:.200}: {error}") from error
        for words, field, spec, conversion in parsed:
            if field is None:
                self._parts.append((words, None))
                continue
            if conversion or not _SPEC.fullmatch(spec or ""):
                raise SettingError(
                    f"{called} has {{{field}:{spec}}}; expected a column and a number format, such "
                    "as {image_id:012d}"
                )
            column, steps = _column_and_steps(field, columns)
            if column not in columns:
                raise DatasetError(
                    f"{called} names the column {column!r}, which does not exist; there are "
                    f"{', '.join(columns[:40])}"
                )
            self.columns.append(column)
            self._parts.append((words, _filler(column, steps, spec or "")))
        if not self.columns:
            raise SettingError(
                f"{called} is {pattern!r:.200}, which does not name a column; put one in braces, "
                f"as in {{{columns[0]}}}"
            )

    def fill(self, row: dict[str, Any]) -> str:
        """Return the text of a row.

        Raises
        ------
        EmptyCellError
            If a cell is empty.
        BadValueError
            If a cell does not fit.
        """
        return "".join(
            words if filled is None else words + filled(row) for words, filled in self._parts
        )


def _column_and_steps(field: str, columns: Sequence[str]) -> tuple[str, list[str]]:
    if field in columns:
        return field, []
    found = _PARTS.fullmatch(field)
    if found is None:
        return field, []
    return found[1], re.findall(r"\[([^\[\]]*)\]", found[2])


def _filler(column: str, steps: list[str], spec: str) -> Callable[[dict[str, Any]], str]:
    def fill(row: dict[str, Any]) -> str:
        value = row[column]
        for step in steps:
            value = _step(column, value, step)
        if is_missing(value):
            raise EmptyCellError(f"{column} is empty")
        value = plain_label(value)
        if not isinstance(value, (str, int, float)):
            raise BadValueError(
                f"{column} is a {type(value).__name__}; take a part of it, as in {{{column}[0]}}"
            )
        if spec[-1:] in ("d", "x", "X"):
            # Tables may store numbers as text, and whole numbers as floats.
            value = value if (number := label_number(value)) is None else number
        try:
            return format(value, spec)
        except ValueError as error:
            raise BadValueError(
                f"{column} is {str(value)[:60]!r}, which cannot be written as {spec}"
            ) from error

    return fill


def _step(column: str, value: Any, step: str) -> Any:
    if isinstance(value, str) and ":" not in step and (held := written_list(value)) is not None:
        value = held
    if hasattr(value, "tolist"):
        value = value.tolist()
    try:
        if isinstance(value, dict):
            return value[step]
        if ":" in step:
            limits = [int(one) if one.strip() else None for one in step.split(":")]
            return value[slice(*limits)]
        return value[int(step)]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise BadValueError(f"{column} has no part [{step[:40]}]") from error
