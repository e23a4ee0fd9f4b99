"""Names of options in messages: arguments in Python, flags on a terminal, boxes in a browser.

A message contains ``option("label_column", "X")``. Code that shows it says where the reader is,
with `speaking`, and the option gets its name there. The default is Python.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, cast

Place = Literal["python", "terminal", "browser"]
PLACES = ("python", "terminal", "browser")

LabelsAs = Literal["names", "numbers"]
LABELS_AS = ("names", "numbers")
"""What whole numbers as labels can be."""

UnknownLabels = Literal["error", "wrong", "skip"]
UNKNOWN_LABELS = ("error", "wrong", "skip")
"""What to do with examples whose label is not a class of the model.

Refuse the data, count them as wrong, or leave them out.
"""

DATA_FLAGS = (
    *(f"{what}_column" for what in ("text", "image", "label", "id", "regions")),
    *("records", "delimiter", "column_names", "join"),
    *("image_root", "image_pattern", "text_pattern", "fetch_images", "keep_empty"),
    *("choices_column", "classes_file", "merge_labels", "side"),
    "labels_as",
    "skip_bad",
    "limit",
)
"""Dataset arguments with their own flag; the others go through ``--data-arg``."""

DATA_ARGUMENTS = (*DATA_FLAGS, "task", "classes", "split")
"""Dataset arguments that `compute` takes as its own; messages in Python name them so."""

BOXES = {
    "text_column": "Text",
    "image_column": "Image",
    "label_column": "Label",
    "regions_column": "Regions",
    "side": "Sides instead of text and image",
    "image_root": "Folder of the images",
    "image_pattern": "Pattern of the images",
    "join": "Second file, joined on a key",
    "records": "Where JSON holds the examples",
    "delimiter": "Character between values",
    "choices_column": "Options to choose from",
    "classes_file": "File with the classes",
    "merge_labels": "Merge spellings of a label",
    "skip_bad": "Leave out rows with something wrong",
    "unknown_labels": "Labels that are not classes of the model",
    "limit": "Maximum number of examples",
    "space": "What is projected",
    "keep": "What is kept on disk",
    "keep_classes": "Classes whose grid is kept",
    "method": "Method",
    "images_per_text": "Images per text, or combinations per item",
    "subsample_size": "Examples in a sub-sample",
    "repeats": "Sub-samples",
    "cluster": "What is drawn for intervals",
    "density": "Also count unlikely pairs less",
    "output": "What the model returns",
    "allow_noise": "Continue with a noisy model",
    "name": "Name of the run",
}
"""Labels of the boxes on the Run page.

Other loader options are typed under `TYPED`; other run options exist only on a terminal.
"""

TABLE_BOXES = {
    "image_root": ("photos", "If they are not beside the table."),
    "image_pattern": ("val2014/{image_id:012d}.jpg", "With columns in braces."),
    "join": ("answers.json:question_id", "FILE:KEY, a file and a column that both files share."),
    "records": ("questions", "The name of a value in the file."),
    "delimiter": (";", "If it is not a tab, comma, semicolon or bar."),
    "choices_column": (
        "options",
        "A column, or A,B,…: the text lists them, and their letters are the classes.",
    ),
    "classes_file": ("classes.txt", "Names of the classes, one per line, or JSON."),
}
"""Placeholder and help of the boxes for tables."""

CHOICES: dict[str, dict[str | None, str]] = {
    "keep": {
        "auto": "The whole grid if it fits, otherwise sums",
        "grid": "The whole grid: what-if, recombine and modes need it",
        "classes": "The grid of the most frequent classes: for their modes and heatmaps",
        "sums": "Sums only: small, enough for the table and the scatter plot",
    },
    "unknown_labels": {
        "error": "The run does not start",
        "wrong": "They count as wrong",
        "skip": "Their examples are left out",
    },
    "cluster": {
        "auto": "whole texts and whole images where they repeat",
        "text": "whole texts: for new texts and these images",
        "image": "whole images: for these texts and new images",
        "both": "whole texts and whole images",
        "none": "single examples",
    },
    "output": {
        None: "what the model states, logits if it states nothing",
        "logits": "logits",
        "log_probabilities": "log-probabilities",
        "probabilities": "probabilities",
    },
}
"""Labels of the choices in some boxes."""

ORDERS = {
    "newest": "newest first",
    "oldest": "oldest first",
    "name": "by name",
    "model": "by model",
    "data": "by data",
    "gap": "largest gap first",
}
"""Orders of the list of runs."""

TYPED = {"data": "Options of the data", "model": "Options of the model"}

_FLAGS = {"metrics": "metric", "train": "train-data", "examples": "example", "tags": "tag"}
"""Flags whose name differs from the argument's."""
_SWITCHES = ("skip_bad", "allow_noise", "fetch_images", "merge_labels")

