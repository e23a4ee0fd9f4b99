"""Tables in files: ``csv:``, ``jsonl:``, ``json:``, ``parquet:`` and ``imagefolder:``."""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

import pyarrow as pa
import pyarrow.parquet as pq

from emap_core.allowed_folders import check_links
from emap_core.datasets.table import Records, split_names
from emap_core.errors import DatasetError, EmapError, SettingError, SpecError
from emap_core.option_names import option, option_name

if TYPE_CHECKING:
    import pandas as pd

_DELIMITERS = "\t,;|"
METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
"""Names of the file that describes the images of a folder."""


def read_csv(
    path: str, *, delimiter: str | None = None, column_names: str | Sequence[str] | None = None
) -> Records:
    """Return a table of values separated by commas, semicolons, tabs or bars, gzipped or not.

    Parameters
    ----------
    path : str
    delimiter : str, optional
        The character between values; of several characters, each separates. By default, the one of
        tab, comma, semicolon and bar that splits the first line into most parts.
    column_names : str or sequence of str, optional
        Column names for a file whose first line is an example, as a list or with commas.
    """
    names = split_names(column_names)
    return _records(_file(path), lambda file: _read_csv(file, delimiter, names))


def read_jsonl(path: str) -> Records:
    """Return a file with one JSON object per line, or any file that `read_json` reads."""
    return _records(_file(path), _read_jsonl)


def read_json(path: str, *, records: str | None = None) -> Records:
    """Return an array of objects in a JSON file, gzipped or not.

    The file may be such an array, an object with such an array as a value, or an object of objects,
    whose names become the column ``key``. One object per line also works.

    Parameters
    ----------
    path : str
    records : str, optional
        Name of the value that holds the examples, ``a.b`` for the value b of a; by default the only
        one that can.
    """
    found = _records(_file(path), lambda file: _read_json(file, records))
    return replace(found, columns={"id_column": "key"} if "names" in found.table.attrs else {})


def read_parquet(path: str) -> Records:
    """Return a parquet file, whose images are paths, bytes or {bytes, path}."""
    return _records(_file(path), _read_parquet)


def read_imagefolder(path: str) -> Records:
    """Return the metadata.csv, .jsonl or .parquet of a folder of images."""
    file = _metadata(path)
    return replace(_records(file, _READERS[file.suffix]), columns={"image_column": "file_name"})


def read_any(path: str) -> Records:
    """Return a table in a file whose name tells its kind.

    Raises
    ------
    SpecError
        If the name does not tell, or there is no such file.
    DatasetError
        If it cannot be read.
    """
    ending = Path(path.removesuffix(".gz")).suffix.lower()
    if ending not in _KINDS:
        raise SpecError(f"file {path} has an unknown kind; expected one of {', '.join(_KINDS)}")
    return _KINDS[ending](path)


_KINDS: dict[str, Callable[[str], Records]] = {
    ".csv": read_csv,
    ".tsv": read_csv,
    ".txt": read_csv,
    ".json": read_json,
    ".jsonl": read_jsonl,
    ".parquet": read_parquet,
}


def read_arrow(stored: pa.Table) -> pd.DataFrame:
    """Return an Arrow table, with the class names that Hugging Face's library notes in it."""
    classes = class_labels(stored.schema.metadata)
    table: pd.DataFrame = stored.to_pandas()
    table.attrs["classes"] = classes
    return table


def _records(file: Path, read: Callable[[Path], pd.DataFrame]) -> Records:
    import pandas as pd

    try:
        table = read(file)
        if any("\0" in str(column) for column in table.columns):
            raise DatasetError(
                f"{file} is not UTF-8, by the names of its columns; save it as UTF-8"
            )
        return Records(table, str(file), file.parent)
    except EmapError:
        raise
    except UnicodeError as error:
        raise DatasetError(f"{file} is not UTF-8; save it as UTF-8: {error}") from error
    except pd.errors.EmptyDataError as error:
        raise DatasetError(f"{file} is empty; give a file with a line of column names") from error
    except Exception as error:
        raise DatasetError(f"{file} cannot be read: {error}") from error


