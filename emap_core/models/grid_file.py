"""``logits:FILE``: a grid computed elsewhere, on another machine or in another language."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from math import prod
from pathlib import Path, PurePath
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emap_core.datasets.base import plain_label
from emap_core.datasets.grid_cells import Cells
from emap_core.errors import EmapError, ModelError, SettingError, SpecError
from emap_core.modalities import TEXT_AND_IMAGE
from emap_core.modalities.side_names import cell_of
from emap_core.models.base import OUTPUTS, Output
from emap_core.option_names import option

PICKLES = (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".bin", ".ckpt")
"""Endings of files that are never read."""
_MOST_MISSING = 1_000
"""A grid that holds only some of the pairs has at least one in so many."""
_INDEX = "_index"
_MOST_NUMBERS = 2**27
"""Numbers that a grid that holds only some of the pairs may have room for: 1 GiB."""
_GRID_NAMES = ("grid", "logits")
_NUMBERED = re.compile(
    r"(logits?|scores?|outputs?|prob\w*?|class)[_ -]?([0-9]{1,6})", re.IGNORECASE
)


class GridModel:
    """The outputs of a model computed elsewhere, for every combination of its sides' items.

    Parameters
    ----------
    grid : array of shape (U_1, …, U_M, C) or (U_1, …, U_M)
        One axis per side: the dataset's unique items in order of first appearance, or its examples
        (N on each side), or what the index arrays say.
    sides : sequence of str, optional
        Names of the sides, in the order of the axes; by default a text and an image, or whichever
        two the data has.
    index : mapping of str to array of shape (N,), optional
        Place of each example's item on its axis, by side.
    classes : sequence of str, optional
        Names of the C outputs (two for a single logit).
    output : {"logits", "log_probabilities", "probabilities"}, optional
        Logits by default; must be given if they look like probabilities.
    fingerprint : str, optional
        Changes whenever the grid does.
    source : str, optional
        What messages call the grid.
    ids : mapping of str to sequence of str, optional
        Names of the items, by side. Items are looked up in the columns of the data that
        `id_columns` names, or else among its ids, texts and file names; the grid may hold more
        items than the data.
    id_columns : mapping of str to str, optional
        By side; ``text_id`` and the like by default.
    partial : bool
        Whether some combinations are missing.

    Raises
    ------
    ModelError
        If the shapes do not fit together.
    """

    def __init__(
        self,
        grid: Any,
        sides: Sequence[str] | None = None,
        index: Mapping[str, Any] | None = None,
        classes: Sequence[str] | None = None,
        output: Output | None = None,
        fingerprint: str | None = None,
        source: str = "",
        ids: Mapping[str, Sequence[str]] | None = None,
        id_columns: Mapping[str, str] | None = None,
        partial: bool = False,
    ) -> None:
        if output is not None and output not in OUTPUTS:
            raise SettingError(f"output is {output!r}; expected one of {', '.join(OUTPUTS)}")
        self.sides = None if sides is None else tuple(map(str, sides))
        self._names = self.sides or tuple(side.name for side in TEXT_AND_IMAGE)
        values = np.asanyarray(grid)
        if values.ndim == len(self._names):
            values = values[..., None]
        if (
            values.ndim != len(self._names) + 1
            or 0 in values.shape
            or values.dtype.kind not in "fiu"
        ):
            axes = ", ".join([*(_several(self.sides, name) for name in self._names), "classes"])
            more = self.sides is None and values.ndim > len(self._names) + 1
            how = f"; name the sides of its axes with {option('sides', of='model')}" if more else ""
            raise ModelError(
                f"the grid has shape {np.shape(grid)} of {values.dtype}; "
                f"expected numbers of shape ({axes}){how}"
            )
        given = dict(index or {})
        lacking = [name for name in self._names if given.get(name) is None]
        if given and lacking:
            raise ModelError(
                f"the grid has no {lacking[0]}_index; give an index for each side, or none"
            )
        n_classes = values.shape[-1]
        if classes is not None and len(classes) not in ({1, 2} if n_classes == 1 else {n_classes}):
            raise ModelError(f"there are {len(classes)} class names for {n_classes} classes")
        self.grid: NDArray[Any] = values
        self.partial = partial
        self.index = {
            name: _index(f"{name}_index", given[name], size)
            for name, size in zip(self._names, values.shape, strict=False)
            if given
        }
        self.classes = None if classes is None else [str(name) for name in classes]
        self.output = output
        self.fingerprint = fingerprint
        self._called = f"grid {source}" if source else "the grid"
        self._ids = dict(ids or {})
        self._columns = {name: f"{name}_id" for name in self._names} | dict(id_columns or {})

    def __call__(self, *items: Any) -> NoReturn:
        """Refuse to score: there is no model behind a grid."""
        raise ModelError("a grid is not a model: pairs outside it cannot be scored")

    def grid_for(self, cells: Cells, dataset: Any = None) -> NDArray[Any]:
        """Return the outputs on a dataset's unique items, shape (U_1, …, U_M, C).

        Parameters
        ----------
        cells : Cells
            The dataset's cells.
        dataset : Dataset, optional
            Needed if the grid's items have names.

        Raises
        ------
        ModelError
            If grid and dataset are of different sizes, or an index contradicts the dataset.
        """
        n, firsts = len(cells.row_index), [side.examples for side in cells.sides]
        if self._ids or self.index:
            places = (
                [self._places(place, dataset) for place in range(len(self._names))]
                if self._ids
                else list(self.index.values())
            )
            lengths = [len(index) for index in places]
            if set(lengths) != {n}:
                raise ModelError(
                    f"{self._called}: its indices cover {_listed(lengths)} examples; the dataset "
                    f"has {n}"
                )
            for name, given, side in zip(self._names, places, cells.sides, strict=True):
                _check_same(self._called, name, given, side.index)
            return self._items([given[first] for given, first in zip(places, firsts, strict=True)])
        sizes = self.grid.shape[:-1]
        if sizes == cells.sizes:
            return self.grid
        if sizes == (n,) * len(sizes):
            return self._items(firsts)
        fitting = dict.fromkeys((cells.sizes, (n,) * len(sizes)))
        expected = " or ".join(" × ".join(map(str, one)) for one in fitting)
        raise ModelError(
            f"{self._called} has {self._sized(sizes)}; the dataset has "
            f"{self._sized(cells.sizes, 'different ')} and {n} examples: expected {expected}, or "
            "index arrays"
        )

    def names_for(self, cells: Cells, dataset: Any) -> dict[str, NDArray[Any]] | None:
        """Return what the grid calls a dataset's unique items, by column of its file.

        None if it numbers them.
        """
        if not self._ids:
            return None
        return {
            self._columns[name]: np.array(self._ids[name], dtype=object)[
                self._places(place, dataset)[side.examples]
            ]
            for place, (name, side) in enumerate(zip(self._names, cells.sides, strict=True))
        }

    def _places(self, place: int, dataset: Any) -> NDArray[np.intp]:
        """Return where on its axis each example's item of a side is, by its name in the data."""
        side = self._names[place]
        places = {name: number for number, name in enumerate(self._ids[side])}
        column, columns = self._columns[side], getattr(dataset, "columns", None)
        known: dict[str, Sequence[Any]] = {}
        if columns is not None and column in columns:
            known[f"the column {column}"] = columns[column].tolist()
        known["the ids of the examples"] = getattr(dataset, "ids", None) or [""]
        of = dataset.items_by_side[place]
        if of.side.modality == "text":
            known["the texts"] = of.items
        elif of.keys is not None:
            files = [PurePath(str(key)) for key in of.keys]
            known[f"the names of {of.side.modality} files"] = [
                file.name if file.name in places else file.stem for file in files
            ]
        named = {what: [str(plain_label(one)) for one in each] for what, each in known.items()}
        for each in named.values():
            if all(name in places for name in each):
                return np.array([places[name] for name in each], dtype=np.intp)
        first = next(iter(named.values()))
        missing = next(name for name in first if name not in places)
        how = (
            option(f"{side}_id_column", of="model")
            if self.sides is None
            else option("sides", f"{side}=COLUMN", of="model")
        )
        raise ModelError(
            f"{self._called} calls {_several(self.sides, side)} "
            f"{', '.join(map(repr, list(places)[:3]))}, …, but not all names in the data are among "
            f"these (tried: {', '.join(named)}); the first that is missing is {missing!r:.80}; "
            f"name the column with {how}"
        )

    def _sized(self, sizes: Sequence[int], which: str = "") -> str:
        """Return sizes of axes in words: 3 different texts × 2 different images."""
        return " × ".join(
            f"{size} {which}{_several(self.sides, name)}"
            for size, name in zip(sizes, self._names, strict=True)
        )

    def _items(self, places: Sequence[NDArray[np.intp]]) -> NDArray[Any]:
        chosen: NDArray[Any] = self.grid[np.ix_(*places)]
        return chosen


