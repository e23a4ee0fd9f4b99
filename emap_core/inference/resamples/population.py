"""What is drawn at random, and therefore which population the numbers describe.

If a text or an image serves several examples, these examples are not independent. The units to draw
are then whole texts, whole images, or both. For both, the variance of two-way clusters combines
three one-way ones: that of drawing texts, plus that of drawing images, minus that of drawing pairs,
which the first two both contain (Cameron, Gelbach & Miller, Journal of Business & Economic
Statistics 29, 2011). It is never below either of the first two. With more sides, the variances of
drawing combinations of an odd number of them are added, those of an even number subtracted
(equation 2.13 there).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from emap_core.decomposition import Decomposition
from emap_core.decomposition.sets_of_sides import Sides, all_sets
from emap_core.errors import SettingError
from emap_core.types import Array, Cluster, Index

CLUSTERS = ("auto", "none", "image", "text", "both")
"""What may be drawn with two sides, whatever their names."""

N_RESAMPLES = 400
"""Total number, shared between several ways to draw: a variance does not need thousands."""
LEAST_RESAMPLES = 100
"""Fewest resamples, shared between several ways to draw.

With fewer, a standard error is off by more than an eighth by chance alone.
"""
MOST_RESAMPLES = 1_000_000

_ELEMENTS_OF_WEIGHTS = 2**23

_Number = TypeVar("_Number", float, Array)


@dataclass(frozen=True, eq=False)
class SamplingUnits:
    """One way to draw examples: whole groups of them.

    Attributes
    ----------
    name : str
        ``examples``, ``images``, ``texts`` or ``pairs``; with more sides, names such as ``items of
        audio``.
    groups : ndarray of int, shape (N,)
        The number of each example's unit.
    size : int
        Number of units.
    sides : tuple of str
        The sides on which a unit's examples have the same items; empty for single examples.
    """

    name: str
    groups: NDArray[np.intp]
    size: int
    sides: Sides = ()

    def draw(self, n_resamples: int, rng: np.random.Generator) -> Array:
        """Return how often each example is drawn, shape (n_resamples, N), in whole units."""
        drawn = rng.integers(0, self.size, (n_resamples, self.size))
        drawn += self.size * np.arange(n_resamples)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=n_resamples * self.size)
        counts = counts.reshape(n_resamples, self.size).astype(np.float64)
        return np.take(counts, self.groups, axis=1)

    def resamples(self, n_resamples: int, rng: np.random.Generator) -> Iterator[Array]:
        """Yield `draw`, a bounded number of resamples at a time."""
        step = max(8, _ELEMENTS_OF_WEIGHTS // len(self.groups))
        for start in range(0, n_resamples, step):
            yield self.draw(min(step, n_resamples - start), rng)


@dataclass(frozen=True, eq=False)
class Population:
    """What is drawn from data, and whom numbers about it speak of.

    Attributes
    ----------
    cluster : str
        ``none`` (examples), ``image``, ``text`` or ``both``; with more than two sides, the names of
        those that are drawn, joined by ``+``.
    draws : tuple of SamplingUnits
        One way to draw, or one for each drawn side and for their combinations: with two sides,
        texts, images and pairs.
    signs : tuple of int
        How often the variance of each draw counts.
    n_units : int
        Number of units; with several sides, of the side with the fewest.
    unit : str
        Name of the units: ``examples``, ``texts``, ``images``, ``items of audio``.
    words : str
        A phrase for use after a number: "for new texts and new images".
    """

    cluster: Cluster
    draws: tuple[SamplingUnits, ...]
    signs: tuple[int, ...]
    n_units: int
    unit: str
    words: str

    @property
    def degrees_of_freedom(self) -> int:
        """Degrees of freedom of the variance: one less than the units."""
        return self.n_units - 1

    @property
    def drawn_words(self) -> str:
        """What is drawn, in words: "whole texts"."""
        if self.cluster == "both":
            return "whole texts, as many of whole images and of their pairs"
        if len(self.draws) > 1:
            *first, last = self._drawn_alone
            names = [units.name for units in first]
            return (
                f"whole {names[0]}, as many of {_listed([*names[1:], last.name])} and of their "
                "combinations"
            )
        return "examples" if self.cluster == "none" else f"whole {self.unit}"

    def share_out(self, n_resamples: int) -> int:
        """Return how many of the resamples each way to draw gets."""
        return -(-n_resamples // len(self.draws))

    def together(self, of_draws: Sequence[_Number]) -> _Number:
        """Combine the variances, or other moments, of `draws`, in order."""
        first, *others = zip(self.signs, of_draws, strict=True)
        found = first[0] * first[1]
        for sign, one in others:
            found = found + sign * one
        return found

    def alone(self, of_draws: Sequence[_Number]) -> list[_Number]:
        """Return the values of `draws` for drawing a single side, or examples."""
        pairs = zip(self.draws, of_draws, strict=True)
        return [one for units, one in pairs if len(units.sides) <= 1]

    def variance(self, of_draws: Sequence[float]) -> float:
        """Combine the variances of `draws`, in order."""
        return max(self.together(of_draws), *self.alone(of_draws))

    def third_moment(self, of_draws: Sequence[float]) -> float:
        """Combine the third central moments of `draws`, in order."""
        return self.together(of_draws)

    def fewest(self, chosen: NDArray[np.bool_]) -> int:
        """Return in how many units the chosen examples are; with several sides, the fewest."""
        return min(len(np.unique(d.groups[chosen])) for d in self._drawn_alone)

    @property
    def _drawn_alone(self) -> list[SamplingUnits]:
        return [units for units in self.draws if len(units.sides) <= 1]


def population_of(decomposition: Decomposition, cluster: Cluster = "auto") -> Population:
    """Return what is drawn from the examples of a decomposition; see `population_of_sides`."""
    index = dict(zip(decomposition.sides, decomposition.index, strict=True))
    return population_of_sides(index, cluster)


def population_of_items(
    row_index: Index, column_index: Index, cluster: Cluster = "auto"
) -> Population:
    """Return what is drawn from examples with these texts and images; see `population_of_sides`."""
    return population_of_sides({"text": row_index, "image": column_index}, cluster)


def population_of_sides(index: Mapping[str, Index], cluster: Cluster = "auto") -> Population:
    """Return what is drawn from examples with these items.

    ``auto`` draws every side whose items serve several examples. A side with a single item cannot
    be drawn. If each text has its own images, drawing texts also draws these, and vice versa; then
    only the side with fewer items is drawn.

    Parameters
    ----------
    index : mapping of str to ndarray of int, shape (N,)
        The number of each example's item, by side.
    cluster : str
        ``auto`` or ``all`` (``both``), ``none``, or a side's name; with two sides, the first is
        also ``text`` and the second ``image``. With more than two, several names are joined by
        ``+``.

    Raises
    ------
    SettingError
        If `cluster` is unknown.
    """
    names = tuple(index)
    asked = _asked(cluster, names)
    items = {side: SamplingUnits("", *_numbered(index[side]), (side,)) for side in names}
    n_examples = len(next(iter(index.values())))
    chosen = asked if len(asked) == 1 else _repeating(items, asked, n_examples)
    draws, signs = _draws(items, chosen)
    if not draws:
        draws, signs = [SamplingUnits("examples", np.arange(n_examples), n_examples)], [1]
    alone = [units for units in draws if len(units.sides) <= 1]
    fewest = min(alone, key=lambda units: units.size)
    new = {
        side: side in chosen or any(_within(units, drawn) for drawn in alone)
        for side, units in items.items()
    }
    sizes = {side: units.size for side, units in items.items()}
    return Population(
        cluster=_cluster(chosen, names),
        draws=tuple(draws),
        signs=tuple(signs),
        n_units=fewest.size,
        unit=fewest.name,
        words=_words(chosen, sizes, new),
    )


def _asked(cluster: Cluster, names: Sides) -> Sides:
    """Return the sides that a setting names."""
    if cluster in ("auto", "all", "both"):
        return names
    if cluster == "none":
        return ()
    usual = dict(zip(("text", "image"), names, strict=True)) if len(names) == 2 else {}
    if cluster in usual and cluster not in names:
        return (usual[cluster],)
    given = cluster.split("+")
    if not set(given) <= set(names):
        known = ("auto", "none", *(("image", "text", "both") if usual else (*names, "all")))
        joined = "" if usual else ", or some sides joined by +"
        raise SettingError(f"cluster is {cluster!r}; expected one of {', '.join(known)}{joined}")
    return tuple(side for side in names if side in given)


def _repeating(items: Mapping[str, SamplingUnits], asked: Sides, n_examples: int) -> Sides:
    """Return which of some sides to draw, without those that others draw with them."""
    left = [side for side in asked if 1 < items[side].size < n_examples]
    # Of equivalent sides, the last one stays.
    for side in tuple(left):
        if any(_within(items[side], items[other]) for other in left if other != side):
            left.remove(side)
    return tuple(left)


def _within(units: SamplingUnits, others: SamplingUnits) -> bool:
    """Return whether each unit is part of a single one of the others."""
    return _together((units, others)).size == units.size


def _together(some: Sequence[SamplingUnits]) -> SamplingUnits:
    groups, size = some[0].groups, some[0].size
    for units in some[1:]:
        groups, size = _numbered(groups * units.size + units.groups)
    return SamplingUnits("", groups, size, tuple(side for units in some for side in units.sides))


def _draws(
    items: Mapping[str, SamplingUnits], chosen: Sides
) -> tuple[list[SamplingUnits], list[int]]:
    """Return the ways to draw, and how often the variance of each counts."""
    found: list[SamplingUnits] = []
    signs: list[int] = []
    for some in all_sets(chosen):
        units = _together([items[side] for side in some])
        sign = 1 if len(some) % 2 else -1
        # Combinations that each serve one example are examples, whatever their sides.
        for k, other in enumerate(found):
            if len(other.sides) > 1 and other.size == units.size and _within(units, other):
                signs[k] += sign
                break
        else:
            name = _name(some, tuple(items))
            found.append(SamplingUnits(name, units.groups, units.size, some))
            signs.append(sign)
    counted = [(units, sign) for units, sign in zip(found, signs, strict=True) if sign]
    return [units for units, _ in counted], [sign for _, sign in counted]


def _name(some: Sides, names: Sides) -> str:
    if len(names) == 2:
        return "pairs" if len(some) == 2 else ("texts", "images")[names.index(some[0])]
    return f"items of {some[0]}" if len(some) == 1 else f"combinations of {_listed(some)}"


def _cluster(chosen: Sides, names: Sides) -> Cluster:
    if not chosen:
        return "none"
    if len(names) > 2:
        return "+".join(chosen)
    return "both" if len(chosen) == 2 else ("text", "image")[names.index(chosen[0])]


def _numbered(index: NDArray[np.intp]) -> tuple[NDArray[np.intp], int]:
    different, numbers = np.unique(index, return_inverse=True)
    return np.asarray(numbers), len(different)


def _words(chosen: Sides, sizes: Mapping[str, int], new: Mapping[str, bool]) -> str:
    if not chosen and all(new.values()):
        return "for new examples"
    start = "for " if any(new.values()) else "for new examples of "
    if len(sizes) == 2:
        kinds = zip(("text", "image"), sizes.items(), strict=True)
        each = [
            f"new {what}s" if new[side] else _these(size, what, f"{what}s")
            for what, (side, size) in kinds
        ]
        return start + " and ".join(each)
    each = [
        _these(size, f"item of {side}", f"items of {side}")
        for side, size in sizes.items()
        if not new[side]
    ]
    if any(new.values()):
        each.append(f"new items of {_listed([side for side in sizes if new[side]])}")
    return start + _listed(each)


def _these(n: int, one: str, several: str) -> str:
    return f"this one {one}" if n == 1 else f"these {n:,} {several}"


def _listed(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
