"""``logits:FILE``: a grid that was computed elsewhere, by another machine or another language."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emap_core.datasets.base import Cells, plain_label
from emap_core.errors import EmapError, ModelError, SettingError, SpecError
from emap_core.models.base import OUTPUTS, Output
from emap_core.options import option

PICKLES = (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".bin", ".ckpt")
"""Endings of files that are never read."""
_MOST_MISSING = 1_000
"""A grid of a part of the pairs has at least one in so many."""
_MOST_NUMBERS = 2**27
"""Numbers that a grid of a part of the pairs may have room for: 1 GiB."""
_GRID_NAMES = ("grid", "logits")
_NUMBERED = re.compile(
    r"(logits?|scores?|outputs?|prob\w*?|class)[_ -]?([0-9]{1,6})", re.IGNORECASE
)


class GridModel:
    """The outputs of a model computed elsewhere, for every text with every image.

    Parameters
    ----------
    grid : array of shape (texts, images, C) or (texts, images)
        Rows and columns are the dataset's unique texts and images in order of first appearance,
        or its examples (N × N), or whatever the index arrays say.
    text_index, image_index : array of shape (N,), optional
        Row and column of each example.
    classes : sequence of str, optional
        Names of the C outputs (two for a single logit).
    output : {"logits", "log_probabilities", "probabilities"}, optional
        Logits by default, unless they look like probabilities: then it has to be said.
    fingerprint : str, optional
        Changes whenever the grid does.
    source : str, optional
        What messages call the grid.
    text_ids, image_ids : sequence of str, optional
        What each row and column is called. They are looked for in the data's columns
        `text_id_column` and `image_id_column`, else among its ids, texts and names of image files;
        the grid may hold more texts and images than the data.
    text_id_column, image_id_column : str
    partial : bool
        Whether some pairs are not there, and have no numbers.

    Raises
    ------
    ModelError
        If the shapes do not fit one another.
    """

    def __init__(
        self,
        grid: Any,
        text_index: Any = None,
        image_index: Any = None,
        classes: Sequence[str] | None = None,
        output: Output | None = None,
        fingerprint: str | None = None,
        source: str = "",
        text_ids: Sequence[str] | None = None,
        image_ids: Sequence[str] | None = None,
        text_id_column: str = "text_id",
        image_id_column: str = "image_id",
        partial: bool = False,
    ) -> None:
        if output is not None and output not in OUTPUTS:
            raise SettingError(f"output is {output!r}; expected one of {', '.join(OUTPUTS)}")
        values = np.asanyarray(grid)
        if values.ndim == 2:
            values = values[:, :, None]
        if values.ndim != 3 or 0 in values.shape or values.dtype.kind not in "fiu":
            raise ModelError(
                f"the grid has shape {np.shape(grid)} of {values.dtype}; "
                "expected numbers of shape (texts, images, classes)"
            )
        if (text_index is None) != (image_index is None):
            raise ModelError("the grid has one of text_index and image_index; give both or none")
        n_classes = values.shape[2]
        if classes is not None and len(classes) not in ({1, 2} if n_classes == 1 else {n_classes}):
            raise ModelError(f"there are {len(classes)} class names for {n_classes} classes")
        self.grid: NDArray[Any] = values
        self.partial = partial
        self.text_index = _index("text_index", text_index, values.shape[0])
        self.image_index = _index("image_index", image_index, values.shape[1])
        self.classes = None if classes is None else [str(name) for name in classes]
        self.output = output
        self.fingerprint = fingerprint
        self._called = f"grid {source}" if source else "the grid"
        self._ids = {"text": text_ids, "image": image_ids}
        self._columns = {"text": text_id_column, "image": image_id_column}

    def __call__(self, texts: list[str], images: list[Any]) -> NoReturn:
        """Refuse to score: there is no model behind a grid."""
        raise ModelError("a grid is not a model: pairs outside of it cannot be scored")

    def grid_for(self, cells: Cells, dataset: Any = None) -> NDArray[Any]:
        """Return the outputs on a dataset's unique texts and images, shape (U_1, U_2, C).

        Parameters
        ----------
        cells : Cells
            Those of the dataset.
        dataset : Dataset, optional
            Needed where the grid's texts and images are called by names.

        Raises
        ------
        ModelError
            If grid and dataset are of different sizes, or an index contradicts the dataset.
        """
        n = len(cells.row_index)
        first_texts = np.unique(cells.row_index, return_index=True)[1]
        if self._ids["text"] is not None:
            rows, columns = (self._places(side, dataset) for side in ("text", "image"))
            _check_same(self._called, "text", rows, cells.row_index)
            _check_same(self._called, "image", columns, cells.column_index)
            return self._rows_and_columns(rows[first_texts], columns[cells.sides[1].examples])
        if self.text_index is not None and self.image_index is not None:
            if len(self.text_index) != n or len(self.image_index) != n:
                raise ModelError(
                    f"{self._called}: its indices are of {len(self.text_index)} and "
                    f"{len(self.image_index)} examples; the dataset has {n}"
                )
            _check_same(self._called, "text", self.text_index, cells.row_index)
            _check_same(self._called, "image", self.image_index, cells.column_index)
            return self._rows_and_columns(
                self.text_index[first_texts], self.image_index[cells.sides[1].examples]
            )
        if self.grid.shape[:2] == cells.shape:
            return self.grid
        if self.grid.shape[:2] == (n, n):
            return self._rows_and_columns(first_texts, cells.sides[1].examples)
        fitting = dict.fromkeys((cells.shape, (n, n)))
        sizes = " or ".join(f"{texts} × {images}" for texts, images in fitting)
        raise ModelError(
            f"{self._called} has {self.grid.shape[0]} texts × {self.grid.shape[1]} images; the "
            f"dataset has {cells.shape[0]} different texts × {cells.shape[1]} different images and "
            f"{n} examples: expected {sizes}, or index arrays"
        )

    def names_for(self, cells: Cells, dataset: Any) -> dict[str, NDArray[Any]] | None:
        """Return what the grid calls a dataset's unique texts and images, by column of its file.

        None if it numbers them.
        """
        if self._ids["text"] is None:
            return None
        firsts = {"text": cells.sides[0].examples, "image": cells.sides[1].examples}
        return {
            self._columns[side]: np.array(self._ids[side], dtype=object)[
                self._places(side, dataset)[first]
            ]
            for side, first in firsts.items()
        }

    def _places(self, side: str, dataset: Any) -> NDArray[np.intp]:
        """Return the row or column of each example, by what the data call its text or image."""
        places = {name: place for place, name in enumerate(self._ids[side] or ())}
        column, columns = self._columns[side], getattr(dataset, "columns", None)
        known: dict[str, Sequence[Any]] = {}
        if columns is not None and column in columns:
            known[f"the column {column}"] = columns[column].tolist()
        known["the ids of the examples"] = getattr(dataset, "ids", None) or [""]
        if side == "text":
            known["the texts"] = getattr(dataset, "texts", [""])
        elif (keys := getattr(dataset, "image_keys", None)) is not None:
            known["the names of image files"] = [PurePath(str(key)).name for key in keys]
            known["the names of image files"] = [
                name if name in places else PurePath(name).stem
                for name in known["the names of image files"]
            ]
        named = {what: [str(plain_label(one)) for one in each] for what, each in known.items()}
        for each in named.values():
            if all(name in places for name in each):
                return np.array([places[name] for name in each], dtype=np.intp)
        first = next(iter(named.values()))
        missing = next(name for name in first if name not in places)
        raise ModelError(
            f"{self._called} calls {side}s {', '.join(map(repr, list(places)[:3]))}, …, and the "
            f"data have others as {', as '.join(named)}: the first without its like is "
            f"{missing!r:.80}; name the column with {option(f'{side}_id_column', of='model')}"
        )

    def _rows_and_columns(self, rows: Any, columns: Any) -> NDArray[Any]:
        chosen: NDArray[Any] = self.grid[np.ix_(rows, columns)]
        return chosen


def load(
    path: str,
    classes: str | Sequence[str] | None = None,
    output: Output | None = None,
    text_id_column: str | None = None,
    image_id_column: str | None = None,
) -> GridModel:
    """Return the grid in a .npy, .npz, .safetensors, .parquet or .zarr file.

    An .npz, .safetensors or .zarr group holds an array ``grid`` (or ``logits``, or a single one)
    and may hold ``text_index``, ``image_index`` and ``classes``. A .parquet file has a row a
    pair, with the columns ``text_id`` and ``image_id``, numbered from 0 or called as the data call
    texts and images, and one column a class, called as the class is, or ``logit_0``, ``logit_1``,
    … for classes without names. It may lack pairs that the method does not read.

    Parameters
    ----------
    path : str
    classes : str or sequence of str, optional
        Names of the classes, as a list or with commas; those in the file by default.
    output : {"logits", "log_probabilities", "probabilities"}, optional
        Logits by default, unless they look like probabilities: then it has to be said.
    text_id_column, image_id_column : str, optional
        Columns of a .parquet file, and of the data, that say which text and which image it is; by
        default ``text_id`` and ``image_id``. Where one is named, its values are names, numbers too.

    Raises
    ------
    SpecError
        If the file is not there, cannot be read or holds no grid.
    """
    file = Path(path)
    readers: dict[str, Callable[[Path], dict[str, Any]]] = {
        ".npy": _read_npy,
        ".npz": _read_npz,
        ".safetensors": _read_safetensors,
        ".parquet": lambda file: _read_parquet(file, text_id_column, image_id_column),
        ".zarr": _read_zarr,
    }
    if not file.exists():
        raise SpecError(f"there is no grid {path}")
    if file.suffix in PICKLES:
        raise SpecError(
            f"grid {path} is a pickle, which runs code when it is read; save the arrays as "
            ".npz or .safetensors where you trust it"
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
    try:
        return GridModel(
            _grid_among(arrays),
            arrays.get("text_index"),
            arrays.get("image_index"),
            classes=[str(name) for name in named]
            if classes is None and named is not None
            else classes,
            output=output,
            fingerprint=_content(file, output or "logits"),
            source=path,
            text_ids=arrays.get("text_ids"),
            image_ids=arrays.get("image_ids"),
            text_id_column=text_id_column or "text_id",
            image_id_column=image_id_column or "image_id",
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

    # Through torch, since NumPy has no bfloat16.
    with safe_open(file, framework="pt") as stored:
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        described = stored.metadata() or {}
    arrays: dict[str, Any] = {
        name: (tensor.float() if tensor.is_floating_point() else tensor).numpy()
        for name, tensor in tensors.items()
    }
    if "classes" in described:
        arrays["classes"] = json.loads(described["classes"])
    return arrays


def _read_zarr(file: Path) -> dict[str, Any]:
    import zarr

    stored = zarr.open(str(file), mode="r")
    if isinstance(stored, zarr.Array):
        return {"grid": stored[...], "classes": stored.attrs.get("classes")}
    arrays = {name: array[...] for name, array in stored.arrays()}
    return {"classes": stored.attrs.get("classes")} | arrays


def _read_parquet(
    file: Path, text_id_column: str | None, image_id_column: str | None
) -> dict[str, Any]:
    table = pd.read_parquet(file)
    called = {"text_id": text_id_column or "text_id", "image_id": image_id_column or "image_id"}
    missing = [name for name in called.values() if name not in table]
    if missing:
        raise SpecError(
            f"grid {file} has no column {missing[0]!r}; it has {', '.join(map(str, table.columns))}"
        )
    table = table.rename(columns={given: name for name, given in called.items()})
    ids = table[["text_id", "image_id"]]
    names: dict[str, list[str]] = {}
    words = [name for name in ids if not pd.api.types.is_numeric_dtype(ids[name])]
    if words or text_id_column or image_id_column:
        for name in ids:
            numbers, found = pd.factorize(
                np.array([str(plain_label(one)) for one in ids[name].tolist()], dtype=object)
            )
            names[name + "s"] = [str(one) for one in found]
            ids = ids.assign(**{name: numbers})
    ids = ids.assign(**{name: _whole(ids[name], name, file) for name in ids})
    if not len(ids) or int(ids.min().min()) < 0:
        found = f"reach {ids.min().min()}" if len(ids) else "have no rows"
        raise SpecError(
            f"grid {file}: text_id and image_id must be whole numbers from 0; they {found}"
        )
    told = [
        name
        for name in ("text", "image_of")
        if name in table and not pd.api.types.is_numeric_dtype(table[name])
    ]
    values, classes = _of_classes(table.drop(columns=["text_id", "image_id", *told]), file)
    n_texts, n_images = (int(most) + 1 for most in ids.max())
    n_numbers = n_texts * n_images * values.shape[1]
    if n_texts * n_images > _MOST_MISSING * len(ids) or (
        n_numbers > _MOST_NUMBERS and n_texts * n_images > 2 * len(ids)
    ):
        # Two numbers in a small file must not ask for more memory than there is.
        raise SpecError(
            f"grid {file} has {len(ids):,} rows for {n_texts:,} texts × {n_images:,} images; "
            "expected one for every pair"
        )
    counts = np.zeros((n_texts, n_images), dtype=np.int64)
    np.add.at(counts, (ids["text_id"].to_numpy(), ids["image_id"].to_numpy()), 1)
    if (counts > 1).any():
        text, image = np.argwhere(counts > 1)[0]
        raise SpecError(
            f"grid {file} has {counts[text, image]} rows for text {text} with image {image}; "
            "expected one for every pair"
        )
    grid = np.full((n_texts, n_images, values.shape[1]), np.nan)
    grid[ids["text_id"], ids["image_id"]] = values.to_numpy(dtype=np.float64)
    return {"grid": grid, "classes": classes, "partial": not counts.all(), **names}


def _whole(ids: pd.Series[Any], name: str, file: Path) -> pd.Series[Any]:
    """Return ids as whole numbers, in which form tables with an empty cell do not keep them."""
    if pd.api.types.is_integer_dtype(ids):
        return ids
    if pd.api.types.is_float_dtype(ids) and (ids == ids.round()).all():
        return ids.astype(np.int64)
    first = repr(ids.tolist()[0])[:60] if len(ids) else "nothing"
    raise SpecError(
        f"grid {file} has {name} {first}, which is not a whole number; number the different texts "
        "and images from 0, in the order in which the data first shows them (pandas.factorize does)"
    )


def _of_classes(values: pd.DataFrame, file: Path) -> tuple[pd.DataFrame, list[str] | None]:
    """Return the columns of a long grid in the order of classes, and their names if they have any.

    Columns ``logit_0``, ``logit_1``, … are numbered and not named, in whatever order they stand.
    """
    if not len(values.columns):
        raise SpecError(f"grid {file} has no column beside text_id and image_id; add one per class")
    for name in values:
        if not pd.api.types.is_numeric_dtype(values[name]):
            raise SpecError(
                f"grid {file} has the column {str(name)!r:.80}, which does not hold numbers; keep "
                "text_id, image_id and a column of numbers for each class"
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
    others = [v for k, v in arrays.items() if k not in ("text_index", "image_index", "classes")]
    if len(others) == 1:
        return others[0]
    raise ModelError(f"it holds {', '.join(arrays) or 'nothing'}; expected an array named 'grid'")


def _index(name: str, values: Any, size: int) -> NDArray[np.intp] | None:
    if values is None:
        return None
    index = np.asarray(values)
    if index.ndim != 1 or index.dtype.kind not in "iu":
        raise ModelError(f"{name} has shape {index.shape} of {index.dtype}; expected whole numbers")
    if len(index) and not (index.min() >= 0 and index.max() < size):
        raise ModelError(f"{name} reaches {index.max()}; the grid has 0 to {size - 1}")
    return index.astype(np.intp)


def _check_same(called: str, kind: str, given: NDArray[np.intp], found: NDArray[np.intp]) -> None:
    """Refuse an index that puts two different texts (or images) into the same row (or column)."""
    firsts = np.unique(found, return_index=True)[1]
    rows, counts = np.unique(given[firsts], return_counts=True)
    if (counts > 1).any():
        row = rows[counts > 1][0]
        a, b = firsts[given[firsts] == row][:2]
        raise ModelError(
            f"{called}: {kind}_index puts the different {kind}s of examples {a} and {b} both at "
            f"{row}; the grid is of different data or in a different order"
        )


def _content(file: Path, output: str) -> str:
    digest = hashlib.sha256(output.encode())
    parts = sorted(p for p in file.rglob("*") if p.is_file()) if file.is_dir() else [file]
    for part in parts:
        with part.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()[:16]
