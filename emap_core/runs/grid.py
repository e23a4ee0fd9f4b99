"""The kept grid of a run: a chunked store on disk, one chunk a tile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec

from emap_core.errors import RunError

Cells = NDArray[np.float32]
Index = NDArray[np.intp]


def create_grid(path: Path, shape: tuple[int, int, int], chunk: tuple[int, int]) -> zarr.Array[Any]:
    """Create the store for a grid of `shape` (U_t, U_v, C) in chunks of (texts, images)."""
    return zarr.create_array(
        store=str(path),
        shape=shape,
        chunks=(*chunk, shape[2]),
        dtype="float32",
        # A torn chunk is noticed when it is read.
        compressors=[Crc32cCodec()],
        fill_value=float("nan"),
        overwrite=True,
    )


def open_grid(path: Path) -> zarr.Array[Any]:
    """Open the store of a grid for writing further tiles."""
    return zarr.open_array(store=str(path), mode="r+")


class Grid:
    """Read access to a kept grid; texts and images are numbered in order of first appearance.

    Parameters
    ----------
    path : Path
        The zarr store.
    text_order : ndarray of shape (U_t,)
        Number of the text in each stored row; texts of like length are stored side by side.
    classes : ndarray of shape (K,), optional
        The classes that are kept, all by default.
    """

    def __init__(self, path: Path, text_order: Index) -> None:
        try:
            self._store = zarr.open_array(store=str(path), mode="r")
        except (OSError, ValueError, KeyError) as error:
            raise RunError(
                f"the grid of run {path.parent.name!r} cannot be opened: {error}"
            ) from error
        self._order = text_order
        self._row_of = np.argsort(text_order)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Unique texts, unique images, classes."""
        n_texts, n_images, n_classes = self._store.shape
        return n_texts, n_images, n_classes

    def cell(self, text: int, image: int) -> Cells:
        """Return the model's output for one text with one image, shape (C,)."""
        return self._read((int(self._row_of[text]), image))

    def row(self, text: int) -> Cells:
        """Return one text with every image, shape (U_v, C)."""
        return self._read((int(self._row_of[text]),))

    def column(self, image: int) -> Cells:
        """Return every text with one image, shape (U_t, C)."""
        return self._read((slice(None), image))[self._row_of]

    def load(self) -> Cells:
        """Return the whole grid, shape (U_t, U_v, C)."""
        return self._read(())[self._row_of]

    def load_class(self, number: int) -> Cells:
        """Return the grid of one class, shape (U_t, U_v)."""
        return self._read((slice(None), slice(None), number))[self._row_of]

    def blocks(self) -> Iterator[tuple[Index, Cells]]:
        """Yield the grid in bands of whole rows: numbers of the texts, cells (A, U_v, C)."""
        step = self._store.chunks[0]
        for start in range(0, self.shape[0], step):
            yield self._order[start : start + step], self._read((slice(start, start + step),))

    def _read(self, selection: tuple[Any, ...]) -> Cells:
        try:
            return np.asarray(self._store[selection], dtype=np.float32)
        except (OSError, ValueError) as error:
            raise RunError(f"the grid of this run is damaged: {error}") from error
