"""Datasets: N examples in order, each a text, an image and perhaps a label, named by a spec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path, PurePath
from typing import Any

from emap_core import specs
from emap_core.datasets.base import Examples, as_examples
from emap_core.datasets.image_downloads import with_images_fetched
from emap_core.datasets.in_memory import examples_of_sequences, records_at_hand
from emap_core.datasets.loaders import LOADERS as LOADERS
from emap_core.datasets.sample import sample
from emap_core.datasets.sides import examples_of_sides
from emap_core.datasets.table import dataset_in
from emap_core.errors import SettingError

_PREFIXES = {
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".parquet": "parquet",
    ".tar": "webdataset",
}


def load_dataset(
    spec: Any, *, limit: int | None = None, seed: int = 0, **settings: Any
) -> Examples:
    """Return the dataset that a spec string names, or one made from an object.

    Parameters
    ----------
    spec : str, Path, table or Dataset
        ``demo:NAME``, another prefix of `LOADERS`, a file whose name tells its kind, or
        ``module[.sub]:factory``, which may return any of these; a table (a DataFrame, a dict of
        columns, a list of dicts, a ``datasets.Dataset``; see `records_at_hand`); or any object or
        dict with texts and images.
    limit : int, optional
        Take a random sample of this many examples, in their original order; by default all.
    seed : int
        Seed of the sample.
    **settings
        Keyword arguments for the loader or factory; for a table, those of `load_table`.

    Raises
    ------
    SpecError
        If the spec names nothing known, or cannot be loaded.
    SettingError
        If the loader does not take a keyword argument, or `limit` is less than 2.
    DatasetError
        If the data cannot be read.

    Examples
    --------
    >>> len(load_dataset("demo:easy-vqa", limit=100))
    100
    """
    if isinstance(spec, (str, Path)):
        given = specs.load("dataset", with_prefix(str(spec)), LOADERS, settings)
        records = records_at_hand(given)
        found = _dataset(given) if records is None else dataset_in(records, {})
    elif (records := records_at_hand(spec)) is not None:
        found = dataset_in(records, settings)
    elif settings:
        raise SettingError(
            f"{', '.join(settings)} {'is' if len(settings) == 1 else 'are'} for a loader, but the "
            f"data is a {type(spec).__name__}, which needs none; leave it out"
        )
    else:
        found = _dataset(spec)
    found = as_examples(sample(found, limit, seed))
    # Fetch only now: a sample needs only a few of the images.
    return with_images_fetched(found, skip_bad=bool(settings.get("skip_bad")))


def _dataset(given: Any) -> Examples:
    if isinstance(given, Mapping) and {"texts", "images"} <= given.keys():
        return examples_of_sequences(given)
    if isinstance(getattr(given, "sides", None), Mapping):
        names = [f.name for f in fields(Examples) if f.init and hasattr(given, f.name)]
        further = {name: getattr(given, name) for name in names if name != "sides"}
        return examples_of_sides(given.sides, getattr(given, "modalities", None), **further)
    if isinstance(given, Mapping) and isinstance(given.get("sides"), Mapping):
        return examples_of_sides(**given)
    return as_examples(given)


def with_prefix(spec: str) -> str:
    """Return a spec, with its loader's prefix if it is only the name of a file.

    It makes no difference whether the file exists: strangers may ask.
    """
    prefix = _PREFIXES.get(PurePath(spec.removesuffix(".gz")).suffix.lower())
    named = spec.partition(":")[0] in LOADERS or "://" in spec
    return f"{prefix}:{spec}" if prefix and not named else spec
