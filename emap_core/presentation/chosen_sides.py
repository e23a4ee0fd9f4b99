"""Two sides of a run: its only two, or two chosen from more, with the others averaged out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emap_core.decomposition import Decomposition, decompose
from emap_core.errors import RunError, SettingError
from emap_core.figures import Chart, Look, looks_of
from emap_core.modalities import Side
from emap_core.modalities.side_names import grid_of, item_of, worded
from emap_core.presentation.side_names_in_charts import worded_chart
from emap_core.runs import Run
from emap_core.runs.grid import Reading


@dataclass(frozen=True, eq=False)
class ChosenSides:
    """Two sides of a run, and the model's output for each pair of their items.

    Attributes
    ----------
    run : Run
    places : tuple of int
        Places of both sides, in the order of the run.
    """

    run: Run
    places: tuple[int, int]

    @property
    def sides(self) -> tuple[Side, Side]:
        """The two sides."""
        first, second = self.places
        return self.run.sides[first], self.run.sides[second]

    @property
    def others(self) -> list[str]:
        """Names of the sides averaged out."""
        return [side.name for k, side in enumerate(self.run.sides) if k not in self.places]

    @property
    def note(self) -> str:
        """A sentence on what is averaged out; empty if nothing is."""
        if not self.others:
            return ""
        first, second = (side.name for side in self.sides)
        return (
            f"Each number is a mean over all items of {' and '.join(self.others)}, so it shows "
            f"what {first} and {second} do together, whatever the rest is."
        )

    @property
    def grid(self) -> str:
        """How many pairs of items there are: 107 texts × 1,000 images."""
        of_grid = [self.run.sizes[place] for place in self.places]
        if not self.others:
            return grid_of(self.sides, of_grid)
        return " × ".join(
            f"{size:,} {side.name} items" for size, side in zip(of_grid, self.sides, strict=True)
        )

    @property
    def classes(self) -> list[int]:
        """Columns of the classes whose pairs are known."""
        return list(range(len(self.run.shares.mean))) if self.others else self.run.kept_classes

    @cached_property
    def shares(self) -> Decomposition:
        """The decomposition of the two sides; centred over classes under a softmax.

        Raises
        ------
        RunError
            If the means over the other sides are unknown.
        """
        if not self.others:
            return self.run.shares
        names = [side.name for side in self.sides]
        index = dict(zip(names, self.index, strict=True))
        found = decompose(self.run.means_of_two(*names), index=index)
        return found.class_centred() if self.run.softmax else found

    @property
    def index(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Numbers of each example's items, (N,) each."""
        first, second = self.places
        index = self.run.decomposition.index
        return index[first], index[second]

    def cells(self, c: int, reading: Reading = "logits") -> NDArray[Any]:
        """Return the output for one class on every pair of items, shape (U, V).

        Averages are averages of what was projected: they have no probabilities.
        """
        if not self.others:
            return self.run.class_grid(c, reading)
        means = self.run.means_of_two(*(side.name for side in self.sides))
        return means[..., c] - (means.mean(axis=-1) if reading == "centred" else 0.0)

    def pair(self, first: int, second: int) -> Decomposition:
        """Return one pair as the only example of a decomposition, see `Run.pair`."""
        if not self.others:
            return self.run.pair(first, second)
        cell = self.run.means_of_two(*(side.name for side in self.sides))[first, second]
        logits = cell - (cell.mean() if self.run.softmax else 0.0)
        index = (np.array([first]), np.array([second]))
        return replace(self.shares, logits=logits[None], index=index)

    def worded(self, sentence: str) -> str:
        """Return one of our sentences with the names of both sides."""
        return worded(self.sides, sentence, of_more=bool(self.others))

    def worded_chart(self, chart: Chart) -> Chart:
        """Return a chart with the names of both sides."""
        return worded_chart(self.sides, chart, of_more=bool(self.others))

    def item_name(self, k: int) -> str:
        """Return what to call an item of the first (0) or second side (1): image, spoken item."""
        return item_of(self.sides[k], self.run.sides)

    def words(self, k: int) -> list[str]:
        """Return in words each item of the first (0) or second side (1)."""
        place = self.places[k]
        return [self.run.words(place, item) for item in range(self.run.sizes[place])]


def chosen_sides(run: Run, first: str = "", second: str = "") -> ChosenSides:
    """Return two sides by name, in the order of the run.

    The default is the pair that carries the largest share of the variance among pairs.

    Raises
    ------
    SettingError
        If the run has no such sides, or they are the same.
    """
    names = [side.name for side in run.sides]
    if len(names) == 2:
        return ChosenSides(run, (0, 1))
    if not (first or second):
        shares = run.shares.pooled_terms
        first, second = max(combinations(names, 2), key=lambda pair: shares[pair])
    if first == second or first not in names or second not in names:
        raise SettingError(
            f"sides are {first!r} and {second!r}; choose two of {', '.join(map(repr, names))}"
        )
    low, high = sorted((names.index(first), names.index(second)))
    return ChosenSides(run, (low, high))


def two_largest(run: Run) -> tuple[str, str]:
    """Return the names of the two sides that carry the most on their own, largest first."""
    shares = dict(zip(run.decomposition.sides, run.shares.pooled_shares, strict=False))
    first, second = sorted(shares, key=lambda side: -np.nan_to_num(shares[side]))[:2]
    return first, second


def seen_and_read(sides: Sequence[Side]) -> tuple[list[int], list[int]]:
    """Return the places of the sides shown as pictures, and of those shown as words.

    Sounds stand with the texts: both are taken in one after the other.
    """
    words = [k for k, side in enumerate(sides) if side.modality in ("text", "audio")]
    return [k for k in range(len(sides)) if k not in words], words


def has_pairs(run: Run) -> bool:
    """Whether the output is known for each pair of two sides' items."""
    if len(run.sides) == 2:
        return bool(run.kept_classes)
    try:
        return chosen_sides(run).shares is not None
    except RunError:
        return False


def looks(run: Run) -> dict[str, Look]:
    """Return how each side is drawn, by its name in the decomposition."""
    modalities = (side.modality for side in run.sides)
    return looks_of(dict(zip(run.decomposition.sides, modalities, strict=True)))


def looks_of_two(run: Run, places: tuple[int, int]) -> dict[str, Look]:
    """Return how two sides are drawn, by what a chart of both calls an item of each."""
    names, of_all = run.decomposition.sides, looks(run)
    # Those of a run of two get their names with the rest of the chart.
    return {
        names[k] if len(names) == 2 else item_of(run.sides[k], run.sides): of_all[names[k]]
        for k in places
    }
