"""The first rows of a table, so that people can assign columns before a long job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emap_core.allowed_folders import for_a_child, path_or_hub_id, roots_of_environment
from emap_core.datasets.columns import guess_columns, looks_like_labels
from emap_core.datasets.hf import saved_splits
from emap_core.datasets.limited_process import limited
from emap_core.datasets.loaders import READERS, read_records
from emap_core.datasets.regions import look_like_regions
from emap_core.errors import DatasetError
from emap_core.modalities import guessed

if TYPE_CHECKING:
    import pandas as pd

_MOST_COLUMNS = 1_000


@dataclass(frozen=True)
class Preview:
    """What a table looks like.

    Attributes
    ----------
    rows : DataFrame
        The first rows, every value as words; images inside the table appear as their size.
    n_rows : int or None
        Total number of rows, if it is known without reading them all.
    taken : dict
        The column used for ``text``, ``image``, ``label`` and ``regions``, or None.
    offered : dict
        For each of these, the columns to choose from.
    like_labels : list of str
        Columns that look like labels, if no column is used for labels.
    splits : list of str
        Splits of a saved dataset; the first one is shown if none was chosen.
    modalities : dict
        The guessed modality of each column's items.
    """

    rows: pd.DataFrame
    n_rows: int | None
    taken: dict[str, str | None]
    offered: dict[str, list[str]]
    like_labels: list[str]
    splits: list[str]
    modalities: dict[str, str]


def preview_elsewhere(
    spec: str, settings: Mapping[str, Any] | None = None, roots: Sequence[Path] | None = None
) -> Preview | None:
    """Return the result of `preview_table`, called in a process with limits on memory and time.

    Parameters
    ----------
    spec : str
    settings : mapping, optional
        Arguments for the loader; only those that decide what is read count.
    roots : sequence of Path, optional
        Folders in which files may be read; anywhere by default.

    Raises
    ------
    EmapError
        If there is no such file, it cannot be read, or reading exceeds a limit.
    """
    if not _names_a_table(spec, roots):
        # A process costs a second, and pages should not have to wait for it.
        return None
    name = Path(spec.partition(":")[2]).name
    found = limited(
        f"{__name__}:preview_as_json",
        *(spec, dict(settings or {})),
        doing=f"{name} cannot be previewed",
        environment=for_a_child(roots, roots),
    )
    if found is None:
        return None
    import pandas as pd

    columns, cells = found.pop("columns"), found.pop("cells")
    return Preview(rows=pd.DataFrame(cells, columns=columns, dtype=object), **found)


def preview_as_json(spec: str, settings: dict[str, Any]) -> dict[str, Any] | None:
    """Return a preview as JSON values, or None."""
    found = preview_table(spec, settings=settings)
    if found is None:
        return None
    names = ("n_rows", "taken", "offered", "like_labels", "splits", "modalities")
    return {
        "columns": [str(name) for name in found.rows.columns],
        "cells": found.rows.to_numpy().tolist(),
        **{name: getattr(found, name) for name in names},
    }


def _names_a_table(spec: str, roots: Sequence[Path] | None) -> bool:
    prefix, _, name = spec.partition(":")
    if prefix != "hf":
        return prefix in READERS
    path = path_or_hub_id(name, roots)
    return path is not None and path.is_dir()


def preview_table(
    spec: str, n_rows: int = 5, settings: Mapping[str, Any] | None = None
) -> Preview | None:
    """Return the first rows of a spec's table, or None if it does not name one on this machine.

    Raises
    ------
    EmapError
        If there is no such file or it cannot be read.
    """
    if not _names_a_table(spec, roots_of_environment()):
        return None
    prefix, _, path = spec.partition(":")
    splits = saved_splits(Path(path)) if prefix == "hf" else []
    settings = dict(settings or {})
    if prefix == "webdataset":
        settings["n_examples"] = n_rows
    elif splits:
        settings.setdefault("split", splits[0])
    records = read_records(prefix, path, settings, settings.pop("join", ()))
    table = records.table
    if len(table.columns) > _MOST_COLUMNS:
        raise DatasetError(
            f"the table has {len(table.columns):,} columns; keep at most {_MOST_COLUMNS:,} of them"
        )
    taken = guess_columns(table)
    names = [str(name) for name in table.columns]
    for what in taken:
        if (usual := records.columns.get(f"{what}_column")) in names:
            taken[what] = usual
    offered = dict.fromkeys(("text", "image", "label"), names)
    offered["regions"] = [name for name in names if look_like_regions(table[name].tolist())]
    like = [name for name in names if looks_like_labels(table, name)] if not taken["label"] else []
    modalities = {
        name: guessed(name, table[column].tolist())
        for name, column in zip(names, table.columns, strict=True)
    }
    rows = table.head(n_rows).astype(object).map(_in_words)
    n_all = None if prefix == "webdataset" else len(table)
    return Preview(rows, n_all, taken, offered, like, splits, modalities)


def _in_words(value: Any) -> str:
    if isinstance(value, dict) and "features" in value:
        return f"{len(value['features']):,} regions"
    if isinstance(value, dict) and isinstance(value.get("bytes"), bytes):
        value = value["bytes"]
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    words = str(value)
    return words if len(words) <= 200 else words[:199] + "…"
