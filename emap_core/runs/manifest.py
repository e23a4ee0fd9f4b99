"""The schema of ``run.json``: one table that checks every manifest when it is read.

A manifest is a file, and a file can contain anything. Code that reads a run relies on the names and
sizes in its manifest, so every manifest must first pass `checked_manifest`: a value of the wrong
type, out of range, or inconsistent with the others means that the run is damaged.

To add a key, write it where a run begins and add a line to `KEYS` with the kind of its value and a
default. The default is what the key means for runs written before it existed, so older runs still
open. A key without a default is required. Keys that are not in the table, such as those of newer
versions, are kept and ignored.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

from emap_core import methods
from emap_core.errors import RunError, SettingError
from emap_core.inference import metric
from emap_core.inference.resamples.population import (
    CLUSTERS,
    LEAST_RESAMPLES,
    MOST_RESAMPLES,
)
from emap_core.modalities import NAMES as MODALITIES
from emap_core.option_names import UNKNOWN_LABELS
from emap_core.runs.annotations import checked_comment, checked_name, checked_tags
from emap_core.types import Space, Task

FORMAT = 1
"""Version of the folder: its files, the keys below, the names of stored arrays (`runs/schema.py`).

A newer version is refused, not guessed at; the tests have runs of every version."""

WHAT_TO_DO = "restore the folder from a copy, or delete it and compute the run again"

STATUSES = ("queued", "running", "finished", "failed", "cancelled", "part")
KEEPS = ("grid", "classes", "sums")

_LARGEST = 2**53
_MISSING: Any = object()

Kind = Callable[[str, Any], Any]
"""Takes the place of a value and the value; returns it with defaults, or raises `_Misfit`."""


class _Misfit(Exception):  # noqa: N818 - it never leaves this module
    def __init__(self, where: str, value: Any, expected: str) -> None:
        shown = "missing" if value is _MISSING else repr(value)
        shown = shown if len(shown) <= 60 else f"{shown[:57]}…"
        super().__init__(f"{where} is {shown}; expected {expected}")


@dataclass(frozen=True)
class Key:
    """One key: the kind of its value, and what a missing key means."""

    kind: Kind
    default: Any = _MISSING


def _kind(expected: str, fits: Callable[[Any], bool]) -> Kind:
    def check(where: str, value: Any) -> Any:
        if not fits(value):
            raise _Misfit(where, value, expected)
        return value

    return check


def _is_text(value: Any) -> bool:
    # Half a surrogate pair is valid JSON but cannot be sent to a browser.
    return isinstance(value, str) and (
        value.isascii() or not any("\ud800" <= c <= "\udfff" for c in value)
    )


def _is_name(value: Any) -> bool:
    try:
        return _is_text(value) and checked_name(value) == value
    except SettingError:
        return False


def _is_comment(value: Any) -> bool:
    try:
        return _is_text(value) and checked_comment(value) == value
    except SettingError:
        return False


def _are_tags(value: Any) -> bool:
    try:
        return isinstance(value, list) and checked_tags(value) == value
    except (SettingError, TypeError):
        return False


def _is_date(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(datetime.fromisoformat(value))
    except ValueError:
        return False


def _is_metric(value: Any) -> bool:
    try:
        return _is_text(value) and bool(metric(value))
    except (SettingError, ValueError):
        return False


def whole(least: int, most: int = _LARGEST) -> Kind:
    """Return the kind "whole number from `least` to `most`"."""
    limits = f"from {least:,}" if most == _LARGEST else f"from {least:,} to {most:,}"
    return _kind(
        f"a whole number {limits}",
        # Python counts True as a number, but it is not one here.
        lambda value: type(value) is int and least <= value <= most,
    )


def one_of(*known: str) -> Kind:
    """Return the kind "one of `known`"."""
    expected = f"one of {', '.join(known)}"
    return _kind(expected, lambda value: isinstance(value, str) and value in known)


def none_or(kind: Kind) -> Kind:
    """Return the kind "null or `kind`"."""
    return lambda where, value: None if value is None else kind(where, value)


def list_of(kind: Kind) -> Kind:
    """Return the kind "list of `kind`"."""

    def check(where: str, value: Any) -> Any:
        if not isinstance(value, list):
            raise _Misfit(where, value, "a list")
        return [kind(f"{where}[{i}]", one) for i, one in enumerate(value)]

    return check


def record(keys: Mapping[str, Key], *, others: bool = True) -> Kind:
    """Return the kind "object with these keys"; `others` allows further keys."""

    def check(where: str, value: Any) -> Any:
        if not isinstance(value, dict):
            raise _Misfit(where, value, "an object")
        prefix = f"{where}." if where else ""
        for name in value:
            if not others and name not in keys:
                raise _Misfit(f"{prefix}{name}", value[name], "no such key")
        found = dict(value)
        for name, key in keys.items():
            if name in value:
                found[name] = key.kind(f"{prefix}{name}", value[name])
            elif key.default is _MISSING:
                raise _Misfit(f"{prefix}{name}", _MISSING, "a value")
            else:
                found[name] = key.default
        return found

    return check


TEXT = _kind("a text", _is_text)
FLAG = _kind("true or false", lambda value: isinstance(value, bool))
DATE = _kind("a date and time", _is_date)
AMOUNT = _kind(
    "a number from 0",
    lambda value: type(value) in (int, float) and math.isfinite(value) and 0 <= value < _LARGEST,
)
METRIC = _kind("the name of a metric", _is_metric)
OBJECT = record({})
NAME = _kind("a name of one line", _is_name)
COMMENT = _kind("a comment", _is_comment)
TAGS = _kind("a list of tags", _are_tags)
_SOURCE = {"spec": Key(TEXT), "arguments": Key(OBJECT, {})}

KEYS: dict[str, Key] = {
    "format": Key(whole(1, FORMAT), FORMAT),
    "status": Key(one_of(*STATUSES)),
    "error": Key(none_or(TEXT), None),
    "model": Key(TEXT),
    "dataset": Key(TEXT),
    "name": Key(none_or(NAME), None),
    "comment": Key(none_or(COMMENT), None),
    "tags": Key(TAGS, []),
    # Whether the run is hidden from lists.
    "archived": Key(FLAG, False),
    "provenance": Key(
        none_or(
            record(
                {
                    "model": Key(record({**_SOURCE, "description": Key(OBJECT, {})})),
                    "data": Key(record(_SOURCE)),
                    "train": Key(none_or(record(_SOURCE)), None),
                    "code": Key(record({"version": Key(TEXT), "source": Key(TEXT)})),
                }
            )
        ),
        None,
    ),
    "created": Key(DATE),
    "fingerprint": Key(none_or(TEXT), None),
    "fingerprints": Key(record({"model": Key(none_or(TEXT), None), "data": Key(TEXT)})),
    "settings": Key(
        record(
            {
                "seed": Key(whole(0), 0),
                "repeats": Key(whole(1), 10),
                "subsample_size": Key(none_or(whole(1)), None),
                "step": Key(none_or(whole(0)), None),
                "part": Key(none_or(list_of(whole(1))), None),
            }
        )
    ),
    "metrics": Key(list_of(METRIC)),
    "has_threshold": Key(FLAG, True),
    # These are all the arguments of `inference.intervals`.
    "resampling": Key(
        record(
            {
                "cluster": Key(TEXT, "auto"),
                "n_resamples": Key(whole(1, MOST_RESAMPLES), 1000),
                "seed": Key(whole(0), 0),
            },
            others=False,
        ),
        {"cluster": "auto", "n_resamples": 1000, "seed": 0},
    ),
    "method": Key(one_of(*methods.NAMES)),
    "space": Key(one_of(*get_args(Space))),
    "output": Key(one_of(*get_args(Space)), "logits"),
    "output_dtype": Key(none_or(TEXT), None),
    "computed_dtype": Key(none_or(TEXT), None),
    "task": Key(one_of(*get_args(Task))),
    "classes": Key(list_of(TEXT)),
    # Whether means and shares follow from the encodings, so no grid was scored.
    "closed_form": Key(FLAG, False),
    "keep": Key(one_of(*KEEPS)),
    "kept_classes": Key(none_or(list_of(whole(0))), None),
    "device": Key(TEXT, "not known"),
    "dtype": Key(none_or(TEXT), None),
    "notes": Key(list_of(TEXT), []),
    "classes_guessed": Key(FLAG, False),
    "noise": Key(none_or(record({"n_pairs": Key(whole(1)), "variance": Key(AMOUNT)})), None),
    "skipped": Key(list_of(TEXT), []),
    "columns": Key(list_of(TEXT), []),
    "unknown_labels": Key(
        none_or(
            record(
                {
                    "rule": Key(one_of(*UNKNOWN_LABELS)),
                    "n_examples": Key(whole(0)),
                    "n_training": Key(whole(0), 0),
                }
            )
        ),
        None,
    ),
    # Before sides had names, runs were of a text and an image.
    "sides": Key(
        list_of(
            record(
                {
                    "name": Key(NAME),
                    "modality": Key(one_of(*MODALITIES)),
                    # For more than two sides; n_texts, images_per_part and the like are for two.
                    "n_items": Key(none_or(whole(1)), None),
                    "items_per_part": Key(none_or(whole(1)), None),
                }
            )
        ),
        [{"name": "text", "modality": "text"}, {"name": "image", "modality": "image"}],
    ),
    "n_examples": Key(whole(1)),
    "n_available": Key(none_or(whole(1)), None),
    "n_texts": Key(whole(1)),
    "n_images": Key(whole(1)),
    "n_classes": Key(whole(1)),
    "n_pairs_evaluated": Key(whole(0)),
    "images_per_part": Key(whole(1)),
    "texts_per_part": Key(none_or(whole(1)), None),
    "seconds": Key(AMOUNT, 0.0),
    "versions": Key(OBJECT, {}),
    "threads": Key(whole(0), 0),
}
"""Every key of ``run.json`` that the program reads."""

_EVENT = record(
    {
        "event": Key(TEXT),
        **{
            name: Key(none_or(AMOUNT), None)
            for name in ("pairs_done", "pairs_total", "pairs_per_second", "seconds_left")
        },
    }
)


def checked_manifest(content: Mapping[str, Any], run_id: str) -> dict[str, Any]:
    """Return a manifest that fits the table, with defaults for missing keys.

    Parameters
    ----------
    content : mapping
        The object in ``run.json``.
    run_id : str
        For messages.

    Raises
    ------
    RunError
        If the manifest has a newer format, or does not fit.
    """
    version = content.get("format", FORMAT)
    if type(version) is int and version > FORMAT:
        raise RunError(
            f"run {run_id!r} has format {version}, but this version reads up to {FORMAT}; update "
            "EMAP Lens"
        )
    try:
        return _fitting(content)
    except _Misfit as misfit:
        raise RunError(f"run {run_id!r} is damaged: in run.json {misfit}; {WHAT_TO_DO}") from None


def check_new_manifest(content: Mapping[str, Any]) -> None:
    """Raise a RunError if a manifest, once written, could not be read again."""
    try:
        # Check it as JSON returns it: without tuples.
        _fitting(json.loads(json.dumps(content)))
    except _Misfit as misfit:
        raise RunError(
            f"the run cannot be kept: in run.json {misfit}; correct the model or the data"
        ) from None


def _fitting(content: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = record(KEYS)("", dict(content))
    for misfit in _at_odds(found):
        raise misfit
    # Older versions allowed fewer, with which chance could produce any verdict.
    resampling = found["resampling"]
    resampling["n_resamples"] = max(resampling["n_resamples"], LEAST_RESAMPLES)
    return found


def checked_event(content: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return a progress event, or None if it is not one: the next one will replace it."""
    try:
        event: dict[str, Any] = _EVENT("", dict(content or {}))
        if event["event"] == "encoding":
            parts = {"what": Key(TEXT), "done": Key(whole(0)), "total": Key(whole(1))}
            event = record(parts)("", event)
    except _Misfit:
        return None
    return {name: value for name, value in event.items() if value is not None}


