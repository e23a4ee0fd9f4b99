"""What stands in the cells of a table: texts, images and labels, or what is wrong with them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from emap_core.datasets.base import Task
from emap_core.environment import whole_number
from emap_core.roots import lies_in, roots_of_environment

MAX_CHARACTERS = 100_000
"""Longer texts and labels are refused, unless ``EMAP_MAX_CHARACTERS`` is higher."""
_LONGEST_PATH = 4_096
_ADDRESS = re.compile(r"^[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_SEPARATOR = re.compile(r"\s*[|;,]\s*")


class BadValueError(Exception):
    """A cell does not hold what its column should; the message does not name the cell."""

    def __init__(self, message: str, of_label: bool = False) -> None:
        super().__init__(message)
        self.of_label = of_label


def read_text(value: Any) -> str:
    """Return the text of an example."""
    if is_missing(value):
        raise BadValueError("the text is empty")
    if isinstance(value, (bytes, dict, list, tuple, np.ndarray)):
        raise BadValueError(f"the text is a {type(value).__name__}; expected a string")
    text = str(value)
    check_characters("text", text)
    return text


def id_reader() -> Callable[[Any], str]:
    """Return what reads the ids of a column, which have to be there and to differ."""
    seen: set[str] = set()

    def read(value: Any) -> str:
        name = "" if is_missing(value) else str(value)
        if not name:
            raise BadValueError("there is no id")
        check_characters("id", name)
        if name in seen:
            raise BadValueError(
                f"the id {name!r} is there twice; name another column with id_column, or none "
                "with id_column=''"
            )
        seen.add(name)
        return name

    return read


def check_characters(what: str, text: str, of_label: bool = False) -> None:
    """Refuse a text that is far too long, or that no file in UTF-8 could hold."""
    most = whole_number("EMAP_MAX_CHARACTERS", MAX_CHARACTERS)
    if len(text) > most:
        raise BadValueError(
            f"the {what} has {len(text):,} characters, more than the {most:,} that are allowed "
            "(EMAP_MAX_CHARACTERS)",
            of_label,
        )
    if "\0" in text:
        raise BadValueError(
            f"the {what} holds a NUL character; the file is damaged, or in another encoding",
            of_label,
        )
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise BadValueError(f"the {what} holds half a character (a lone surrogate)", of_label)


def read_image(value: Any, folder: Path) -> Path | bytes:
    """Return where an image is, or the content of its file."""
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if is_missing(value):
        raise BadValueError("there is no image")
    if isinstance(value, bytes):
        return value
    return read_path("image", value, folder)


def read_path(what: str, value: Any, folder: Path) -> Path:
    """Return the path of a file that may be opened; a relative one starts at `folder`."""
    if not isinstance(value, str):
        raise BadValueError(f"the {what} is a {type(value).__name__}; expected a path or bytes")
    if _ADDRESS.match(value):
        raise BadValueError(
            f"the {what} is the address {value[:60]}; expected a file, "
            "since what an address shows may change: download it first"
        )
    if len(value) > _LONGEST_PATH:
        raise BadValueError(f"the {what}'s path has {len(value):,} characters")
    roots = roots_of_environment()
    if roots is not None and not lies_in(folder / value, (folder, *roots)):
        raise BadValueError(
            f"the {what} {value[:60]!r} is outside of the table's folder and of EMAP_ROOTS"
        )
    return folder / value


def label_reader(
    column: pd.Series[Any], task: Task | None, classes: Sequence[str] | None
) -> tuple[Task, Callable[[Any], Any]]:
    """Return the task of a column of labels, and what reads one of them.

    Labels are names or numbers of classes; where the task is multilabel, lists of them, which may
    be written as ``a|b``, ``a;b``, ``a,b`` or JSON; where it is regression, numbers.
    Lists in which an answer may come twice are those of several annotators (multiclass).
    """
    values = [value for value in column.tolist() if not is_missing(value)]
    if task == "regression":
        return task, _read_number
    if task in (None, "multiclass") and _are_answers(values, task):
        return "multiclass", _read_answers
    if task is None:
        lists = any(isinstance(value, (list, np.ndarray)) for value in values)
        task = "multilabel" if lists else "multiclass"
    several = task == "multilabel"
    written = [part for value in values for part in (_parts(value) if several else [value])]
    # A file of text writes the number of a class in digits; names that are digits stay names.
    numbered = all(isinstance(part, str) and _is_digits(part) for part in written) and not (
        classes and {part.strip() for part in written} & set(classes)
    )

    def read_one(value: Any) -> Any:
        if isinstance(value, str):
            check_characters("label", value, of_label=True)
            value = int(value) if numbered else value.strip()
        elif isinstance(value, (bytes, dict, list, tuple, np.ndarray)):
            raise BadValueError(
                f"the label is a {type(value).__name__}; expected the name or number of a class",
                of_label=True,
            )
        elif isinstance(value, float):
            if not value.is_integer():
                raise BadValueError(
                    f"the label is {value}; expected a class (or task='regression')", of_label=True
                )
            value = int(value)
        if classes is None:
            return value
        _check_class(value, classes)
        # By name, since a model may have the same classes in another order.
        return value if isinstance(value, str) else classes[value]

    def read(value: Any) -> Any:
        if is_missing(value) and not several:
            raise BadValueError("there is no label", of_label=True)
        return [read_one(part) for part in _parts(value)] if several else read_one(value)

    return task, read


def _is_digits(value: str) -> bool:
    # A number of more digits than any has is a name.
    return len(value) < 19 and value.strip().isdecimal()


def _are_answers(values: list[Any], task: Task | None) -> bool:
    """Say whether each value is a list of answers: those of classes never hold one twice."""
    lists = [_answers(value) for value in values]
    if not lists or any(answers is None for answers in lists):
        return False
    written_out = not any(isinstance(value, str) for value in values)
    return (task is not None and written_out) or any(
        answers is not None and len(set(answers)) < len(answers) for answers in lists
    )


def _answers(value: Any) -> list[str] | None:
    """Return the answers of a list, ``a|b`` or JSON; entries may be ``{"answer": a}``."""
    if isinstance(value, str):
        if value.lstrip().startswith("["):
            value = _parts(value)
        elif "|" in value:
            value = value.split("|")
    if not isinstance(value, (list, tuple, np.ndarray)):
        return None
    each = [one.get("answer") if isinstance(one, dict) else one for one in value]
    return None if any(is_missing(one) for one in each) else [str(one).strip() for one in each]


def _read_answers(value: Any) -> list[str]:
    answers = None if is_missing(value) else _answers(value)
    if not answers:
        raise BadValueError("there is no answer", of_label=True)
    return answers


def is_missing(value: Any) -> bool:
    """Say whether a cell is empty: nothing, not a number, or nothing but space."""
    if isinstance(value, (str, bytes)):
        return not value.strip()
    return value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value))


def _check_class(value: Any, classes: Sequence[str]) -> None:
    known = ", ".join(classes[:8]) + (", …" if len(classes) > 8 else "")
    if isinstance(value, str) and value not in classes:
        raise BadValueError(f"the label {value!r} is none of the classes {known}", of_label=True)
    if isinstance(value, int) and not 0 <= value < len(classes):
        raise BadValueError(
            f"the label {value} is no number of the {len(classes)} classes {known}", of_label=True
        )


def _parts(value: Any) -> list[Any]:
    if is_missing(value):
        return []
    if isinstance(value, str):
        if value.lstrip().startswith("["):
            try:
                return list(json.loads(value))
            except json.JSONDecodeError:
                return [value]
        return [part for part in _SEPARATOR.split(value.strip()) if part]
    return list(value) if isinstance(value, (list, tuple, np.ndarray)) else [value]


def _read_number(value: Any) -> Any:
    if is_missing(value):
        raise BadValueError("there is no label; expected a number", of_label=True)
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        numbers = np.array(np.nan)
    if not np.isfinite(numbers).all():
        raise BadValueError(f"the label is {value!r}; expected a number", of_label=True)
    return numbers.tolist()
