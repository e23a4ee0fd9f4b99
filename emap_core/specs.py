"""Spec strings: one way to name a model or a dataset in the browser, in Python and in a shell."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from emap_core.errors import EmapError, SettingError, SpecError

Loaders = Mapping[str, str | Callable[..., Any]]

_LONGEST = 4_096
# What people write, and JSON does not: .5 and 1. without another digit.
_NUMBER = re.compile(r"[-+]?(?:0|[1-9]\d*)?\.(?:\d+|(?<=\d\.))(?:[eE][-+]?\d+)?")
_NOT_AN_ADDRESS = {
    "dataset": "download the file and name it, as in csv:FILE",
    "model": "name a server that answers chat completions as openai:URL, or download a checkpoint "
    "and name its folder, as in hf:FOLDER",
}


def load(kind: str, spec: str, loaders: Loaders, settings: Mapping[str, Any]) -> Any:
    """Return the model or dataset that a spec string names.

    Parameters
    ----------
    kind : str
        ``"model"`` or ``"dataset"``, for messages.
    spec : str
        ``PREFIX:NAME`` with a prefix of `loaders`, or ``module[.sub]:factory``.
    loaders : mapping
        Maps a prefix to a function, which gets what follows the prefix, or to the function's
        ``module:name``.
    settings : mapping
        Keyword arguments for the loader or factory.

    Raises
    ------
    SpecError
        If the spec names no loader, or its factory cannot be imported or fails.
    SettingError
        If the loader or factory does not take an argument, or needs another one.
    """
    prefix, colon, name = spec.partition(":")
    known = ", ".join(f"{p}:" for p in loaders)
    if len(spec) > _LONGEST:
        raise SpecError(
            f"{kind} {spec[:40]!r} … is not a valid spec: it has {len(spec):,} characters"
        )
    if prefix not in loaders and name.startswith("//"):
        raise SpecError(f"{kind} {spec[:80]!r} is an address; {_NOT_AN_ADDRESS[kind]}")
    if not colon or not prefix or not name:
        raise SpecError(
            f"{kind} {spec!r} is not a valid spec; write PREFIX:NAME, with {known} or "
            "module:factory"
        )
    if prefix in loaders:
        return _call(kind, spec, loader_of(loaders, prefix), (name,), settings)
    if prefix.endswith(".py"):
        parts = Path(prefix).with_suffix("").parts
        module = parts[-1:] if {"..", Path(prefix).anchor} & set(parts) else parts
        raise SpecError(
            f"{kind} {spec!r} has the path of a file before the colon; expected a module's name: "
            f"{'.'.join(module)}:{name}"
            + ("" if module == parts else f", from the folder {Path(prefix).parent}")
        )
    try:
        factory = import_name(spec)
    except SpecError as error:
        raise SpecError(f"{kind} {spec!r}: {error}; known prefixes are {known}") from error
    if kind == "model" and _scores_pairs(factory, settings):
        raise SpecError(
            f"model {spec!r} is a function of texts and images, not a factory; write a factory, "
            f"def load(): return {name}, and name {prefix}:load"
        )
    made = _call(kind, spec, factory, (), settings)
    if made is None:
        raise SpecError(f"{kind} {spec!r}: the factory returned None; expected the {kind}")
    return made


def loader_of(loaders: Loaders, prefix: str) -> Any:
    """Return the function behind a prefix; import it if only its name is given."""
    found = loaders[prefix]
    return import_name(found) if isinstance(found, str) else found


def _scores_pairs(function: Any, settings: Mapping[str, Any]) -> bool:
    """Return whether a function needs two arguments that nobody gave, as a model does."""
    if inspect.isclass(function) or not callable(function):
        return False
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return False
    asked = [
        one.name
        for one in parameters
        if one.default is one.empty
        and one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)
        and one.name not in settings
    ]
    return len(asked) == 2


def typed_arguments(given: Iterable[str], flag: str) -> dict[str, Any]:
    """Return keyword arguments typed as ``name=value``; JSON and numbers such as .5 are parsed.

    Raises
    ------
    SettingError
        If one does not have this form; the message calls it `flag`.
    """
    found: dict[str, Any] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or not name.isidentifier():
            raise SettingError(
                f"{flag} {one!r} is not a valid K=V; give a name, an equals sign and a value"
            )
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = float(value) if _NUMBER.fullmatch(value) else value
    return found


def import_name(target: str) -> Any:
    """Import ``module[.sub]:name``; modules in the working folder count, too."""
    module_name, _, name = target.partition(":")
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    try:
        found = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            raise SpecError(f"there is no module {error.name!r} here or installed") from error
        raise SpecError(f"module {module_name!r} needs {error.name!r}, which is missing") from error
    except EmapError:
        raise
    except Exception as error:
        raise SpecError(
            f"module {module_name!r} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    for part in name.split("."):
        if not hasattr(found, part):
            names = [n for n, v in vars(found).items() if callable(v) and not n.startswith("_")]
            there = ", ".join(names[:8]) or "no functions"
            raise SpecError(f"module {module_name!r} has no {name!r}; it has {there}")
        found = getattr(found, part)
    return found


def check_arguments(
    what: str,
    function: Callable[..., Any],
    positional: tuple[Any, ...],
    settings: Mapping[str, Any],
) -> None:
    """Raise a SettingError if `function` does not take these arguments, or needs others."""
    try:
        signature = inspect.signature(function)
    except ValueError:
        # Some built-in functions do not say which arguments they take.
        return
    try:
        signature.bind(*positional, **settings)
    except TypeError as error:
        takes = ", ".join(list(signature.parameters)[len(positional) :]) or "no arguments"
        raise SettingError(f"{what}: {error}; it takes {takes}") from error


def _call(
    kind: str,
    spec: str,
    function: Callable[..., Any],
    positional: tuple[str, ...],
    settings: Mapping[str, Any],
) -> Any:
    if not callable(function):
        raise SpecError(
            f"{kind} {spec!r} is {function!r}; expected a function that returns the {kind}"
        )
    check_arguments(f"{kind} {spec!r}", function, positional, settings)
    try:
        return function(*positional, **settings)
    except EmapError:
        raise
    except Exception as error:
        raise SpecError(f"{kind} {spec!r} failed: {type(error).__name__}: {error}") from error
