"""The first rows of a table, so that people can say which column is what before a long job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from emap_core.datasets.regions import look_like_regions
from emap_core.datasets.table import guess_columns
from emap_core.datasets.table_files import read_table

TABLES = ("csv", "jsonl", "parquet", "imagefolder")
"""Prefixes of specs that name a table."""


@dataclass(frozen=True)
class Preview:
    """What a table looks like.

    Attributes
    ----------
    rows : DataFrame
        The first rows, every value as words; images within the table are named by their size.
    n_rows : int
        Rows in all.
    taken : dict
        For ``text``, ``image``, ``label`` and ``regions`` the column that is taken for it, or None.
    offered : dict
        For each of these the columns that it may be.
    """

    rows: pd.DataFrame
    n_rows: int
    taken: dict[str, str | None]
    offered: dict[str, list[str]]


def preview_table(spec: str, n_rows: int = 5) -> Preview | None:
    """Return the first rows of what a spec names; None where it names no table.

    Raises
    ------
    EmapError
        If there is no such file or it cannot be read.
    """
    prefix, _, path = spec.partition(":")
    if prefix not in TABLES:
        return None
    table = read_table(prefix, path)
    taken = guess_columns(table)
    if prefix == "imagefolder" and "file_name" in table:
        taken["image"] = "file_name"
    names = [str(name) for name in table.columns]
    offered = dict.fromkeys(("text", "image", "label"), names)
    offered["regions"] = [name for name in names if look_like_regions(table[name].tolist())]
    rows = table.head(n_rows).astype(object).map(_in_words)
    return Preview(rows, len(table), taken, offered)


def _in_words(value: Any) -> str:
    if isinstance(value, dict) and "features" in value:
        return f"{len(value['features']):,} regions"
    if isinstance(value, dict) and isinstance(value.get("bytes"), bytes):
        value = value["bytes"]
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    words = str(value)
    return words if len(words) <= 200 else words[:199] + "…"
