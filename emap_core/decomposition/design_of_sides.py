"""Which cells of a grid of many sides are evaluated: balanced, connected, seeded.

A grid of three sides of 1,000 items has a billion cells. Nothing here is as large as the grid, or
as the combinations of two of its sides: only evaluated cells are numbered. For two sides, see
`emap_core.decomposition.design`, which spreads the cells better.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emap_core.decomposition.design import MATCHED, with_matched
from emap_core.decomposition.projection import item_shares
from emap_core.errors import SettingError
from emap_core.types import Array, Index

MOST_CELLS = 2**62
"""Cell numbers are 64-bit integers."""
_BATCH = 256


@dataclass(frozen=True, eq=False)
class DesignOfSides:
    """Cells to evaluate, each once, sorted by their items, first side first.

    Attributes
    ----------
    items : tuple of ndarray of shape (K,)
        The cells: numbers of the items, one array per side.
    rounds : ndarray of shape (K,), int32
        The round that drew each cell, from 0; `MATCHED` for the cells of the examples. Every round
        gives each item of each side a cell.
    index : tuple of ndarray of shape (N,)
        The cell of each example.
    example_cells : ndarray of shape (N,)
        Position of each example's cell among the K.
    shares : tuple of ndarray of shape (U_m,)
        Shares of the examples that use each item.
    cells_per_item : int
        Rounds: an item of the side with the most items is in exactly this many drawn cells, every
        other item in at least as many.
    seed : int
    """

    items: tuple[Index, ...]
    rounds: NDArray[np.int32]
    index: tuple[Index, ...]
    example_cells: Index
    shares: tuple[Array, ...]
    cells_per_item: int
    seed: int

    def __len__(self) -> int:
        return len(self.rounds)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Unique items of each side."""
        return tuple(map(len, self.shares))

    @property
    def numbers(self) -> Index:
        """Number of each cell in the whole grid, those of the last side one by one."""
        return np.asarray(np.ravel_multi_index(self.items, self.sizes))

    @property
    def rows(self) -> Index:
        """Each cell's item of the first side, shape (K,)."""
        return self.items[0]

    @property
    def columns(self) -> Index:
        """Number of the combination of the items of all other sides of each cell, shape (K,)."""
        return np.asarray(np.ravel_multi_index(self.items[1:], self.sizes[1:]))

    @property
    def most_cells_per_item(self) -> int:
        """Number of cells per item of the largest side if the layout is the whole grid."""
        return most_cells_per_item(self.sizes)

    @property
    def fraction(self) -> float:
        """Chance that a cell without an example is evaluated."""
        return self.cells_per_item / self.most_cells_per_item

    @property
    def weights(self) -> Array:
        """Weight of each cell in sums over all recombinations, Π p_m / chance, (K,)."""
        shares = prod(share[items] for share, items in zip(self.shares, self.items, strict=True))
        return np.asarray(np.where(self.rounds == MATCHED, shares, shares / self.fraction))


def most_cells_per_item(sizes: Sequence[int]) -> int:
    """Return how many cells an item of the largest side needs to meet all of the others."""
    return prod(sizes) // max(sizes)


def fewest_cells_per_item(sizes: Sequence[int]) -> int:
    """Return how many cells an item must be in: two per side, so that they show an error."""
    return min(2 * len(sizes), most_cells_per_item(sizes))


def design_of_sides(
    index: Sequence[ArrayLike], sizes: Sequence[int], cells_per_item: int, seed: int = 0
) -> DesignOfSides:
    """Choose the cells to evaluate so that every item of every side is in `cells_per_item` or more.

    The examples' own cells are added. With more cells per item and the same seed, a design holds
    all cells of one with fewer; with as many as an item of the largest side can meet, it is the
    whole grid. Every cell without an example has the same chance.

    Parameters
    ----------
    index : sequence of array of shape (N,)
        The cell of each example, one array per side.
    sizes : sequence of int
        Unique items of each side; each is used by an example.
    cells_per_item : int
    seed : int

    Raises
    ------
    SettingError
        If `cells_per_item` is too small, or the grid has too many cells to number.
    """
    sizes = tuple(sizes)
    k = min(cells_per_item, most_cells_per_item(sizes))
    if k < fewest_cells_per_item(sizes):
        raise SettingError(
            f"images_per_text is {cells_per_item}; expected at least "
            f"{fewest_cells_per_item(sizes)} for {len(sizes)} sides, so that the cells of each "
            "item show its effect and its error"
        )
    if prod(sizes) > MOST_CELLS:
        raise SettingError(
            f"the grid has {prod(sizes):.1e} cells, more than can be numbered; choose a sample of "
            "the examples"
        )
    rng = np.random.default_rng(seed)
    largest = int(np.argmax(sizes))
    others = [m for m in range(len(sizes)) if m != largest]
    n = sizes[largest]
    slots = np.arange(n)
    # Item i of the largest side meets item i + shift of each other, under random names. Where
    # another side has fewer items, these repeat in cycles, each with names of its own.
    names = {m: _names(n, sizes[m], rng) for m in others}
    order = rng.permutation(n)
    numbers = np.empty((k, n), dtype=np.int64)
    items: list[NDArray[np.int64]] = [order] * len(sizes)
    for j, shifts in zip(range(k), _shifts([sizes[m] for m in others], rng), strict=False):
        for m, shift in zip(others, shifts, strict=True):
            cycle, place = np.divmod(slots, sizes[m])
            items[m] = names[m][cycle * sizes[m] + (place + shift) % sizes[m]]
        numbers[j] = np.ravel_multi_index(items, sizes)

    place = np.argsort(numbers, axis=None)
    drawn = numbers.ravel()[place]
    rounds = (place // n).astype(np.int32)
    cells_of_examples = [np.asarray(one, dtype=np.intp) for one in index]
    own = np.ravel_multi_index(cells_of_examples, sizes)
    cells, rounds = with_matched(drawn, rounds, own)
    return DesignOfSides(
        items=tuple(one.astype(np.intp) for one in np.unravel_index(cells, sizes)),
        rounds=rounds,
        index=tuple(cells_of_examples),
        example_cells=np.searchsorted(cells, own),
        shares=item_shares(cells_of_examples, sizes),
        cells_per_item=k,
        seed=seed,
    )


def _names(n_slots: int, size: int, rng: np.random.Generator) -> Index:
    """Return the items of a side, in a new order for each cycle of the slots."""
    cycles = -(-n_slots // size)
    return np.concatenate([rng.permutation(size) for _ in range(cycles)])


def _shifts(sizes: Sequence[int], rng: np.random.Generator) -> Iterator[tuple[int, ...]]:
    """Yield all combinations of shifts of some sides, each once, in random order.

    The first ones differ in only one side, which chains the items of each side: no two effects can
    be exchanged for one another, see `ManyWayLayout`. The very first is random, so every
    combination has the same chance.
    """
    first = tuple(int(rng.integers(size)) for size in sizes)
    seen = {first}
    yield first
    for m, size in enumerate(sizes):
        if size > 1:
            one = (*first[:m], (first[m] + 1) % size, *first[m + 1 :])
            seen.add(one)
            yield one
    # In batches of one fixed size, so that designs of different sizes draw the same.
    while len(seen) < prod(sizes):
        for drawn in rng.integers(sizes, size=(_BATCH, len(sizes))).tolist():
            one = tuple(drawn)
            if one not in seen:
                seen.add(one)
                yield one