def _several(sides: Sequence[str] | None, name: str) -> str:
    """Return the plural for items of a side: texts, or items of spoken if it is a named side."""
    return f"{name}s" if sides is None else f"items of {name}"


def _listed(lengths: Sequence[int]) -> str:
    return " and ".join([", ".join(map(str, lengths[:-1])), str(lengths[-1])])


def load(
    path: str,
    classes: str | Sequence[str] | None = None,
    output: Output | None = None,
    text_id_column: str | None = None,
    image_id_column: str | None = None,
    sides: str | Sequence[str] | None = None,
) -> GridModel:
    """Return the grid in a .npy, .npz, .safetensors, .parquet or .zarr file.

    An .npz, .safetensors or .zarr group holds an array ``grid`` (or ``logits``, or a single one)
    and may hold ``text_index``, ``image_index`` and ``classes``. A .parquet file has a row per
    pair, with the columns ``text_id`` and ``image_id`` (numbered from 0, or the names of texts and
    images in the data) and a column per class, named after it, or ``logit_0``, ``logit_1``, … for
    classes without names. It may lack pairs that the method does not read.

    A grid of other sides, or of more than two, has an axis per side, or a column ``NAME_id`` and an
    array ``NAME_index`` for the side NAME; `sides` names them.

    Parameters
    ----------
    path : str
    classes : str or sequence of str, optional
        Names of the classes, as a list or with commas; those in the file by default.
    output : {"logits", "log_probabilities", "probabilities"}, optional
        Logits by default; must be given if they look like probabilities.
    text_id_column, image_id_column : str, optional
        Columns of a .parquet file, and of the data, that say which text and which image it is; by
        default ``text_id`` and ``image_id``. If one is given, its values are names, even numbers.
    sides : str or sequence of str, optional
        Names of the sides in the order of the axes, as a list or with commas; NAME=COLUMN names the
        column of a .parquet file, and of the data, as `text_id_column` does. By default those in
        the file (an array ``sides``, or such metadata), else a text and an image.

    Raises
    ------
    SpecError
        If the file does not exist, cannot be read or holds no grid.
    """
    file = Path(path)
    named_columns = {"text": text_id_column, "image": image_id_column}
    if sides is not None:
        listed = sides.split(",") if isinstance(sides, str) else sides
        axes = (one.partition("=") for one in listed)
        named_columns = {name.strip(): column.strip() or None for name, _, column in axes}
    id_columns = {name: column or f"{name}_id" for name, column in named_columns.items()}
    are_names = any(named_columns.values())
    readers: dict[str, Callable[[Path], dict[str, Any]]] = {
        ".npy": _read_npy,
        ".npz": _read_npz,
        ".safetensors": _read_safetensors,
        ".parquet": lambda file: _read_parquet(file, id_columns, are_names),
        ".zarr": _read_zarr,
    }
    if not file.exists():
        raise SpecError(f"there is no grid {path}")
    if file.suffix in PICKLES:
        raise SpecError(
            f"grid {path} is a pickle, which runs code when it is read; save the arrays as "
            ".npz or .safetensors if you trust it"
        )
    if file.suffix not in readers:
        raise SpecError(
            f"grid {path} has an ending other than {', '.join(readers)}; save it as one of these"
        )
    try:
        arrays = readers[file.suffix](file)
    except EmapError:
        raise
    except Exception as error:
        if "pickle" in str(error) or "Python objects" in str(error):
            raise SpecError(
                f"grid {path} holds Python objects, which run code when they are read; expected "
                "arrays of numbers and names"
            ) from error
        raise SpecError(f"grid {path} cannot be read: {error}") from error
    named = arrays.get("classes")
    if isinstance(classes, str):
        classes = [name.strip() for name in classes.split(",")]
    of_file = arrays.get("sides")
    try:
        return GridModel(
            _grid_among(arrays),
            list(named_columns) if sides is not None else of_file,
            {
                name.removesuffix(_INDEX): array
                for name, array in arrays.items()
                if name.endswith(_INDEX)
            },
            classes=[str(name) for name in named]
            if classes is None and named is not None
            else classes,
            output=output,
            fingerprint=_content(file, output or "logits"),
            source=path,
            ids=arrays.get("ids"),
            id_columns=id_columns,
            partial=bool(arrays.get("partial")),
        )
    except ModelError as error:
        raise ModelError(f"grid {path}: {error}") from error


