"""The warm-up tile: a growing corner of the grid, scored to learn shape and speed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from emap_core.engine.evaluate import Evaluator
from emap_core.models.torch_modules import computed_dtype


@dataclass(frozen=True)
class WarmUp:
    """The warm-up tile: pairs scored first, to learn shape and speed. They are not scored again.

    Attributes
    ----------
    cells : ndarray of shape (a, b, C)
    raw : ndarray of shape (a, b, C)
        The same as the model returned them, before conversion to the space of the run.
    pairs_per_second : float
        At the best batch size tried.
    batch_size : int
        That size.
    output_dtype : str
        Name of the dtype of the model's outputs, as it returned them.
    computed_dtype : str
        The least precise dtype among its outputs, weights and autocast.
    again : Again or None
        Some of the pairs, scored a second time; None without a model behind the outputs.
    noise : tuple of ndarray of shape (k, C), or None
        What the model returned for other random pairs, twice; None unless requested.
    """

    cells: NDArray[Any]
    raw: NDArray[Any]
    pairs_per_second: float
    batch_size: int
    output_dtype: str
    computed_dtype: str
    again: Again | None = None
    noise: tuple[NDArray[Any], NDArray[Any]] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.cells.shape[0], self.cells.shape[1]


@dataclass(frozen=True)
class Again:
    """Pairs of the warm-up tile that were scored a second time, in another batch and another order.

    Attributes
    ----------
    first, second : ndarray of shape (k, C)
        What the model returned both times.
    cause : {"random", "batch", "grid"} or None
        Why they differ by more than rounding: the same batch gives something else each time, a
        pair's outputs depend on the rest of its batch, or ``score`` and ``score_grid`` differ.
    """

    first: NDArray[Any]
    second: NDArray[Any]
    cause: Literal["random", "batch", "grid"] | None


def bytes_per_pair(n_classes: int) -> int:
    """Return the memory per pair that a tile takes while it is reduced: six copies in float64."""
    return 6 * 8 * n_classes


_TOO_SHORT_TO_TELL = 0.005
"""Seconds; a scheduler may keep a process waiting for as long."""
_PATIENCE = 4.0


def measure(
    evaluator: Evaluator,
    memory: int,
    area: tuple[slice, slice],
    most: int | None = None,
    seconds: float = 0.5,
) -> WarmUp:
    """Evaluate a growing corner of the grid until its speed no longer grows.

    Parameters
    ----------
    evaluator : Evaluator
    memory : int
        Bytes that a tile may take.
    area : tuple of slice
        The rows and columns to start in.
    most : int, optional
        The corner is the same each time, of no more pairs than this; others that are evaluated to
        learn the speed are not part of it. By default it is all that was evaluated.
    seconds : float
        About how long to measure; 0 for not at all, if the corner does not depend on it. Encoders
        may take a few times as long, so that slow ones do not leave the speed of the rest unknown.
    """
    top, left = area[0].start, area[1].start
    n_rows, n_columns = area[0].stop - top, area[1].stop - left
    rows, columns = min(2, n_rows), min(2, n_columns)
    began = time.perf_counter()
    raw = evaluator.raw(slice(top, top + rows), slice(left, left + columns))
    cells = evaluator.convert(raw)
    best = (rows * columns / max(time.perf_counter() - began, 1e-9), rows * columns)
    corner = raw, cells
    deadline = time.perf_counter() + _PATIENCE * seconds
    slower, scoring = 0, 0.0
    while (rows, columns) != (n_rows, n_columns):
        wider = columns < n_columns and (columns <= rows or rows == n_rows)
        more_rows = rows if wider else min(2 * rows, n_rows)
        more_columns = min(2 * columns, n_columns) if wider else columns
        needed = most is not None and more_rows * more_columns <= most
        over = scoring >= seconds or time.perf_counter() >= deadline
        if not needed and (slower >= 2 or over):
            break
        strip = (
            (slice(top, top + rows), slice(left + columns, left + more_columns))
            if wider
            else (slice(top + rows, top + more_rows), slice(left, left + columns))
        )
        # The encoders' time is not the grid's.
        evaluator.row_items.get(strip[0])
        evaluator.column_items.get(slice(left, left + more_columns))
        began = time.perf_counter()
        more = evaluator.raw(*strip)
        added = evaluator.convert(more)
        took = max(time.perf_counter() - began, 1e-9)
        cells = np.concatenate([cells, added], axis=1 if wider else 0)
        raw = cells if more is added else np.concatenate([raw, more], axis=1 if wider else 0)
        rows, columns = more_rows, more_columns
        if most is None or needed:
            corner = raw, cells
        n_pairs = added.shape[0] * added.shape[1]
        speed = n_pairs / took
        scoring += took
        # One slow moment of a busy machine does not mean that larger batches are slow.
        slower = 0 if speed > 1.05 * best[0] or took < _TOO_SHORT_TO_TELL else slower + 1
        best = max(best, (speed, n_pairs))
        if needed:
            continue
        if took > 0.1 or 4 * n_pairs * bytes_per_pair(cells.shape[2]) > memory:
            break
    raw, cells = corner
    output_dtype = evaluator.scorer.output_dtype or raw.dtype.name
    return WarmUp(
        cells,
        raw,
        best[0],
        best[1],
        output_dtype,
        computed_dtype(evaluator.scorer.model, output_dtype, evaluator.precision),
    )
