"""How the pairs to score are chosen, and what is told from them: one file per method.

The rest of the code holds a `Method`, and asks it; none of it asks which one it is. A method is
loaded when it is first used, so that its name costs nothing.
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
    """Return a method by one of `NAMES`, which runs are stored under."""
    return cast("Method", importlib.import_module(_HOME[name]).METHOD)


def methods() -> list[Method]:
    """Return all methods, in the order in which they are listed."""
    return [method(name) for name in NAMES]