def _read_npy(file: Path) -> dict[str, Any]:
    return {"grid": np.load(file, mmap_mode="r")}


def _read_npz(file: Path) -> dict[str, Any]:
    with np.load(file) as stored:
        return dict(stored)


def _read_safetensors(file: Path) -> dict[str, Any]:
    from safetensors import safe_open

    # Through torch, because NumPy has no bfloat16.
    with safe_open(file, framework="pt") as stored:
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        described = stored.metadata() or {}
    arrays: dict[str, Any] = {
        name: (tensor.float() if tensor.is_floating_point() else tensor).numpy()
        for name, tensor in tensors.items()
    }
    return arrays | {
        name: json.loads(described[name]) for name in ("classes", "sides") if name in described
    }


def _read_zarr(file: Path) -> dict[str, Any]:
    import zarr

    stored = zarr.open(str(file), mode="r")
    if isinstance(stored, zarr.Array):
        return {"grid": stored[...], **_described(stored)}
    return _described(stored) | {name: array[...] for name, array in stored.arrays()}


def _described(stored: Any) -> dict[str, Any]:
    return {name: stored.attrs.get(name) for name in ("classes", "sides")}


def _read_parquet(file: Path, columns: Mapping[str, str], are_names: bool) -> dict[str, Any]:
    """Return what is in a table with a row per combination.

    Parameters
    ----------
    file : Path
    columns : mapping of str to str
        The column of each side.
    are_names : bool
        Whether they hold names, even if these look like numbers.
    """
    table = pd.read_parquet(file)
    missing = [name for name in columns.values() if name not in table]
    if missing:
        raise SpecError(
            f"grid {file} has no column {missing[0]!r}; it has {', '.join(map(str, table.columns))}"
        )
    ids = pd.DataFrame({side: table[column] for side, column in columns.items()})
    called: dict[str, list[str]] = {}
    if are_names or not all(pd.api.types.is_numeric_dtype(ids[side]) for side in ids):
        for side in ids:
            numbers, found = pd.factorize(
                np.array([str(plain_label(one)) for one in ids[side].tolist()], dtype=object)
            )
            called[side] = [str(one) for one in found]
            ids = ids.assign(**{side: numbers})
    ids = ids.assign(**{side: _whole(ids[side], columns[side], file) for side in ids})
    own = " and ".join(columns.values())
    if not len(ids) or int(ids.min().min()) < 0:
        reach = f"reach {ids.min().min()}" if len(ids) else "have no rows"
        raise SpecError(f"grid {file}: {own} must be whole numbers from 0; they {reach}")
    told = [
        name
        for name in ("text", "image_of")
        if name in table and not pd.api.types.is_numeric_dtype(table[name])
    ]
    values, classes = _of_classes(table.drop(columns=[*columns.values(), *told]), file, own)
    sizes = tuple(int(most) + 1 for most in ids.max())
    n_cells = prod(sizes)
    if n_cells > _MOST_MISSING * len(ids) or (
        n_cells * values.shape[1] > _MOST_NUMBERS and n_cells > 2 * len(ids)
    ):
        # A few numbers in a small file must not request more memory than there is.
        of_all = " × ".join(f"{size:,} {side}s" for side, size in zip(ids, sizes, strict=True))
        raise SpecError(
            f"grid {file} has {len(ids):,} rows for {of_all}; expected one for every "
            f"{cell_of(len(sizes))}"
        )
    where = tuple(ids[side].to_numpy() for side in ids)
    counts = np.zeros(sizes, dtype=np.int64)
    np.add.at(counts, where, 1)
    if (counts > 1).any():
        twice = np.argwhere(counts > 1)[0]
        words = " with ".join(f"{side} {one}" for side, one in zip(ids, twice, strict=True))
        raise SpecError(
            f"grid {file} has {counts[tuple(twice)]} rows for {words}; expected one for every "
            f"{cell_of(len(sizes))}"
        )
    grid = np.full((*sizes, values.shape[1]), np.nan)
    grid[where] = values.to_numpy(dtype=np.float64)
    found = {"grid": grid, "classes": classes, "partial": not counts.all()}
    return found | ({"ids": called} if called else {})


