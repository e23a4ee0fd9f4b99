"""Which cells of a large grid are evaluated: a balanced, connected, seeded incomplete layout.

Source of incomplete two-way layouts: John & Williams, "Cyclic and Computer Generated Designs",
2nd edition, 1995.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emap_core.decomposition.projection import example_shares
from emap_core.errors import SettingError
from emap_core.types import Array, Index

MATCHED = -1
"""Round of an example's own cell; such cells are always evaluated."""

FEWEST_COLUMNS_PER_ROW = 4
"""For two halves to each connect all rows and columns, each needs two columns per row."""


@dataclass(frozen=True, eq=False)
class Design:
    """Cells to evaluate, sorted by row, then by column, each once.

    Attributes
    ----------
    rows, columns : ndarray of shape (M,), int32
        The cells.
    rounds : ndarray of shape (M,), int32
        The round that drew each cell, from 0; `MATCHED` for the cells of the examples. Every
        round gives each row one column, so that even and odd rounds are disjoint halves.
    row_index, column_index : ndarray of shape (N,)
        The cell of each example.
    example_cells : ndarray of shape (N,)
        Position of each example's cell among the M.
    row_share, column_share : ndarray of shape (U_1,) and (U_2,)
        Shares of the examples that use each row and each column.
    columns_per_row : int
        Rounds, at most U_2, which gives the whole grid.
    seed : int
    order : tuple of ndarray of shape (U_1,) and (U_2,), int32
        All rows and all columns in an order in which neighbours meet neighbours.
    """

    rows: NDArray[np.int32]
    columns: NDArray[np.int32]
    rounds: NDArray[np.int32]
    row_index: Index
    column_index: Index
    example_cells: Index
    row_share: Array
    column_share: Array
    columns_per_row: int
    seed: int
    order: tuple[NDArray[np.int32], NDArray[np.int32]]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.row_share), len(self.column_share)

    @property
    def items(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The row and the column of each cell, shape (M,) each."""
        return self.rows, self.columns

    @property
    def numbers(self) -> Index:
        """Number of each cell in the whole grid, shape (M,), those of a row one by one."""
        return self.rows.astype(np.int64) * self.shape[1] + self.columns

    @property
    def cells_per_item(self) -> int:
        """Number of drawn cells per row."""
        return self.columns_per_row

    @property
    def most_cells_per_item(self) -> int:
        """Number of cells per row if the layout is the whole grid."""
        return self.shape[1]

    @property
    def fraction(self) -> float:
        """Chance that a cell without an example is evaluated."""
        return self.columns_per_row / len(self.column_share)

    @property
    def inclusion(self) -> Array:
        """Chance that each cell is evaluated, shape (M,); 1 for the cells of the examples."""
        return np.where(self.rounds == MATCHED, 1.0, self.fraction)

    @property
    def weights(self) -> Array:
        """Weight of each cell in sums over all recombinations, p_u q_w / chance, (M,)."""
        shares = self.row_share[self.rows] * self.column_share[self.columns]
        return np.asarray(shares / self.inclusion)

    def find(self, other: Design) -> Index:
        """Return the place of each cell in another design of the same grid, or -1."""
        wanted, known = self.numbers, other.numbers
        place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        return np.where(known[place] == wanted, place, -1)


def design(
    n_rows: int,
    n_columns: int,
    row_index: ArrayLike,
    column_index: ArrayLike,
    columns_per_row: int,
    seed: int = 0,
) -> Design:
    """Choose the cells to evaluate so that every row meets `columns_per_row` columns.

    Every column meets about as many rows as any other. The examples' own cells are added. A layout
    with more columns per row and the same seed holds all cells of one with fewer; with every
    column, it is the whole grid.

    Parameters
    ----------
    n_rows, n_columns : int
        Rows and columns; each is used by an example.
    row_index, column_index : array of shape (N,)
        The cell of each example.
    columns_per_row : int
    seed : int

    Raises
    ------
    SettingError
        If `columns_per_row` is below 4 and below the number of columns.
    """
    k = min(columns_per_row, n_columns)
    if k < min(FEWEST_COLUMNS_PER_ROW, n_columns):
        raise SettingError(
            f"images_per_text is {columns_per_row}; expected at least "
            f"{min(FEWEST_COLUMNS_PER_ROW, n_columns)}, so that halves of the cells still "
            "connect all texts and images"
        )
    a, b = np.asarray(row_index, dtype=np.intp), np.asarray(column_index, dtype=np.intp)
    rng = np.random.default_rng(seed)
    offsets = _offsets(n_rows, n_columns, k, rng)
    row_order = rng.permutation(n_rows).astype(np.int32)
    column_order = rng.permutation(n_columns).astype(np.int32)

    # A cyclic layout under random names: row i of a cycle meets column i + offset, so that each
    # round is a permutation, and every cell has the same chance.
    slots = np.arange(n_rows, dtype=np.int32)
    keys = np.empty((n_rows, k), dtype=np.int64)
    for j in range(k):
        met = column_order[(slots + offsets[slots // n_columns, j]) % n_columns]
        keys[row_order, j] = row_order.astype(np.int64) * n_columns + met
    by_column = np.argsort(keys, axis=1)
    drawn = np.take_along_axis(keys, by_column, axis=1).ravel()
    rounds = by_column.astype(np.int32).ravel()

    own = a.astype(np.int64) * n_columns + b
    cells, rounds = with_matched(drawn, rounds, own)
    p, q = example_shares(a, b, n_rows, n_columns)
    return Design(
        rows=(cells // n_columns).astype(np.int32),
        columns=(cells % n_columns).astype(np.int32),
        rounds=rounds,
        row_index=a,
        column_index=b,
        example_cells=np.searchsorted(cells, own),
        row_share=p,
        column_share=q,
        columns_per_row=k,
        seed=seed,
        order=(row_order, column_order),
    )


def with_matched(
    drawn: NDArray[np.int64], rounds: NDArray[np.int32], own: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return the cells with those of the examples among them, and the rounds.

    Parameters
    ----------
    drawn : ndarray of shape (K,)
        Numbers of the drawn cells in the whole grid, sorted.
    rounds : ndarray of shape (K,)
    own : ndarray of shape (N,)
        Numbers of the cells of the examples.
    """
    matched = np.unique(own)
    place = np.searchsorted(drawn, matched)
    already = drawn[np.minimum(place, len(drawn) - 1)] == matched
    rounds[place[already]] = MATCHED
    cells = np.insert(drawn, place[~already], matched[~already])
    return cells, np.insert(rounds, place[~already], MATCHED)


def _offsets(n_rows: int, n_columns: int, k: int, rng: np.random.Generator) -> NDArray[np.int32]:
    """Return how far each cycle of rows is shifted in each round, shape (cycles, k)."""
    cycles, rest = divmod(n_rows, n_columns)
    # One generator per cycle: with more rounds, each continues where it stopped with fewer.
    generators = rng.spawn(cycles + (rest > 0))
    chosen = np.empty((len(generators), k), dtype=np.int32)
    for c in range(cycles):
        chosen[c] = _connecting(generators[c].permutation(n_columns))[:k]
    if rest:
        chosen[-1] = _spread_offsets(rest, n_columns, k, generators[-1])
    return chosen


def _connecting(order: NDArray[np.intp]) -> NDArray[np.intp]:
    # Neighbouring shifts chain all rows, once within the even rounds and once within the odd.
    n = len(order)
    if n < FEWEST_COLUMNS_PER_ROW:
        return order
    first = int(order[0])
    second = next(int(o) for o in order[1:] if (o - first) % n not in (1, n - 1))
    head = [first, second, (first + 1) % n, (second + 1) % n]
    return np.concatenate([head, order[~np.isin(order, head)]])


def _spread_offsets(
    n_rows: int, n_columns: int, k: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Return shifts of a block of fewer rows than columns that cover the columns evenly."""
    chosen = _connecting(rng.permutation(n_columns))[: min(k, FEWEST_COLUMNS_PER_ROW)].tolist()
    met = np.zeros(n_columns, dtype=np.int64)
    free = np.ones(n_columns, dtype=bool)
    for j in range(k):
        if j == len(chosen):
            ahead = np.concatenate([[0], np.cumsum(np.concatenate([met, met[:n_rows]]))])
            total = ahead[n_rows : n_rows + n_columns] - ahead[:n_columns]
            least = total[free].min()
            chosen.append(int(rng.choice(np.flatnonzero(free & (total == least)))))
        met[(chosen[j] + np.arange(n_rows)) % n_columns] += 1
        free[chosen[j]] = False
    return np.array(chosen)