_OPEN, _CLOSE, _BARE = "\ue000", "\ue001", "\ue002"
_MARKED = re.compile(f"{_OPEN}([a-z]+) ([a-z_]+)=([^{_OPEN}{_CLOSE}]*){_CLOSE}")
_VARIABLE = "EMAP_READER"


def place_told(otherwise: Place) -> Place:
    """Return where the reader is, as the parent process says, if it does."""
    told = os.environ.get(_VARIABLE)
    return cast(Place, told) if told in PLACES else otherwise


_STARTED_FOR = place_told("python")
_place: ContextVar[Place] = ContextVar("place", default=_STARTED_FOR)


def option(
    name: str, value: str | None = None, of: Literal["data", "model", "run"] = "data"
) -> str:
    """Return an option for a message, with a value to give it or, by default, any.

    Parameters
    ----------
    name : str
        Its name as a Python argument.
    value : str, optional
        An empty one says "none".
    of : {"data", "model", "run"}
        Whose option it is: the data loader's, the model loader's, or the run's.
    """
    return f"{_OPEN}{of} {name}={'…' if value is None else value}{_CLOSE}"


def option_name(name: str, of: Literal["data", "model", "run"] = "run") -> str:
    """Return an option for a message by name only, to say something about its value."""
    return f"{_OPEN}{of} {name}={_BARE}{_CLOSE}"


@contextmanager
def speaking(place: Place) -> Iterator[None]:
    """Within the block, name options as they are named where the reader is."""
    token = _place.set(place)
    try:
        yield
    finally:
        _place.reset(token)


def for_a_child(place: Place | None = None) -> dict[str, str]:
    """Return the environment that tells a child process where its reader is, by default here."""
    return {_VARIABLE: place or _place.get()}


def speak(place: Place) -> None:
    """From now on, in this thread, name options as they are named where the reader is."""
    _place.set(place)


def with_options_named(message: str) -> str:
    """Return a message with every option's name as it is where the reader is."""
    return _MARKED.sub(lambda found: _named(found[1], found[2], found[3]), message)


def _named(of: str, name: str, value: str) -> str:
    place = _place.get()
    if place == "terminal":
        return _flag(of, name, value)
    if place == "browser":
        return _box(of, name, value)
    if value == _BARE:
        return name
    if value == "true":
        return f"{name}=True"
    return f"{name}={value}" if value == "…" else f"{name}={value!r}"


def _flag(of: str, name: str, value: str) -> str:
    if of != "run" and name not in DATA_FLAGS:
        return f"--{of}-arg {name}" + ("" if value == _BARE else f"={value}")
    flag = f"--{_FLAGS.get(name, name).replace('_', '-')}"
    if name in _SWITCHES or value in ("…", _BARE):
        return flag
    return f"{flag} {shlex.quote(value)}"


def _box(of: str, name: str, value: str) -> str:
    if name in BOXES:
        chosen = CHOICES.get(name, {}).get(value, value)
        return f"“{BOXES[name]}”" + ("" if value in ("…", "true", "", _BARE) else f" ({chosen})")
    if of in TYPED:
        return f"{name}{'' if value == _BARE else f'={value}'} under “{TYPED[of]}”"
    return f"{_flag(of, name, value)} on the command line"
