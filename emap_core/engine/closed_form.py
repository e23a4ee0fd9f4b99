"""The whole grid of a two-tower model in closed form, whose score is a scaled dot product."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from emap_core.decomposition import Decomposition
from emap_core.decomposition.dot_products import decompose_dot_products
from emap_core.decomposition.rounding import noise_of_logits
from emap_core.engine.encoded_items import EncodedItems
from emap_core.engine.problem import Problem
from emap_core.engine.progress import Progress
from emap_core.engine.workers import Workers
from emap_core.types import Array, Index

_PAIRS_TO_CHECK = 512
_PAIRS_AT_A_TIME = 2**14


def in_closed_form(
    problem: Problem, workers: Workers, progress: Progress, computed_dtype: str
) -> Decomposition | None:
    """Return the decomposition without scoring the grid; None if the head does not allow it.

    What the model states as its ``similarity`` is checked against scores of random pairs: they must
    equal s t·v + b of its encodings to within rounding, with s and b fitted to them.

    Parameters
    ----------
    problem : Problem
        With its items encoded.
    workers : Workers
    progress : Progress
    computed_dtype : str
        The least precise type that scores were computed in.
    """
    if not problem.may_be_closed_form:
        return None
    first, second = _encoded(problem)
    if _width(first) is None or _width(first) != _width(second):
        return None
    head = _head(problem, workers, computed_dtype)
    if head is None:
        return None
    targets = problem.targets
    n = len(targets.row_index)
    logits = np.empty((n, 1))
    # By column, so that each chunk of columns is read once.
    order = np.argsort(targets.column_index, kind="stable")
    for start in range(0, n, _PAIRS_AT_A_TIME):
        progress.check()
        some = order[start : start + _PAIRS_AT_A_TIME]
        logits[some] = workers.score(problem, targets.row_index[some], targets.column_index[some])
    found = decompose_dot_products(
        lambda: _vectors(first, progress),
        lambda: _vectors(second, progress),
        targets.row_index,
        targets.column_index,
        scale=head[0],
        bias=head[1],
        logits=logits,
    )
    return found.in_order(found.sides[0], problem.row_order)


def _encoded(problem: Problem) -> tuple[EncodedItems, EncodedItems]:
    (first, _), (second, _) = problem.evaluator.needed(slice(0, problem.cells.shape[1]))
    return first, second


def _vectors(items: EncodedItems, progress: Progress) -> Iterator[NDArray[np.floating]]:
    for number in range(items.n_chunks):
        progress.check()
        (leaf,) = items.leaves(number)
        yield leaf


def _width(items: EncodedItems) -> int | None:
    """Return the length of an item's encoding; None if it is not a single vector."""
    leaves = items.leaves(0)
    if len(leaves) != 1 or leaves[0].ndim != 2 or leaves[0].dtype.kind != "f":
        return None
    return int(leaves[0].shape[1])


def _head(problem: Problem, workers: Workers, computed_dtype: str) -> tuple[float, float] | None:
    """Return scale and bias of the score; None if it is not a scaled dot product."""
    rng = np.random.default_rng(0)
    n_rows, n_columns = problem.cells.shape
    rows, columns = (np.sort(rng.integers(0, n, _PAIRS_TO_CHECK)) for n in (n_rows, n_columns))
    columns = rng.permutation(columns)
    first, second = _encoded(problem)
    products = np.einsum("nd,nd->n", _rows(first, rows), _rows(second, columns))
    scores = workers.score(problem, rows, columns).astype(np.float64)
    design = np.stack([products, np.ones(len(products))], axis=1)
    (scale, bias), *_ = np.linalg.lstsq(design, scores[:, 0], rcond=None)
    off = np.abs(scores[:, 0] - design @ (scale, bias)).max()
    if not products.std() > 0 or off > noise_of_logits(scores, computed_dtype)[0]:
        return None
    return float(scale), float(bias)


def _rows(items: EncodedItems, wanted: Index) -> Array:
    chunk = wanted // items.per_chunk
    found: Array | None = None
    for number in np.unique(chunk):
        (leaf,) = items.leaves(int(number))
        here = chunk == number
        if found is None:
            found = np.empty((len(wanted), leaf.shape[1]))
        found[here] = leaf[wanted[here] - number * items.per_chunk]
    return np.empty((0, 0)) if found is None else found
