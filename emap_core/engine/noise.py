"""Whether a model gives the same output for the same pair twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from emap_core.engine.evaluate import Evaluator
from emap_core.engine.measure import Again, WarmUp
from emap_core.models.encodings import Encodings
from emap_core.models.torch_modules import rounding
from emap_core.types import Index

FEW = 4
"""Pairs that every run scores twice."""
MANY = 128
"""Pairs that are scored twice to measure noise, if it is allowed."""
_TF32 = 2.0**-10


def pairs_to_score_again(warm_up: WarmUp) -> tuple[Index, Index]:
    """Return rows and columns within the warm-up tile, in a different order from the first time.

    With fewer of them than the tile has, each meets others in its batch.
    """
    n_rows, n_columns = warm_up.shape
    n = min(FEW, max(n_rows, n_columns), n_rows * n_columns)
    rows = np.linspace(n_rows - 1, 0, n).round().astype(np.intp)
    columns = np.linspace(n_columns - 1, 0, n).round().astype(np.intp)
    return rows, columns


def score_again(
    evaluator: Evaluator,
    warm_up: WarmUp,
    rows: Index,
    columns: Index,
    encodings: Callable[[], tuple[Encodings, Encodings]],
) -> Again:
    """Score pairs of a warm-up tile a second time; if they differ, find out why.

    Parameters
    ----------
    evaluator : Evaluator
    warm_up : WarmUp
    rows, columns : ndarray of shape (k,)
        Within the warm-up tile.
    encodings : callable
        Encodes the texts and the images of the pairs anew.
    """
    first = warm_up.raw[rows, columns]
    tolerance = rounding_of(warm_up.raw, warm_up.computed_dtype, evaluator.scorer.device)

    def differ(one: NDArray[Any], other: NDArray[Any]) -> bool:
        apart = np.abs(one.astype(np.float64) - other.astype(np.float64))
        return bool(apart.max() > tolerance)

    encoded = encodings()
    with evaluator.scorer.anew():
        second = evaluator.raw_pairs(*encoded)
    if not differ(first, second):
        return Again(first, second, None)
    with evaluator.scorer.anew():
        third = evaluator.raw_pairs(*encodings())
    if differ(second, third):
        return Again(first, second, "random")
    if evaluator.scorer.has_grid and differ(evaluator.raw_of_grid(*encoded), second):
        return Again(first, second, "grid")
    return Again(first, second, "batch")


def scored_at_two_times(
    evaluator: Evaluator, n_pairs: int, encodings: Callable[[Index], tuple[Encodings, Encodings]]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the outputs for pairs twice, the second time in other batches.

    Parameters
    ----------
    evaluator : Evaluator
    n_pairs : int
    encodings : callable
        Takes numbers of pairs, and encodes their texts and images anew.
    """
    order = np.random.default_rng(0).permutation(n_pairs)
    first = evaluator.raw_pairs(*encodings(np.arange(n_pairs)))
    second = np.empty_like(first)
    with evaluator.scorer.anew():
        for batch in np.array_split(order, 2):
            second[batch] = evaluator.raw_pairs(*encodings(batch))
    return first, second


def rounding_of(outputs: NDArray[Any], computed_dtype: str, device: str) -> float:
    """Return how far outputs may be apart by rounding: other batches use other kernels.

    In float32 that is a few thousandths of a per cent of the largest output, and a few hundredths
    of how much the outputs vary; noise below it makes up less than a millionth of the variance.

    Parameters
    ----------
    outputs : ndarray
        Some of them.
    computed_dtype : str
        As in `WarmUp`.
    device : str
        Where others are computed.
    """
    # A model that returns float64 may have computed in float32.
    relative = max(rounding(computed_dtype) or 0.0, rounding("float32") or 0.0)
    tf32 = torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32
    if device.startswith("cuda") and tf32:
        relative = max(relative, _TF32)
    values = outputs.astype(np.float64)
    spread = float(values.max() - values.min())
    largest = float(np.abs(values).max())
    return float(max(relative**0.5 * spread, min(256 * relative, relative**0.5) * largest))
