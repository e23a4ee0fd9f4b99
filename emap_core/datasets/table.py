"""A dataset from a table: one row per example, its image in a file or in the table itself."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from emap_core.datasets.base import Examples, ImageFiles, Reading, fingerprint_of
from emap_core.datasets.labels import named_labels
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
from emap_core.errors import DatasetError, LabelError, SettingError
from emap_core.options import LABELS_AS, LabelsAs, option
from emap_core.specs import check_arguments
from emap_core.types import Task

USUAL_NAMES = {
    "text": ("text", "caption", "question", "sentence", "prompt", "title"),
    "image": (
        *("image", "image_path", "file_name", "filename", "image_file", "img", "img_path", "path"),
        "images",
    ),
    "label": ("label", "labels", "answer", "class", "category", "target"),
    "regions": ("regions", "region_features", "features"),
    "id": ("id", "uid", "example_id", "question_id"),
}
"""What columns are called where nobody says it, in order of preference and whatever the case."""

_WORDS = re.compile(r"[^A-Za-z]+|(?<=[a-z])(?=[A-Z])")
_LIKE_LABELS = {
    *("label", "labels", "answer", "answers", "class", "classes", "category", "categories"),
    *("target", "targets", "match", "matches", "truth", "gold", "correct", "sentiment", "emotion"),
    *("genre", "genres", "hateful", "entailment", "verdict"),
}
"""Words in the name of a column that may hold labels; it is asked about, and never taken."""


@dataclass(frozen=True)
class Records:
    """Rows of named cells, as a file of whatever kind holds them.

    Attributes
    ----------
    table : DataFrame
        A row an example. Its ``attrs`` may have ``classes`` (the names that numbers in a column
        stand for), ``rows`` (what messages call each row), ``wrong`` (what is wrong with a row),
        ``told`` (what people should know of how it was read), ``repeated`` (names that several
        columns had), ``header`` (whether its first line was taken for the columns' names),
        ``names`` (whether the column ``key`` has the names of objects in a file) and ``stated``
        (what a file says beside its rows).
    source : str
        What messages call the table; its rows are counted from 1.
    folder : Path
        Where relative paths of images start.
    columns : mapping
        Arguments of `load_table` that hold where nobody says otherwise.
    """

    table: pd.DataFrame
    source: str
    folder: Path
    columns: Mapping[str, str] = field(default_factory=dict)


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


def dataset_in(records: Records, settings: Mapping[str, Any]) -> Examples:
    """Return the dataset in records, once the settings hold nothing that `load_table` has not."""
    settings = {**records.columns, **settings}
    check_arguments(f"dataset {records.source!r}", load_table, (records,), settings)
    return load_table(records, **settings)


def load_table(
    records: Records,
    *,
    text_column: str | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    id_column: str | None = None,
    regions_column: str | None = None,
    task: Task | None = None,
    classes: str | Sequence[str] | None = None,
    labels_as: LabelsAs | None = None,
    skip_bad: bool = False,
) -> Examples:
    """Return the dataset in a table; columns that are not used become groups to slice by.

    Parameters
    ----------
    records : Records
        Images are paths, bytes of image files, or ``{"bytes": …, "path": …}``.
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
    labels_as : {"names", "numbers"}, optional
        What whole numbers in the labels are; needed only where they could be both.
    skip_bad : bool
        Leave out rows with something wrong and list them in ``skipped``, without folders of this
        machine; every image is decoded once for that. By default the first such row is an error.

    Raises
    ------
    DatasetError
        If a column is missing, or a row has something wrong with it.
    """
    table, source, folder = records.table, records.source, records.folder
    if not len(table):
        raise DatasetError(f"{source} has no rows")
    if labels_as not in (None, *LABELS_AS):
        raise SettingError(f"labels_as is {labels_as!r}; expected one of {', '.join(LABELS_AS)}")
    rows = _Rows(source, table, folder, skip_bad)
    columns, reading = _columns(
        source,
        table,
        {
            "text": text_column,
            "image": image_column,
            "label": label_column,
            "id": id_column,
            "regions": regions_column,
        },
    )
    coded: list[str] | None = table.attrs.get("classes", {}).get(columns.label)
    names = split_names(classes)
    if coded is not None and names is not None and not set(names) & set(coded):
        # What is called otherwise here than in the file.
        coded = names
    texts = rows.read(columns.text, read_text)
    files = rows.read(columns.image, lambda value: read_image(value, folder), paths=True)
    labels = None
    if columns.label is not None:
        task, reader = label_reader(table[columns.label], task, coded)
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
    kept_labels = None if labels is None else chosen(labels)
    content = [chosen(texts), kept_labels, chosen(ids), names or coded]
    data = Examples(
        texts=chosen(texts),
        images=ImageFiles(chosen(files), [rows.image_name(row, files[row]) for row in kept]),
        labels=kept_labels,
        ids=[str(name) for name in chosen(ids)],
        classes=names or coded,
        task=task or "multiclass",
        fingerprint=fingerprint_of(json.dumps([*content, task, labels_as], default=str), *states),
        image_keys=keys,
        image_inputs=inputs,
        groups=_groups(table, columns, kept),
        skipped=[rows.wrong[row] for row in sorted(rows.wrong)],
        label_cells=None
        if columns.label is None
        else [rows.cell_name(row, columns.label) for row in kept],
        labels_as=labels_as if coded is None else "names",
        reading=reading,
    )
    if data.labels is None or data.task == "regression" or not (names or coded):
        return data
    return replace(data, labels=named_labels(data), labels_as="names")


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
            raise DatasetError(f"{self.source} has no valid row; the first: {self.wrong[0]}")
        return kept

    def _refuse(
        self, row: int, message: str, kind: type[DatasetError], file: Path | bytes | None = None
    ) -> None:
        if not self.skip_bad:
            raise kind(f"{message} ({option('skip_bad', 'true')} leaves such rows out)")
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


def _columns(
    source: str, table: pd.DataFrame, named: dict[str, str | None]
) -> tuple[Columns, Reading]:
    """Return where everything stands in a table, and why.

    Raises
    ------
    DatasetError
        If a column is missing or there twice, or only its reader can tell which one is meant.
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
            reasons[what] = "named"
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
                f"{source} has two columns {column!r}; name the one that is meant, "
                f"{option(f'{what}_column', column)} or {option(f'{what}_column', f'{column}.1')}"
            )
    for what in ("text", "image"):
        if taken[what] is None:
            raise DatasetError(
                f"{source} has no column for the {what} under a usual name; it has "
                f"{_listed(table)}: name it with {option(f'{what}_column')}"
                + (
                    f", or, where these are an example, all with {option('column_names')}"
                    if table.attrs.get("header")
                    else ""
                )
            )
    used = {column for column in taken.values() if column is not None}
    like = tuple(name for name in spelled if name not in used and _like_labels(table, name))
    if taken["label"] is None and named["label"] is None and like:
        several = len(like) > 1
        raise DatasetError(
            f"{source} has no column for the label under a usual name, and "
            f"{', '.join(map(repr, like[:8]))} {'look' if several else 'looks'} like one; name it "
            f"with {option('label_column', like[0])}, or none with {option('label_column', '')}"
        )
    told = tuple(table.attrs.get("told", ()))
    return Columns(**taken), Reading(tuple(spelled), taken, reasons, like, told)  # type: ignore[arg-type]


def _like_labels(table: pd.DataFrame, column: str) -> bool:
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
    spelled = {str(column).lower(): str(column) for column in reversed(list(table.columns))}
    found = [spelled[name] for name in USUAL_NAMES[what] if name in spelled]
    if what == "regions":
        found = [column for column in found if look_like_regions(table[column].tolist())]
    return found[0] if found else None


def _listed(table: pd.DataFrame) -> str:
    shown = ", ".join(str(column)[:60] for column in table.columns[:40])
    return shown + (", …" if len(table.columns) > 40 else "")


def split_names(names: str | Sequence[str] | None) -> list[str] | None:
    """Return names that are given as a list, or as one string with commas."""
    if isinstance(names, str):
        return [name.strip() for name in names.split(",") if name.strip()]
    return None if names is None else [str(name) for name in names]


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
