"""Small random checkpoints, one file per family, each with the library's own forward of one pair.

The tests in models/huggingface/test_every_family.py run for every `Tiny` in a file's ``TINY``.
"""

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

TEXTS = ["a red cat", "what is the colour of the dog in the image", "blue"]


def pictures():
    rng = np.random.default_rng(0)
    shapes = [(20, 30, 3), (16, 16, 3), (40, 14, 3)]
    return [Image.fromarray(rng.integers(0, 255, s, dtype=np.uint8)) for s in shapes]


@dataclass(frozen=True)
class Tiny:
    """A checkpoint that is built in a moment.

    Attributes
    ----------
    build : callable
        Returns a model of the library with random weights, and its processor (or tokenizer).
    forward : callable
        From the model, the processor, a text and an image to the library's own logits, (C,).
    settings : dict
        What ``load_model`` gets.
    images : callable
        Returns what stands on the image side.
    has_threshold : bool
        Whether 0 decides.
    """

    build: Callable[[], tuple[Any, Any]]
    forward: Callable[[Any, Any, str, Any], Any]
    settings: dict[str, Any] = field(default_factory=dict)
    images: Callable[[], Sequence[Any]] = pictures
    has_threshold: bool = False

    def __str__(self) -> str:
        return self.build.__name__


def tiny_checkpoints() -> dict[str, list[Tiny]]:
    """Return the small checkpoints of every family, by the name of its file."""
    found = {}
    for module in pkgutil.iter_modules(__path__):
        declared = getattr(importlib.import_module(f"{__name__}.{module.name}"), "TINY", None)
        if declared is not None:
            found[module.name] = declared
    return found
