"""A dataset from a table: a row an example, its image in a file or in the table itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from emap_core.datasets.base import Examples, ImageFiles, Task, fingerprint_of
from emap_core.datasets.regions import (
    RegionFiles,
    key_of_regions,
    look_like_regions,
    regions_reader,
)
from emap_core.datasets.table_values import (
    BadValueError,
    id_reader,
    label_reader,
    read_image,
    read_text,
)
from emap_core.errors import DatasetError, LabelError

USUAL_NAMES = {
    "text": ("text", "caption", "question", "sentence", "prompt", "title"),
    "image": ("image", "image_path", "file_name", "filename", "image_file", "img", "path"),
    "label": ("label", "labels", "answer", "class", "category", "target"),
    "regions": ("regions", "region_features", "features"),
    "id": ("id", "uid", "example_id", "question_id"),
}
"""What columns are called where nobody says it, in order of preference and whatever the case."""


@dataclass(frozen=True)
class Columns:
    """Where texts, images, labels, ids and regions stand in a table."""

    text: str
    image: str
    label: str | None
    id: str | None
    regions: str | None


def guess_columns(table: pd.DataFrame) -> dict[str, str | None]:
    """Return the columns that are taken for each input and the label where nobody names them."""
    needed = ("text", "image", "label", "regions")
    return {what: _find("the table", table, what, None) for what in needed}


def load_table(
    table: pd.DataFrame,
    source: str,
    folder: Path,
    *,
    text_column: str | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    id_column: str | None = None,
    regions_column: str | None = None,
    task: Task | None = None,
    classes: str | Sequence[str] | None = None,
    skip_bad: bool = False,
) -> Examples:
    """Return the dataset in a table; columns that are not used become groups to slice by.

    Parameters
    ----------
    table : DataFrame
        Images are paths, bytes of image files, or ``{"bytes": …, "path": …}``.
    source : str
        What messages call the table; its rows are counted from 1.
    folder : Path
        Where relative image paths start.
    text_column, image_column, label_column, id_column : str, optional
        Columns that are not named are looked for under their `USUAL_NAMES`; an empty
        `label_column` says that there are no labels.
    regions_column : str, optional
        Regions that go to the model in place of the image: paths of .npz files, their content, or
        ``{"features": …, "boxes": …}``. A column of a usual name is taken if it holds paths or the
        latter; an empty name takes none.
    task : str, optional
        By default multilabel where labels are lists, else multiclass.
    classes : str or sequence of str, optional
        Names of the classes, as a list or with commas.
    skip_bad : bool
        Leave out rows with something wrong and list them in ``skipped``, without folders of this
        machine; every image is decoded once for that. By default the first such row is an error.

    Raises
    ------
    DatasetError
        If a column is missing, or a row has something wrong with it.
    """
    if not len(table):
        raise DatasetError(f"{source} has no rows")
    rows = _Rows(source, table, folder, skip_bad)
    columns = Columns(
        text=_needed(source, table, "text", text_column),
        image=_needed(source, table, "image", image_column),
        label=_find(source, table, "label", label_column),
        id=_find(source, table, "id", id_column),
        regions=_find(source, table, "regions", regions_column),
    )
    names = _class_names(classes, table, columns.label)
    texts = rows.read(columns.text, read_text)
    files = rows.read(columns.image, lambda value: read_image(value, folder), paths=True)
    labels = None
    if columns.label is not None:
        task, reader = label_reader(table[columns.label], task, names)
        labels = rows.read(columns.label, reader)
    if columns.id is not None:
        rows.read(columns.id, id_reader())
    regions, cells = None, []
    if columns.regions is not None:
        regions = rows.read(columns.regions, regions_reader(folder, whole=skip_bad), paths=True)
        cells = [rows.cell_name(row, columns.regions) for row in range(len(table))]
    rows.check_images(files)
    kept = rows.kept()
    ids = range(1, len(table) + 1) if columns.id is None else table[columns.id].tolist()

    def chosen(values: Sequence[Any]) -> list[Any]:
        return [values[row] for row in kept]

    keys = [fingerprint_of(f) if isinstance(f, bytes) else str(f) for f in chosen(files)]
    states = _states(chosen(files), keys)
    inputs = None if regions is None else RegionFiles(chosen(regions), chosen(cells))
    if inputs is not None:
        of_regions = [key_of_regions(one) for one in inputs.stored]
        states += _states(inputs.stored, of_regions)
        # The same picture with other regions is another input.
        keys = [f"{image} {key}" for image, key in zip(keys, of_regions, strict=True)]
    content = [chosen(texts), None if labels is None else chosen(labels), chosen(ids), names, task]
    return Examples(
        texts=chosen(texts),
        images=ImageFiles(chosen(files), [rows.image_name(row, files[row]) for row in kept]),
        labels=None if labels is None else chosen(labels),
        ids=[str(name) for name in chosen(ids)],
        classes=names,
        task=task or "multiclass",
        fingerprint=fingerprint_of(json.dumps(content, default=str), *states),
        image_keys=keys,
        image_inputs=inputs,
        groups=_groups(table, columns, kept),
        skipped=[rows.wrong[row] for row in sorted(rows.wrong)],
        skip_bad=skip_bad,
        label_cells=None
        if columns.label is None
        else [rows.cell_name(row, columns.label) for row in kept],
    )


class _Rows:
    """The rows of a table, and what is wrong with some of them."""

    def __init__(self, source: str, table: pd.DataFrame, folder: Path, skip_bad: bool) -> None:
        self.source = source
        self.table = table
        self.folder = folder
        self.skip_bad = skip_bad
        # What is left out is listed in runs, which go to others: no folder of this machine.
        called = (Path(source).name or source) if skip_bad else source
        self.names: list[str] = table.attrs.get("rows") or [
            f"row {row} of {called}" for row in range(1, len(table) + 1)
        ]
        self.wrong: dict[int, str] = {}
        for row, message in table.attrs.get("wrong", {}).items():
            self._refuse(row, f"{self.names[row]}: {message}", DatasetError)
        # Without a good row there may be no column to speak of.
        self.kept()

    def read(self, column: str, convert: Callable[[Any], Any], *, paths: bool = False) -> list[Any]:
        """Return the values of a column as `convert` makes them, None in bad rows."""
        values: list[Any] = []
        for row, value in enumerate(self.table[column].tolist()):
            try:
                values.append(convert(value))
            except BadValueError as error:
                kind = LabelError if error.of_label else DatasetError
                file = self.folder / value if paths and isinstance(value, str) else None
                self._refuse(row, f"{self.cell_name(row, column)}: {error}", kind, file)
                values.append(None)
        return values

    def check_images(self, files: Sequence[Any]) -> None:
        """Look into each different image file, and decode it where bad ones are left out."""
        checked: dict[Any, str | None] = {}
        for row, file in enumerate(files):
            if row in self.wrong:
                continue
            if file not in checked:
                # Each row that shows the image is named, not the first of them alone.
                image = ImageFiles([file], [""])
                checked[file] = None
                try:
                    image.check(0)
                    if self.skip_bad:
                        image[0]
                except DatasetError as error:
                    checked[file] = str(error)
            if (message := checked[file]) is not None:
                self._refuse(row, f"{self.image_name(row, file)} {message}", DatasetError, file)

    def image_name(self, row: int, file: Path | bytes) -> str:
        """Return what messages call an image."""
        return f"{_image_name(file)} in {self.names[row]}"

    def cell_name(self, row: int, column: str) -> str:
        """Return what messages call a cell."""
        return f"{self.names[row]}, column {column!r}"

    def kept(self) -> list[int]:
        """Return the rows with nothing wrong."""
        kept = [row for row in range(len(self.table)) if row not in self.wrong]
        if not kept:
            raise DatasetError(f"{self.source} has no good row; the first: {self.wrong[0]}")
        return kept

    def _refuse(
        self, row: int, message: str, kind: type[DatasetError], file: Path | bytes | None = None
    ) -> None:
        if not self.skip_bad:
            raise kind(f"{message} (skip_bad leaves such rows out)")
        if isinstance(file, Path):
            # Messages may hold the beginning of a long path alone.
            for path in (str(file), str(file)[:60]) if file.is_absolute() else (str(file),):
                message = message.replace(path, self._as_written(file))
        self.wrong.setdefault(row, str(kind(message)))

    def _as_written(self, file: Path) -> str:
        within = file.is_relative_to(self.folder)
        return str(file.relative_to(self.folder)) if within else file.name


def _image_name(file: Path | bytes) -> str:
    return "the image" if isinstance(file, bytes) else f"image {file}"


def _needed(source: str, table: pd.DataFrame, what: str, named: str | None) -> str:
    found = _find(source, table, what, named)
    if found is None:
        raise DatasetError(
            f"{source} has no column for the {what} under a usual name; "
            f"it has {_listed(table)}: name it with {what}_column"
        )
    return found


def _find(source: str, table: pd.DataFrame, what: str, named: str | None) -> str | None:
    if named:
        if named not in table:
            raise DatasetError(
                f"{source} has no column {named!r} for the {what}; it has {_listed(table)}"
            )
        return named
    if named == "":
        return None
    spelled = {str(column).lower(): str(column) for column in reversed(list(table.columns))}
    found = [spelled[name] for name in USUAL_NAMES[what] if name in spelled]
    if what == "regions":
        found = [column for column in found if look_like_regions(table[column].tolist())]
    return found[0] if found else None


def _listed(table: pd.DataFrame) -> str:
    return ", ".join(map(str, table.columns))


def _class_names(
    classes: str | Sequence[str] | None, table: pd.DataFrame, column: str | None
) -> list[str] | None:
    if isinstance(classes, str):
        return [name.strip() for name in classes.split(",") if name.strip()]
    if classes is not None:
        return [str(name) for name in classes]
    stored: dict[str, list[str]] = table.attrs.get("classes", {})
    return None if column is None else stored.get(column)


def _groups(table: pd.DataFrame, columns: Columns, kept: list[int]) -> pd.DataFrame | None:
    used = {columns.text, columns.image, columns.label, columns.id, columns.regions}
    plain = [
        column
        for column in table.columns
        if column not in used
        and not table[column].map(lambda v: isinstance(v, (list, dict, bytes, np.ndarray))).any()
    ]
    return table[plain].iloc[kept].reset_index(drop=True) if plain else None


def _states(files: Sequence[Any], keys: Sequence[str]) -> list[str]:
    """Return what tells whether files are still the same, without reading all of each file."""
    states = {}
    for file, key in zip(files, keys, strict=True):
        if key not in states and isinstance(file, Path):
            state = file.stat()
            states[key] = f"{file.name} {state.st_size} {state.st_mtime_ns}"
        states.setdefault(key, key)
    numbers = {key: number for number, key in enumerate(states)}
    return [*states.values(), json.dumps([numbers[key] for key in keys])]
