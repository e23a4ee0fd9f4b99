"""Sums of tiles and of the grid: everything the projection needs from the scores."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from itertools import combinations
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emap_core.datasets.grid_cells import column_numbers
from emap_core.decomposition import Decomposition, Moments, decompose_sums, sum_tile
from emap_core.decomposition.projection import TEXT_AND_IMAGE, item_shares
from emap_core.decomposition.recombined import Recombined
from emap_core.decomposition.sets_of_sides import Sides, means_of_grid
from emap_core.engine.plan import Tile
from emap_core.methods.base import Projected
from emap_core.runs.store import replacing
from emap_core.types import Array, Index

Recombine = Callable[[NDArray[Any], Array, Array], Recombined]


@dataclass(frozen=True, eq=False)
class Targets:
    """What the sums of a tile need to know about the examples, in plan order.

    Attributes
    ----------
    row_index, column_index : ndarray of shape (N,)
        The cell of each example.
    row_share : ndarray of shape (U_1,)
        Shares of the examples that use each row.
    other_shares : tuple of ndarray
        The same for every other side; shape (U_2,) for columns.
    sides : tuple of str
        What the sides are called in the decomposition.
    """

    row_index: Index
    column_index: Index
    row_share: Array
    other_shares: tuple[Array, ...]
    sides: Sides = TEXT_AND_IMAGE

    @classmethod
    def of(
        cls, index: Sequence[Index], sizes: Sequence[int], order: Index, sides: Sides
    ) -> Targets:
        """Return where examples are whose items are numbered in order of first appearance.

        Parameters
        ----------
        index : sequence of ndarray of shape (N,)
            Number of each example's item, one array per side.
        sizes : sequence of int
            Unique items of each side.
        order : ndarray of shape (U_1,)
            Number of the item in each row of the plan.
        sides : tuple of str
            Names of the sides; if there are two, a decomposition calls them differently.
        """
        first, *others = item_shares(tuple(index), sizes)
        return cls(
            np.argsort(order)[index[0]],
            column_numbers(index[1:], sizes[1:]),
            first[order],
            tuple(others),
            TEXT_AND_IMAGE if len(sides) == 2 else sides,
        )

    @cached_property
    def column_share(self) -> Array:
        """What each column weighs, shape (columns,): the product of what its items weigh."""
        return np.asarray(reduce(np.multiply.outer, self.other_shares)).ravel()

    @property
    def sizes(self) -> tuple[int, ...]:
        """Unique items of each side but the first."""
        return tuple(map(len, self.other_shares))

    @property
    def joint_sets(self) -> list[tuple[int, ...]]:
        """Sets of some but not all sides that are columns, by their places among these.

        Together with the first side, they are what sums of rows and columns do not cover.
        """
        places = range(len(self.sizes))
        return [some for size in places[1:] for some in combinations(places, size)]

    def numbers_in(self, some: tuple[int, ...], columns: slice) -> tuple[Index, Array]:
        """Return which combination of items of a set each column has, and what the others weigh.

        Parameters
        ----------
        some : tuple of int
            Places of the sides among the columns'.
        columns : slice

        Returns
        -------
        (ndarray of shape (B,), ndarray of shape (B,))
            Numbers as `column_numbers` gives them, and the product of the shares of the items of
            all sides but those of the set, and but the first.
        """
        items = np.unravel_index(np.arange(columns.start, columns.stop), self.sizes)
        weight = np.ones(columns.stop - columns.start)
        for place, (share, numbers) in enumerate(zip(self.other_shares, items, strict=True)):
            if place not in some:
                weight *= share[numbers]
        chosen = [np.asarray(items[place], dtype=np.intp) for place in some]
        return column_numbers(chosen, [self.sizes[place] for place in some]), weight

    def in_tile(self, tile: Tile) -> Index:
        """Return the numbers of the examples whose cell lies in the tile."""
        inside = (
            (self.row_index >= tile.rows.start)
            & (self.row_index < tile.rows.stop)
            & (self.column_index >= tile.columns.start)
            & (self.column_index < tile.columns.stop)
        )
        return np.flatnonzero(inside)


@dataclass(frozen=True, eq=False)
class TileSums:
    """Partial sums of one tile, all that is left of it if the grid is not kept.

    Attributes
    ----------
    rows : ndarray of shape (A, C)
        Sum over the tile's columns, weighted by their shares.
    columns : ndarray of shape (B, C)
        Sum over the tile's rows, weighted by their shares.
    moments, centred : Moments
        Of the logits, and of the logits minus their mean over classes.
    examples : ndarray of shape (E,)
        Numbers of the examples in the tile.
    matched : ndarray of shape (E, C)
        The model's outputs for them.
    recombined : Recombined or None
        The sums of the tile's answers, if these are read.
    joint : mapping of tuple of int to ndarray of shape (A, K, C)
        With more than two sides, sums over the items of the sides outside a set, for each
        of `Targets.joint_sets`; K combinations of items of the set are in the tile.
    """

    rows: Array
    columns: Array
    moments: Moments
    centred: Moments
    examples: Index
    matched: Array
    recombined: Recombined | None = None
    joint: Mapping[tuple[int, ...], Array] = field(default_factory=dict)

    @classmethod
    def of(
        cls, cells: NDArray[Any], tile: Tile, targets: Targets, recombine: Recombine | None = None
    ) -> TileSums:
        """Return the sums of a tile's cells, shape (A, B, C), and of its answers if they are read.

        Parameters
        ----------
        cells : ndarray of shape (A, B, C)
        tile : Tile
        targets : Targets
        recombine : callable, optional
            Takes cells and the shares of their rows and columns; see `Problem.recombine`.
        """
        shares = targets.row_share[tile.rows], targets.column_share[tile.columns]
        rows, columns, moments, centred = sum_tile(cells, *shares)
        examples = targets.in_tile(tile)
        matched = cells[
            targets.row_index[examples] - tile.rows.start,
            targets.column_index[examples] - tile.columns.start,
        ]
        recombined = None if recombine is None else recombine(cells, *shares)
        joint = {some: _joint_sums(cells, tile, targets, some) for some in targets.joint_sets}
        return cls(
            rows, columns, moments, centred, examples, matched.astype(np.float64), recombined, joint
        )

    def save(self, path: Path) -> None:
        """Write the sums in one step, with checksums."""
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(
                file,
                rows=self.rows,
                columns=self.columns,
                weight=self.moments.weight,
                mean=self.moments.mean,
                squares=self.moments.squares,
                centred_mean=self.centred.mean,
                centred_squares=self.centred.squares,
                examples=self.examples,
                matched=self.matched,
                **({} if self.recombined is None else self.recombined.arrays()),  # type: ignore[arg-type]  # names
                **{_joint_name(some): sums for some, sums in self.joint.items()},  # type: ignore[arg-type]  # names
            )

    @classmethod
    def load(cls, path: Path) -> TileSums | None:
        """Return stored sums; None if there are none or the file is damaged."""
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                weight = float(stored["weight"])
                return cls(
                    rows=stored["rows"],
                    columns=stored["columns"],
                    moments=Moments(weight, stored["mean"], stored["squares"]),
                    centred=Moments(weight, stored["centred_mean"], stored["centred_squares"]),
                    examples=stored["examples"],
                    matched=stored["matched"],
                    recombined=Recombined.from_arrays(stored),
                    joint=dict(_stored_joint(stored)),
                )
        except (FileNotFoundError, zipfile.BadZipFile, ValueError, KeyError, EOFError):
            return None


def _joint_sums(cells: NDArray[Any], tile: Tile, targets: Targets, some: tuple[int, ...]) -> Array:
    # Two sides do without it.
    from scipy import sparse

    numbers, weight = targets.numbers_in(some, tile.columns)
    there, places = np.unique(numbers, return_inverse=True)
    # Each column adds to one combination, so that nearly all of these weights are 0.
    weights = sparse.csr_array(
        (weight, (places, np.arange(len(places)))), shape=(len(there), len(places))
    )
    return np.stack([weights @ row.astype(np.float64, copy=False) for row in cells])


_JOINT = "joint_"


def _joint_name(some: tuple[int, ...]) -> str:
    return _JOINT + "_".join(map(str, some))


def _stored_joint(stored: Mapping[str, Any]) -> Iterator[tuple[tuple[int, ...], Array]]:
    for name in stored:
        if name.startswith(_JOINT):
            yield tuple(map(int, name.removeprefix(_JOINT).split("_"))), stored[name]


class GridSums:
    """Sums of all tiles so far, merged in the order in which they are added.

    Parameters
    ----------
    targets : Targets
    n_classes : int
    projects : bool
        Without, the sums of sets of sides are left out, which may be large: `estimate` is all that
        there is.
    """

    def __init__(self, targets: Targets, n_classes: int, *, projects: bool = True) -> None:
        self._targets = targets
        self._rows = np.zeros((len(targets.row_share), n_classes))
        self._columns = np.zeros((len(targets.column_share), n_classes))
        self._moments = Moments.zero(n_classes)
        self._centred = Moments.zero(n_classes)
        self._logits = np.full((len(targets.row_index), n_classes), np.nan)
        self._recombined: Recombined | None = None
        self._all_read = True
        self._columns_done = 0
        self._until_then = (self._rows, self._moments.mean)
        self._joint = {
            some: np.zeros(
                (len(self._rows), prod(targets.sizes[place] for place in some), n_classes)
            )
            for some in (targets.joint_sets if projects else ())
        }

    def add(self, tile: Tile, sums: TileSums) -> None:
        """Add one tile."""
        self._rows[tile.rows] += sums.rows
        self._columns[tile.columns] += sums.columns
        self._moments = self._moments.merge(sums.moments)
        self._centred = self._centred.merge(sums.centred)
        self._logits[sums.examples] = sums.matched
        self._add_answers(tile, sums.recombined)
        for some, joint in self._joint.items():
            numbers, _ = self._targets.numbers_in(some, tile.columns)
            joint[tile.rows, np.unique(numbers)] += sums.joint[some]
        if tile.rows.stop == len(self._rows):
            self._columns_done = tile.columns.stop
            # Later tiles add to the sums of some rows before those of all.
            self._until_then = (self._rows.copy(), self._moments.mean)

    def projected(self, row_order: Index) -> Projected:
        """Return the projection, rows back in order of first appearance."""
        if len(self._targets.sides) == 2:
            return Projected(self._of_two_sides(row_order), self._answers(row_order))
        means = self.means(row_order)
        of_two: dict[Sides, Array] = {
            some: found for some, found in means.items() if len(some) == 2
        }
        return Projected(self._of_all_sides(means, row_order), means_of_two=of_two)

    def _of_two_sides(self, row_order: Index) -> Decomposition:
        row_mean = np.empty_like(self._rows)
        row_mean[row_order] = self._rows
        return decompose_sums(
            logits=self._logits,
            mean=self._moments.mean,
            row_mean=row_mean,
            column_mean=self._columns,
            variance=self._moments.squares,
            centred_variance=self._centred.squares,
            row_index=row_order[self._targets.row_index],
            column_index=self._targets.column_index,
        )

    def means(self, row_order: Index) -> dict[Sides, Array]:
        """Return the mean of every set of sides but that of all, rows in order of appearance.

        Each has the axes of its sides and classes last, as `Decomposition.from_means` takes them.
        """
        first, *others = sides = self._targets.sides
        sizes, n_classes = self._targets.sizes, self._rows.shape[1]
        place = np.argsort(row_order)
        columns = self._columns.reshape(*sizes, n_classes)
        found = means_of_grid(columns, sides[1:], self._targets.other_shares)
        found |= {(): self._moments.mean, (first,): self._rows[place], sides[1:]: columns}
        for some, joint in self._joint.items():
            names = (first, *(others[k] for k in some))
            found[names] = joint[place].reshape(len(place), *(sizes[k] for k in some), n_classes)
        return found

    def _of_all_sides(self, means: Mapping[Sides, Array], row_order: Index) -> Decomposition:
        targets = self._targets
        first, *others = targets.sides
        items = np.unravel_index(targets.column_index, targets.sizes)
        index = {first: row_order[targets.row_index]}
        index |= {side: one.astype(np.intp) for side, one in zip(others, items, strict=True)}
        return Decomposition.from_means(
            means,
            logits=self._logits,
            index=index,
            shares=(targets.row_share[np.argsort(row_order)], *targets.other_shares),
            variance=self._moments.squares,
            centred_variance=self._centred.squares,
        )

    def _answers(self, row_order: Index) -> Recombined | None:
        """Return the answers over all recombinations; None if tiles hold none."""
        if self._recombined is None or not self._all_read:
            return None
        return self._recombined.rows_in_order(row_order)

    def _add_answers(self, tile: Tile, part: Recombined | None) -> None:
        if part is None:
            # Tiles of a run that an earlier version started.
            self._all_read = False
            return
        if self._recombined is None:
            sizes = len(self._rows), len(self._columns), part.row_decisions.shape[1]
            self._recombined = Recombined.zero(*sizes)
        self._recombined.add(tile.rows, tile.columns, part)

    def estimate(self) -> tuple[Index, Array, Array] | None:
        """Return examples whose column has met every row, their logits and estimated projection.

        The means of the rows are taken over the columns so far; None before the first range of
        columns is done. With more sides than two, a column is a combination of items, and those
        count whose item of the second side has met all items of the others.
        """
        targets = self._targets
        second, *others = targets.other_shares
        n_items = self._columns_done // prod(map(len, others))
        n_columns = n_items * prod(map(len, others))
        done = np.flatnonzero(targets.column_index < n_columns)
        weight = targets.column_share[: self._columns_done].sum()
        if len(done) == 0 or weight == 0.0:
            return None
        sums, mean = self._until_then
        columns = self._columns[:n_columns].reshape(n_items, *map(len, others), -1)
        shares = (second[:n_items] / second[:n_items].sum(), *others)
        sides = targets.sides[1:]
        means = {sides: columns, **means_of_grid(columns, sides, shares)}
        projected = sums[targets.row_index[done]] / weight - mean + means[()]
        items = np.unravel_index(targets.column_index[done], targets.sizes)
        for side, numbers in zip(sides, items, strict=True):
            projected += means[side,][numbers] - means[()]
        return done, self._logits[done], projected
