"""Labels on a model's class axis: by name, by number, or refused if either could be meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emap_core.datasets.base import (
    DIGITS,
    LARGEST_NUMBER,
    Dataset,
    has_answers,
    is_answers,
    label_number,
    plain_label,
)
from emap_core.datasets.class_spellings import folded
from emap_core.errors import LabelError
from emap_core.option_names import LabelsAs, UnknownLabels, option

UNKNOWN = -1
"""The label of an example that counts as wrong: no class has this number."""
_ZERO_AND_ONE = (("0", "1"), ("False", "True"))


def match_labels(
    dataset: Dataset,
    classes: list[str] | None,
    n_classes: int,
    unknown: UnknownLabels = "error",
) -> NDArray[Any] | None:
    """Return the labels of a dataset on the model's class axis, or None if there are none.

    Parameters
    ----------
    dataset : Dataset
    classes : list of str or None
        Names of the model's outputs; label names are matched to them.
    n_classes : int
        Size of the model's last axis.
    unknown : {"error", "wrong", "skip"}
        With ``"wrong"``, a label that is not a class becomes `UNKNOWN`. Otherwise it is an error;
        for ``"skip"``, `without_unknown_labels` has left such examples out before.

    Returns
    -------
    ndarray
        Multiclass: class indices, shape (N,). Binary: 0 or 1, shape (N,). Multilabel: 0 or 1,
        shape (N, C). Regression: numbers, shape (N, C).

    Raises
    ------
    LabelError
        If a label does not name a class, is outside the axis, could be the name of one class and
        the number of another, or does not fit the task.
    """
    if dataset.labels is None:
        return None
    labels = list(dataset.labels)
    if dataset.task == "regression":
        return _numbers(dataset, labels, n_classes)
    if dataset.task == "binary" and n_classes != 1:
        raise LabelError(f"a binary task has one logit with threshold 0; the model has {n_classes}")
    axis = ClassAxis(dataset, classes, n_classes)
    if dataset.task == "multiclass" and n_classes == 1 and len({str(one) for one in labels}) > 1:
        known = f" ({axis.listed})" if axis.names else ""
        raise LabelError(
            "the model gives one number per pair, but a multiclass task needs one per class"
            f"{known}; if there are two, choose {option('task', 'binary')} and "
            f"{option('classes', 'no,yes')}, with the one below the threshold first"
        )
    if dataset.task == "multilabel":
        _refuse_what_is_not_a_list(dataset)
        if unknown == "wrong":
            axis.refuse_wrong()
        matrix = np.zeros((len(labels), n_classes), dtype=np.int64)
        for row, several in enumerate(labels):
            for label in several:
                matrix[row, axis.place(row, label)] = 1
        return matrix
    matched = np.array(
        [axis.place(row, label, unknown) for row, label in enumerate(labels)], dtype=np.int64
    )
    if len(matched) and (matched == UNKNOWN).all():
        raise LabelError(f"no label is a class of the model; {axis.why(0, labels[0])}")
    return matched


def match_answers(
    dataset: Dataset,
    classes: list[str] | None,
    n_classes: int,
    unknown: UnknownLabels = "error",
) -> list[list[int]]:
    """Return several annotators' answers as class numbers, `UNKNOWN` for other answers.

    Raises
    ------
    LabelError
        If no answer to any example is a class of the model, or, unless `unknown` is ``"wrong"``, if
        none of an example's answers is; if the lists may be columns of 0 and 1 instead of answers.
    """
    _refuse_a_column_per_class(dataset, classes, n_classes)
    axis = ClassAxis(dataset, classes, n_classes)
    given = list(dataset.labels or ())
    each = [[axis.place(row, one, "wrong") for one in a] for row, a in enumerate(given)]
    nothing = [row for row, answers in enumerate(each) if max(answers, default=UNKNOWN) < 0]
    if nothing and len(nothing) == len(each):
        raise LabelError(
            f"no annotator's answer is a class of the model; example {dataset.ids[0]!r} has "
            f"{given[0][0]!r}, the classes are {axis.listed}"
        )
    if nothing and unknown != "wrong":
        raise LabelError(f"{axis.why_answers(nothing[0])}{_HINT}")
    return each


def unknown_labels(
    dataset: Dataset, classes: list[str] | None, n_classes: int | None = None
) -> dict[int, str]:
    """Return the examples whose label is not a class of the model, each with the reason.

    `n_classes` is for a model without class names. With several annotators, one answer that is a
    class is enough; in a multilabel task, all labels must be classes.
    """
    n_classes = len(classes) if classes else n_classes
    if dataset.labels is None or n_classes is None or dataset.task == "regression":
        return {}
    if dataset.task == "multilabel":
        _refuse_what_is_not_a_list(dataset)
    elif has_answers(dataset):
        _refuse_a_column_per_class(dataset, classes, n_classes)
    axis = ClassAxis(dataset, classes, n_classes)
    wrong = {}
    for row, label in enumerate(dataset.labels):
        if dataset.task != "multilabel" and is_answers(label):
            if all(axis.why(row, one) is not None for one in label):
                wrong[row] = axis.why_answers(row)
            continue
        each = (axis.why(row, one) for one in (label if dataset.task == "multilabel" else [label]))
        if (why := next((one for one in each if one is not None), None)) is not None:
            wrong[row] = why
    return wrong


def label_classes(dataset: Dataset) -> list[str] | None:
    """Return the class names that a dataset states or its labels spell, or None.

    Digits are names here: this is for models that accept whatever classes the data has.
    """
    if dataset.classes or dataset.labels is None or dataset.task == "regression":
        return dataset.classes
    names = {label.strip() for label in _each(dataset) if isinstance(label, str)}
    return sorted(names, key=lambda name: (label_number(name) or 0, name)) if names else None


def named_labels(dataset: Dataset) -> list[Any]:
    """Return the labels of a dataset as names of its own classes.

    A model may order these differently. A label that is not one of them stays as it is.

    Raises
    ------
    LabelError
        If a label could be the name of one class and the number of another.
    """
    axis = ClassAxis(dataset, None, len(dataset.classes or []))
    names = list(axis.names)

    def name(row: int, label: Any) -> str:
        found = axis.place(row, label, "wrong")
        return str(plain_label(label)) if found == UNKNOWN else names[found]

    return [
        [name(row, one) for one in label] if is_answers(label) else name(row, label)
        for row, label in enumerate(dataset.labels or ())
    ]


def names_of_outputs(dataset: Any, classes: list[str] | None, n_classes: int) -> list[str]:
    """Return a name for each of a model's outputs; for a binary task, the two labels.

    Parameters
    ----------
    dataset : Dataset
    classes : list of str or None
        The model's class names.
    n_classes : int
        How many numbers it returns per pair.
    """
    if dataset.task == "binary":
        pairs = [list(names) for names in (classes, dataset.classes) if names and len(names) == 2]
        return [*pairs, ["no", "yes"]][0]
    names = classes or dataset.classes or []
    if len(names) == n_classes or (n_classes == 1 and len(names) == 2):
        return list(names)
    return [f"class {i}" for i in range(n_classes)]


def labels_note(dataset: Dataset, classes: list[str] | None, n_classes: int) -> str:
    """Return a note if digits are read as numbers of named classes, or nothing."""
    if dataset.labels is None or dataset.task == "regression":
        return ""
    axis = ClassAxis(dataset, classes, n_classes)
    if getattr(dataset, "labels_as", None) or axis.labels_as == "names" or not axis.names:
        return ""
    if not any(isinstance(label, str) for label in _each(dataset)):
        # Reading integers as numbers is not a guess.
        return ""
    some = ", ".join(f"{i} is {name}" for i, name in enumerate(axis.numbered[:4]))
    more = ", …" if len(axis.numbered) > 4 else ""
    return f"labels are numbers and are read as class numbers, counted from 0: {some}{more}"


class ClassAxis:
    """The class axis of a model, and how one dataset's labels are read on it.

    All labels are read in one way. Words are names. Whole numbers written as strings are names if
    the model has classes with such names, and class numbers if it has none. If integers could be
    both and would mean different classes, the data has to decide with ``labels_as``.

    Parameters
    ----------
    dataset : Dataset
    classes : list of str or None
        The model's class names; if it has none, those of the data count.
    n_classes : int
        Size of the model's last axis.
    """

    def __init__(self, dataset: Dataset, classes: list[str] | None, n_classes: int) -> None:
        self._dataset = dataset
        self.size = 2 if dataset.task == "binary" else n_classes
        names = classes if classes is not None else dataset.classes
        if dataset.task == "binary" and (names is None or len(names) != 2):
            names = dataset.classes
        self.names = {str(name): i for i, name in enumerate(names or [])}
        self._repeated = {str(name) for name in names or [] if list(names or []).count(name) > 1}
        self._own = self._numbering_of_data()

    @property
    def listed(self) -> str:
        """The first names, for messages."""
        return ", ".join(list(self.names)[:8]) + (", …" if len(self.names) > 8 else "")

    @property
    def numbered(self) -> list[str]:
        """The names of classes in the order in which labels number them."""
        return list(self.names) if self._own is None else self._own

    @cached_property
    def labels_as(self) -> LabelsAs:
        """How the labels are read.

        Raises
        ------
        LabelError
            If they could be both names and numbers of different classes.
        """
        stated: LabelsAs | None = getattr(self._dataset, "labels_as", None)
        if stated is not None:
            return stated
        distinct = {(type(label), label): label for label in _each(self._dataset)}
        # A label that is neither is refused individually.
        labels = [label for label in distinct.values() if isinstance(label, (str, int))]
        if not all(label_number(label) is not None for label in labels):
            return "names"
        if self._dataset.task != "binary" and self.names:
            self._refuse_truth_values(labels)
        if all(isinstance(label, str) for label in labels):
            if any(self._named(label) is not None for label in labels):
                return "names"
            self._refuse_counted_from_one(labels)
            self._refuse_answers_that_are_not_classes(labels)
            return "numbers"
        both = [(label, self._named(label), self._numbered(label)) for label in labels]
        differ = [one for one in both if None not in one[1:] and one[1] != one[2]]
        no_number = [one for one in both if one[1] is not None and one[2] is None]
        no_name = [one for one in both if one[1] is None and one[2] is not None]
        if (differ and (no_name or not no_number)) or (no_number and no_name):
            raise LabelError(self._two_readings((differ or no_number)[0][0], no_name))
        if no_number:
            return "names"
        if not any(isinstance(label, bool) or named is not None for label, named, _ in both):
            self._refuse_counted_from_one(labels)
        return "numbers"

    def place(self, row: int, label: Any, unknown: UnknownLabels = "error") -> int:
        """Return the number of a label's class.

        Raises
        ------
        LabelError
            If the label is not a class and `unknown` is not ``"wrong"``, or it cannot be read.
        """
        found = self._find(row, label)
        if found is not None:
            return found
        if unknown == "wrong":
            return UNKNOWN
        raise LabelError(f"{self.why(row, label)}{self._hint(label)}{_HINT}")

    def why(self, row: int, label: Any) -> str | None:
        """Return why a label is not a class of the model, or None if it is."""
        if self._find(row, label) is not None:
            return None
        where, label = self._cell(row), plain_label(label)
        if self.labels_as == "numbers":
            number = label_number(label)
            if self._own is not None and number is not None and 0 <= number < len(self._own):
                return (
                    f"{where} has the label {label}, which is {self._own[number]!r} in the data "
                    f"and not a class of the model; its classes are {self.listed}"
                )
            return f"{where} has the label {label}; classes are numbered 0 to {self.size - 1}"
        return (
            f"{where} has the label {label!r}, which is not a class of the model; its classes are "
            f"{self.listed}"
        )

    def _numbering_of_data(self) -> list[str] | None:
        """Return the names that the data's numbers refer to, or None for the model's numbers.

        If both name classes and share some names, numbers in the data refer to its own classes.
        """
        own = self._dataset.classes
        if not own or getattr(self._dataset, "classes_guessed", False):
            return None
        own = [str(name) for name in own]
        if own == list(self.names) or not self.names.keys() & set(own):
            return None
        return own

    def _hint(self, label: Any) -> str:
        if self.labels_as == "numbers" and label_number(label) == self._n_numbered:
            numbers = {label_number(one) for one in _each(self._dataset)}
            return "" if 0 in numbers else "; if labels count from 1, subtract 1 from each"
        if (alike := self._alike(plain_label(label))) is not None and self.labels_as == "names":
            merged = option("merge_labels", "true")
            return f"; if it is {list(self.names)[alike]!r} in another spelling, give {merged}"
        own = [str(name) for name in self._dataset.classes or []]
        if self._dataset.task == "binary" and len(own) == 2 and not set(own) & set(self.names):
            names = option("classes", ",".join(self.names))
            return f"; if {own[0]} and {own[1]} are these in this order, give {names}"
        if self._numbered(label) is None or getattr(self._dataset, "labels_as", None):
            return ""
        return f"; if it is the number of a class, give {option('labels_as', 'numbers')}"

    def why_answers(self, row: int) -> str:
        """Return why none of an example's answers is a class of the model."""
        given = list(self._dataset.labels or ())[row]
        said = ", ".join(repr(plain_label(one)) for one in dict.fromkeys(given)) or "none"
        return (
            f"{self._cell(row)} has the answers {said:.200}, none of which is a class of the "
            f"model; its classes are {self.listed}"
        )

    def refuse_wrong(self) -> None:
        """Refuse to count multilabel examples as wrong, if there are any to count."""
        for row, several in enumerate(self._dataset.labels or ()):
            for label in several:
                if self._find(row, label) is None:
                    raise LabelError(
                        f"{self.why(row, label)}; a multilabel example is not right or wrong as a "
                        f"whole: choose {option('unknown_labels', 'skip', 'run')}"
                    )

    def _find(self, row: int, label: Any) -> int | None:
        """Return the number of a label's class, or None if the model does not have it."""
        label = plain_label(label)
        if not isinstance(label, (str, int)):
            raise LabelError(
                f"{self._cell(row)} has the label {label!r}; expected the name or number of a class"
            )
        if self.labels_as == "numbers":
            if label_number(label) is None:
                raise LabelError(
                    f"{self._cell(row)} has the label {label!r}; expected the number of a class, "
                    f"as {option('labels_as', 'numbers')} says"
                )
            return self._numbered(label)
        if not self.names:
            raise LabelError(
                f"{self._cell(row)} has the label {label!r}, but neither the model nor the data "
                f"names the classes; give {option('classes')}, the model's classes in order"
            )
        found = self._named(label)
        if found is not None and found >= self.size:
            raise LabelError(
                f"{self._cell(row)} has the label {label!r}, one of {len(self.names)} classes "
                f"({self.listed}); the model has {self.size}: give {option('classes')}, the "
                "model's classes in order"
            )
        return found

    def _named(self, label: Any) -> int | None:
        for spelled in _spellings(label):
            if spelled in self._repeated:
                raise LabelError(
                    f"the label {spelled!r} is the name of more than one class of the model; give "
                    "each class its own name, or give labels as class numbers"
                )
            if spelled in self.names:
                return self.names[spelled]
        return self._alike(label) if getattr(self._dataset, "merges_labels", False) else None

    def _alike(self, label: Any) -> int | None:
        """Return the class that differs from a label only in capitals, spaces or a full stop."""
        if not isinstance(label, str):
            return None
        found = [i for name, i in self.names.items() if folded(name) == folded(label)]
        return found[0] if len(found) == 1 else None

    def _numbered(self, label: Any) -> int | None:
        number = label_number(label)
        if self._own is not None and number is not None:
            return self.names.get(self._own[number]) if 0 <= number < len(self._own) else None
        return number if number is not None and 0 <= number < self.size else None

    def _refuse_truth_values(self, labels: list[Any]) -> None:
        truth = [label for label in labels if isinstance(label, bool)]
        if truth and not any(self._named(label) is not None for label in truth):
            raise LabelError(
                f"the labels are True and False, but the classes are {self.listed}; name them in "
                f"the data, or give {option('labels_as', 'numbers')}: then False is the first "
                "class and True the second"
            )

    @property
    def _n_numbered(self) -> int:
        return self.size if self._own is None else len(self._own)

    def _refuse_counted_from_one(self, labels: list[Any]) -> None:
        """Refuse numbers that fit the classes both counted from 0 and counted from 1."""
        numbers = {label_number(label) for label in labels}
        last = len(numbers)
        if self._dataset.task == "binary" or not 2 <= last < self._n_numbered:
            return
        if numbers != set(range(1, last + 1)):
            return
        first, second = (
            (f"the class {name!r}" for name in self.numbered[:2])
            if self.names
            else ("output 0", "output 1")
        )
        names = ",".join(str(number) for number in range(1, self._n_numbered + 1))
        otherwise = (
            "subtract 1 from each"
            if self.names
            else f"{option('classes', names)} and {option('labels_as', 'names')}"
        )
        raise LabelError(
            f"the labels 1 to {last} can be read in two ways: counted from 0, the label 1 is "
            f"{second}; counted from 1, it is {first}; choose {option('labels_as', 'numbers')}, "
            f"which counts from 0, or {otherwise}"
        )

    def _refuse_answers_that_are_not_classes(self, labels: list[Any]) -> None:
        """Refuse digits if none is a class name of the model, unless they number every class."""
        numbers = {label_number(label) for label in labels}
        if not self.names or self._dataset.task == "binary":
            return
        if numbers == set(range(self._n_numbered)) or not numbers <= set(range(self._n_numbered)):
            # A label that is not a class number either is refused individually.
            return
        some = labels[0]
        raise LabelError(
            f"the label {some!r} can be read in two ways: as a name it is not a class of the model "
            f"({self.listed}), as a number it is {self.numbered[label_number(some) or 0]!r}; "
            f"choose {option('labels_as', 'names')} or {option('labels_as', 'numbers')}"
        )

    def _two_readings(self, label: Any, others: list[Any]) -> str:
        names, numbered = list(self.names), self._numbered(label)
        named = self.names[next(name for name in _spellings(label) if name in self.names)]
        if numbered is None:
            rest = f"others, such as {others[0][0]}, can only be class numbers"
        elif numbered < len(names):
            rest = f"as a number it is the class {names[numbered]!r}"
        else:
            rest = f"as a number it is the output {numbered}, counted from 0"
        return (
            f"the label {label} can be read in two ways: as a name it is the class "
            f"{names[named]!r}, output {named}, and {rest}; choose with "
            f"{option('labels_as', 'names')} or {option('labels_as', 'numbers')}"
        )

    def _cell(self, row: int) -> str:
        cells = getattr(self._dataset, "label_cells", None)
        return f"example {self._dataset.ids[row]!r}" if cells is None else str(cells[row])