def _metadata(path: str) -> Path:
    folder = Path(path)
    if not folder.is_dir():
        raise SpecError(f"there is no folder {path}")
    found = [folder / name for name in METADATA if (folder / name).is_file()]
    if len(found) != 1:
        has = " and ".join(file.name for file in found) or "none"
        raise DatasetError(
            f"folder {path} has {has} of {', '.join(METADATA)}; expected exactly one, "
            "with the columns file_name and text"
        )
    check_links(folder, found)
    return found[0]


def _file(path: str) -> Path:
    if "://" in path:
        raise SpecError(f"{path[:80]} is an address; download the file and give its path")
    file = Path(path)
    if not file.is_file():
        raise SpecError(f"there is no file {path}")
    return file


@contextmanager
def _opened(file: Path) -> Iterator[TextIO]:
    """Open a text file, which may be gzipped."""
    with file.open("rb") as content:
        packed = content.read(2) == b"\x1f\x8b"
    how: dict[str, Any] = {"encoding": "utf-8-sig", "newline": ""}
    with gzip.open(file, "rt", **how) if packed else file.open(**how) as opened:
        yield cast(TextIO, opened)


def _read_csv(file: Path, delimiter: str | None, names: list[str] | None) -> pd.DataFrame:
    import pandas as pd

    delimiter = None if delimiter is None else delimiter.replace("\\t", "\t")
    if delimiter is None:
        with _opened(file) as lines:
            first = next((line for line in lines if line.strip()), "")
        delimiter = _delimiter(first, names)
    elif not delimiter or set(delimiter) & set('\r\n"'):
        raise SettingError(
            f"{option_name('delimiter', 'data')} is {delimiter!r}; expected one or more "
            "characters, none of them a quotation mark or a line end"
        )
    of_several = {"sep": f"[{re.escape(delimiter)}]", "engine": "python"}
    with _opened(file) as lines:
        # As text, since "NA", "007" and "1e3" are words like any other.
        table = pd.read_csv(
            lines,
            names=names,
            header=0 if names is None else None,
            dtype=str,
            keep_default_na=False,
            **({"sep": delimiter} if len(delimiter) == 1 else of_several),
        )
    if not isinstance(table.index, pd.RangeIndex):
        raise DatasetError(
            f"{file} has rows with more values than column names "
            f"({', '.join(map(str, table.columns[:8]))}); give each column a name"
        )
    if names is None:
        table.attrs["header"] = True
        # As pandas names the second of two columns with the same name.
        again = (str(name).removesuffix(".1") for name in table.columns if str(name)[-2:] == ".1")
        table.attrs["repeated"] = {name for name in again if name in table.columns}
    return table


def _delimiter(first: str, names: list[str] | None) -> str:
    """Return the separator that splits the first line into as many parts as names, or into most."""
    parts = {}
    for sign in _DELIMITERS:
        try:
            parts[sign] = len(next(csv.reader([first], delimiter=sign), []))
        except csv.Error:
            # A value may be larger than the module's limit.
            parts[sign] = first.count(sign) + 1
    if names is not None and (fits := [sign for sign in parts if parts[sign] == len(names)]):
        return fits[0]
    found = max(parts, key=lambda sign: parts[sign])
    return found if parts[found] > 1 else ","


def _read_jsonl(file: Path) -> pd.DataFrame:
    import pandas as pd

    records: list[dict[str, Any]] = []
    wrong: dict[int, str] = {}
    with _opened(file) as lines:
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
        return _read_json(file, None)
    table = pd.DataFrame(records, dtype=object)
    table.attrs["wrong"] = wrong
    return table


def _read_json(file: Path, records: str | None) -> pd.DataFrame:
    import pandas as pd

    with _opened(file) as opened:
        content = opened.read()
    try:
        held = json.loads(content, object_pairs_hook=read_once)
    except TwiceError as error:
        raise DatasetError(f"{file} {error}") from error
    except (ValueError, RecursionError) as error:
        if records is None and _begins_with_objects(content):
            return _read_jsonl(file)
        raise DatasetError(f"{file} is not valid JSON: {error}") from error
    stated = held if isinstance(held, dict) else {}
    held, told = _examples_within(file, held, records)
    names = list(held) if isinstance(held, dict) else None
    entries = list(held.values()) if isinstance(held, dict) else held
    wrong = {
        row: f"entry {row + 1} is not a JSON object with named values"
        for row, record in enumerate(entries)
        if not isinstance(record, dict)
    }
    rows = [{} if row in wrong else one for row, one in enumerate(entries)]
    if names is not None:
        rows = [{"key": name, **row} for name, row in zip(names, rows, strict=True)]
    table = pd.DataFrame(rows, dtype=object)
    table.attrs["wrong"] = wrong
    table.attrs["stated"] = {name: one for name, one in stated.items() if isinstance(one, str)}
    if names is not None:
        table.attrs["names"] = True
    if told:
        table.attrs["told"] = [told]
    return table


