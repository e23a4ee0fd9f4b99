"""Masks of the units of one side: which words, regions or stretches of time are kept.

Masks do not know what a unit is. Each unit is kept with probability one half, so averages over
masks weight all subsets equally, as Banzhaf values do.

If there are too many subsets, masks are an orthogonal array instead of random ones: among any three
units, all eight ways to keep or mask them occur equally often. Effects of single units are then
separated exactly from effects of pairs, and with a smaller error from those of triples and more
(Hedayat, Sloane and Stufken, Orthogonal Arrays, 1999, chapter 4). A random choice of units is
replaced by its complements, so estimates are right on average.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

ALL = 0
"""The first mask of any set; it keeps all units."""


@dataclass(frozen=True, eq=False)
class Masks:
    """Masks of one side.

    Attributes
    ----------
    keep : ndarray of bool, shape (K, n_units)
        True where a unit is kept. The first mask keeps all units.
    exhaustive : bool
        Whether these are all 2 ** n_units masks, each once. If not, those after the first are an
        orthogonal array, pairs of complements one after the other.
    """

    keep: NDArray[np.bool_]
    exhaustive: bool

    def __len__(self) -> int:
        return len(self.keep)

    @property
    def n_units(self) -> int:
        """How many units there are to keep or to mask."""
        return int(self.keep.shape[1])

    @property
    def fitted(self) -> slice:
        """The masks that represent all subsets: without the first if it comes on top."""
        return slice(None) if self.exhaustive else slice(1, None)

    @cached_property
    def design(self) -> NDArray[np.float64]:
        """A column of ones and the fitted masks, shape (len(fitted), 1 + n_units)."""
        keep = self.keep[self.fitted]
        return np.column_stack([np.ones(len(keep)), keep])

    @property
    def first_half(self) -> Masks:
        """The first mask and half of the array, itself orthogonal; or all masks.

        Only if `splits`.
        """
        if self.exhaustive:
            return self
        return Masks(self.keep[: 1 + len(self) // 2], exhaustive=False)

    @property
    def splits(self) -> bool:
        """Whether each half of the array can be fitted alone."""
        return not self.exhaustive and len(self) // 4 >= self.n_units


def draw_masks(n_units: int, n_masks: int, seed: int = 0) -> Masks:
    """Return all masks if there are at most `n_masks`, otherwise an orthogonal array.

    Parameters
    ----------
    n_units : int
        At least 1.
    n_masks : int
        The least number: it is raised to the next power of two, and to two per unit. An orthogonal
        array has the mask of all units on top.
    seed : int
    """
    n_bits = (max(n_masks, 2 * n_units) - 1).bit_length()
    if n_units <= n_bits:
        numbers = np.arange(2**n_units)
        return Masks((numbers[::-1, None] >> np.arange(n_units)) & 1 == 1, exhaustive=True)
    draws = np.random.default_rng(seed)
    codes, n_confused = _codes(n_units, n_bits - 1, draws)
    arrays = [_array(codes, n_bits - 1, draws)]
    if n_confused > n_units and 2 ** (n_bits - 2) >= n_units:
        # Much is confounded: with two arrays, with different effects, and half as much of each.
        halves = [_codes(n_units, n_bits - 2, draws)[0] for _ in range(2)]
        arrays = [_array(half, n_bits - 2, draws) for half in halves]
    return Masks(np.concatenate([np.ones((1, n_units), dtype=bool), *arrays]), exhaustive=False)


def _array(codes: NDArray[np.intp], n_bits: int, draws: np.random.Generator) -> NDArray[np.bool_]:
    """Return an orthogonal array of 2 ** (n_bits + 1) masks, complements one after the other."""
    # A linear code: the parity of a mask's number and a unit's.
    bits = np.arange(n_bits)
    numbers = np.arange(2**n_bits)
    parity = ((numbers[:, None] >> bits) & 1) @ ((codes >> bits[:, None]) & 1) % 2 == 1
    parity ^= draws.random(len(codes)) < 0.5
    return np.stack([parity, ~parity], axis=1).reshape(-1, len(codes))


def _codes(n_units: int, n_bits: int, draws: np.random.Generator) -> tuple[NDArray[np.intp], int]:
    """Return a different number for each unit, and how many fours of them sum to 0 mod 2.

    Such fours confound a unit's effect with that of three others; here they are few. Half of the
    masks have one bit less; the numbers differ even without it, if there is room.
    """
    size = 2**n_bits
    values = np.arange(size)
    # How many units so far, and pairs and triples of them, sum to each number.
    ones, twos, threes = (np.zeros(size, dtype=np.int64) for _ in range(3))
    found, n_confused = np.empty(n_units, dtype=np.intp), 0
    for unit in range(n_units):
        taken = ones + (ones[values ^ size // 2] if n_units <= size // 2 else 0)
        confused = np.where(taken > 0, np.iinfo(np.int64).max, threes)
        code = draws.choice(np.flatnonzero(confused == confused.min()))
        n_confused += int(threes[code])
        threes += twos[values ^ code]
        twos += ones[values ^ code]
        ones[code] += 1
        found[unit] = code
    return found, n_confused
