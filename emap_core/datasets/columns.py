"""What each column of a table is: named, made by a pattern, or found by its usual name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emap_core.datasets.base import Reading
from emap_core.datasets.column_patterns import EmptyCellError, Pattern
from emap_core.datasets.regions import look_like_regions
from emap_core.datasets.table_values import BadValueError
from emap_core.errors import DatasetError
from emap_core.option_names import option, option_name

if TYPE_CHECKING:
    import pandas as pd

USUAL_NAMES = {
    "text": ("text", "caption", "question", "sentence", "prompt", "title"),
    "image": (
        *("image", "image_path", "file_name", "filename", "image_file", "img", "img_path", "path"),
        "images",
        "image_filename",
        "image_name",
        "image_url",
    ),
    "label": ("label", "labels", "answer", "class", "category", "target"),
    "regions": ("regions", "region_features", "features"),
    "id": ("id", "uid", "example_id", "question_id"),
}
"""Usual names of columns, in order of preference.

Capitals do not matter, and a space or a hyphen counts as an underscore.
"""

_WORDS = re.compile(r"[^A-Za-z]+|(?<=[a-z])(?=[A-Z])")
_LIKE_LABELS = {
    *("label", "labels", "answer", "answers", "class", "classes", "category", "categories"),
    *("target", "targets", "match", "matches", "truth", "gold", "correct", "sentiment", "emotion"),
    *("genre", "genres", "hateful", "entailment", "verdict"),
}
"""Words in the names of columns that may hold labels; we ask about these, and never guess."""


@dataclass(frozen=True)
class Columns:
    """The columns of texts, images, labels, ids and regions in a table."""

    text: str
    image: str
    label: str | None
    id: str | None
    regions: str | None


def guess_columns(table: pd.DataFrame) -> dict[str, str | None]:
    """Return the default column for each input and the label."""
    needed = ("text", "image", "label", "regions")
    return {what: _find("the table", table, what, None) for what in needed}


def find_columns(
    source: str,
    table: pd.DataFrame,
    named: dict[str, str | None],
    further: Sequence[tuple[str, str]] = (),
) -> tuple[Columns, Reading]:
    """Return which column of a table is what, and why.

    Parameters
    ----------
    source : str
        What to call the table in messages.
    table : DataFrame
    named : dict
        Columns that the user named for ``text``, ``image``, ``label``, ``id`` and ``regions``.
    further : sequence of (str, str)
        Sides after the second, each with its column.

    Raises
    ------
    DatasetError
        If a column is missing or occurs twice, or only the user can tell which one is meant.
    """
    spelled = [str(column) for column in table.columns]
    if len(set(spelled)) < len(spelled):
        twice = next(name for name in spelled if spelled.count(name) > 1)
        raise DatasetError(f"{source} has two columns {twice!r}; rename or delete one")
    taken: dict[str, str | None] = {}
    reasons = {}
    for what in ("text", "image", "label", "id", "regions"):
        taken[what] = _find(source, table, what, named[what])
        if named[what]:
            reasons[what] = _how(str(named[what]))
        elif named[what] == "":
            reasons[what] = "none is wanted"
        elif taken[what] is not None:
            reasons[what] = "a usual name"
        else:
            usual = ", ".join(USUAL_NAMES[what])
            reasons[what] = f"no column is called {usual}"
    for what, column in taken.items():
        if column in table.attrs.get("repeated", ()) and not named[what]:
            raise DatasetError(
                f"{source} has two columns {column!r}; name the right one, "
                f"{option(f'{what}_column', column)} or {option(f'{what}_column', f'{column}.1')}"
            )
    for what in ("text", "image"):
        if taken[what] is None:
            raise DatasetError(
                f"{source} has no column for the {what} under a usual name; it has "
                f"{_listed(table)}: name it with {option(f'{what}_column')}"
                + (
                    f", or, if these are an example, name all columns with {option('column_names')}"
                    if table.attrs.get("header")
                    else ""
                )
            )
    columns = Columns(**taken)  # type: ignore[arg-type]
    for side, named_column in further:
        taken[side] = _find(source, table, side, named_column)
        reasons[side] = _how(named_column)
    used = {column for column in taken.values() if column is not None}
    like = tuple(name for name in spelled if name not in used and looks_like_labels(table, name))
    if taken["label"] is None and named["label"] is None and like:
        several = len(like) > 1
        raise DatasetError(
            f"{source} has no column for the label under a usual name, and "
            f"{', '.join(map(repr, like[:8]))} {'look' if several else 'looks'} like one; name it "
            f"with {option('label_column', like[0])}, or none with {option('label_column', '')}"
        )
    told = tuple(table.attrs.get("told", ()))
    return columns, Reading(tuple(spelled), taken, reasons, like, told)


def _how(named: str) -> str:
    return "a pattern" if "{" in named else "named"


def looks_like_labels(table: pd.DataFrame, column: str) -> bool:
    """Return whether a column may hold labels, by its name or a note in the file."""
    words = set(_WORDS.sub(" ", column).lower().split())
    return column in table.attrs.get("classes", {}) or (
        bool(words & _LIKE_LABELS) and "type" not in words
    )


def _find(source: str, table: pd.DataFrame, what: str, named: str | None) -> str | None:
    if named:
        if named not in table:
            raise DatasetError(
                f"{source} has no column {named!r} for the {what}; it has {_listed(table)}"
            )
        return named
    if named == "":
        return None
    spelled = {_usual(str(column)): str(column) for column in reversed(list(table.columns))}
    found = [spelled[name] for name in USUAL_NAMES[what] if name in spelled]
    if what == "regions":
        found = [column for column in found if look_like_regions(table[column].tolist())]
    return found[0] if found else None


def _usual(column: str) -> str:
    """Return a name as the usual ones are spelled: `` File name`` as ``file_name``."""
    return re.sub(r"[\s-]+", "_", column.strip().lower())


def _listed(table: pd.DataFrame) -> str:
    shown = ", ".join(str(column)[:60] for column in table.columns[:40])
    return shown + (", …" if len(table.columns) > 40 else "")


def with_pattern(
    table: pd.DataFrame, pattern: str, called: str, *, several: bool = False
) -> pd.DataFrame:
    """Return a table with one more column, named after the pattern that makes it.

    Parameters
    ----------
    table : DataFrame
    pattern : str
    called : str
        What to call its option in messages.
    several : bool
        Whether it may be several patterns with commas between, for images side by side.
    """
    import pandas as pd

    names = [str(column) for column in table.columns]
    parts = pattern.split(",") if several else [pattern]
    if not all("{" in part for part in parts):
        parts = [pattern]
    made = [Pattern(part, names, called) for part in parts]
    needed = dict.fromkeys(column for one in made for column in one.columns)
    cells: list[Any] = []
    for values in zip(*(table[column].tolist() for column in needed), strict=True):
        row = dict(zip(needed, values, strict=True))
        try:
            filled = [one.fill(row) for one in made]
            cells.append(filled[0] if len(filled) == 1 else tuple(filled))
        except EmptyCellError:
            cells.append(None)
        except BadValueError as error:
            cells.append(error)
    return table.assign(**{pattern: pd.Series(cells, index=table.index, dtype=object)})


def with_side(source: str, table: pd.DataFrame, name: str, column: str) -> pd.DataFrame:
    """Return a table with the column of a side, which may be a pattern of other columns.

    Raises
    ------
    DatasetError
        If there is no such column.
    """
    if column in table:
        return table
    if "{" in column:
        return with_pattern(table, column, option_name("side", "data"))
    raise DatasetError(f"{source} has no column {column!r} for the {name}; it has {_listed(table)}")


def with_images_beside(table: pd.DataFrame, column: str | None) -> pd.DataFrame:
    """Return a table with a column of several images per row, if several columns are named."""
    import pandas as pd

    parts = (column or "").split(",")
    if column in table or len(parts) < 2 or not all(part in table for part in parts):
        return table
    cells = list(zip(*(table[part].tolist() for part in parts), strict=True))
    return table.assign(**{str(column): pd.Series(cells, index=table.index, dtype=object)})


def cells_of(source: str, table: pd.DataFrame, column: str) -> list[Any]:
    """Return the cells of a column, or of several, named with commas between."""
    if column in table:
        return list(table[column].tolist())
    parts = column.split(",")
    for part in parts:
        if part not in table:
            raise DatasetError(
                f"{source} has no column {part!r} for the choices; it has {_listed(table)}"
            )
    return list(zip(*(table[part].tolist() for part in parts), strict=True))
