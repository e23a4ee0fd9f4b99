"""The torch modules behind a model: their precision, and whether they are in training mode."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

_LEVELS = 6
"""Deep enough for a list in an attribute of an attribute of a method's object."""


def modules_of(model: Any) -> list[nn.Module]:
    """Return the outermost modules that a model, a function or a method visibly uses.

    The search covers the object itself, its attributes, a method's object, a function's closure,
    and the globals that it names.
    """
    found: list[nn.Module] = []
    seen: set[int] = set()
    level: list[Any] = [model]
    for _ in range(_LEVELS):
        following: list[Any] = []
        for one in level:
            if id(one) in seen:
                continue
            seen.add(id(one))
            if isinstance(one, nn.Module):
                found.append(one)
            else:
                following.extend(_held(one))
        level = following
    return found


def _held(holder: Any) -> Iterator[Any]:
    """Yield what an object holds or a function uses, without calling anything."""
    if isinstance(holder, functools.partial):
        yield from (holder.func, *holder.args, *holder.keywords.values())
    if inspect.ismethod(holder):
        yield from (holder.__self__, holder.__func__)
    elif inspect.isfunction(holder):
        for cell in holder.__closure__ or ():
            try:
                yield cell.cell_contents
            except ValueError:
                # A name that is not bound yet.
                continue
        for name in holder.__code__.co_names:
            value = holder.__globals__.get(name)
            # A Python module leads to everything that is loaded.
            if not inspect.ismodule(value) and not inspect.isclass(value):
                yield value
    elif isinstance(holder, Mapping):
        yield from _few(holder.values())
    elif isinstance(holder, list | tuple):
        yield from _few(holder)
    elif not inspect.ismodule(holder) and not inspect.isclass(holder):
        yield from getattr(holder, "__dict__", {}).values()
        for name in ("__call__", "encode_texts", "encode_images", "score", "score_grid"):
            used = getattr(type(holder), name, None)
            if inspect.isfunction(used):
                yield used


def _few(values: Iterable[Any]) -> Iterator[Any]:
    # Long lists are data.
    for value, _ in zip(values, range(64), strict=False):
        yield value


def computed_dtype(model: Any, output: str, precision: str) -> str:
    """Return the coarsest dtype among a model's outputs, weights and autocast.

    Parameters
    ----------
    model : model or callable
    output : str
        Name of the dtype of its outputs, such as ``"float32"``.
    precision : str
        Precision of autocast; ``"float32"`` without it.
    """
    weights = {
        str(weight.dtype).removeprefix("torch.")
        for module in modules_of(model)
        for weight in module.parameters()
        if weight.is_floating_point()
    }
    names = [output, *sorted(weights), *([] if precision == "float32" else [precision])]
    known = [name for name in names if rounding(name) is not None]
    return max(known, key=lambda name: rounding(name) or 0.0) if known else output


def rounding(dtype: str) -> float | None:
    """Return the relative rounding of a floating dtype, given its name, or None for others."""
    found = getattr(torch, dtype, None)
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        return None
    return torch.finfo(found).eps


_NOISY = (
    nn.modules.dropout._DropoutNd,
    nn.modules.batchnorm._BatchNorm,
    nn.RReLU,
)
_NAMES = {"training", "dropout", "alpha_dropout", "drop_path", "batch_norm", "rrelu"}
"""Names in the code of modules whose outputs depend on training mode."""


def left_in_training(model: Any) -> str | None:
    """Return the kind of a module behind a model that is in training mode and acts differently.

    A module that does the same in both modes, such as a linear layer, does not count.
    """
    for module in modules_of(model):
        for part in module.modules():
            if part.training and _changes(part):
                return str(getattr(part, "original_name", type(part).__name__))
    return None


def _changes(module: nn.Module) -> bool:
    if isinstance(module, nn.modules.dropout._DropoutNd):
        return module.p > 0
    if isinstance(module, _NOISY):
        return True
    if isinstance(module, nn.modules.instancenorm._InstanceNorm):
        return bool(module.track_running_stats)
    if isinstance(module, nn.RNNBase | nn.MultiheadAttention):
        return module.dropout > 0
    if type(module).__module__.startswith("torch."):
        # A scripted module only has the name of its class.
        name = str(getattr(module, "original_name", "")).lower()
        return any(noisy in name for noisy in ("dropout", "batchnorm", "rrelu"))
    return any(
        _NAMES.intersection(function.__code__.co_names)
        for kind in type(module).__mro__
        if not kind.__module__.startswith(("torch.", "builtins"))
        for function in vars(kind).values()
        if inspect.isfunction(function) and function.__name__ not in ("__init__", "train")
    )
