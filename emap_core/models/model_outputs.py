"""What a model returned, as an array of numbers; anything else is refused in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from emap_core.errors import ModelError


def numbers_of(
    name: str, returned: Any, sizes: tuple[int, ...], classes: Sequence[str] | None
) -> tuple[torch.Tensor | NDArray[Any], str]:
    """Return what a model returned as an array, and the name of its dtype.

    Parameters
    ----------
    name : str
        What messages call the function that returned it.
    returned : object
    sizes : tuple of int
        Expected axes before the classes.
    classes : sequence of str or None
        Names of the classes, the order of a data frame's columns.

    Raises
    ------
    ModelError
        If it is not an array of numbers.
    """
    # Models of transformers return what they know under this name.
    returned = getattr(returned, "logits", returned)
    _check_columns(name, returned, classes)
    if isinstance(returned, torch.Tensor):
        if not returned.is_complex():
            returned = returned.to_dense() if returned.layout != torch.strided else returned
            return returned, str(returned.dtype).removeprefix("torch.")
    elif not isinstance(returned, Mapping) and returned is not None:
        try:
            values = np.asarray(returned)
        except (TypeError, ValueError, RuntimeError):
            # Rows of different lengths, or tensors on a device.
            values = np.empty((), dtype=object)
        fits = values.ndim == len(sizes) + 1 or not isinstance(returned, tuple)
        if values.dtype.kind in "fiub" and fits:
            return values, values.dtype.name
    expected = f"({', '.join(map(str, sizes))}, C)"
    if len(getattr(returned, "shape", ())) == len(sizes) + 1:
        raise ModelError(
            f"{name} returned {_described(returned)}; return real numbers, of shape {expected}"
        )
    raise ModelError(
        f"{name} returned {_described(returned)}; return the array of shape {expected} alone"
        + _which(returned, sizes)
    )


def _check_columns(name: str, returned: Any, classes: Sequence[str] | None) -> None:
    """Refuse a data frame whose columns are not in the order of the classes."""
    if not isinstance(returned, pd.DataFrame):
        return
    columns = [str(column) for column in returned.columns]
    if columns != [str(c) for c in range(len(columns))] and columns != classes:
        raise ModelError(
            f"{name} returned a DataFrame with the columns {', '.join(columns[:8])}; return "
            "them in the order of the model's classes, or an array"
        )


def _described(returned: Any) -> str:
    """Return in words what a model returned instead of an array of numbers."""
    kind = type(returned).__name__
    if isinstance(returned, Mapping):
        held = ", ".join(f"{name!r} {_size(value)}" for name, value in list(returned.items())[:6])
        return f"a {kind} with {held}" if held else f"an empty {kind}"
    if isinstance(returned, tuple):
        return f"a {kind} of {len(returned)}: {', '.join(_size(one) for one in returned[:6])}"
    if returned is None:
        return "None"
    dtype = getattr(returned, "dtype", None)
    article = "an" if kind.startswith((*"aeiou", "nd")) else "a"
    return f"{article} {kind}" + (
        "" if dtype is None else f" of {str(dtype).removeprefix('torch.')}"
    )


def _size(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else f"of shape {tuple(shape)}"


def _which(returned: Any, sizes: tuple[int, ...]) -> str:
    """Return a hint at the entry that has the right shape, if there is one."""
    if not isinstance(returned, Mapping | tuple):
        return ""
    entries = returned.items() if isinstance(returned, Mapping) else enumerate(returned)
    for name, value in entries:
        shape = tuple(getattr(value, "shape", ()))
        if len(shape) == len(sizes) + 1 and shape[:-1] == sizes:
            return f", its entry {name!r}"
    return ""
