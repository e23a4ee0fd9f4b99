"""Rows that already exist in Python: a DataFrame, columns, dictionaries, or a library's table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from emap_core.datasets.base import Examples
from emap_core.datasets.table import Records
from emap_core.datasets.table_files import read_arrow
from emap_core.errors import DatasetError

if TYPE_CHECKING:
    import pandas as pd

_SEQUENCES = ("texts", "images")


def records_at_hand(given: Any) -> Records | None:
    """Return the rows of a Python object, or None if it is not a table.

    Parameters
    ----------
    given : DataFrame, mapping, list of dict, Arrow table or datasets.Dataset
        A mapping has a column under each name: a list, an array or a tensor, also of images.
        Relative paths start in the working folder.

    Raises
    ------
    DatasetError
        If columns have different lengths, or it is a dataset with several splits.
    """
    table = _table(given)
    return None if table is None else Records(table, "the table", Path())


def _table(given: Any) -> pd.DataFrame | None:
    import pandas as pd

    if isinstance(given, pd.DataFrame):
        return given
    if isinstance(given, pa.Table):
        return read_arrow(given)
    if type(given).__module__.partition(".")[0] == "datasets":
        return _of_hugging_face(given)
    if isinstance(given, Mapping) and isinstance(given.get("sides"), Mapping):
        return None
    if isinstance(given, Mapping) and not all(name in given for name in _SEQUENCES):
        columns = {str(name): _entries(values) for name, values in given.items()}
        lengths = {name: len(values) for name, values in columns.items()}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name} {n:,}" for name, n in lengths.items())
            raise DatasetError(
                f"the columns have different lengths ({told}); give every column one entry per row"
            )
        return pd.DataFrame({n: pd.Series(v, dtype=object) for n, v in columns.items()})
    if isinstance(given, (list, tuple)) and given and all(isinstance(o, Mapping) for o in given):
        return pd.DataFrame.from_records([dict(one) for one in given]).astype(object)
    return None


def examples_of_sequences(given: Mapping[str, Any]) -> Examples:
    """Return a dataset with the arguments in a mapping with texts and images."""
    try:
        return Examples(**given)
    except TypeError as error:
        raise DatasetError(f"the data is a dict that is not a dataset: {error}") from error


def _entries(values: Any) -> list[Any]:
    """Return the entries of a column; an array of images gives images."""
    if isinstance(values, (str, bytes)) or not hasattr(values, "__len__"):
        raise DatasetError(
            f"a column is a {type(values).__name__}; give a list with one entry per example"
        )
    return values.tolist() if getattr(values, "ndim", 0) == 1 else list(values)


def _of_hugging_face(given: Any) -> pd.DataFrame:
    if isinstance(given, Mapping):
        raise DatasetError(
            f"the data has several splits ({', '.join(given)}); give one of them, as in "
            f"data[{next(iter(given))!r}]"
        )
    if not getattr(given, "num_rows", 0):
        raise DatasetError("the data is streamed or empty; give a datasets.Dataset with rows")
    stored = given.with_format("arrow")[:]
    # A selection of rows does not list all classes; the schema does.
    return read_arrow(stored.replace_schema_metadata(given.features.arrow_schema.metadata))
