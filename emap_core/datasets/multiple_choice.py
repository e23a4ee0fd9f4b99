"""Multiple-choice questions: the text lists the options, and their letters are the classes."""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from emap_core.datasets.base import label_number, plain_label
from emap_core.datasets.table_values import BadValueError, is_missing, read_text, written_list
from emap_core.errors import LabelError
from emap_core.option_names import LabelsAs, option

LETTERS = string.ascii_uppercase


def read_choices(value: Any) -> list[str]:
    """Return the options of an example: a list, or one written as JSON or Python.

    A tuple is a row of columns; empty cells are left out, since some examples have fewer options.
    """
    if isinstance(value, str):
        value = written_list(value)
    if isinstance(value, tuple):
        value = [one for one in value if not is_missing(one)]
    if not isinstance(value, (list, np.ndarray)):
        raise BadValueError("the choices are not a list")
    if not 2 <= len(value) <= len(LETTERS):
        raise BadValueError(f"there are {len(value)} choices; expected 2 to {len(LETTERS)}")
    return [read_text(plain_label(one)).strip() for one in value]


def with_choices(text: str, choices: Sequence[str]) -> str:
    """Return a question with its options below it, a letter before each."""
    lines = [f"{letter}. {choice}" for letter, choice in zip(LETTERS, choices, strict=False)]
    return "\n".join([text, *lines])


def choices_told(options: list[list[str]]) -> str:
    """Return a sentence on how the choices were used."""
    most = max(map(len, options))
    fewer = sum(len(one) < most for one in options)
    of_all = f"; {fewer:,} of {len(options):,} examples have fewer" if fewer else ""
    letters = f"{LETTERS[0]} to {LETTERS[most - 1]}"
    return f"Choices: the text lists them, and {letters} are the classes{of_all}"


def as_letters(
    labels: Sequence[Any], choices: Sequence[Sequence[str] | None], labels_as: LabelsAs | None
) -> list[Any]:
    """Return the letter of each example's right choice, or what is wrong with its label.

    Labels are letters, numbers counted from 0, or the choices themselves; all have the same kind.

    Parameters
    ----------
    labels : sequence
    choices : sequence
        The choices of each example, or None if they could not be read.
    labels_as : {"names", "numbers"}, optional
        Which of the last two, if labels could be both.

    Raises
    ------
    LabelError
        If labels could have two kinds that mean different choices.
    """
    kinds = {"letters": _by_letter, "numbers": _by_number, "names": _by_name}
    if labels_as is not None:
        kinds = {labels_as: kinds[labels_as]}
    found = {kind: _each(labels, choices, read) for kind, read in kinds.items()}
    n_read = {kind: sum(isinstance(one, str) for one in each) for kind, each in found.items()}
    most = max(n_read.values())
    best = [kind for kind in found if n_read[kind] == most]
    if most and len(best) > 1 and any(found[kind] != found[best[0]] for kind in best[1:]):
        row = next(i for i, one in enumerate(found[best[0]]) if one != found[best[1]][i])
        raise LabelError(
            f"the label {str(labels[row])[:60]!r} can be read as choice {found[best[0]][row]} and "
            f"as choice {found[best[1]][row]}; choose with {option('labels_as', 'names')}, the "
            f"choices themselves, or {option('labels_as', 'numbers')}, which count from 0"
        )
    return found[best[0]]


def _each(
    labels: Sequence[Any],
    choices: Sequence[Sequence[str] | None],
    read: Callable[[Any, Sequence[str]], int | None],
) -> list[Any]:
    found: list[Any] = []
    for label, options in zip(labels, choices, strict=True):
        if options is None:
            found.append(None)
        elif is_missing(label):
            found.append(BadValueError("there is no label", of_label=True))
        elif (place := read(plain_label(label), options)) is None:
            found.append(
                BadValueError(
                    f"the label {str(label)[:60]!r} is not one of the {len(options)} choices; "
                    "expected a letter, a number counted from 0, or the choice itself",
                    of_label=True,
                )
            )
        else:
            found.append(LETTERS[place])
    return found


def _by_letter(label: Any, choices: Sequence[str]) -> int | None:
    letter = label.strip().strip("().").upper() if isinstance(label, str) else ""
    place = LETTERS.find(letter) if len(letter) == 1 else -1
    return place if 0 <= place < len(choices) else None


def _by_number(label: Any, choices: Sequence[str]) -> int | None:
    number = label_number(label)
    return number if number is not None and 0 <= number < len(choices) else None


def _by_name(label: Any, choices: Sequence[str]) -> int | None:
    said = str(label).strip()
    return list(choices).index(said) if said in choices else None
