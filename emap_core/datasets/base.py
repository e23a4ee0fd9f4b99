"""The dataset contract: N examples in order, each an item per side and perhaps a label.

The sides are a text and an image, or others: then `other_sides` holds the items of all of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from PIL import Image

from emap_core.class_names import class_names
from emap_core.errors import DatasetError
from emap_core.modalities import TEXT_AND_IMAGE, BadItemError, Side
from emap_core.modalities.fingerprints import fingerprint_of as fingerprint_of
from emap_core.modalities.image import beside, image_of_array, is_array, opened, upright
from emap_core.option_names import with_options_named
from emap_core.types import Task

if TYPE_CHECKING:
    import pandas as pd

TASKS = ("multiclass", "binary", "multilabel", "regression")

LARGEST_NUMBER = 1e15
"""Largest output or regression target.

Its fourth power fits a float64, and adding 1 to it is not lost in the last digit.
"""


DIGITS = re.compile(r"\s*([0-9]{1,18})(\.0+)?\s*")
"""A whole number in a text file: tables with an empty cell write 2 as 2.0."""


class Dataset(Protocol):
    """N examples in order.

    Optional attributes: ``image_inputs`` (goes to the model instead of ``images``, which are then
    only for display), ``image_keys`` (hashable: which images are the same, without decoding them),
    ``columns`` (a DataFrame of all other columns, one row per example, which the run keeps to group
    by), ``skipped`` (what was wrong with each row that was left out), ``label_cells`` (what
    messages call each label), ``labels_as`` (``"names"`` or ``"numbers"``, if whole numbers could
    be either), ``merges_labels`` (whether a label matches a class that differs only in capitals,
    spaces or a full stop), ``reading`` (how a table's columns were assigned), ``classes_guessed``
    (whether the classes are the labels in alphabetical order). Everything after ``images`` may be
    missing. Sequences are read by position, also pandas objects. A dataset of other sides has
    ``sides``, a mapping of two or more names to sequences, instead of ``texts`` and ``images``, and
    perhaps ``modalities``. The label of a multiclass example may be a list: the answers of several
    annotators.
    """

    texts: Sequence[str]
    images: Sequence[Any]
    labels: Sequence[Any] | None
    ids: Sequence[str]
    classes: list[str] | None
    task: Task
    fingerprint: str | None

    def __len__(self) -> int:
        """Return N."""


@dataclass(frozen=True)
class SideItems:
    """The items of a side, one per example, with their keys and words.

    Attributes
    ----------
    side : Side
    items : sequence
        Files are opened when indexed.
    keys : sequence of hashable or None
        Which items are the same; None if strings or pixels decide.
    words : sequence of str or None
        A few words for each item; None for texts and images.
    inputs : sequence or None
        What goes to the model instead of the items, if that is something else.
    """

    side: Side
    items: Sequence[Any]
    keys: Sequence[Hashable] | None
    words: Sequence[str] | None
    inputs: Sequence[Any] | None = None


@dataclass
class Examples:
    """A dataset from sequences; images may be PIL images or a sequence that opens them.

    Images may also be file paths, file contents, or arrays of whole numbers from 0 to 255. pandas
    objects are read by position, whatever their index. The labels of a multilabel task may be an
    array of 0 and 1, shape (N, C).

    Examples
    --------
    >>> from PIL import Image
    >>> data = Examples(["a cat", "a dog"], [Image.new("RGB", (8, 8))] * 2, labels=["yes", "no"])
    >>> len(data), data.classes
    (2, ['no', 'yes'])
    """

    texts: Sequence[str] = ()
    images: Sequence[Any] = ()
    labels: Sequence[Any] | None = None
    ids: Sequence[str] = field(default_factory=list)
    classes: list[str] | None = None
    task: Task = "multiclass"
    fingerprint: str | None = None
    image_keys: Sequence[Hashable] | None = None
    image_inputs: Sequence[Any] | None = None
    columns: pd.DataFrame | None = None
    skipped: list[str] = field(default_factory=list)
    label_cells: Sequence[str] | None = None
    labels_as: Literal["names", "numbers"] | None = None
    merges_labels: bool = False
    reading: Reading | None = None
    classes_guessed: bool = False
    """Whether nobody named the classes, so they are the labels in alphabetical order."""
    other_sides: tuple[SideItems, ...] = ()
    """All sides, in order, if they are not a text and an image; `texts` and `images` are empty."""

    def __post_init__(self) -> None:
        import pandas as pd

        if self.task not in TASKS:
            raise DatasetError(f"task is {self.task!r}; expected one of {', '.join(TASKS)}")
        if self.classes is not None:
            self.classes = class_names(self.classes, "data", DatasetError)
        if self.task == "multilabel":
            self._read_indicators()
        for name in _SEQUENCES:
            setattr(self, name, _by_position(getattr(self, name)))
        if self.ids is None or not len(self.ids):
            self.ids = [str(i) for i in range(len(self))]
        self._check_lengths()
        if self.columns is not None:
            if not isinstance(self.columns, pd.DataFrame) or len(self.columns) != len(self):
                raise DatasetError(
                    "columns is not a DataFrame with one row per example; give one, or leave it out"
                )
            self.columns = self.columns.reset_index(drop=True)
        if is_array(self.images):
            self.images = list(self.images)
        if isinstance(self.images, list):
            self._open_images(self.images)
        named = self.task in ("multiclass", "multilabel")
        if self.classes is None and named and self.labels is not None:
            several = (list, tuple, set, frozenset, np.ndarray)
            each = [label if isinstance(label, several) else [label] for label in self.labels]
            labels = [plain_label(label) for several in each for label in several]
            names = {label for label in labels if isinstance(label, str)}
            if not all(label_number(name) is not None for name in names):
                # Numbers among words are words, too.
                names |= {str(label) for label in labels if type(label) is int}
                self.classes = sorted(names)
                self.classes_guessed = True

    def __len__(self) -> int:
        return len(self.items_by_side[0].items)

    @property
    def sides(self) -> tuple[Side, ...]:
        """The sides, in order."""
        return tuple(one.side for one in self.items_by_side)

    @property
    def items_by_side(self) -> tuple[SideItems, ...]:
        """The items of each side, in order."""
        text, image = TEXT_AND_IMAGE
        return self.other_sides or (
            SideItems(text, self.texts, None, None),
            SideItems(image, self.images, self.image_keys, None, self.image_inputs),
        )

    def with_items(self, place: int, items: Sequence[Any]) -> Examples:
        """Return the same data with other items of one side, which have the same keys."""
        if not self.other_sides:
            return replace(self, images=items) if place else replace(self, texts=items)
        sides = list(self.other_sides)
        sides[place] = replace(sides[place], items=items)
        return replace(self, other_sides=tuple(sides))

    def _check_lengths(self) -> None:
        first = self.sides[0].name if self.other_sides else "texts"
        lengths = {f"side {one.side.name!r}": len(one.items) for one in self.other_sides}
        for name in _SEQUENCES:
            values = getattr(self, name)
            if values is not None and not (self.other_sides and name in ("texts", "images")):
                lengths[name] = len(values)
        for name, length in lengths.items():
            if length != len(self):
                raise DatasetError(
                    f"{name} has {length} entries, but {first} has {len(self)}; each example needs "
                    "one of each"
                )

    def _read_indicators(self) -> None:
        """Turn an array of 0 and 1, one column per class, into the classes of each example."""
        import pandas as pd

        if isinstance(self.labels, pd.DataFrame):
            self.classes = self.classes or [str(name) for name in self.labels.columns]
            self.labels = self.labels.to_numpy()
        elif _is_rows_of_indicators(self.labels):
            self.labels = np.asarray(self.labels)  # type: ignore[assignment]
        if not isinstance(self.labels, np.ndarray) or self.labels.ndim != 2:
            return
        if not np.isin(self.labels, (0, 1)).all():
            raise DatasetError(
                "labels is an array of numbers other than 0 and 1; give one column of 0 and 1 per "
                "class, or a list of classes per example"
            )
        if self.classes is not None and len(self.classes) != self.labels.shape[1]:
            raise DatasetError(
                f"labels has {self.labels.shape[1]} columns, but classes has {len(self.classes)} "
                "names; give one name per column"
            )
        names = self.classes
        self.labels = [
            [int(c) if names is None else names[c] for c in np.flatnonzero(row)]
            for row in self.labels
        ]
        self.labels_as = "numbers" if names is None else "names"

    def _open_images(self, images: list[Any]) -> None:
        """Open paths and file contents on use; turn arrays into images."""
        if images and all(isinstance(image, (str, Path, bytes)) for image in images):
            files = [Path(image) if isinstance(image, str) else image for image in images]
            self.images = ImageFiles(files)
            if self.image_keys is None:
                self.image_keys = [
                    fingerprint_of(file) if isinstance(file, bytes) else str(file) for file in files
                ]
        elif any(map(is_array, images)):
            self.images = [image_of_array(image) for image in images]


_SEQUENCES = ("texts", "images", "labels", "ids", "image_keys", "image_inputs", "label_cells")


@dataclass(frozen=True)
class Reading:
    """How the columns of a table were assigned.

    Attributes
    ----------
    columns : tuple of str
        All columns.
    taken : dict
        The column for ``text``, ``image``, ``label``, ``id`` and ``regions``, or None.
    reasons : dict
        For each of these, why it was taken, or why none was.
    like_labels : tuple of str
        Columns that look like labels and were not taken.
    told : tuple of str
        What else people should know about how the table was read, one sentence each.
    """

    columns: tuple[str, ...]
    taken: dict[str, str | None]
    reasons: dict[str, str]
    like_labels: tuple[str, ...]
    told: tuple[str, ...] = ()

    @property
    def lines(self) -> list[str]:
        """What to tell people before anything is computed, one item per line."""
        shown = ", ".join(self.columns[:20]) + (", …" if len(self.columns) > 20 else "")
        parts = [
            f"{what} from {column!r} ({self.reasons[what]})"
            for what, column in self.taken.items()
            if column is not None
        ]
        lines = [f"Columns: {shown}", f"Taken: {'; '.join(parts)}"]
        if self.taken.get("label") is None:
            lines.append(
                f"No labels ({self.reasons['label']}): this run says nothing about performance"
            )
        elif self.like_labels:
            others = ", ".join(self.like_labels[:8])
            lines.append(f"Not used, although they look like labels: {others}")
        return [*lines, *map(with_options_named, self.told)]


def as_examples(given: Any) -> Examples:
    """Return a dataset with every optional attribute filled in; sequences are read by position.

    Raises
    ------
    DatasetError
        If it is not a dataset.
    """
    for name in ("texts", "images"):
        if not hasattr(given, name):
            raise DatasetError(
                f"the data is a {type(given).__name__} without {name!r}; give a spec such as "
                "csv:FILE, a DataFrame, or an object with texts and images such as "
                "emap_core.datasets.base.Examples"
            )
    return Examples(
        **{f.name: getattr(given, f.name) for f in fields(Examples) if _stated(given, f.name)}
    )


@dataclass(frozen=True)
class Address:
    """The web address of an image that has not been fetched yet."""

    url: str

    def __str__(self) -> str:
        return self.url


ImageFile = Path | bytes | Address | tuple[Path | bytes | Address, ...]
"""An image's place, its file's content, or several of these that form one image."""


def image_key(file: ImageFile) -> str:
    """Return a key that is equal for equal files or contents."""
    if isinstance(file, tuple):
        return json.dumps([image_key(one) for one in file])
    return fingerprint_of(file) if isinstance(file, bytes) else str(file)


def has_address(file: ImageFile) -> bool:
    """Return whether a part of an image has not been fetched yet."""
    return any(isinstance(part, Address) for part in (file if isinstance(file, tuple) else (file,)))


class ImageFiles(Sequence[Image.Image]):
    """PIL images, opened from their files when indexed, never all at once: upright and in RGB.

    Only the first of several frames counts, transparent areas become white, and 16 bits are cut to
    the upper 8. Several files that form one image are placed side by side, left to right, scaled to
    the tallest.

    Parameters
    ----------
    files : sequence of Path, bytes or tuple of these
        The place of each image, or the content of its file.
    names : sequence of str, optional
        What messages call each image; its path by default.
    """

    def __init__(self, files: Sequence[ImageFile], names: Sequence[str] | None = None) -> None:
        self.files = list(files)
        self.names = None if names is None else list(names)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return ImageFiles(self.files[index], self.names and self.names[index])
        try:
            return beside([self._decoded(index, part) for part in self._parts(index)])
        except BadItemError as error:
            raise DatasetError(f"{self._name(index)} {error}") from error

    def check(self, index: int) -> None:
        """Raise a DatasetError unless the file exists and begins like an image."""
        for part in self._parts(index):
            with self._opened(index, part):
                pass

    def _parts(self, index: int) -> tuple[Path | bytes | Address, ...]:
        file = self.files[index]
        return file if isinstance(file, tuple) else (file,)

    def _name(self, index: int, file: Path | bytes | Address = b"") -> str:
        if self.names is not None:
            return self.names[index]
        return f"image {index}" if isinstance(file, bytes) else f"image {file}"

    def _decoded(self, index: int, file: Path | bytes | Address) -> Image.Image:
        with self._opened(index, file) as image:
            return upright(image)

    @contextmanager
    def _opened(self, index: int, file: Path | bytes | Address) -> Iterator[Image.Image]:
        name = self._name(index, file)
        if isinstance(file, Address):
            raise DatasetError(f"{name} has not been fetched; load it with load_dataset")
        try:
            with opened(file) as image:
                yield image
        except BadItemError as error:
            raise DatasetError(f"{name} {error}") from error


def has_answers(dataset: Any) -> bool:
    """Return whether the labels are the answers of several annotators."""
    return (
        dataset.labels is not None
        and dataset.task == "multiclass"
        and len(dataset.labels) > 0
        and is_answers(dataset.labels[0])
    )


def is_answers(label: Any) -> bool:
    """Return whether a multiclass example's label holds several annotators' answers."""
    return isinstance(label, (list, tuple))


def plain_label(label: Any) -> Any:
    """Return a label as Python's own string, bool or integer if it is one of these."""
    if isinstance(label, str):
        return str(label)
    if isinstance(label, (bool, np.bool_)):
        return bool(label)
    if isinstance(label, (int, np.integer)):
        return int(label)
    if isinstance(label, (float, np.floating)) and float(label).is_integer():
        return int(label)
    if isinstance(label, np.ndarray) and label.ndim == 0:
        return plain_label(label.item())
    return label


def label_number(label: Any) -> int | None:
    """Return the whole number that a label is or spells, or None."""
    if isinstance(label, int):
        return int(label)
    written = DIGITS.fullmatch(label) if isinstance(label, str) else None
    return None if written is None else int(written[1])


def _stated(given: Any, name: str) -> bool:
    return getattr(given, name, None) is not None


def _is_rows_of_indicators(labels: Any) -> bool:
    """Return whether every row has a 0 or 1 per class; a list of classes has no reason to."""
    if getattr(labels, "ndim", 1) > 1:
        return not isinstance(labels, np.ndarray)
    if labels is None or isinstance(labels, (str, Mapping)) or not len(labels):
        return False
    rows = list(labels)
    if not all(isinstance(row, (list, tuple)) or getattr(row, "ndim", 0) == 1 for row in rows):
        return False
    return (
        len({len(row) for row in rows}) == 1
        and len(rows[0]) > 1
        and all(not isinstance(one, str) and one in (0, 1) for row in rows for one in row)
    )


def _by_position(values: Any) -> Any:
    """Return a sequence that is indexed by position: a Series looks numbers up in its index."""
    import pandas as pd

    if isinstance(values, (pd.Series, pd.Index, pd.api.extensions.ExtensionArray)):
        return values.tolist()
    if hasattr(values, "to_pylist"):
        return values.to_pylist()
    if getattr(values, "ndim", 0) == 1 and hasattr(values, "tolist"):
        return values.tolist()
    if isinstance(values, (Mapping, set, pd.DataFrame)):
        raise DatasetError(
            f"a {type(values).__name__} has no order of examples; give a list or a column"
        )
    return values
