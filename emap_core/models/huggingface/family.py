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
        What ``architectures`` in a checkpoint's config.json may say.
    make : callable
        From a `Checkpoint` to a model. Its keyword arguments are the family's settings, which
        users give with ``--model-arg``.
    reads_regions : bool
        Whether regions that a detector found stand in place of images. Such a checkpoint has a
        tokenizer, and needs no processor.
    name : str
        That of its file.
    processor : tuple of str
        The parts that its processor needs to have; the tokenizer alone needs no processor.
    """

    architectures: tuple[str, ...]
    make: Callable[..., Any]
    reads_regions: bool = False
    name: str = ""
    processor: tuple[str, ...] = ("tokenizer", "image_processor")


@functools.cache
def families_by_architecture() -> Mapping[str, Family]:
    """Return every architecture that some file in `families` declares, and its family."""
    found: dict[str, Family] = {}
    for module in pkgutil.iter_modules(families.__path__, f"{families.__name__}."):
        family: Family = importlib.import_module(module.name).FAMILY
        family = replace(family, name=module.name.rpartition(".")[2].replace("_", " "))
        found |= dict.fromkeys(family.architectures, family)
    return found
