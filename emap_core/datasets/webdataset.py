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
        If a shard cannot be read.
    """
    shards = sorted(glob.glob(pattern))  # noqa: PTH207 - a pattern may be absolute
    if not shards:
        raise SpecError(f"no file fits {pattern}")
    examples: dict[str, dict[str, Any]] = {}
    for shard in shards:
        try:
            with tarfile.open(shard) as opened:
                for member in opened:
                    if member.isfile() and (stream := opened.extractfile(member)) is not None:
                        folder, _, file = member.name.rpartition("/")
                        name, _, ending = file.partition(".")
                        key = f"{folder}/{name}" if folder else name
                        row = examples.setdefault(f"{shard} {key}", {"__key__": key})
                        row |= _columns(ending.lower(), stream.read(), f"{member.name} in {shard}")
        except (tarfile.TarError, OSError) as error:
            said = str(error).splitlines()[0].rstrip(":")
            raise DatasetError(f"shard {shard} cannot be read: {said}") from error
    table = pd.DataFrame(list(examples.values()), dtype=object)
    return table_dataset(table, pattern, Path(), {"id_column": "__key__"} | columns)


def _columns(ending: str, content: bytes, where: str) -> dict[str, Any]:
    if ending in _PICTURES:
        return {"image": content}
    try:
        if ending == "json":
            described = json.loads(content)
            return described if isinstance(described, dict) else {"json": described}
        if ending in ("txt", "text"):
            return {"text": content.decode()}
        if ending in ("cls", "cls2"):
            return {"label": int(content)}
    except ValueError as error:
        raise DatasetError(f"{where} cannot be read: {error}") from error
    return {ending: content}
