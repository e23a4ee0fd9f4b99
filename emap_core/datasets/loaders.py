"""The loaders of data: how each kind of table is read, and from there one way to a dataset."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from emap_core.datasets import demo
from emap_core.datasets.base import Examples
from emap_core.datasets.hf import read_hf
from emap_core.datasets.joins import joined
from emap_core.datasets.table import Records, dataset_in
from emap_core.datasets.table_files import (
    read_csv,
    read_imagefolder,
    read_json,
    read_jsonl,
    read_parquet,
)
from emap_core.datasets.vqa2 import read_vqa2
from emap_core.datasets.webdataset import read_webdataset
from emap_core.datasets.winoground import read_naturalbench, read_winoground

READERS: dict[str, Callable[..., Records]] = {
    "csv": read_csv,
    "json": read_json,
    "jsonl": read_jsonl,
    "parquet": read_parquet,
    "imagefolder": read_imagefolder,
    "hf": read_hf,
    "webdataset": read_webdataset,
    "vqa2": read_vqa2,
    "winoground": read_winoground,
    "naturalbench": read_naturalbench,
}
"""What reads the records behind each prefix, with the arguments that it takes for that."""


def read_records(
    prefix: str, name: str, settings: dict[str, Any], join: str | Sequence[str] = ()
) -> Records:
    """Return the records that a spec names, and take from the settings what its reader needs.

    Parameters
    ----------
    prefix, name : str
        What stands before the colon of the spec and after it.
    settings : dict
        Arguments of the reader leave it.
    join : str or sequence of str
        Other files, as for `joined`.
    """
    read = READERS[prefix]
    own = {one: settings.pop(one) for one in _arguments(read) if one in settings}
    return joined(read(name, **own), join)


def _arguments(read: Callable[..., Records]) -> list[str]:
    return list(inspect.signature(read).parameters)[1:]


def _loader(prefix: str) -> Callable[..., Examples]:
    """Return what reads records, and makes a dataset of them with the arguments that are left."""

    def load(name: str, /, *, join: str | Sequence[str] = (), **settings: Any) -> Examples:
        return dataset_in(read_records(prefix, name, settings, join), settings)

    load.__doc__ = READERS[prefix].__doc__
    name, join, settings = inspect.signature(load).parameters.values()
    own = [
        inspect.Parameter(one, inspect.Parameter.KEYWORD_ONLY, default=None)
        for one in _arguments(READERS[prefix])
    ]
    # So that whoever asks what a loader takes hears of its reader's arguments, too.
    load.__signature__ = inspect.Signature([name, join, *own, settings])  # type: ignore[attr-defined]
    return load


LOADERS: dict[str, Callable[..., Any]] = {
    "demo": demo.load,
    **{prefix: _loader(prefix) for prefix in READERS},
}
"""Reserved prefixes and the function that each leads to."""
