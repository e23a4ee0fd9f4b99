"""Class names as a model or a dataset gives them: a list, in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from emap_core.errors import EmapError


def class_names(given: Any, owner: str, error: type[EmapError]) -> list[str]:
    """Return the names of classes in their order.

    A set has no order, a dict may go either way, and the letters of a string are not classes.

    Parameters
    ----------
    given : list, tuple or array of names
    owner : str
        Whose they are, for the message.
    error : type of EmapError
        What to raise.
    """
    unordered = (str, bytes, Mapping, set, frozenset)
    if isinstance(given, unordered) or not isinstance(given, Iterable):
        raise error(
            f"classes of the {owner} is a {type(given).__name__}; give a list of names, in the "
            "order of the model's outputs"
        )
    return [str(name) for name in given]


def names_of_classes(classes: str | Sequence[str] | None) -> list[str] | None:
    """Return names that are given as a list, then as they are, or with commas."""
    if isinstance(classes, str):
        return [name.strip() for name in classes.split(",")]
    return None if classes is None else list(classes)