_HINT = (
    f"; {option('unknown_labels', 'skip', 'run')} leaves such examples out, "
    f"{option('unknown_labels', 'wrong', 'run')} counts them as wrong"
)


def _refuse_what_is_not_a_list(dataset: Dataset) -> None:
    """Refuse multilabel labels that would be read letter by letter or key by key."""
    for row, several in enumerate(dataset.labels or ()):
        if not isinstance(several, (list, tuple, set, frozenset, np.ndarray)):
            raise LabelError(
                f"example {dataset.ids[row]!r} has the label {several!r}; a multilabel task needs "
                "the list of an example's classes, or an array of 0 and 1 with one column per class"
            )


def _refuse_a_column_per_class(
    dataset: Dataset, classes: Sequence[str] | None, n_classes: int
) -> None:
    """Refuse a 0 or 1 for each class where the answers of annotators are expected.

    Read as answers, the columns would be so many votes for the first two classes.
    """
    stated = None if getattr(dataset, "classes_guessed", False) else dataset.classes
    named = set(map(str, classes or stated or []))
    if n_classes < 2 or any(set(both) <= named for both in _ZERO_AND_ONE):
        return
    rows = list(dataset.labels or ())
    if all(
        is_answers(row) and len(row) == n_classes and all(_is_zero_or_one(one) for one in row)
        for row in rows
    ):
        raise LabelError(
            f"every label is a list of {n_classes} zeros and ones, as many as there are classes, "
            "which can be read in two ways; if each stands for a class, give the class that is 1, "
            f"or set {option('task', 'multilabel')} if several can be 1; if they are the answers "
            f"of {n_classes} annotators, give the names of the classes"
        )


