"""The additive projection with pairs weighted by how likely they are.

The projection minimises Σ W (F − a(t) − b(v))² over the grid, with W = p q ρ: p and q are the
shares of rows and columns, ρ is how much more likely a pair is among the examples than among
recombinations. ρ = 1 everywhere gives EMAP (Hessel & Lee, EMNLP 2020, section 3).

The fit is that of a two-way layout with unequal weights: weighted least squares on the edges of
a bipartite graph of rows and columns. The weight of a cell in its own fitted value is W times
the effective resistance between its row and its column (Spielman & Srivastava, "Graph
sparsification by effective resistances", STOC 2008, section 2), so the fit without a cell needs
no further fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike

from emap_core.decomposition.projection import Decomposition
from emap_core.errors import DatasetError
from emap_core.types import Array, Index

_ELEMENTS_OF_BLOCK = 2**21
# Own weights come out of a Cholesky factor; what is closer to 1 than this is a lone link.
_NOTHING_LEFT = 1e-9


@dataclass(frozen=True, eq=False)
class WeightedProjection:
    """The additive fit to a grid whose pairs have different weights.

    Attributes
    ----------
    additive : ndarray of shape (N, C)
        a(t) + b(v) of each example.
    leave_one_out : ndarray of shape (N, C)
        The same, fitted without the example's own cell. NaN if nothing else links its row and
        column.
    own_weight : ndarray of shape (N,)
        Weight of each example's own cell in its fitted value, from 0 to 1.
    effective_share : float
        Share of the recombinations that the fit rests on: (Σ W)² / Σ (W² / (p q)), 1 if all count
        the same (Kish, "Survey Sampling", 1965, section 11.7).
    """

    additive: Array
    leave_one_out: Array
    own_weight: Array
    effective_share: float


def weighted_projection(
    grid: Any, decomposition: Decomposition, density: ArrayLike
) -> WeightedProjection:
    """Fit a(row) + b(column) to a grid whose pairs count in proportion to a density ratio.

    Parameters
    ----------
    grid : ndarray of shape (U_1, U_2, C), or an object with ``strips()``
        ``strips()`` yields numbers of rows, shape (A,), and their rows, shape (A, U_2, C); a
        grid on disk is read once, and never whole.
    decomposition : Decomposition
        Of the same grid.
    density : array of shape (U_1, U_2)
        How much more likely each pair is among the examples than among recombinations; only
        proportions matter. 0 leaves a pair out.

    Raises
    ------
    DatasetError
        If the density has another shape, a value that is negative or not finite, or 0 for the
        pair of an example.

    Notes
    -----
    The normal equations are solved directly, for the side with fewer items: the time grows with
    min(U_1, U_2)² max(U_1, U_2), seconds for ten million pairs.
    """
    d = decomposition
    ratio = _checked(density, d)
    ratio = ratio / (d.row_share @ ratio @ d.column_share)
    weights = d.row_share[:, None] * d.column_share * ratio
    of_rows, of_columns = _weighted_sums(grid, d, weights)
    if len(d.row_share) <= len(d.column_share):
        a, b, own = _fit(weights, of_rows, of_columns, d.row_index, d.column_index)
    else:
        b, a, own = _fit(weights.T, of_columns, of_rows, d.column_index, d.row_index)
    centred = a[d.row_index] + b[d.column_index]
    left = 1.0 - own[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        without = (centred - own[:, None] * (d.logits - d.mean)) / left
    return WeightedProjection(
        additive=d.settled(centred + d.mean),
        leave_one_out=d.settled(np.where(left > _NOTHING_LEFT, without + d.mean, np.nan)),
        own_weight=own,
        effective_share=float(1.0 / np.sum(weights * ratio)),
    )


def _checked(density: ArrayLike, decomposition: Decomposition) -> Array:
    ratio = np.asarray(density, dtype=np.float64)
    expected = len(decomposition.row_share), len(decomposition.column_share)
    if ratio.shape != expected:
        raise DatasetError(
            f"the density ratio has shape {ratio.shape}; expected (texts, images), {expected}"
        )
    wrong = ~(np.isfinite(ratio) & (ratio >= 0))
    if wrong.any():
        u, w = np.argwhere(wrong)[0]
        raise DatasetError(
            f"the density ratio of text {u} with image {w} is {ratio[u, w]}; expected a finite "
            "number of at least 0"
        )
    own = ratio[decomposition.row_index, decomposition.column_index]
    if not (own > 0).all():
        i = int(np.argmin(own))
        raise DatasetError(
            f"the density ratio of example {i}'s own pair is 0, but the pair occurs; pass a number "
            "above 0"
        )
    return ratio


def _weighted_sums(grid: Any, decomposition: Decomposition, weights: Array) -> tuple[Array, Array]:
    """Return Σ W (F − mean) over columns, shape (U_1, C), and over rows, shape (U_2, C)."""
    n_rows, n_columns = weights.shape
    n_classes = len(decomposition.mean)
    of_rows, of_columns = np.empty((n_rows, n_classes)), np.zeros((n_columns, n_classes))
    for rows, cells in _blocks(grid):
        block = np.asarray(cells, dtype=np.float64) - decomposition.mean
        block *= weights[rows][:, :, None]
        of_rows[rows] = block.sum(axis=1)
        of_columns += block.sum(axis=0)
    return of_rows, of_columns


def _blocks(grid: Any) -> Iterator[tuple[Index, Array]]:
    if hasattr(grid, "strips"):
        yield from grid.strips()
        return
    cells = np.asarray(grid)
    cells = cells[:, :, None] if cells.ndim == 2 else cells
    step = max(1, _ELEMENTS_OF_BLOCK // (cells.shape[1] * cells.shape[2]))
    for start in range(0, len(cells), step):
        rows = np.arange(start, min(start + step, len(cells)))
        yield rows, cells[rows]


def _fit(
    weights: Array, of_rows: Array, of_columns: Array, row_index: Index, column_index: Index
) -> tuple[Array, Array, Array]:
    """Return row terms, column terms, and each example's own weight.

    With the columns eliminated, the normal equations are a Laplacian S of the rows, and
    R = 1/c_b + z' S⁺ z is the resistance between row a and column b, z = e_a − W[:, b] / c_b.
    """
    columns = weights.sum(axis=0)
    towards = weights / columns
    laplacian = -towards @ weights.T
    np.fill_diagonal(laplacian, 0.0)
    # What leaves a row arrives where it is linked: no digits are lost in a difference.
    degree = -laplacian.sum(axis=1)
    np.fill_diagonal(laplacian, degree)
    inverse = _inverse(laplacian)
    rows = inverse @ (of_rows - towards @ of_columns)
    spread = inverse @ towards
    around = np.einsum("kb,kb->b", towards, spread)
    resistance = (
        1.0 / columns[column_index]
        + np.diag(inverse)[row_index]
        - 2.0 * spread[row_index, column_index]
        + around[column_index]
    )
    own = np.clip(weights[row_index, column_index] * resistance, 0.0, 1.0)
    return rows, (of_columns - weights.T @ rows) / columns[:, None], own


def _inverse(laplacian: Array) -> Array:
    """Return an inverse of a Laplacian on vectors that sum to 0 over each connected part."""
    k = len(laplacian)
    n_parts, part = 1, np.zeros(k, dtype=np.intp)
    if not laplacian.all():
        # Rows that share a column are linked through it.
        links = scipy.sparse.csr_array(laplacian != 0)
        n_parts, part = scipy.sparse.csgraph.connected_components(links, directed=False)
    size = np.bincount(part, minlength=n_parts)
    grounded = laplacian.copy()
    # A constant over a part is free; fixing it at any scale of the part's own makes S regular.
    scale = np.bincount(part, weights=np.diag(laplacian), minlength=n_parts) / size
    scale = np.where(scale > 0, scale, 1.0) / size
    grounded += np.where(part[:, None] == part, scale[part], 0.0)
    factor = scipy.linalg.cho_factor(grounded, lower=True, overwrite_a=True, check_finite=False)
    return np.asarray(
        scipy.linalg.cho_solve(factor, np.eye(k), overwrite_b=True, check_finite=False)
    )