def _whole(ids: pd.Series[Any], name: str, file: Path) -> pd.Series[Any]:
    """Return ids as whole numbers; tables with an empty cell keep them as decimals."""
    if pd.api.types.is_integer_dtype(ids):
        return ids
    if pd.api.types.is_float_dtype(ids) and (ids == ids.round()).all():
        return ids.astype(np.int64)
    first = repr(ids.tolist()[0])[:60] if len(ids) else "nothing"
    raise SpecError(
        f"grid {file} has {name} {first}, which is not a whole number; number the different texts "
        "and images from 0, in the order in which the data first shows them (pandas.factorize does)"
    )


def _of_classes(
    values: pd.DataFrame, file: Path, beside: str
) -> tuple[pd.DataFrame, list[str] | None]:
    """Return the columns of a long grid in the order of classes, and their names if they have any.

    Columns ``logit_0``, ``logit_1``, … are numbered, not named, in whatever order they come.
    Messages call the columns of the sides `beside`.
    """
    if not len(values.columns):
        raise SpecError(f"grid {file} has no column besides {beside}; add one per class")
    for name in values:
        if not pd.api.types.is_numeric_dtype(values[name]):
            raise SpecError(
                f"grid {file} has the column {str(name)!r:.80}, which does not hold numbers; keep "
                f"only {beside} and a column of numbers per class"
            )
    names = [str(name) for name in values]
    found = [_NUMBERED.fullmatch(name) for name in names]
    numbered = {int(one[2]): name for one, name in zip(found, names, strict=True) if one}
    prefixes = {one[1] for one in found if one}
    if len(prefixes) == 1 and set(numbered) == set(range(len(names))):
        return values[[numbered[number] for number in range(len(names))]], None
    return values, names


