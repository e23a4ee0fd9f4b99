"""What a method is: which pairs it scores, what it makes of them, and how it says so."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from emap_core.decomposition import Decomposition
from emap_core.decomposition.predicted_interactions import EncodingVectors
from emap_core.decomposition.projection import TEXT_AND_IMAGE
from emap_core.decomposition.recombined import Recombined
from emap_core.decomposition.sets_of_sides import Sides
from emap_core.methods.arrays import DECOMPOSITION, Arrays, Layout
from emap_core.methods.method_settings import MethodSettings
from emap_core.methods.statistics import KeptNumbers, ScoredRun, Statistics
from emap_core.types import Array, Index, Space, Task


@dataclass(frozen=True, eq=False)
class Pairs:
    """The pairs that a method chooses from, and what it may know of the examples.

    Attributes
    ----------
    sides : tuple of str
        Names of the sides; two of them go by others, see `TEXT_AND_IMAGE`.
    sizes : tuple of int
        Unique items of each side, numbered in order of first appearance.
    index : tuple of ndarray of shape (N,)
        Number of each example's item, a side each.
    row_places : ndarray of shape (U_1,)
        Place of each row among all of them sorted by length.
    items_per_chunk : int
        Items of the second side that are decoded and encoded together.
    subsamples : ndarray of shape (R, n)
        What the method drew of the examples, see `Method.draw`.
    labels : ndarray or None
    task, space, metrics
        Of the run.
    reads_answers : bool
        Whether a cell's outputs decide for one of several classes.
    encodings : callable
        Returns what the encoders made of rows and columns; None of a model without encoders.
    """

    sides: Sides
    sizes: tuple[int, ...]
    index: tuple[Index, ...]
    row_places: Index
    items_per_chunk: int
    subsamples: Index
    labels: NDArray[Any] | None
    task: Task
    space: Space
    metrics: Sequence[str]
    reads_answers: bool
    encodings: Callable[[], EncodingVectors | None]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the grid: items of the first side, combinations of the others."""
        return self.sizes[0], prod(self.sizes[1:])


@dataclass(frozen=True, eq=False)
class CellList:
    """Cells that are to be scored, in their order.

    Attributes
    ----------
    number : int
        Tells it from others; the files of its cells begin with it.
    n_pairs : int
    cells : callable
        Returns the numbers of the rows and of the columns from one place in the order to another.
    name : str
        What a message adds to "tile 3", such as " of sub-sample 1".
    """

    number: int
    n_pairs: int
    cells: Callable[[int, int], tuple[Index, Index]]
    name: str = ""


class Result(Protocol):
    """What a method makes of the scores."""

    @property
    def decomposition(self) -> Decomposition:
        """The predictions of all examples, split into parts."""

    @property
    def recombined(self) -> Recombined | None:
        """The model's answers over all recombinations, where they were read."""


@dataclass(frozen=True, eq=False)
class Projected:
    """A decomposition, and what the model answers over all recombinations if that was read.

    Of more sides than two there are also the means of every two of them over all others, by their
    names, each of shape (U, V, C).
    """

    decomposition: Decomposition
    recombined: Recombined | None = None
    means_of_two: Mapping[Sides, Array] = field(default_factory=dict)


Rounds = Generator[Sequence[CellList], Callable[[CellList], NDArray[Any]], Result]
"""Yields lists of cells, is sent a function that reads their outputs, shape (M, C), and returns
what they come to."""


class Method(ABC):
    """A way to tell what a model's projection comes to.

    Attributes
    ----------
    name : str
        What it is asked for by, and stored under.
    summary : str
        What it does, to put after its name.
    scores_all_pairs : bool
        Whether it scores the whole grid, which can then be kept, cut into shards that are merged,
        resampled with that of another run, and weighted.
    any_number_of_sides : bool
        Whether it takes more sides than two.
    draws_examples : bool
        Whether it takes samples of the examples, which a limit on their number would do as well.
    identity : frozenset of str
        The settings that change what it comes to.
    record_entry : str or None
        The key of ``show --json`` that holds what only this method tells.
    manifest_needs : tuple of str
        Keys of ``run.json`` that have to have a value.
    why_no_grid : str
        Why a run has no grid, in a sentence.
    term : (str, str) or None
        What the glossary says of it: a word and what it means.
    layouts : mapping
        The arrays of its result on disk, of two sides.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    scores_all_pairs: ClassVar[bool] = False
    any_number_of_sides: ClassVar[bool] = False
    draws_examples: ClassVar[bool] = False
    identity: ClassVar[frozenset[str]] = frozenset()
    record_entry: ClassVar[str | None] = None
    manifest_needs: ClassVar[tuple[str, ...]] = ()
    why_no_grid: ClassVar[str]
    term: ClassVar[tuple[str, str] | None] = None
    layouts: ClassVar[Mapping[str, Layout]] = DECOMPOSITION

    def check(self, settings: MethodSettings) -> None:
        """Refuse settings that the method, chosen or not, cannot go with.

        Raises
        ------
        SettingError
        """
        return

    def draw(self, n_examples: int, settings: MethodSettings) -> Index:
        """Return numbers of the examples in each sub-sample, shape (R, n).

        Of shape (0, 0) where all examples are used.
        """
        return np.empty((0, 0), dtype=np.intp)

    def on_grid(self, settings: MethodSettings, sizes: Sequence[int]) -> Method:
        """Return the method that these settings come to where sides have so many items."""
        return self

    @abstractmethod
    def n_pairs(self, settings: MethodSettings, pairs: Pairs) -> int:
        """Return how many pairs are scored, about."""

    def layouts_of(self, n_sides: int) -> Mapping[str, Layout]:
        """Return the arrays of its result on disk, of so many sides."""
        return self.layouts

    @abstractmethod
    def arrays(self, result: Result) -> dict[str, NDArray[Any]]:
        """Return what is kept of a result, by name on disk."""

    @abstractmethod
    def result(self, arrays: Arrays, sides: Sides = TEXT_AND_IMAGE) -> Result:
        """Return the result that `arrays` kept, of sides of these names."""

    def statistics(self, run: ScoredRun, kept: KeptNumbers) -> Statistics:
        """Return what the scores of a finished run say."""
        return Statistics(run, kept)

    def told(self, event: Mapping[str, Any]) -> str:
        """Return an event that the method told under its own name, in words."""
        raise NotImplementedError(f"{self.name} tells no events")


class CellMethod(Method):
    """A method that scores a part of the grid: lists of cells, in one round or several."""

    @abstractmethod
    def plan(self, settings: MethodSettings) -> dict[str, Any]:
        """Return what is written before the first pair is scored, for a run to resume from."""

    @abstractmethod
    def rounds(
        self,
        pairs: Pairs,
        n_classes: int,
        plan: Mapping[str, Any],
        tell: Callable[..., None],
    ) -> Rounds:
        """Choose cells, and make a result of their outputs.

        Parameters
        ----------
        pairs : Pairs
        n_classes : int
        plan : mapping
            What `plan` returned when the run began.
        tell : callable
            Takes the fields of an event.
        """
