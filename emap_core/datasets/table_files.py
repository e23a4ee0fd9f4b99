"""Tables in files: ``csv:``, ``jsonl:``, ``json:``, ``parquet:`` and ``imagefolder:``."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from emap_core.datasets.table import Records
from emap_core.errors import DatasetError, EmapError, SpecError
from emap_core.roots import check_links

_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


def read_csv(path: str) -> Records:
    """Return a table of values between commas, semicolons, tabs or bars."""
    return _records(_file(path), _read_csv)


def read_jsonl(path: str) -> Records:
    """Return a file with a JSON object a line."""
    return _records(_file(path), _read_jsonl)


def read_json(path: str) -> Records:
    """Return a file that is one JSON array of objects."""
    return _records(_file(path), _read_json)


def read_parquet(path: str) -> Records:
    """Return a parquet file, whose images are paths, bytes or {bytes, path}."""
    return _records(_file(path), _read_parquet)


def read_imagefolder(path: str) -> Records:
    """Return the metadata.csv, .jsonl or .parquet of a folder of images."""
    file = _metadata(path)
    return replace(_records(file, _READERS[file.suffix]), columns={"image_column": "file_name"})


def read_arrow(stored: pa.Table) -> pd.DataFrame:
    """Return an Arrow table, with the names of classes that Hugging Face's library notes in it."""
    classes = class_labels(stored.schema.metadata)
    table: pd.DataFrame = stored.to_pandas()
    table.attrs["classes"] = classes
    return table


def _records(file: Path, read: Callable[[Path], pd.DataFrame]) -> Records:
    try:
        return Records(read(file), str(file), file.parent)
    except EmapError:
        raise
    except UnicodeError as error:
        raise DatasetError(
            f"{file} is in another encoding than UTF-8; save it as UTF-8: {error}"
        ) from error
    except Exception as error:
        raise DatasetError(f"{file} cannot be read: {error}") from error


def _metadata(path: str) -> Path:
    folder = Path(path)
    if not folder.is_dir():
        raise SpecError(f"there is no folder {path}")
    found = [folder / name for name in _METADATA if (folder / name).is_file()]
    if len(found) != 1:
        has = " and ".join(file.name for file in found) or "none"
        raise DatasetError(
            f"folder {path} has {has} of {', '.join(_METADATA)}; expected exactly one, "
            "with the columns file_name and text"
        )
    check_links(folder, found)
    return found[0]


def _file(path: str) -> Path:
    if "://" in path:
        raise SpecError(f"{path[:80]} is an address; download the file and name where it is")
    file = Path(path)
    if not file.is_file():
        raise SpecError(f"there is no file {path}")
    return file


def _read_csv(file: Path) -> pd.DataFrame:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        first = next((line for line in lines if line.strip()), "")
    # The one that cuts the names of columns into most parts; a comma where none does.
    cut = {separator: next(csv.reader([first], delimiter=separator), []) for separator in ",;\t|"}
    separator = max(cut, key=lambda one: len(cut[one]))
    names = cut[separator]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DatasetError(f"{file} has two columns {twice!r}; rename or delete one")
    # As text, since "NA", "007" and "1e3" are words like others.
    return pd.read_csv(file, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")


def _read_jsonl(file: Path) -> pd.DataFrame:
    records: list[dict[str, Any]] = []
    wrong: dict[int, str] = {}
    with file.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line, object_pairs_hook=read_once)
            except TwiceError as error:
                wrong[len(records)] = f"line {number} {error}"
                record = {}
            except (ValueError, RecursionError) as error:
                wrong[len(records)] = f"line {number} is not valid JSON: {error}"
                record = {}
            if not isinstance(record, dict):
                wrong[len(records)] = f"line {number} is not a JSON object with named values"
                record = {}
            records.append(record)
    if 0 in wrong and _begins_with_array(file):
        raise DatasetError(f"{file} is one JSON array, not an object a line; type json:{file}")
    table = pd.DataFrame(records, dtype=object)
    table.attrs["wrong"] = wrong
    return table


def _read_json(file: Path) -> pd.DataFrame:
    try:
        held = json.loads(file.read_text(encoding="utf-8-sig"), object_pairs_hook=read_once)
    except TwiceError as error:
        raise DatasetError(f"{file} {error}") from error
    except UnicodeError:
        raise
    except (ValueError, RecursionError) as error:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
        try:
            several = len(lines) > 1 and isinstance(json.loads(lines[0]), dict)
        except (ValueError, RecursionError):
            several = False
        todo = f"; it holds an object a line: type jsonl:{file}" if several else ""
        raise DatasetError(f"{file} is not valid JSON: {error}{todo}") from error
    if isinstance(held, dict):
        lists = [name for name, value in held.items() if isinstance(value, list)]
        inside = f"; of its values {', '.join(map(repr, lists[:5]))} are arrays" if lists else ""
        raise DatasetError(
            f"{file} holds a JSON object{inside}; save the array of examples alone, "
            "[{…}, {…}], or an object a line for jsonl:FILE"
        )
    if not isinstance(held, list):
        raise DatasetError(f"{file} holds {type(held).__name__}; expected an array of objects")
    wrong = {
        row: f"entry {row + 1} is not a JSON object with named values"
        for row, record in enumerate(held)
        if not isinstance(record, dict)
    }
    table = pd.DataFrame(
        [{} if row in wrong else one for row, one in enumerate(held)], dtype=object
    )
    table.attrs["wrong"] = wrong
    return table


class TwiceError(Exception):
    """A JSON object names a value twice, of which a reader would take the last."""


def read_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object whose names differ; for ``object_pairs_hook``."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise TwiceError(f"names {twice!r:.80} twice in one object; keep one")
    return found


def _begins_with_array(file: Path) -> bool:
    with file.open(encoding="utf-8-sig") as opened:
        return opened.read(1_000).lstrip().startswith("[")


def _read_parquet(file: Path) -> pd.DataFrame:
    stored = pq.read_table(file)
    try:
        return read_arrow(stored)
    except DatasetError as error:
        raise DatasetError(f"{file} cannot be read: {error}") from error


_READERS = {
    ".csv": _read_csv,
    ".jsonl": _read_jsonl,
    ".json": _read_json,
    ".parquet": _read_parquet,
}


def class_labels(metadata: dict[bytes, bytes] | None) -> dict[str, list[str]]:
    """Return the names of classes that the library datasets notes of columns, also of lists.

    Raises
    ------
    DatasetError
        If the note is not one that the library writes.
    """
    try:
        features = json.loads((metadata or {}).get(b"huggingface", b"{}"))
        for key in ("info", "features"):
            features = features.get(key, {})
        found = {
            column: names
            for column, feature in features.items()
            if (names := _names_of(feature)) is not None
        }
    except (ValueError, RecursionError, AttributeError, KeyError) as error:
        raise DatasetError(
            "its note 'huggingface' is not one that the library datasets writes: "
            f"{type(error).__name__}: {error}"
        ) from error
    for column, names in found.items():
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DatasetError(
                f"its note 'huggingface' gives column {column!r} the classes {names!r:.80}; "
                "expected a list of names"
            )
    return found


def _names_of(feature: Any) -> Any:
    """Return the names of a class label, or of lists of them however deep; None of other kinds."""
    while True:
        if isinstance(feature, list) and len(feature) == 1:
            # As old versions write a list.
            feature = feature[0]
        elif isinstance(feature, dict) and feature.get("_type") == "ClassLabel":
            return feature["names"]
        elif isinstance(feature, dict) and "feature" in feature:
            feature = feature["feature"]
        else:
            return None
