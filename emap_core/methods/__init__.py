"""How the pairs to score are chosen, and what follows from them: one file per method.

The rest of the code holds a `Method` and asks it; it never asks which one it is. A method is loaded
on first use, so its name costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from emap_core.methods.base import Method

_HOME = {
    "exact": "emap_core.methods.exact",
    "sampled": "emap_core.methods.sampled",
    "subsample": "emap_core.methods.subsample",
}
NAMES = tuple(_HOME)
DEFAULT = "exact"
"""The method whose grid can be kept, cut into shards and resampled."""


def method(name: str) -> Method:
    """Return a method by one of `NAMES`, which stored runs use."""
    return cast("Method", importlib.import_module(_HOME[name]).METHOD)


def methods() -> list[Method]:
    """Return all methods, in listed order."""
    return [method(name) for name in NAMES]
