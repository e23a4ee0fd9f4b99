"""``hf:FOLDER`` or ``hf:HUB_ID[@revision]``: a dataset saved by Hugging Face's library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from emap_core.allowed_folders import (
    check_links,
    not_a_folder,
    path_or_hub_id,
    roots_of_environment,
)
from emap_core.datasets.table import Records
from emap_core.datasets.table_files import class_labels, read_arrow
from emap_core.errors import DatasetError, SpecError
from emap_core.hub import downloaded
from emap_core.option_names import option

if TYPE_CHECKING:
    import pandas as pd

_DATA_FILE = "state.json"
_SPLITS_FILE = "dataset_dict.json"


def read_hf(name: str, split: str | None = None) -> Records:
    """Return the contents of a ``save_to_disk`` folder, or the parquet files of a hub id.

    Parameters
    ----------
    name : str
    split : str, optional
        Needed if there are several.

    Raises
    ------
    SpecError
        If there is no such dataset.
    DatasetError
        If there is no such split.
    """
    folder = path_or_hub_id(name, roots_of_environment())
    if folder is None or not folder.is_dir():
        return _from_hub(name, split, not_a_folder(name, folder))
    if splits := saved_splits(folder):
        folder = folder / _one_of(splits, split, name)
    return Records(_read_saved(folder), str(folder), folder)


def saved_splits(folder: Path) -> list[str]:
    """Return the names of the splits in a ``save_to_disk`` folder, none for a single dataset.

    Raises
    ------
    DatasetError
        If the file with the names cannot be read.
    """
    file = folder / _SPLITS_FILE
    if not file.is_file():
        return []
    check_links(folder, [file])
    splits = [_within(file, one) for one in _listed(file, _described(file), "splits")]
    check_links(folder, [folder / split for split in splits])
    return splits


def _read_saved(folder: Path) -> pd.DataFrame:
    """Return the table in the ``save_to_disk`` folder of a single dataset."""
    state_file = folder / _DATA_FILE
    if not state_file.is_file():
        raise SpecError(
            f"folder {folder} is not a saved dataset: it has neither {_DATA_FILE} nor "
            f"{_SPLITS_FILE}"
        )
    check_links(folder, [state_file])
    state = _described(state_file)
    if state.get("_indices_data_files"):
        raise DatasetError(f"{folder} was saved by an old version of datasets; save it again")
    parts = []
    for described in _listed(state_file, state, "_data_files"):
        named = described.get("filename") if isinstance(described, dict) else described
        file = folder / _within(state_file, named)
        check_links(folder, [file])
        try:
            with pa.memory_map(str(file)) as opened:
                parts.append(pa.ipc.open_stream(opened).read_all())
        except FileNotFoundError as error:
            raise DatasetError(f"{_DATA_FILE} names {file}, which does not exist") from error
        except (pa.ArrowException, OSError, ValueError) as error:
            raise DatasetError(f"{file} cannot be read: {error}") from error
    return _joined(parts, folder)


def _joined(parts: list[pa.Table], source: str | Path) -> pd.DataFrame:
    noted = [class_labels(part.schema.metadata) for part in parts]
    if any(classes != noted[0] for classes in noted):
        raise DatasetError(
            f"the files of {source} name the classes of their labels differently; save them again "
            "as one dataset"
        )
    try:
        return read_arrow(pa.concat_tables(parts))
    except Exception as error:
        # Arrow raises all kinds of errors if stored files contradict each other.
        raise DatasetError(f"the tables of {source} cannot be read: {error}") from error


def _listed(file: Path, described: dict[str, Any], key: str) -> list[Any]:
    if key not in described:
        raise DatasetError(f"{file} has no {key!r}; save the data again with the library datasets")
    named = described[key]
    if not isinstance(named, list) or not named:
        raise DatasetError(f"{file} has {named!r:.80} as {key!r}; expected a list of file names")
    return named


def _within(file: Path, name: Any) -> str:
    """Return a file name from a description; it must not lead out of the folder."""
    if not isinstance(name, str) or "\0" in name or name in ("", ".", "..") or "/" in name:
        raise DatasetError(f"{file} names {name!r:.80}; expected the name of a file beside it")
    return name


def _described(file: Path) -> dict[str, Any]:
    try:
        described = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{file} cannot be read: {error}") from error
    if not isinstance(described, dict):
        raise DatasetError(f"{file} is not a JSON object, as datasets writes it; save it again")
    return described


def _from_hub(name: str, split: str | None, why: str) -> Records:
    folder = downloaded(name, "dataset", ["*.parquet"], why)
    files = sorted(folder.rglob("*.parquet"))
    if not files:
        raise SpecError(f"the hub's dataset {name} has no parquet files")
    # The hub names them data/train-00000-of-00002.parquet or train/0000.parquet.
    splits: dict[str, list[Path]] = {}
    for file in files:
        within = file.relative_to(folder)
        found = within.stem.partition("-")[0] if "-" in within.stem else within.parent.name
        splits.setdefault(found or within.stem, []).append(file)
    chosen = splits[_one_of(list(splits), split, name)]
    return Records(_joined([pq.read_table(file) for file in chosen], name), name, folder)


def _one_of(splits: list[str], wanted: str | None, name: str) -> str:
    if wanted is None and len(splits) == 1:
        return splits[0]
    if wanted not in splits:
        asked = "several splits" if wanted is None else f"no split {wanted!r}"
        raise DatasetError(
            f"{name} has {asked}; choose {option('split', splits[0])}, or one of "
            f"{', '.join(splits)}"
        )
    return wanted
