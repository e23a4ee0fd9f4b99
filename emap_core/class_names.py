"""Class names from a model or a dataset: a list, in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from emap_core.errors import EmapError


def class_names(given: Any, owner: str, error: type[EmapError]) -> list[str]:
    """Return the names of classes, in order.

    A set has no order, a dict could map either way, and the letters of a string are not classes.

    Parameters
    ----------
    given : list, tuple or array of names
    owner : str
        Whose classes they are, for messages.
    error : type of EmapError
        The error to raise.
    """
    unordered = (str, bytes, Mapping, set, frozenset)
    if isinstance(given, unordered) or not isinstance(given, Iterable):
        raise error(
            f"classes of the {owner} is a {type(given).__name__}; give a list of names in the "
            "order of the model's outputs"
        )
    return [str(name) for name in given]


def names_of_classes(classes: str | Sequence[str] | None) -> list[str] | None:
    """Return names given as a list unchanged, and split a text at commas."""
    if isinstance(classes, str):
        return [name.strip() for name in classes.split(",")]
    return None if classes is None else list(classes)