def _is_zero_or_one(label: Any) -> bool:
    # Tables hold truth values as words.
    return label_number(plain_label(label)) in (0, 1) or str(label) in _ZERO_AND_ONE[1]


def _each(dataset: Dataset) -> Iterator[Any]:
    """Yield every label, also those within lists, as Python's own strings and numbers."""
    for label in dataset.labels if dataset.labels is not None else ():
        if dataset.task == "multilabel" or is_answers(label):
            yield from (_hashable(plain_label(one)) for one in label)
        else:
            yield _hashable(plain_label(label))


def _hashable(label: Any) -> Any:
    return label if isinstance(label, (str, int, float)) or label is None else repr(label)


def _spellings(label: Any) -> tuple[str, ...]:
    """Return the spellings of class names that a label may match."""
    if isinstance(label, bool):
        return str(label), str(label).lower()
    if isinstance(label, str):
        # Tables with an empty cell write 2 as 2.0.
        written = DIGITS.fullmatch(label)
        return (label, label.strip()) + ((str(int(written[1])),) if written and written[2] else ())
    return (str(label),)


def _numbers(dataset: Dataset, labels: list[Any], n_classes: int) -> NDArray[Any]:
    try:
        values = np.array(labels, dtype=np.float64).reshape(len(labels), -1)
    except (TypeError, ValueError) as error:
        raise LabelError(f"regression needs a number for every example: {error}") from error
    wrong = ~(np.abs(values) <= LARGEST_NUMBER)
    if wrong.any():
        row = int(np.argwhere(wrong)[0][0])
        cells = getattr(dataset, "label_cells", None)
        where = f"example {dataset.ids[row]!r}" if cells is None else str(cells[row])
        raise LabelError(
            f"{where} has the label {labels[row]!r}; expected a finite number of at most "
            f"{LARGEST_NUMBER:.0e}: choose a larger unit"
        )
    if values.shape[1] != n_classes:
        raise LabelError(
            f"labels have {values.shape[1]} numbers per example, but the model returns {n_classes}"
        )
    return values
