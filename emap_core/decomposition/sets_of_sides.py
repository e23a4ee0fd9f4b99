"""Sets of a grid's sides: which ones there are, their means, and their weights for each order.

A grid has one axis per side (text and image, or three sensors), with classes last. m_A is its mean
over all sides but those of the set A. Every projection is a sum of such means: the term of A is
the part of m_A that no smaller set holds (Efron & Stein, Annals of Statistics 9, 1981, section 2;
Sobol', Mathematical Modeling and Computational Experiment 1, 1993), and the projection of order k
is the mean plus the terms of up to k sides.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import combinations
from math import comb
from string import ascii_letters

import numpy as np

from emap_core.types import Array

Sides = tuple[str, ...]
"""Names of some sides, in the order of the grid's axes."""

# Shares are quotients, so an item that every example uses may miss 1 by a few roundings.
_NOTHING_LEFT = 1e-12


def all_sets(sides: Sides) -> list[Sides]:
    """Return every set of at least one side: single ones in order, then pairs, finally all."""
    return [some for size in range(1, len(sides) + 1) for some in combinations(sides, size)]


def subsets(some: Sides) -> list[Sides]:
    """Return the proper subsets of a set: the largest first, the empty one last."""
    return [part for size in range(len(some) - 1, -1, -1) for part in combinations(some, size)]


def order_weights(n_sides: int, order: int) -> list[int]:
    """Return the weights of the means of sets of 0, 1, …, `order` sides in a projection.

    Sets of j sides weigh (−1)^(k − j) C(M − j − 1, k − j), with k the order and M the sides.
    """
    if order >= n_sides:
        return [0] * n_sides + [1]
    return [
        (-1) ** (order - size) * comb(n_sides - size - 1, order - size) for size in range(order + 1)
    ]


def own_weights(weights: Sequence[Array], order: int) -> Array:
    """Return cells' weights in their own projection, given their items' weights on each side.

    In a mean over all sides but those of a set, the cell has the product of its weights on the
    sides averaged over.
    """
    n_sides = len(weights)
    by_size = order_weights(n_sides, order)
    found = np.zeros_like(weights[0])
    for some in reversed(_sets_of(range(n_sides), order)):
        others = [weights[k] for k in range(n_sides) if k not in some]
        found = found + by_size[len(some)] * product(others)
    return found


def projection_weights(
    weights: Sequence[Array], order: int, left_out: Collection[int]
) -> dict[tuple[int, ...], Array]:
    """Return the weight of the mean of each set of sides in a projection without own items.

    Sides whose items are all there are keep their own: a mean over such items rightly includes it,
    and the others may say the opposite about it (whether a sum is even, if questions ask for both
    even and odd). Over these sides the model splits into the mean and terms, exactly; each is then
    projected onto sums of functions of as many of the other sides as the order leaves to it, by
    least squares on all cells of those sides but the own.

    Parameters
    ----------
    weights : sequence of ndarray, all of one shape
        The weight of each example's item on each side.
    order : int
        1 to the number of sides.
    left_out : collection of int
        Numbers of the sides whose own item is left out: all of them for the fit to all cells but
        the own one, none for the plain projection.

    Returns
    -------
    dict
        By numbers of sides, including the empty set and the set of all. They sum to 1 for each
        example; NaN if nothing is left to project from.
    """
    sides = range(len(weights))
    drawn = [k for k in sides if k in left_out]
    kept = [k for k in sides if k not in left_out]
    found = {some: np.zeros_like(weights[0]) for some in _sets_of(sides, len(sides))}
    for term_of in _sets_of(kept, order):
        least = min(order - len(term_of), len(drawn))
        whole = least == len(drawn)
        own = np.zeros(1) if whole else own_weights([weights[k] for k in drawn], least)
        left = 1.0 - own
        rest = np.where(left > _NOTHING_LEFT, left, np.nan)
        by_size = order_weights(len(drawn), least)
        for part in _sets_of(term_of, len(term_of)):
            sign = (-1.0) ** (len(term_of) - len(part))
            for some in _sets_of(drawn, least):
                found[tuple(sorted((*some, *part)))] += sign * by_size[len(some)] / rest
            found[tuple(sorted((*drawn, *part)))] -= sign * own / rest
    return found


def _sets_of(sides: Iterable[int], largest: int) -> list[tuple[int, ...]]:
    """Return every set of up to so many sides: the empty one, single ones in order, and so on."""
    each = tuple(sides)
    sizes = range(min(largest, len(each)) + 1)
    return [some for size in sizes for some in combinations(each, size)]


def product(factors: Sequence[Array]) -> Array:
    """Return the product of some arrays; 1 for none."""
    return np.asarray(np.prod(factors, axis=0)) if factors else np.ones(1)


def means_of_grid(cells: Array, sides: Sides, shares: Sequence[Array]) -> dict[Sides, Array]:
    """Return the mean of every set of sides except all of them.

    Parameters
    ----------
    cells : ndarray of shape (U_1, …, U_M, C)
    sides : tuple of str
        Names of the M axes before the last.
    shares : sequence of ndarray
        Weights of the items of each side, each of shape (U_m,).

    Returns
    -------
    dict
        By set; each has the axes of its sides, with classes last.
    """
    share = dict(zip(sides, shares, strict=True))
    means = {sides: cells}
    for some in subsets(sides):
        # Averaged from a set with one more side, so the whole grid is read at most M times.
        missing = next(side for side in sides if side not in some)
        above = tuple(side for side in sides if side in some or side == missing)
        means[some] = _average(means[above], share[missing], above.index(missing))
    del means[sides]
    return means


def _average(values: Array, share: Array, axis: int) -> Array:
    if values.ndim == 2:
        return np.asarray(share @ values)
    letters = ascii_letters[: values.ndim]
    rest = letters[:axis] + letters[axis + 1 :]
    return np.asarray(np.einsum(f"{letters[axis]},{letters}->{rest}", share, values, optimize=True))


def term(some: Sides, means: Mapping[Sides, Array]) -> Array:
    """Return what the items of a set of sides add together, beyond what parts of the set add.

    Parameters
    ----------
    some : tuple of str
    means : mapping
        For the set and all sets within it, each with the axes of its sides, with classes last.
    """
    found = np.array(means[some], dtype=np.float64)
    for part in subsets(some):
        sign = (-1.0) ** (len(some) - len(part))
        place = tuple(slice(None) if side in part else None for side in some)
        found += sign * means[part][place] if part else sign * means[part]
    return found


def mean_square(values: Array, shares: Sequence[Array]) -> Array:
    """Return the weighted mean of squares over all axes but that of classes, shape (C,)."""
    squares = np.square(values)
    if len(shares) == 1:
        return np.asarray(shares[0] @ squares)
    letters = ascii_letters[: squares.ndim]
    formula = f"{','.join(letters[:-1])},{letters}->{letters[-1]}"
    return np.asarray(np.einsum(formula, *shares, squares, optimize=True))
