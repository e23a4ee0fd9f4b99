"""Datasets: N examples in order, each a text, an image and perhaps a label, found by a spec."""

from __future__ import annotations

from typing import Any

from emap_core import specs
from emap_core.datasets.base import Dataset
from emap_core.datasets.sample import sample

LOADERS = {
    "demo": "emap_core.datasets.demo:load",
    "csv": "emap_core.datasets.table_files:load_csv",
    "jsonl": "emap_core.datasets.table_files:load_jsonl",
    "parquet": "emap_core.datasets.table_files:load_parquet",
    "imagefolder": "emap_core.datasets.table_files:load_imagefolder",
    "hf": "emap_core.datasets.hf:load",
    "webdataset": "emap_core.datasets.webdataset:load",
}
"""Reserved prefixes and the function that each leads to."""


def load_dataset(spec: str, *, limit: int | None = None, seed: int = 0, **settings: Any) -> Dataset:
    """Return the dataset that a spec string names.

    Parameters
    ----------
    spec : str
        ``demo:NAME``, another prefix of `LOADERS`, or ``module[.sub]:factory``.
    limit : int, optional
        Take a random sample of this many examples, in their order; all of them by default.
    seed : int
        Which sample.
    **settings
        Keyword arguments of the loader or factory.

    Raises
    ------
    SpecError
        If the spec names nothing known, or what it names cannot be loaded.
    SettingError
        If the loader does not take a keyword argument, or `limit` is less than 2.
    DatasetError
        If the data cannot be read.

    Examples
    --------
    >>> len(load_dataset("demo:easy-vqa", limit=100))
    100
    """
    return sample(specs.load("dataset", spec, LOADERS, settings), limit, seed)