def _at_odds(found: Mapping[str, Any]) -> Iterator[_Misfit]:
    """Yield contradictions between keys."""
    n_classes, n_names = found["n_classes"], len(found["classes"])
    # A single score may represent two classes.
    if n_names != n_classes and (n_names, n_classes) != (2, 1):
        yield _Misfit("n_classes", n_classes, f"{n_names:,}, as many as classes has names")
    if found["task"] == "binary" and (n_names, n_classes) != (2, 1):
        yield _Misfit("classes", found["classes"], "two names and one output for a binary task")
    names = [side["name"] for side in found["sides"]]
    if len(names) < 2 or len(set(names)) < len(names):
        yield _Misfit("sides", found["sides"], "two or more sides with different names")
    for place, side in enumerate(found["sides"] if len(names) > 2 else ()):
        n_items = side["n_items"]
        if n_items is None or n_items > found["n_examples"]:
            at_most = f"a whole number, at most {found['n_examples']:,}, as n_examples says"
            yield _Misfit(f"sides[{place}].n_items", n_items, at_most)
        if place > 0 and side["items_per_part"] is None:
            yield _Misfit(f"sides[{place}].items_per_part", None, "a whole number")
    cluster = found["resampling"]["cluster"]
    known = (*CLUSTERS, "all", *names)
    if not all(name in known for name in cluster.split("+")):
        yield _Misfit("resampling.cluster", cluster, f"one of {', '.join(known)}")
    kept = found["kept_classes"]
    if found["keep"] == "classes" and not kept:
        yield _Misfit("kept_classes", kept, "the numbers of the classes that were kept")
    if kept and (sorted(set(kept)) != kept or kept[-1] >= n_classes):
        yield _Misfit("kept_classes", kept, "numbers of classes, in order, each once")
    for name in ("n_texts", "n_images"):
        if found[name] > found["n_examples"]:
            yield _Misfit(name, found[name], f"at most {found['n_examples']:,}, as n_examples says")
    for i, name in enumerate(found["metrics"]):
        if found["task"] not in metric(name).tasks:
            yield _Misfit(f"metrics[{i}]", name, f"a metric of the task {found['task']}")
    part = found["settings"]["part"]
    if part is not None and (len(part) != 2 or part[0] > part[1]):
        yield _Misfit("settings.part", part, "which one of how many")
    for name in methods.method(found["method"]).manifest_needs:
        *within, key = name.split(".")
        value = (found[within[0]] if within else found)[key]
        if value is None:
            yield _Misfit(name, value, f"a whole number for the method {found['method']}")
