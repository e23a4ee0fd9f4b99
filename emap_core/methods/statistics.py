"""The numbers of a run with their uncertainty, by method; here for methods that score all pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from emap_core import inference
from emap_core.inference import Gap, Intervals, PairError
from emap_core.inference.resamples.population import Population
from emap_core.types import Array, Space, Task

if TYPE_CHECKING:
    import pandas as pd

    from emap_core.methods.base import Result


class ScoredRun(Protocol):
    """The part of a finished run that statistics read."""

    @property
    def manifest(self) -> dict[str, Any]:
        """What was computed, with which settings."""

    @property
    def result(self) -> Result:
        """What the method computed from the scores."""

    @property
    def labels(self) -> NDArray[Any] | None:
        """Labels on the class axis."""

    @property
    def task(self) -> Task:
        """The task."""

    @property
    def space(self) -> Space:
        """What was projected."""

    @property
    def softmax(self) -> bool:
        """Whether shares are read centred over classes."""

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics in the table."""

    @property
    def linear_probes(self) -> Mapping[str, Array]:
        """Further rows of the table, each of shape (N, C)."""

    @property
    def grid(self) -> Any:
        """The kept grid, or None."""

    @property
    def population(self) -> Population:
        """What is drawn for intervals."""


class KeptNumbers(Protocol):
    """A store for numbers that take long to compute, kept with a run."""

    def read(self, name: str) -> dict[str, Any] | None:
        """Return what was kept under a name, or None if it has to be computed."""

    def write(self, name: str, content: dict[str, Any]) -> None:
        """Keep an object under a name."""


@dataclass(frozen=True)
class Spread:
    """How much the repeats of a method differ.

    Attributes
    ----------
    of : str
        What was repeated, such as "sub-samples".
    n_repeats : int
    deviations : dict
        Standard deviation of each metric's rows and gaps.
    """

    of: str
    n_repeats: int
    deviations: dict[str, dict[str, float]]


class Statistics:
    """What the scores of a run say.

    Parameters
    ----------
    run : ScoredRun
    kept : KeptNumbers
        For what a method computes besides points and intervals.
    """

    def __init__(self, run: ScoredRun, kept: KeptNumbers) -> None:
        self._run = run
        self._kept = kept

    def points(self, names: Sequence[str]) -> pd.DataFrame:
        """Return a column for each of some metrics, and a row for each row of the table."""
        run = self._run
        points = inference.score_table(
            run.result.decomposition, run.labels, run.task, names, run.space
        )
        if run.labels is not None:
            for row, scores in run.linear_probes.items():
                points.loc[row] = [
                    inference.evaluate(name, run.labels, scores, run.task, run.space)
                    for name in points.columns
                ]
        return points

    def intervals(self) -> Intervals:
        """Return intervals and tests of everything in the table."""
        run = self._run
        return inference.intervals(
            run.result.decomposition,
            run.labels,
            run.task,
            run.metrics,
            space=run.space,
            grid=run.grid,
            centred=run.softmax,
            linear_probes=run.linear_probes,
            **run.manifest["resampling"],
        )

    def pair_error(self, gap: Gap) -> PairError | None:
        """Return the part of a gap's interval that comes from scoring only some of the pairs."""
        return None

    def spread(self) -> Spread | None:
        """Return how much repeats differ; None without repeats or labels."""
        return None

    def resamples(self, found: Intervals) -> str:
        """Return in words where the intervals come from."""
        return f"{found.n_resamples:,} of {self._run.population.drawn_words}, {found.population}"

    def record(self) -> dict[str, Any] | None:
        """Return the method's own entry in the run's record; see `Method`."""
        return None