def _grid_among(arrays: dict[str, Any]) -> Any:
    for name in _GRID_NAMES:
        if name in arrays:
            return arrays[name]
    others = [
        array
        for name, array in arrays.items()
        if not name.endswith(_INDEX) and name not in ("classes", "sides")
    ]
    if len(others) == 1:
        return others[0]
    raise ModelError(f"it holds {', '.join(arrays) or 'nothing'}; expected an array named 'grid'")


def _index(name: str, values: Any, size: int) -> NDArray[np.intp]:
    index = np.asarray(values)
    if index.ndim != 1 or index.dtype.kind not in "iu":
        raise ModelError(f"{name} has shape {index.shape} of {index.dtype}; expected whole numbers")
    if len(index) and not (index.min() >= 0 and index.max() < size):
        raise ModelError(f"{name} reaches {index.max()}; the grid has 0 to {size - 1}")
    return index.astype(np.intp)


def _check_same(called: str, kind: str, given: NDArray[np.intp], found: NDArray[np.intp]) -> None:
    """Refuse an index that puts two different items of a side into the same place."""
    firsts = np.unique(found, return_index=True)[1]
    rows, counts = np.unique(given[firsts], return_counts=True)
    if (counts > 1).any():
        row = rows[counts > 1][0]
        a, b = firsts[given[firsts] == row][:2]
        raise ModelError(
            f"{called}: {kind}_index puts the different {kind}s of examples {a} and {b} both at "
            f"{row}; the grid is for other data or in another order"
        )


def _content(file: Path, output: str) -> str:
    digest = hashlib.sha256(output.encode())
    parts = sorted(p for p in file.rglob("*") if p.is_file()) if file.is_dir() else [file]
    for part in parts:
        with part.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()[:16]