def _examples_within(file: Path, held: Any, records: str | None) -> tuple[Any, str]:
    """Return the array or object of objects that holds the examples, and which one it is."""
    if records is not None:
        return _value_named(file, held, records), f"Rows: {records!r} in the file"
    if isinstance(held, list):
        return held, ""
    if not isinstance(held, dict):
        raise DatasetError(f"{file} holds {type(held).__name__}; expected an array of objects")
    arrays = [name for name, value in held.items() if _is_array_of_objects(value)]
    if len(arrays) == 1:
        return held[arrays[0]], f"Rows: {arrays[0]!r} in the file"
    if held and not arrays and all(isinstance(value, dict) for value in held.values()):
        return held, "Rows: the objects in the file; their names are the column 'key'"
    if arrays:
        raise DatasetError(
            f"{file} holds the arrays {', '.join(map(repr, arrays[:8]))}; name the one with the "
            f"examples with {option('records', arrays[0])}"
        )
    raise DatasetError(
        f"{file} holds a JSON object without an array of objects; expected "
        "[{…}, {…}], an object with such an array, or an object of objects"
    )


def _value_named(file: Path, held: Any, records: str) -> Any:
    found = held
    for name in [records] if isinstance(held, dict) and records in held else records.split("."):
        if not isinstance(found, dict) or name not in found:
            there = ", ".join(map(repr, list(found)[:8])) if isinstance(found, dict) else "none"
            raise DatasetError(
                f"{file} has no value {records!r}, which {option_name('records', 'data')} names; "
                f"there are {there}"
            )
        found = found[name]
    if not isinstance(found, list) and not (
        isinstance(found, dict) and all(isinstance(value, dict) for value in found.values())
    ):
        raise DatasetError(
            f"the value {records!r} in {file} is a {type(found).__name__}; expected an array of "
            "objects or an object of objects"
        )
    return found


def _is_array_of_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


class TwiceError(Exception):
    """A JSON object names a value twice; a reader would take the last one."""


def read_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object whose names all differ; for ``object_pairs_hook``."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise TwiceError(f"names {twice!r:.80} twice in one object; keep one")
    return found


def _begins_with_objects(content: str) -> bool:
    """Return whether each of the first two lines is a separate object."""
    try:
        first = [json.loads(line) for line in content.splitlines()[:2]]
    except (ValueError, RecursionError):
        return False
    return len(first) == 2 and all(isinstance(one, dict) for one in first)


def _begins_with_array(file: Path) -> bool:
    with _opened(file) as opened:
        return opened.read(1_000).lstrip().startswith("[")


def _read_parquet(file: Path) -> pd.DataFrame:
    stored = pq.read_table(file)
    try:
        return read_arrow(stored)
    except DatasetError as error:
        raise DatasetError(f"{file} cannot be read: {error}") from error


_READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".csv": lambda file: _read_csv(file, None, None),
    ".jsonl": _read_jsonl,
    ".parquet": _read_parquet,
}


def class_labels(metadata: dict[bytes, bytes] | None) -> dict[str, list[str]]:
    """Return the class names that the library datasets notes for columns, also of lists.

    Raises
    ------
    DatasetError
        If the note does not look like the library's.
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
    """Return the names of a class label, or of nested lists of them; None for other kinds."""
    while True:
        if isinstance(feature, list) and len(feature) == 1:
            # Old versions write a list this way.
            feature = feature[0]
        elif isinstance(feature, dict) and feature.get("_type") == "ClassLabel":
            return feature["names"]
        elif isinstance(feature, dict) and "feature" in feature:
            feature = feature["feature"]
        else:
            return None
