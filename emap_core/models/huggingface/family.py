"""What a file in `families` declares, and how a checkpoint finds its family."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from emap_core.models.huggingface import families


@dataclass(frozen=True)
class Family:
    """A family of checkpoints.

    Attributes
    ----------
    architectures : tuple of str
        The values of ``architectures`` in a checkpoint's config.json.
    make : callable
        Takes a `Checkpoint`, returns a model. Its keyword arguments are the family's settings,
        which users give with ``--model-arg``.
    reads_regions : bool
        Whether it reads regions from a detector instead of images. Such a checkpoint has a
        tokenizer and needs no processor.
    name : str
        The name of its file.
    processor : tuple of str
        The parts that its processor must have; a tokenizer alone needs no processor.
    """

    architectures: tuple[str, ...]
    make: Callable[..., Any]
    reads_regions: bool = False
    name: str = ""
    processor: tuple[str, ...] = ("tokenizer", "image_processor")


@functools.cache
def families_by_architecture() -> Mapping[str, Family]:
    """Return every architecture that a file in `families` declares, with its family."""
    found: dict[str, Family] = {}
    for module in pkgutil.iter_modules(families.__path__, f"{families.__name__}."):
        family: Family = importlib.import_module(module.name).FAMILY
        family = replace(family, name=module.name.rpartition(".")[2].replace("_", " "))
        found |= dict.fromkeys(family.architectures, family)
    return found
