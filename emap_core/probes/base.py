"""The protocol of every probe, so that a new one is one file and one figure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from emap_core.figures import Chart
from emap_core.runs import Run
from emap_core.themes import LIGHT, Theme

if TYPE_CHECKING:
    from emap_core.engine.progress import Progress
    from emap_core.probes.probe_folder import ProbeFolder
    from emap_core.probes.probed_run import ProbedRun

Json = dict[str, Any]


@dataclass(frozen=True)
class Cost:
    """The cost of a probe.

    Attributes
    ----------
    passes : int
        Number of pairs that the model scores.
    seconds : float or None
        Roughly how long, judged by the run's speed; None if unknown. Loading the model comes on
        top.
    """

    passes: int
    seconds: float | None


class Answer(Protocol):
    """What a probe found."""

    @property
    def sentence(self) -> str:
        """The result in words."""

    def chart(self, theme: Theme = LIGHT) -> Chart:
        """Return the figure of the result."""

    def to_json(self) -> Json:
        """Return everything as JSON values."""


class Probe(Protocol):
    """A question about a run; its fields are its settings.

    Attributes
    ----------
    name : str
        Its name on the command line and in the run folder.
    question : str
        The question as a person would ask it.
    """

    name: ClassVar[str]
    question: ClassVar[str]

    def key(self, run: Run) -> str:
        """Return what distinguishes this question from others of the probe; may be empty."""

    def needs(self, probed: ProbedRun) -> str | None:
        """Return why this run cannot be asked, or None; this does not load the model."""

    def cost(self, run: Run) -> Cost:
        """Return the cost before anything is loaded."""

    def answer(self, probed: ProbedRun, folder: ProbeFolder, progress: Progress) -> Answer:
        """Ask the model; keep finished tiles in the folder, so that the probe can resume."""

    def read(self, content: Mapping[str, Any]) -> Answer:
        """Return an answer from the output of its `to_json`.

        Raises
        ------
        RunError
            If the content is something else.
        """
