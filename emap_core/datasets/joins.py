"""Two files of one dataset, such as questions and answers, joined row by row on a key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from emap_core.allowed_folders import beside, roots_of_environment
from emap_core.datasets.base import plain_label
from emap_core.datasets.table import Records
from emap_core.datasets.table_files import read_any
from emap_core.datasets.table_values import is_missing
from emap_core.errors import DatasetError, SettingError
from emap_core.option_names import option, option_name


def joined(records: Records, joins: str | Sequence[str]) -> Records:
    """Return records with the columns of other files added.

    Parameters
    ----------
    records : Records
    joins : str or sequence of str
        ``FILE:KEY`` each: the file's row with the same value in column KEY, which both have.
        ``FILE:KEY=OTHER`` if the file calls the column OTHER.

    Raises
    ------
    SettingError
        If it does not have this form.
    DatasetError
        If the file cannot be read, a column is missing, or the file has a key twice.
    """
    for one in [joins] if isinstance(joins, str) else joins:
        name, colon, keys = str(one).rpartition(":")
        if not colon or not name or not keys:
            raise SettingError(
                f"{option_name('join', 'data')} is {one!r}; expected FILE:KEY, a file and a column "
                "that both files have"
            )
        key, _, other = keys.partition("=")
        found = read_any(str(beside(name, records.folder, "file", roots_of_environment())))
        records = join_on(records, found, key, other or key)
    return records


def join_on(records: Records, others: Records, key: str, other_key: str) -> Records:
    """Return records with the columns of the other file's one row with the same key.

    A column that both have stays as it is if the two agree. If not, the other file's column gets
    the file's name and a point before its own. A row without a match is wrong.
    """
    import pandas as pd

    left, right = records.table, others.table
    for table, source, column in (
        (left, records.source, key),
        (right, others.source, other_key),
    ):
        if column not in table:
            there = ", ".join(str(name) for name in table.columns[:40])
            raise DatasetError(
                f"{source} has no column {column!r} to join on; it has {there}: name the two with "
                f"{option('join', 'FILE:KEY=OTHER')}"
            )
    places: dict[str, int] = {}
    for row, value in enumerate(right[other_key].tolist()):
        if is_missing(value):
            continue
        if places.setdefault(_key(value), row) != row:
            raise DatasetError(
                f"{others.source} has {other_key} {_key(value)!r:.80} twice; a key to join on must "
                "be in only one row"
            )
    keys = ["" if is_missing(value) else _key(value) for value in left[key].tolist()]
    matched = [places.get(one) for one in keys]
    if all(place is None for place in matched):
        raise DatasetError(
            f"no {key} of {records.source} is in {others.source}, column {other_key!r}; the first "
            f"are {keys[0]!r:.80} and {next(iter(places), '')!r:.80}"
        )
    table = left.copy()
    table.attrs = {**left.attrs, "classes": dict(left.attrs.get("classes", {}))}
    for column in right.columns:
        if column == other_key:
            continue
        values = right[column].tolist()
        taken = [None if place is None else values[place] for place in matched]
        name = str(column)
        if name in left:
            if _agree(left[name].tolist(), taken):
                continue
            name = f"{Path(others.source).name.partition('.')[0]}.{name}"
        table[name] = pd.Series(taken, index=table.index, dtype=object)
        if column in right.attrs.get("classes", {}):
            table.attrs["classes"][name] = right.attrs["classes"][column]
    wrong = {
        row: f"no row of {Path(others.source).name} has {other_key} {one!r:.80}"
        for row, (one, place) in enumerate(zip(keys, matched, strict=True))
        if place is None
    }
    table.attrs["wrong"] = {**wrong, **left.attrs.get("wrong", {})}
    return replace(records, table=table)


def _key(value: Any) -> str:
    """Return a key as text: one file may store numbers as numbers, the other as text."""
    return str(plain_label(value)).strip()


def _agree(values: list[Any], others: list[Any]) -> bool:
    return all(
        other is None or (_key(value) == _key(other))
        for value, other in zip(values, others, strict=True)
    )
