"""Tables in files: ``csv:``, ``jsonl:``, ``parquet:`` and ``imagefolder:``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from emap_core.datasets.base import Examples
from emap_core.datasets.table import load_table
from emap_core.errors import DatasetError, EmapError, SpecError
from emap_core.specs import check_arguments

_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


def load_csv(path: str, **columns: Any) -> Examples:
    """Return the dataset in a table of comma-separated values (tabs in a .tsv file)."""
    return _load(_file(path), columns, _read_csv)


def load_jsonl(path: str, **columns: Any) -> Examples:
    """Return the dataset in a file with a JSON object a line."""
    return _load(_file(path), columns, _read_jsonl)


def load_parquet(path: str, **columns: Any) -> Examples:
    """Return the dataset in a parquet file, whose images are paths, bytes or {bytes, path}."""
    return _load(_file(path), columns, _read_parquet)


def load_imagefolder(path: str, **columns: Any) -> Examples:
    """Return the dataset in a folder of images with a metadata.csv, .jsonl or .parquet."""
    file = _metadata(path)
    return _load(file, {"image_column": "file_name"} | columns, _READERS[file.suffix])


def read_table(prefix: str, path: str) -> pd.DataFrame:
    """Return the table that one of the specs ``csv:``, …, ``imagefolder:`` is about.

    Raises
    ------
    DatasetError
        If it cannot be read.
    SpecError
        If there is no such file or folder.
    """
    file = _metadata(path) if prefix == "imagefolder" else _file(path)
    return _read(file, _READERS[file.suffix if prefix == "imagefolder" else f".{prefix}"])


def table_dataset(
    table: pd.DataFrame, source: str, folder: Path, columns: dict[str, Any]
) -> Examples:
    """Return the dataset in a table, once `columns` holds nothing that `load_table` has not."""
    check_arguments(f"dataset {source!r}", load_table, (table, source, folder), columns)
    return load_table(table, source, folder, **columns)


def read_arrow(stored: pa.Table) -> pd.DataFrame:
    """Return an Arrow table, with the names of classes that Hugging Face's library notes in it."""
    classes = _class_labels(stored.schema.metadata or {})
    table: pd.DataFrame = stored.to_pandas()
    table.attrs["classes"] = classes
    return table


def _load(file: Path, columns: dict[str, Any], read: Callable[[Path], pd.DataFrame]) -> Examples:
    return table_dataset(_read(file, read), str(file), file.parent, columns)


def _read(file: Path, read: Callable[[Path], pd.DataFrame]) -> pd.DataFrame:
    try:
        return read(file)
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
    return found[0]


def _file(path: str) -> Path:
    file = Path(path)
    if not file.is_file():
        raise SpecError(f"there is no file {path}")
    return file


def _read_csv(file: Path) -> pd.DataFrame:
    separator = "\t" if file.suffix.lower() == ".tsv" else ","
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
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                wrong[len(records)] = f"line {number} is no JSON: {error}"
                record = {}
            if not isinstance(record, dict):
                wrong[len(records)] = f"line {number} is no JSON object with named values"
                record = {}
            records.append(record)
    table = pd.DataFrame(records, dtype=object)
    table.attrs["wrong"] = wrong
    return table


def _read_parquet(file: Path) -> pd.DataFrame:
    stored = pq.read_table(file)
    try:
        return read_arrow(stored)
    except DatasetError as error:
        raise DatasetError(f"{file} cannot be read: {error}") from error


_READERS = {".csv": _read_csv, ".jsonl": _read_jsonl, ".parquet": _read_parquet}


def _class_labels(metadata: dict[bytes, bytes]) -> dict[str, list[str]]:
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))
        for key in ("info", "features"):
            features = features.get(key, {})
        found = {
            column: feature["names"]
            for column, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (ValueError, RecursionError, AttributeError, KeyError) as error:
        raise DatasetError(
            "its note 'huggingface' is none that the library datasets writes: "
            f"{type(error).__name__}: {error}"
        ) from error
    for column, names in found.items():
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DatasetError(
                f"its note 'huggingface' gives column {column!r} the classes {names!r:.80}; "
                "expected a list of names"
            )
    return found
