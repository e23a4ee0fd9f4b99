"""What a method is: which pairs it scores, what it computes from them, and how it says so."""

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
from emap_core.methods.method_settings import MethodSettings
from emap_core.methods.statistics import KeptNumbers, ScoredRun, Statistics
from emap_core.methods.stored_arrays import DECOMPOSITION, Arrays, Layout
from emap_core.types import Array, Index, Space, Task


@dataclass(frozen=True, eq=False)
class Pairs:
    """The pairs that a method chooses from, and what it may know about the examples.

    Attributes
    ----------
    sides : tuple of str
        Names of the sides; two sides have other names, see `TEXT_AND_IMAGE`.
    sizes : tuple of int
        Unique items of each side, numbered in order of first appearance.
    index : tuple of ndarray of shape (N,)
        Number of each example's item, one array per side.
    row_places : ndarray of shape (U_1,)
        Place of each row among all of them sorted by length.
    items_per_chunk : int
        Items of the second side that are decoded and encoded together.
    subsamples : ndarray of shape (R, n)
        What the method drew from the examples; see `Method.draw`.
    labels : ndarray or None
    task, space, metrics
        Of the run.
    reads_answers : bool
        Whether a cell's outputs decide for one of several classes.
    encodings : callable
        Returns the encodings of rows and columns; None for a model without encoders.
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
    """Cells to score, in order.

    Attributes
    ----------
    number : int
        Distinguishes it from others; its files start with it.
    n_pairs : int
    cells : callable
        Takes two places in the order; returns the numbers of rows and columns between them.
    name : str
        What a message adds to "tile 3", such as " of sub-sample 1".
    """

    number: int
    n_pairs: int
    cells: Callable[[int, int], tuple[Index, Index]]
    name: str = ""


class Result(Protocol):
    """What a method computes from the scores."""

    @property
    def decomposition(self) -> Decomposition:
        """The predictions of all examples, split into parts."""

    @property
    def recombined(self) -> Recombined | None:
        """The model's answers over all recombinations, if they were read."""


@dataclass(frozen=True, eq=False)
class Projected:
    """A decomposition, and the model's answers over all recombinations if they were read.

    With more than two sides, it also has the means of every two of them over all others, by name,
    each of shape (U, V, C).
    """

    decomposition: Decomposition
    recombined: Recombined | None = None
    means_of_two: Mapping[Sides, Array] = field(default_factory=dict)


Rounds = Generator[Sequence[CellList], Callable[[CellList], NDArray[Any]], Result]
"""Yields lists of cells and returns the result.

It is sent a function that reads their outputs, shape (M, C).
"""


class Method(ABC):
    """A way to compute or estimate a model's projection.

    Attributes
    ----------
    name : str
        Its name in settings and in stored runs.
    summary : str
        What it does, for use after its name.
    scores_all_pairs : bool
        Whether it scores the whole grid, which can then be kept, cut into shards that are merged,
        resampled with that of another run, and weighted.
    any_number_of_sides : bool
        Whether it works with more than two sides.
    draws_examples : bool
        Whether it samples examples, which a limit on their number would also do.
    identity : frozenset of str
        The settings that change its result.
    record_entry : str or None
        The key of ``show --json`` for what only this method has.
    manifest_needs : tuple of str
        Keys of ``run.json`` that must have a value.
    why_no_grid : str
        Why a run has no grid, in a sentence.
    term : (str, str) or None
        Its entry in the glossary: a word and its meaning.
    layouts : mapping
        The arrays of its result on disk, for two sides.
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
        """Refuse settings that do not go with the method, chosen or not.

        Raises
        ------
        SettingError
        """
        return

    def draw(self, n_examples: int, settings: MethodSettings) -> Index:
        """Return numbers of the examples in each sub-sample, shape (R, n).

        Shape (0, 0) if all examples are used.
        """
        return np.empty((0, 0), dtype=np.intp)

    def on_grid(self, settings: MethodSettings, sizes: Sequence[int]) -> Method:
        """Return the method that these settings mean for sides with this many items."""
        return self

    @abstractmethod
    def n_pairs(self, settings: MethodSettings, pairs: Pairs) -> int:
        """Return roughly how many pairs are scored."""

    def layouts_of(self, n_sides: int) -> Mapping[str, Layout]:
        """Return the arrays of its result on disk, for this many sides."""
        return self.layouts

    @abstractmethod
    def arrays(self, result: Result) -> dict[str, NDArray[Any]]:
        """Return the stored arrays of a result, by name on disk."""

    @abstractmethod
    def result(self, arrays: Arrays, sides: Sides = TEXT_AND_IMAGE) -> Result:
        """Return the result that `arrays` stored, for sides with these names."""

    def statistics(self, run: ScoredRun, kept: KeptNumbers) -> Statistics:
        """Return what the scores of a finished run say."""
        return Statistics(run, kept)

    def told(self, event: Mapping[str, Any]) -> str:
        """Return one of the method's own events in words."""
        raise NotImplementedError(f"{self.name} tells no events")


class CellMethod(Method):
    """A method that scores part of the grid: lists of cells, in one or several rounds."""

    @abstractmethod
    def plan(self, settings: MethodSettings) -> dict[str, Any]:
        """Return what is written before the first pair is scored, so that a run can resume."""

    @abstractmethod
    def rounds(
        self,
        pairs: Pairs,
        n_classes: int,
        plan: Mapping[str, Any],
        tell: Callable[..., None],
    ) -> Rounds:
        """Choose cells, and compute a result from their outputs.

        Parameters
        ----------
        pairs : Pairs
        n_classes : int
        plan : mapping
            What `plan` returned when the run began.
        tell : callable
            Takes the fields of an event.
        """
