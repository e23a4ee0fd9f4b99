"""A run's kept grid: a chunked store on disk, one chunk per tile.

If a model has many classes, only some may be kept. Two channels follow them, the mean and the log
of the summed exponentials over all classes, so that the kept ones can still be read centred over
classes and as probabilities.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import scipy
from numpy.typing import NDArray

from emap_core.errors import RunError, reason
from emap_core.runs.store import array_store, entries, is_local
from emap_core.types import Index

if TYPE_CHECKING:
    import zarr

# Only opening a grid imports zarr; the rest of a run is read without it.

Cells = NDArray[np.float32]

_LARGEST_CHUNK = 2**28

Reading = Literal["logits", "centred", "probabilities"]
"""One class as projected; minus the mean over classes; or after the softmax."""


def create_grid(path: Path, shape: tuple[int, int, int], chunk: tuple[int, int]) -> zarr.Array[Any]:
    """Create the store for a grid of `shape` (U_1, U_2, C) in chunks of (rows, columns)."""
    import zarr
    from zarr.codecs import Crc32cCodec

    return zarr.create_array(
        store=array_store(path),
        shape=shape,
        chunks=(*chunk, shape[2]),
        dtype="float32",
        # A torn chunk shows up when it is read.
        compressors=[Crc32cCodec()],
        fill_value=float("nan"),
        overwrite=True,
    )


def n_channels(n_classes: int, kept: list[int] | None) -> int:
    """Return how many numbers are stored for a pair."""
    return n_classes if kept is None else len(kept) + 2


def channels(cells: NDArray[Any], kept: list[int] | None) -> Cells:
    """Return what to store for cells of shape (..., C): all classes, or `kept` and two channels."""
    if kept is None:
        return cells.astype(np.float32, copy=False)
    mean = cells.mean(axis=-1, dtype=np.float64, keepdims=True)
    total = scipy.special.logsumexp(cells, axis=-1, keepdims=True)
    return np.concatenate([cells[..., kept], mean, total], axis=-1, dtype=np.float32)


def open_grid(path: Path) -> zarr.Array[Any]:
    """Open a grid's store to write more tiles."""
    import zarr

    return zarr.open_array(store=array_store(path), mode="r+")


def _check(store: zarr.Array[Any], path: Path, shape: tuple[int, ...]) -> None:
    """Raise a ValueError, before reading, for a store that `create_grid` did not make."""
    from zarr.codecs import Crc32cCodec

    if store.ndim != 3 or store.shape != shape or store.dtype != np.float32:
        raise ValueError(f"it has the shape {store.shape} of {store.dtype}; expected {shape}")
    # Other codecs unpack, and a few bytes can unpack until memory is full.
    if any(not isinstance(codec, Crc32cCodec) for codec in store.compressors) or store.filters:
        raise ValueError("it is compressed")
    if store.chunks[-1] != shape[-1] or np.prod(store.chunks, dtype=float) > _LARGEST_CHUNK:
        raise ValueError(f"it has chunks of the shape {store.chunks}")


class Grid:
    """Read access to a kept grid; rows and columns are numbered in order of first appearance.

    With more than two sides, it has an axis for each. On disk, columns are combinations of items
    of all sides but the first.

    Parameters
    ----------
    path : Path
        The zarr store.
    row_order : ndarray of shape (U_1,)
        Number of the item in each stored row; texts of similar length are stored side by side.
    kept : list of int, optional
        The kept classes, all by default.
    shape : tuple of int, optional
        Expected numbers of items per side, and of channels, if they are known.
    """

    def __init__(
        self,
        path: Path,
        row_order: Index,
        kept: list[int] | None = None,
        shape: tuple[int, ...] | None = None,
    ) -> None:
        import zarr

        try:
            # Reading a pipe would wait forever.
            if is_local(path) and not all(entry.is_file() for entry in entries(path)):
                raise ValueError("it contains something that is not a file")
            self._store = zarr.open_array(store=array_store(path), mode="r", zarr_format=3)
            self._shape = shape or (len(row_order), *self._store.shape[1:])
            n_rows, *others, n_numbers = self._shape
            _check(self._store, path, (n_rows, prod(others), n_numbers))
        except Exception as error:
            # zarr raises all kinds of errors on damaged metadata.
            raise RunError(
                f"the grid of run {path.parent.name!r} cannot be opened: {reason(error)}"
            ) from error
        self.kept = kept
        self._order = row_order
        self._row_of = np.argsort(row_order)

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows, columns, classes (and two channels if only some are kept)."""
        return self._shape

    def cell(self, row: int, *others: int) -> Cells:
        """Return the model's output for one row with one column, shape (C,)."""
        return self._read((int(self._row_of[row]), self._column(others)))

    def row(self, row: int) -> Cells:
        """Return one row with every column, shape (U_2, C)."""
        return self._read((int(self._row_of[row]),)).reshape(self._shape[1:])

    def column(self, *others: int) -> Cells:
        """Return every row with one column, shape (U_1, C)."""
        return self._read((slice(None), self._column(others)))[self._row_of]

    def load(self) -> Cells:
        """Return the whole grid, shape (U_1, U_2, C)."""
        return self._read(())[self._row_of].reshape(self._shape)

    def _column(self, others: tuple[int, ...]) -> int:
        return int(np.ravel_multi_index(others, self._shape[1:-1]))

    def load_class(self, c: int, reading: Reading = "logits") -> Cells:
        """Return the grid of one class, shape (U_1, U_2); one band of it is in memory at a time.

        Raises
        ------
        RunError
            If the class was not kept.
        """
        if self.kept is not None and c not in self.kept:
            raise RunError(f"class {c} is not among the {len(self.kept)} whose grid was kept")
        chosen = np.empty(self.shape[:-1], dtype=np.float32)
        for rows, cells in self.strips():
            chosen[rows] = self._reading(cells, c, reading)
        return chosen

    def _reading(self, cells: Cells, c: int, reading: Reading) -> NDArray[Any]:
        one = cells[..., c if self.kept is None else self.kept.index(c)]
        if reading == "centred":
            whole = self.kept is None
            return one - (cells.mean(axis=-1, dtype=np.float64) if whole else cells[..., -2])
        if reading == "probabilities":
            if self.kept is None:
                return np.asarray(scipy.special.softmax(cells.astype(np.float64), axis=-1)[..., c])
            return np.asarray(np.exp(one - cells[..., -1]))
        return one

    def strips(self) -> Iterator[tuple[Index, Cells]]:
        """Yield the grid in bands of whole rows: numbers of the rows, cells (A, U_2, C)."""
        step = self._store.chunks[0]
        for start in range(0, self.shape[0], step):
            cells = self._read((slice(start, start + step),))
            yield self._order[start : start + step], cells.reshape(len(cells), *self._shape[1:])

    def _read(self, selection: tuple[Any, ...]) -> Cells:
        try:
            cells = np.asarray(self._store[selection], dtype=np.float32)
        except Exception as error:
            raise RunError(f"the grid of this run is damaged: {reason(error)}") from error
        # The store reads a missing file as NaN, and no cell was NaN when it was written.
        if np.isnan(cells).any():
            raise RunError("the grid of this run is damaged: a part of it is missing")
        return cells
