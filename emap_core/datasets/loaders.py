"""The loaders of tables: how each kind of file is read, and from there one way to a dataset."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from emap_core.datasets.base import Examples
from emap_core.datasets.hf import read_hf
from emap_core.datasets.table import Records, dataset_in
from emap_core.datasets.table_files import (
    read_csv,
    read_imagefolder,
    read_json,
    read_jsonl,
    read_parquet,
)
from emap_core.datasets.webdataset import read_webdataset

READERS: dict[str, Callable[..., Records]] = {
    "csv": read_csv,
    "json": read_json,
    "jsonl": read_jsonl,
    "parquet": read_parquet,
    "imagefolder": read_imagefolder,
    "hf": read_hf,
    "webdataset": read_webdataset,
}
"""What reads the records behind each prefix, with the arguments that it takes for that."""


def _loader(prefix: str) -> Callable[..., Examples]:
    """Return what reads records, and makes a dataset of them with the arguments that are left."""
    read = READERS[prefix]
    own = list(inspect.signature(read).parameters.values())[1:]

    def load(name: str, **settings: Any) -> Examples:
        of_reader = {one.name: settings.pop(one.name) for one in own if one.name in settings}
        return dataset_in(read(name, **of_reader), settings)

    load.__doc__ = read.__doc__
    load.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter("name", inspect.Parameter.POSITIONAL_ONLY),
            *(one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own),
            inspect.Parameter("settings", inspect.Parameter.VAR_KEYWORD),
        ]
    )
    return load


load_csv = _loader("csv")
load_json = _loader("json")
load_jsonl = _loader("jsonl")
load_parquet = _loader("parquet")
load_imagefolder = _loader("imagefolder")
load_hf = _loader("hf")
load_webdataset = _loader("webdataset")
