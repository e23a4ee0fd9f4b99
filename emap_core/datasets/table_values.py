"""The values in a table's cells: texts, images and labels, or what is wrong with them."""

from __future__ import annotations

import ast
import contextlib
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emap_core.allowed_folders import image_roots_of_environment, lies_in
from emap_core.datasets.base import plain_label
from emap_core.environment import whole_number
from emap_core.modalities import BadItemError, Modality
from emap_core.option_names import option
from emap_core.types import Task

if TYPE_CHECKING:
    import pandas as pd

MAX_CHARACTERS = 100_000
"""Longer texts and labels are refused unless ``EMAP_MAX_CHARACTERS`` is higher."""
_LONGEST_PATH = 4_096
_ADDRESS = re.compile(r"^[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_SEPARATOR = re.compile(r"\s*[|;,]\s*")


class BadValueError(Exception):
    """A cell has the wrong content for its column; the message does not name the cell."""

    def __init__(self, message: str, of_label: bool = False) -> None:
        super().__init__(message)
        self.of_label = of_label


def read_text(value: Any, empty: bool = False) -> str:
    """Return the text of an example, which may be `empty`."""
    if is_missing(value):
        if empty:
            return ""
        raise BadValueError(f"the text is empty; {option('keep_empty', 'text')} accepts it")
    if isinstance(value, (bytes, dict, list, tuple, np.ndarray)):
        raise BadValueError(f"the text is a {type(value).__name__}; expected a string")
    text = str(value)
    check_characters("text", text)
    return text


def read_source(kind: Modality, value: Any, folder: Path) -> Any:
    """Return the source of an item of a modality; a relative path starts at `folder`."""
    try:
        return kind.source(value, lambda what, path: read_path(what, path, folder))
    except BadItemError as error:
        raise BadValueError(str(error)) from error


def id_reader() -> Callable[[Any], str]:
    """Return a function that reads the ids of a column, which must exist and differ."""
    seen: set[str] = set()

    def read(value: Any) -> str:
        name = "" if is_missing(value) else str(value)
        if not name:
            raise BadValueError("there is no id")
        check_characters("id", name)
        if name in seen:
            raise BadValueError(
                f"the id {name!r} occurs twice; name another column with "
                f"{option('id_column')}, or none with {option('id_column', '')}"
            )
        seen.add(name)
        return name

    return read


def check_characters(what: str, text: str, of_label: bool = False) -> None:
    """Refuse a text that is far too long or cannot be stored as UTF-8."""
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


def read_path(what: str, value: Any, folder: Path) -> Path:
    """Return the path of a file that may be opened; a relative one starts at `folder`."""
    if not isinstance(value, str):
        raise BadValueError(f"the {what} is a {type(value).__name__}; expected a path or bytes")
    if _ADDRESS.match(value):
        raise BadValueError(
            f"the {what} is the address {value[:60]}; expected a file, since the content of an "
            "address may change: download it first"
        )
    if len(value) > _LONGEST_PATH:
        raise BadValueError(f"the {what}'s path has {len(value):,} characters")
    roots = image_roots_of_environment()
    if roots is not None and not lies_in(folder / value, (folder, *roots)):
        raise BadValueError(
            f"the {what} {value[:60]!r} is outside the table's folder and EMAP_ROOTS"
        )
    return folder / value


def label_reader(
    column: pd.Series[Any], task: Task | None, coded: Sequence[str] | None = None
) -> tuple[Task, Callable[[Any], Any]]:
    """Return the task of a column of labels, and a function that reads one label.

    Labels are names or numbers of classes. In a multilabel task they are lists of these, written as
    ``a|b``, ``a;b``, ``a,b``, JSON or a Python list; in a regression they are numbers. Lists in
    which an answer may occur twice are those of several annotators (multiclass). `coded` has the
    names that the column's numbers stand for, if the file says so. Otherwise digits stay as
    written: only the model tells what they mean.
    """
    values = [value for value in column.tolist() if not is_missing(value)]
    if task == "regression":
        return task, _read_number
    if coded is None and task in (None, "multiclass") and _are_answers(values, task):
        return "multiclass", _read_answers
    if task is None:
        lists = any(isinstance(value, (list, np.ndarray)) or _is_list(value) for value in values)
        task = "multilabel" if lists else "multiclass"
    several = task == "multilabel"

    def read_one(value: Any) -> Any:
        value = plain_label(value)
        if isinstance(value, str):
            check_characters("label", value, of_label=True)
            if _looks_like_a_list(value):
                raise BadValueError(
                    f"the label {value[:60]!r} looks like a list and cannot be read as one; write "
                    "a|b, or a list as JSON does",
                    of_label=True,
                )
            return value.strip()
        if not isinstance(value, (int, float)):
            raise BadValueError(
                f"the label is a {type(value).__name__}; expected the name or number of a class",
                of_label=True,
            )
        if isinstance(value, float):
            raise BadValueError(
                f"the label is {value}; expected a class (or {option('task', 'regression')})",
                of_label=True,
            )
        if coded is None:
            return value
        if value == -1:
            raise BadValueError("there is no label: it is -1", of_label=True)
        if not 0 <= value < len(coded):
            known = ", ".join(coded[:8]) + (", …" if len(coded) > 8 else "")
            raise BadValueError(
                f"the label {value} is not the number of one of the {len(coded)} classes {known}",
                of_label=True,
            )
        # By name, since a model may order the same classes differently.
        return coded[value]

    def read(value: Any) -> Any:
        if is_missing(value) and not several:
            raise BadValueError("there is no label", of_label=True)
        return [read_one(part) for part in _parts(value)] if several else read_one(value)

    return task, read


def _are_answers(values: list[Any], task: Task | None) -> bool:
    """Return whether each value is a list of answers; a list of classes never has one twice."""
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
        if (found := written_list(value)) is not None:
            value = found
        elif "|" in value:
            value = value.split("|")
    if not isinstance(value, (list, tuple, np.ndarray)):
        return None
    each = [one.get("answer") if isinstance(one, dict) else one for one in value]
    if any(is_missing(one) for one in each):
        return None
    return [str(plain_label(one)).strip() for one in each]


def _read_answers(value: Any) -> list[str]:
    answers = None if is_missing(value) else _answers(value)
    if not answers:
        raise BadValueError("there is no answer", of_label=True)
    return answers


def is_missing(value: Any) -> bool:
    """Return whether a cell is empty: None, NaN, or only spaces."""
    if value is None or isinstance(value, (str, bytes)):
        return value is None or not value.strip()
    import pandas as pd

    return value is pd.NA or (isinstance(value, float) and bool(np.isnan(value)))


def _parts(value: Any) -> list[Any]:
    if is_missing(value):
        return []
    if isinstance(value, str):
        if (found := written_list(value)) is not None:
            return found
        if _looks_like_a_list(value):
            return [value]
        return [part for part in _SEPARATOR.split(value.strip()) if part]
    return list(value) if isinstance(value, (list, tuple, np.ndarray)) else [value]


def _is_list(value: Any) -> bool:
    return isinstance(value, str) and written_list(value) is not None


def _looks_like_a_list(value: str) -> bool:
    return value.lstrip().startswith("[") and value.rstrip().endswith("]")


def written_list(value: str) -> list[Any] | None:
    """Return the list in a string, written as JSON or as Python writes it, or None."""
    if not _looks_like_a_list(value) or len(value) > MAX_CHARACTERS:
        return None
    for read in (json.loads, ast.literal_eval):
        with contextlib.suppress(ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            found = read(value.strip())
            return list(found) if isinstance(found, list) else None
    return None


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
