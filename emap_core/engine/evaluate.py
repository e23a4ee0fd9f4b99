"""Score tiles and pairs of the grid, and check what comes back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from emap_core.datasets.base import LARGEST_NUMBER
from emap_core.datasets.grid_cells import column_numbers
from emap_core.engine.encoded_items import EncodedItems, EncodedProduct
from emap_core.errors import ModelError, SettingError
from emap_core.models import encodings as trees
from emap_core.models.base import Outputs, Scorer
from emap_core.models.encodings import Encodings, Product
from emap_core.types import Index

T = TypeVar("T")

Started = list[list[tuple[tuple[int, int], Outputs]]]
"""Scores of a rectangle that are on their way: bands of pieces with their first cells."""

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass
class Evaluator:
    """A model with its encoded rows and columns, which scores rectangles of the grid.

    Parameters
    ----------
    scorer : Scorer
    row_items, column_items : EncodedItems
        Rows in plan order, columns in order of first appearance; with more sides than two, the
        columns are the combinations of all but the first.
    batch_size : int
        Pairs that go through the model at a time; halved for good when memory runs out.
    precision : str
        ``"float32"`` computes as the model does; ``"bfloat16"`` and ``"float16"`` use autocast.
    convert : callable
        Takes outputs to the space that is projected.
    name_pair : callable
        Row and column to words, for errors.
    """

    scorer: Scorer
    row_items: EncodedItems
    column_items: EncodedItems | EncodedProduct
    batch_size: int
    precision: str
    convert: Callable[[NDArray[Any]], NDArray[Any]]
    name_pair: Callable[[int, int], str]
    n_classes: int | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise SettingError(
                f"precision is {self.precision!r}; expected one of {', '.join(PRECISIONS)}"
            )

    def cells(
        self, rows: slice, columns: slice, corner: NDArray[Any] | None = None
    ) -> NDArray[Any]:
        """Return the outputs for a rectangle of the grid, shape (A, B, C).

        `corner`: the known outputs of its first rows and columns.

        Raises
        ------
        ModelError
            If the shape is wrong, C changes, or a value is not finite.
        """
        if corner is None:
            return self.collect(self.start(rows, columns))
        row, column = rows.start + corner.shape[0], columns.start + corner.shape[1]
        cells = corner
        if column < columns.stop:
            right = self.cells(slice(rows.start, row), slice(column, columns.stop))
            cells = np.concatenate([cells, right], axis=1)
        if row < rows.stop:
            below = self.cells(slice(row, rows.stop), columns)
            cells = np.concatenate([cells, below], axis=0)
        return cells

    def start(self, rows: slice, columns: slice) -> Started:
        """Begin to evaluate a rectangle as `cells` does, without waiting for the device."""
        column_pieces = self.column_items.get(columns)
        return [
            [
                (
                    (row_range.start, column_range.start),
                    self._score(self.scorer.start_tile, row_encodings, column_encodings),
                )
                for column_range, column_encodings in column_pieces
            ]
            for row_range, row_encodings in self.row_items.get(rows)
        ]

    def collect(self, started: Started) -> NDArray[Any]:
        """Wait for a rectangle that was started; returns and raises as `cells` does."""
        return self.convert(self._arrived(started))

    def raw(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Return the outputs for a rectangle as the model gives them; errors as for `cells`."""
        return self._arrived(self.start(rows, columns))

    def raw_pairs(self, row_encodings: Encodings, column_encodings: Encodings) -> NDArray[Any]:
        """Return the model's own outputs for aligned pairs of encodings, shape (B, C)."""
        return self._score(self.scorer.score_pairs, row_encodings, column_encodings)

    def raw_of_grid(self, row_encodings: Encodings, column_encodings: Encodings) -> NDArray[Any]:
        """Return the outputs of `raw_pairs` from the grid of all recombinations of the pairs."""
        pairs = np.arange(trees.count(row_encodings))
        columns = pairs
        if self.scorer.n_sides > 2:
            column_encodings = Product(column_encodings)
            sizes = column_encodings.sizes
            columns = column_numbers([pairs] * len(sizes), sizes)
        grid = self._score(self.scorer.start_tile, row_encodings, column_encodings).numpy()
        return np.asarray(grid[pairs, columns])

    def needed(self, columns: slice) -> list[tuple[EncodedItems, slice]]:
        """Return the encodings of all rows and some columns, and the range of items of each."""
        return [
            (self.row_items, slice(0, self.row_items.n_items)),
            *self.column_items.needed(columns),
        ]

    def vectors(self) -> list[NDArray[np.float32]]:
        """Return one vector for each item of each side, rows in plan order."""
        return [items.vectors() for items, _ in self.needed(slice(0, self.column_items.n_items))]

    def _arrived(self, started: Started) -> NDArray[Any]:
        bands = []
        for pieces in started:
            band = [
                self._checked(
                    outputs.numpy(),
                    lambda row, column, at=first: (at[0] + row, at[1] + column),
                )
                for first, outputs in pieces
            ]
            bands.append(band[0] if len(band) == 1 else np.concatenate(band, axis=1))
        return bands[0] if len(bands) == 1 else np.concatenate(bands)

    def pairs(self, rows: Index, columns: Index) -> NDArray[Any]:
        """Return the outputs of single cells of the grid, shape (B, C); errors as for `cells`."""
        values: NDArray[Any] | None = None
        for of_rows, row_encodings in self.row_items.at(rows):
            for of_columns, column_encodings in self.column_items.at(columns[of_rows]):
                places = of_rows[of_columns]
                found = self._checked(
                    self._score(
                        self.scorer.score_pairs,
                        trees.take(row_encodings, of_columns),
                        column_encodings,
                    ),
                    lambda pair, at=places: (rows[at[pair]], columns[at[pair]]),
                )
                if values is None:
                    values = np.empty((len(rows), found.shape[1]), found.dtype)
                values[places] = found
        return self.convert(np.empty((0, 0)) if values is None else values)

    def _score(
        self, score: Callable[[Any, Any, int], T], row_encodings: Any, column_encodings: Any
    ) -> T:
        while True:
            try:
                with self._autocast():
                    return score(row_encodings, column_encodings, self.batch_size)
            except (MemoryError, RuntimeError) as error:
                if not _out_of_memory(error):
                    raise
                if self.batch_size == 1:
                    raise ModelError("a single pair needs more memory than is available") from error
            # Outside the handler, whose traceback would keep the failed batch alive.
            self.batch_size //= 2
            if self.scorer.device.startswith("cuda"):
                torch.cuda.empty_cache()

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        dtype = PRECISIONS[self.precision]
        if dtype is None:
            return contextlib.nullcontext()
        return torch.autocast(self.scorer.device.split(":")[0], dtype=dtype)

    def _checked(
        self, values: NDArray[Any], cell_of: Callable[..., tuple[int, int]]
    ) -> NDArray[Any]:
        if values.shape[-1] == 0:
            raise ModelError("the model returned no classes; expected shape (B, C) with C ≥ 1")
        if self.n_classes is None:
            self.n_classes = values.shape[-1]
        if values.shape[-1] != self.n_classes:
            raise ModelError(
                f"the model returned {values.shape[-1]} classes, but {self.n_classes} for earlier "
                "pairs"
            )
        least, greatest = _extremes(values)
        # NaN is neither.
        if not (least >= -LARGEST_NUMBER and greatest <= LARGEST_NUMBER):
            wrong = ~(np.abs(values.astype(np.float64)) <= LARGEST_NUMBER)
            *place, number = (int(i) for i in np.argwhere(wrong)[0])
            pair = self.name_pair(*(int(i) for i in cell_of(*place)))
            raise ModelError(
                f"the model returned {values[(*place, number)]} for {pair} (class {number}); "
                f"expected a finite number of at most {LARGEST_NUMBER:.0e}, so that smaller ones "
                "still count"
            )
        return values


def _extremes(values: NDArray[Any]) -> tuple[float, float]:
    """Return the least and the greatest number; both are NaN if any is."""
    if values.dtype in (np.float32, np.float64) and values.flags.carray:
        # Both in one pass, on all threads: a third of the time.
        least, greatest = torch.aminmax(torch.from_numpy(values))
        return float(least), float(greatest)
    return float(values.min()), float(values.max())


def _out_of_memory(error: BaseException) -> bool:
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error).lower()
    return "out of memory" in text or "can't allocate memory" in text
