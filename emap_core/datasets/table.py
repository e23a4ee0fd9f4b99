"""A dataset from a table: one row per example, with its image in a file or in the table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from emap_core.allowed_folders import beside, image_roots_of_environment
from emap_core.datasets.base import (
    Address,
    Examples,
    ImageFile,
    ImageFiles,
    Reading,
    SideItems,
    fingerprint_of,
    image_key,
)
from emap_core.datasets.class_spellings import merged, read_classes, spellings_told
from emap_core.datasets.columns import (
    Columns,
    cells_of,
    find_columns,
    with_images_beside,
    with_pattern,
    with_side,
)
from emap_core.datasets.labels import named_labels
from emap_core.datasets.multiple_choice import (
    LETTERS,
    as_letters,
    choices_told,
    read_choices,
    with_choices,
)
from emap_core.datasets.regions import (
    RegionFiles,
    key_of_regions,
    regions_reader,
)
from emap_core.datasets.sides import Wanted, fields_of, side_of, wanted_sides
from emap_core.datasets.table_images import ImageCells, blank_image
from emap_core.datasets.table_rows import Rows
from emap_core.datasets.table_values import (
    id_reader,
    label_reader,
    read_source,
    read_text,
)
from emap_core.errors import DatasetError, SettingError
from emap_core.modalities import TEXT_AND_IMAGE, Side, modality
from emap_core.option_names import LABELS_AS, LabelsAs, option_name
from emap_core.specs import check_arguments
from emap_core.types import Task

if TYPE_CHECKING:
    import pandas as pd

KEEP_EMPTY = ("text", "image", "both")
"""What may be missing in an example."""


@dataclass(frozen=True)
class Records:
    """Rows of named cells, from a file of any kind.

    Attributes
    ----------
    table : DataFrame
        One row per example. Its ``attrs`` may have ``classes`` (the names that numbers in a column
        stand for), ``rows`` (what messages call each row), ``wrong`` (what is wrong with a row),
        ``told`` (what people should know about how it was read), ``repeated`` (names that several
        columns had), ``header`` (whether its first line was read as column names), ``names``
        (whether the column ``key`` has the names of objects in a file) and ``stated`` (what a file
        says besides its rows).
    source : str
        What to call the table in messages; its rows are counted from 1.
    folder : Path
        Folder in which relative image paths start.
    columns : mapping
        Default arguments of `load_table` for these records.
    """

    table: pd.DataFrame
    source: str
    folder: Path
    columns: Mapping[str, str] = field(default_factory=dict)


def dataset_in(records: Records, settings: Mapping[str, Any]) -> Examples:
    """Return the dataset in records, after checking that `load_table` takes all settings."""
    usual = {
        name: value
        for name, value in records.columns.items()
        if name.replace("pattern", "column") not in settings
        and name.replace("column", "pattern") not in settings
        and not (settings.get("side") and name.partition("_")[0] in ("text", "image"))
    }
    settings = {**usual, **settings}
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
    image_root: str | None = None,
    image_pattern: str | None = None,
    text_pattern: str | None = None,
    side: str | Sequence[str] | Mapping[str, str] | None = None,
    fetch_images: bool = False,
    keep_empty: Literal["text", "image", "both"] | None = None,
    task: Task | None = None,
    choices_column: str | None = None,
    classes: str | Sequence[str] | None = None,
    classes_file: str | None = None,
    labels_as: LabelsAs | None = None,
    merge_labels: bool = False,
    skip_bad: bool = False,
) -> Examples:
    """Return the dataset in a table; unused columns are kept to group by.

    Parameters
    ----------
    records : Records
        Images are paths, bytes of image files, or ``{"bytes": …, "path": …}``.
    text_column, image_column, label_column, id_column : str, optional
        Columns without a name here are looked for under their `USUAL_NAMES`; an empty
        `label_column` means that there are no labels.
    regions_column : str, optional
        Regions that go to the model instead of the image: paths of .npz files, their content, or
        ``{"features": …, "boxes": …}``. A column with a usual name is used if it holds paths or the
        latter; an empty name means no regions.
    image_root : str, optional
        The folder in which relative image paths start, by default the table's. It is looked for in
        the working folder, then in the table's.
    image_pattern : str, optional
        The path of each row's image, with columns in braces; see `Pattern`. It replaces
        `image_column`. Two columns of images, with a comma between them in `image_column`, are
        shown side by side.
    text_pattern : str, optional
        The text of each row, likewise.
    side : str, sequence of str or mapping, optional
        Two or more sides instead of text and image, ``NAME=COLUMN`` or ``NAME=COLUMN:MODALITY``
        each, in the order in which the model reads them; `emap_core.modalities` lists the
        modalities. A pattern can replace a column.
    fetch_images : bool
        Download images given as addresses, each once; see `emap_core.datasets.image_downloads`.
    keep_empty : {"text", "image", "both"}, optional
        Accept examples without a text, and give examples without an image a white one; by default
        both are errors.
    task : str, optional
        By default multilabel if labels are lists, otherwise multiclass.
    choices_column : str, optional
        Options to choose from: a column of lists, or several columns of one option each, with
        commas between their names. The text lists them, and their letters are the classes. Labels
        are letters, numbers counted from 0 or the options themselves.
    classes : str or sequence of str, optional
        Names of the classes, as a list or with commas.
    classes_file : str, optional
        The same in a file: one name per line, or JSON with a list or with a mapping between names
        and numbers in either direction.
    labels_as : {"names", "numbers"}, optional
        What whole numbers as labels are; needed only if they could be both.
    merge_labels : bool
        Merge labels that differ only in capitals, spaces or a full stop.
    skip_bad : bool
        Leave out bad rows and list them in ``skipped``, without folders of this machine; for that,
        every image is decoded once. By default the first bad row is an error.

    Raises
    ------
    DatasetError
        If a column is missing or a row is bad.
    """
    table, source, folder = records.table, records.source, records.folder
    if not len(table):
        raise DatasetError(f"{source} has no rows")
    if labels_as not in (None, *LABELS_AS):
        raise SettingError(f"labels_as is {labels_as!r}; expected one of {', '.join(LABELS_AS)}")
    if keep_empty not in (None, *KEEP_EMPTY):
        raise SettingError(f"keep_empty is {keep_empty!r}; expected one of {', '.join(KEEP_EMPTY)}")
    image_folder = folder
    if image_root is not None:
        image_folder = beside(image_root, folder, "folder", image_roots_of_environment())
    named = {
        "text": text_column,
        "image": image_column,
        "label": label_column,
        "id": id_column,
        "regions": regions_column,
    }
    original = [str(column) for column in table.columns]
    sides: tuple[Side, ...] = TEXT_AND_IMAGE
    wanted: tuple[Wanted, ...] = ()
    if side is not None:
        elsewhere = {
            option_name("text_column", "data"): text_column,
            option_name("image_column", "data"): image_column,
            option_name("text_pattern", "data"): text_pattern,
            option_name("image_pattern", "data"): image_pattern,
        }
        for called, given in elsewhere.items():
            if given:
                raise SettingError(
                    f"{option_name('side', 'data')} and {called} both say where the sides are; "
                    "leave one out"
                )
        wanted = wanted_sides(side)
        for one in wanted:
            table = with_side(source, table, one.name, one.column)
        named |= {"text": wanted[0].column, "image": wanted[1].column, "regions": ""}
    for what, pattern in (("text", text_pattern), ("image", image_pattern)):
        if pattern is not None:
            if named[what]:
                raise SettingError(
                    f"{what}_column and {what}_pattern both say where the {what}s are; leave one "
                    "out"
                )
            called = option_name(f"{what}_pattern", "data")
            table = with_pattern(table, pattern, called, several=what == "image")
            named[what] = pattern
    table = with_images_beside(table, image_column)
    rows = Rows(source, table, image_folder, skip_bad)
    further = [(one.name, one.column) for one in wanted[2:]]
    columns, reading = find_columns(source, table, named, further)
    reading = replace(reading, columns=tuple(original))
    if side is not None:
        sides = tuple(one.side(table[one.column].tolist()) for one in wanted)
        reading = replace(reading, **_called(reading, sides))
    empty = {"text": keep_empty in ("text", "both"), "image": keep_empty in ("image", "both")}
    cells_of_images = ImageCells(image_folder, fetched=fetch_images, blank=empty["image"])
    coded: list[str] | None = table.attrs.get("classes", {}).get(columns.label)
    names = split_names(classes)
    if classes_file is not None:
        if names is not None:
            raise SettingError("classes and classes_file both name the classes; leave one out")
        names = read_classes(beside(classes_file, folder, "file", image_roots_of_environment()))
    if coded is not None and names is not None and not set(names) & set(coded):
        # Columns with another name here than in the file.
        coded = names

    def read_side(column: str, of: Side, empty_text: bool) -> list[Any]:
        if of.modality == "text":
            return rows.read(column, lambda value: read_text(value, empty_text))
        if of.modality == "image":
            return rows.read(column, cells_of_images.read, paths=True)
        kind = modality(of.modality)
        return rows.read(column, lambda value: read_source(kind, value, image_folder))

    texts = read_side(columns.text, sides[0], empty["text"])
    files = read_side(columns.image, sides[1], False)
    others = [
        read_side(one.column, of, False) for one, of in zip(wanted[2:], sides[2:], strict=True)
    ]
    labels, written, options = None, None, None
    if choices_column is not None:
        options = rows.read(choices_column, read_choices, cells_of(source, table, choices_column))
        texts = [
            None if text is None or one is None else with_choices(text, one)
            for text, one in zip(texts, options, strict=True)
        ]
        n_options = max((len(one) for one in options if one is not None), default=2)
        names = names or list(LETTERS[:n_options])
        if columns.label is not None:
            coded, task = None, "multiclass"
            written = as_letters(table[columns.label].tolist(), options, labels_as)
            labels_as = "names"
    if written is not None:
        labels = rows.read(str(columns.label), lambda letter: letter, written)
    elif columns.label is not None:
        task, reader = label_reader(table[columns.label], task, coded)
        labels = rows.read(columns.label, reader)
    if columns.id is not None:
        rows.read(columns.id, id_reader())
    regions, cells = None, []
    if columns.regions is not None:
        regions = rows.read(columns.regions, regions_reader(folder, whole=skip_bad), paths=True)
        cells = [rows.cell_name(row, columns.regions) for row in range(len(table))]
    for some, of in zip((texts, files, *others), sides, strict=True):
        if of.modality == "image":
            rows.check_images(some)
        elif not modality(of.modality).read_at_once:
            rows.check_items(modality(of.modality), some, of.name)
    kept = rows.kept()
    ids = range(1, len(table) + 1) if columns.id is None else table[columns.id].tolist()

    def chosen(values: Sequence[Any]) -> list[Any]:
        return [values[row] for row in kept]

    kept_labels = None if labels is None else chosen(labels)
    told = [] if side is not None else _told_of_empty(chosen(texts), chosen(files))
    if options is not None:
        told.append(choices_told(chosen(options)))
    if kept_labels is not None and merge_labels:
        kept_labels = merged(kept_labels, names or coded)
    elif kept_labels is not None and task != "regression":
        told += spellings_told(kept_labels)
    reading = replace(reading, told=(*reading.told, *told))
    if side is not None:
        sources = (texts, files, *others)
        named_items = [
            _items_of(one, chosen(some), [rows.item_name(row, some[row], one.name) for row in kept])
            for one, some in zip(sides, sources, strict=True)
        ]
        states = [
            state
            for one, some in zip(named_items, sources, strict=True)
            for state in _states(chosen(some), list(map(str, one.keys or ())))
        ]
    else:
        keys = [image_key(file) for file in chosen(files)]
        states = _states(chosen(files), keys)
        pictures = ImageFiles(chosen(files), [rows.image_name(row, files[row]) for row in kept])
        named_items = [
            SideItems(sides[0], chosen(texts), None, None),
            SideItems(sides[1], pictures, keys, None),
        ]
    inputs = None if regions is None else RegionFiles(chosen(regions), chosen(cells))
    if inputs is not None:
        of_regions = [key_of_regions(one) for one in inputs.stored]
        states += _states(inputs.stored, of_regions)
        # The same picture with other regions is a different input.
        keys = [
            f"{key} {of}" for key, of in zip(named_items[1].keys or (), of_regions, strict=True)
        ]
        named_items[1] = replace(named_items[1], keys=keys, inputs=inputs)
    content: list[Any] = [
        chosen(texts) if side is None else [(one.name, one.modality) for one in sides],
        *(kept_labels, chosen(ids), names or coded),
    ]
    if merge_labels:
        content.append("merged labels")
    data = Examples(
        **fields_of(named_items),
        labels=kept_labels,
        ids=[str(name) for name in chosen(ids)],
        classes=names or coded,
        task=task or "multiclass",
        fingerprint=fingerprint_of(json.dumps([*content, task, labels_as], default=str), *states),
        columns=_other_columns(table, columns, original, kept, [one.column for one in wanted]),
        skipped=[rows.wrong[row] for row in sorted(rows.wrong)],
        label_cells=None
        if columns.label is None
        else [rows.cell_name(row, columns.label) for row in kept],
        labels_as=labels_as if coded is None else "names",
        merges_labels=merge_labels,
        reading=reading,
    )
    if data.labels is None or data.task == "regression" or not (names or coded):
        return data
    return replace(data, labels=named_labels(data), labels_as="names")


def _called(reading: Reading, sides: Sequence[Side]) -> dict[str, Any]:
    """Return a reading's sentences on columns with the names of its sides."""
    places = {"text": sides[0], "image": sides[1], **{side.name: side for side in sides[2:]}}

    def name(what: str) -> str:
        return places[what].name if what in places else what

    return {
        "taken": {name(what): column for what, column in reading.taken.items()},
        "reasons": {
            name(what): f"{why}, {places[what].modality}" if what in places else why
            for what, why in reading.reasons.items()
        },
    }


