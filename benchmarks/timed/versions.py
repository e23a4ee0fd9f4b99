"""What the two versions call by different names."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def first_module(*names: str) -> Any:
    """Return the first of some modules that this version has."""
    for name in names[:-1]:
        try:
            return import_module(name)
        except ModuleNotFoundError:
            continue
    return import_module(names[-1])
