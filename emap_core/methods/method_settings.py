"""The settings that only some methods take, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Setting:
    """A setting of a method.

    Attributes
    ----------
    name : str
        Its name as an argument of `compute`.
    method : str
        The method it belongs to.
    kind : type
        int or float.
    symbol : str
        Placeholder for its value on the terminal.
    meaning : str
        Its meaning in a few words.
    box : (int, int) or None
        The least and the initial value of its box on the Run page; None without a box.
    """

    name: str
    method: str
    kind: type[int] | type[float]
    symbol: str
    meaning: str
    box: tuple[int, int] | None = None


SETTINGS = (
    Setting(
        "images_per_text",
        "sampled",
        int,
        "K",
        "sampled: images that a text meets; with more than two sides, combinations of an item",
        (4, 32),
    ),
    Setting(
        "until",
        "sampled",
        float,
        "X",
        "sampled: add pairs (with more than two sides, combinations) until the gap is known to "
        "within X",
    ),
    Setting(
        "subsample_size",
        "subsample",
        int,
        "N",
        "subsample, as in published papers: examples in each random sub-sample",
        (2, 500),
    ),
    Setting(
        "repeats", "subsample", int, "R", "subsample: number of sub-samples; 10 by default", (1, 10)
    ),
)


class MethodSettings(Protocol):
    """The settings that methods read; see `compute`."""

    @property
    def method(self) -> str:
        """Name of the chosen method."""

    @property
    def images_per_text(self) -> int | None:
        """Images that each text meets."""

    @property
    def until(self) -> float | None:
        """How well the gap should be known."""

    @property
    def subsample_size(self) -> int | None:
        """Examples in each sub-sample."""

    @property
    def repeats(self) -> int:
        """Number of sub-samples."""

    @property
    def seed(self) -> int:
        """Seed of everything that is drawn."""