def _items_of(side: Side, sources: list[Any], names: list[str]) -> SideItems:
    """Return the items of a side; images may be several side by side, or addresses."""
    if side.modality != "image":
        return side_of(side, sources, names)
    words = [one.name if isinstance(one, Path) else "an image" for one in sources]
    return SideItems(side, ImageFiles(sources, names), [image_key(one) for one in sources], words)


def _told_of_empty(texts: list[str], files: list[ImageFile]) -> list[str]:
    """Return how many examples without a text or an image are kept."""
    without = {"text": texts.count(""), "image": files.count(blank_image())}
    return [
        f"{n:,} of {len(texts):,} examples have no {what}"
        + (" and get a white one" if what == "image" else "")
        for what, n in without.items()
        if n
    ]


def split_names(names: str | Sequence[str] | None) -> list[str] | None:
    """Return names given as a list, or as one string with commas."""
    if isinstance(names, str):
        return [name.strip() for name in names.split(",") if name.strip()]
    return None if names is None else [str(name) for name in names]


def _other_columns(
    table: pd.DataFrame,
    columns: Columns,
    original: list[str],
    kept: list[int],
    of_sides: Sequence[str],
) -> pd.DataFrame | None:
    """Return the unused columns with words or numbers."""
    used = {columns.text, columns.image, columns.label, columns.id, columns.regions, *of_sides}
    plain = [
        column
        for column in table.columns
        if column not in used
        and str(column) in original
        and not table[column].map(lambda v: isinstance(v, (list, dict, bytes, np.ndarray))).any()
    ]
    return table[plain].iloc[kept].reset_index(drop=True) if plain else None


def _states(files: Sequence[Any], keys: Sequence[str]) -> list[str]:
    """Return a fingerprint of files that does not need to read each file in full."""
    states: dict[str, str] = {}
    for file, key in zip(files, keys, strict=True):
        if key not in states:
            parts = file if isinstance(file, tuple) else (file,)
            if not any(isinstance(part, Path) for part in parts):
                states[key] = key
            else:
                states[key] = " ".join(map(_state, parts))
    numbers = {key: number for number, key in enumerate(states)}
    return [*states.values(), json.dumps([numbers[key] for key in keys])]


def _state(file: Path | bytes | Address) -> str:
    if not isinstance(file, Path):
        return image_key(file)
    state = file.stat()
    return f"{file.name} {state.st_size} {state.st_mtime_ns}"
