"""What a run was made from: specs, arguments, weights and code, without folders of the machine."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Literal

from emap_core import __version__
from emap_core.hub import pinned, pinned_name

Json = dict[str, Any]


def provenance(
    model: Any,
    data: Any,
    train: Any = None,
    *,
    model_args: Json | None = None,
    data_args: Json | None = None,
    train_args: Json | None = None,
    description: Json | None = None,
) -> Json:
    """Return what distinguishes a run from one with another model, other data or other code.

    This machine's folders are left out: an absolute path keeps only its last name, a relative one
    stays as given.

    Parameters
    ----------
    model, data, train : str or object
        As given to `compute`: specs, or the objects themselves.
    model_args, data_args, train_args : dict, optional
        Keyword arguments of the loaders.
    description : dict, optional
        What the loaded model says of itself: weights, prompt, types.

    Returns
    -------
    dict
        ``model``, ``data`` and ``train`` (None without one), each with ``spec`` and ``arguments``;
        ``model`` also with ``description``; ``code`` with ``version`` and ``source``.
    """
    said = {"description": _readable(description or {})}
    return {
        "model": _described(model, model_args, "model") | said,
        "data": _described(data, data_args),
        "train": None if train is None else _described(train, train_args),
        "code": {"version": __version__, "source": source_hash()},
    }


def short_name(given: Any, otherwise: str, reserved: Iterable[str]) -> str:
    """Return a short name for run ids: the last part of a path, without its ending."""
    if isinstance(given, str):
        prefix, _, rest = given.partition(":")
        name = re.split(r"[/\\]", rest.rstrip("/\\"))[-1].partition(".")[0]
        if prefix not in reserved:
            name = f"{prefix.split('.')[-1]}-{rest}"
    else:
        name = getattr(given, "name", None) or getattr(given, "__name__", type(given).__name__)
    return in_short(str(name)) or otherwise


def in_short(name: str) -> str:
    """Return a name in a form that run ids allow."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-").lower()[:40]


@cache
def source_hash() -> str:
    """Return twelve hexadecimal digits that change if any line of this package does.

    The dashboard computes nothing; in a checkout it lies elsewhere.
    """
    root = Path(__file__).parents[1]
    found = hashlib.sha256()
    for path in sorted(set(root.rglob("*.py")) - set((root / "dashboard").rglob("*.py"))):
        found.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return found.hexdigest()[:12]


def _described(
    thing: Any, arguments: Json | None, side: Literal["model", "dataset"] = "dataset"
) -> Json:
    if isinstance(thing, str):
        thing = pinned(thing, side)
        prefix, colon, rest = thing.partition(":")
        spec = f"{prefix}{colon}{_readable(rest)}"
    else:
        kind = thing if inspect.isfunction(thing) else type(thing)
        spec = f"{kind.__module__}.{kind.__qualname__}, an object"
    arguments = dict(arguments or {})
    if isinstance(arguments.get("adapter"), str):
        arguments["adapter"] = pinned_name(arguments["adapter"], "model")
    return {"spec": spec, "arguments": _readable(arguments)}


def _readable(value: Any) -> Any:
    """Return a value as JSON keeps it, without folders of this machine."""
    if isinstance(value, dict):
        return {str(key): _readable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_readable(inner) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str | Path):
        return _without_folder(str(value))
    # A long array or a model would fill the manifest.
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _without_folder(text: str) -> str:
    if "::" in text:
        # Several patterns of shards.
        return "::".join(map(_without_folder, text.split("::")))
    if text[:5].lower() == "file:":
        # file:///srv/model, file://host/srv/model or file:/srv/model, each with folders.
        return f"{text[:5]}{PurePosixPath(text).name}"
    if text.startswith("~") or PurePosixPath(text).is_absolute():
        return PurePosixPath(text).name
    if PureWindowsPath(text).is_absolute():
        return PureWindowsPath(text).name
    return text
