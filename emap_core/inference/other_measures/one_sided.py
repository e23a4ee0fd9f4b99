"""Answers of the rows text only and image only in resamples, with means computed anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emap_core.decomposition import Decomposition
from emap_core.inference.predictions.scores import predict
from emap_core.inference.resamples.resampling import reproject
from emap_core.types import Array, Index, Space, Task

Strips = Callable[[], Iterable[tuple[Index, NDArray[Any]]]]
"""Returns the grid in strips: numbers of texts, and their cells."""


def one_sided_answers(
    strips: Strips, decomposition: Decomposition, task: Task, space: Space, weights: Array
) -> Iterator[tuple[Array, NDArray[np.intp], NDArray[np.intp]]]:
    """Yield some of B weightings of the examples with the answers of both rows in each.

    Parameters
    ----------
    strips : callable
    decomposition : Decomposition
        Of the same grid.
    task, space : str
    weights : ndarray of shape (B, N)

    Yields
    ------
    weights, text, image : ndarray of shape (b, N)
        Weights, and the answer of each example from its text alone and from its image alone.
    """

    def read(scores: dict[str, Array]) -> tuple[Array, Array]:
        text, image = (predict(scores[row], task, space) for row in ("text_only", "image_only"))
        return np.asarray(text), np.asarray(image)

    for some in reproject(_Grid(strips), decomposition, weights):
        text, image = (np.concatenate(part) for part in zip(*some.read(read), strict=True))
        yield some.weights, text, image


class _Grid:
    """Strips of a grid, as `reproject` reads them."""

    def __init__(self, strips: Strips) -> None:
        self.strips = strips
