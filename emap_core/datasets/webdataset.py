"""``webdataset:GLOB``: tar shards in which the files of an example share their name."""

from __future__ import annotations

import glob
import json
import tarfile
from pathlib import Path
from typing import Any

import pandas as pd

from emap_core.datasets.base import Examples
from emap_core.datasets.table_files import table_dataset
from emap_core.errors import DatasetError, SpecError

_PICTURES = ("jpg", "jpeg", "png", "webp", "gif", "bmp")


def load(pattern: str, **columns: Any) -> Examples:
    """Return the dataset in all shards that fit a pattern, in the order of their names.

    Of ``name.png``, ``name.txt``, ``name.cls`` and ``name.json`` come the columns image, text,
    label and what the JSON object holds; other files become columns of their ending.

    Raises
    ------
    SpecError
        If no file fits.
    DatasetError
        If a shard cannot be read, or a file in it.
    """
    return table_dataset(read_shards(pattern), pattern, Path(), {"id_column": "__key__"} | columns)


def read_shards(pattern: str, n_examples: int | None = None) -> pd.DataFrame:
    """Return the table in all shards that fit a pattern, or no more than its first rows.

    Raises
    ------
    SpecError
        If no file fits.
    DatasetError
        If a shard cannot be read.
    """
    shards = sorted(glob.glob(pattern))  # noqa: PTH207 - a pattern may be absolute
    if not shards:
        raise SpecError(f"no file fits {pattern}")
    examples: dict[str, dict[str, Any]] = {}
    names: dict[str, str] = {}
    wrong: dict[str, str] = {}
    for shard in shards:
        if len(examples) == n_examples:
            break
        try:
            with tarfile.open(shard) as opened:
                for member in opened:
                    if member.isfile() and (stream := opened.extractfile(member)) is not None:
                        folder, _, file = member.name.rpartition("/")
                        name, _, ending = file.partition(".")
                        key = f"{folder}/{name}" if folder else name
                        example = f"{shard} {key}"
                        if len(examples) == n_examples and example not in examples:
                            break
                        names[example] = f"example {key!r} in {Path(shard).name}"
                        row = examples.setdefault(example, {"__key__": key})
                        try:
                            row |= _columns(ending.lower(), stream.read())
                        except _UnreadableError as error:
                            wrong.setdefault(example, f"{file} {error}")
        except (tarfile.TarError, OSError) as error:
            said = str(error).splitlines()[0].rstrip(":")
            raise DatasetError(f"shard {shard} cannot be read: {said}") from error
    table = pd.DataFrame(list(examples.values()), dtype=object)
    # Nobody sees rows in shards, but everybody sees the names of files.
    table.attrs["rows"] = list(names.values())
    table.attrs["wrong"] = {row: wrong[one] for row, one in enumerate(examples) if one in wrong}
    return table


class _UnreadableError(Exception):
    """A file of an example does not hold what its ending says."""


def _columns(ending: str, content: bytes) -> dict[str, Any]:
    if ending in _PICTURES:
        return {"image": content}
    try:
        if ending == "json":
            described = json.loads(content)
            return described if isinstance(described, dict) else {"json": described}
        if ending in ("txt", "text"):
            return {"text": content.decode()}
    except UnicodeDecodeError as error:
        raise _UnreadableError(f"is in another encoding than UTF-8: {error}") from error
    except (ValueError, RecursionError) as error:
        raise _UnreadableError(f"is no JSON: {error}") from error
    if ending in ("cls", "cls2"):
        try:
            return {"label": int(content)}
        except ValueError as error:
            said = content[:60].decode(errors="replace")
            raise _UnreadableError(
                f"holds {said!r}; expected the number of a class (names go into .json)"
            ) from error
    return {ending: content}
