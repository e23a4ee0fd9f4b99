"""What every probe has: one protocol, so that a new one is one file and one figure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from emap_core.figures import LIGHT, Chart, Theme
from emap_core.runs import Run

if TYPE_CHECKING:
    from emap_core.engine.progress import Progress
    from emap_core.probes.probe_folder import ProbeFolder
    from emap_core.probes.subject import Subject

Json = dict[str, Any]


@dataclass(frozen=True)
class Cost:
    """What a probe would take.

    Attributes
    ----------
    passes : int
        Pairs that the model scores.
    seconds : float or None
        About how long, by the speed of the run; None where that is not known. Loading the model
        comes on top.
    """

    passes: int
    seconds: float | None


class Answer(Protocol):
    """What a probe found."""

    @property
    def sentence(self) -> str:
        """The verdict in words."""

    def chart(self, theme: Theme = LIGHT) -> Chart:
        """Return the figure that shows it."""

    def to_json(self) -> Json:
        """Return all of it as JSON keeps it."""


class Probe(Protocol):
    """A question about a run, with the choices that it leaves open as its fields.

    Attributes
    ----------
    name : str
        What it is called on the command line and in the run folder.
    question : str
        The sentence that a person would ask.
    """

    name: ClassVar[str]
    question: ClassVar[str]

    def key(self, run: Run) -> str:
        """Return what distinguishes this question from others of the probe; may be empty."""

    def needs(self, subject: Subject) -> str | None:
        """Return why this run cannot be asked, None if it can; the model is not loaded for it."""

    def cost(self, run: Run) -> Cost:
        """Return what it would take, before anything is loaded."""

    def answer(self, subject: Subject, folder: ProbeFolder, progress: Progress) -> Answer:
        """Ask the model, and keep finished tiles in the folder, so that it can resume."""

    def read(self, content: Mapping[str, Any]) -> Answer:
        """Return an answer from what its `to_json` gave.

        Raises
        ------
        RunError
            If it is something else.
        """
