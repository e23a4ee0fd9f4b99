"""The dataset contract: N examples in order, each a text, an image and perhaps a label."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from emap_core.environment import whole_number
from emap_core.errors import DatasetError, EmapError, LabelError, reason

Task = Literal["multiclass", "binary", "multilabel", "regression"]
TASKS = ("multiclass", "binary", "multilabel", "regression")

MAX_IMAGE_PIXELS = 80_000_000
"""Larger images are refused before they are decoded, unless ``EMAP_MAX_IMAGE_PIXELS`` is higher."""
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000")
"""What is taken for an image. Others that Pillow knows start programs or follow links."""

Index = NDArray[np.intp]


class Dataset(Protocol):
    """N examples in order.

    Optional attributes: ``image_inputs`` (goes to the model in place of ``images``, which then
    serve display), ``image_keys`` (hashable: which images are the same, without decoding them),
    ``groups`` (a DataFrame of further columns, a row an example, to slice by), ``skipped`` (what
    was wrong with each row that was left out), ``skip_bad`` (whether examples whose label the
    model has no class for are left out too), ``label_cells`` (what messages call each label).

    The label of a multiclass example may be a list, the answers of several annotators.
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


@dataclass
class Examples:
    """A dataset from sequences at hand; images may be PIL images or a sequence that opens them.

    Examples
    --------
    >>> from PIL import Image
    >>> data = Examples(["a cat", "a dog"], [Image.new("RGB", (8, 8))] * 2, labels=["yes", "no"])
    >>> len(data), data.classes
    (2, ['no', 'yes'])
    """

    texts: Sequence[str]
    images: Sequence[Any]
    labels: Sequence[Any] | None = None
    ids: Sequence[str] = field(default_factory=list)
    classes: list[str] | None = None
    task: Task = "multiclass"
    fingerprint: str | None = None
    image_keys: Sequence[Hashable] | None = None
    image_inputs: Sequence[Any] | None = None
    groups: pd.DataFrame | None = None
    skipped: list[str] = field(default_factory=list)
    skip_bad: bool = False
    label_cells: Sequence[str] | None = None

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise DatasetError(f"task is {self.task!r}; expected one of {', '.join(TASKS)}")
        if not len(self.ids):
            self.ids = [str(i) for i in range(len(self.texts))]
        for name in ("images", "labels", "ids", "image_keys", "image_inputs", "label_cells"):
            values = getattr(self, name)
            if values is not None and len(values) != len(self.texts):
                raise DatasetError(
                    f"{name} has {len(values)} entries and texts has {len(self.texts)}; "
                    "each example needs one of both"
                )
        if self.classes is None and self.task == "multiclass" and self.labels is not None:
            each = [label if is_answers(label) else [label] for label in self.labels]
            names = {name for names in each for name in names if isinstance(name, str)}
            self.classes = sorted(names) if names else None

    def __len__(self) -> int:
        return len(self.texts)


class ImageFiles(Sequence[Image.Image]):
    """PIL images opened from their files when indexed, never all at once: upright and in RGB.

    Of several frames it is the first; what is transparent is white; of 16 bits the upper 8 count.

    Parameters
    ----------
    files : sequence of Path or bytes
        Where each image is, or the content of its file.
    names : sequence of str, optional
        What messages call each image; its path by default.
    """

    def __init__(self, files: Sequence[Path | bytes], names: Sequence[str] | None = None) -> None:
        self.files = list(files)
        self.names = None if names is None else list(names)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return ImageFiles(self.files[index], self.names and self.names[index])
        with self._opened(index) as image:
            # Cameras store photographs as the sensor lay, with a note on which way is up.
            return _in_colours(ImageOps.exif_transpose(image))

    def check(self, index: int) -> None:
        """Raise a DatasetError unless the file is there and begins like an image."""
        with self._opened(index):
            pass

    @contextmanager
    def _opened(self, index: int) -> Iterator[Image.Image]:
        file = self.files[index]
        name = f"image {index}" if isinstance(file, bytes) else f"image {file}"
        if self.names is not None:
            name = self.names[index]
        try:
            opened = BytesIO(file) if isinstance(file, bytes) else file
            with Image.open(opened, formats=FORMATS) as image:
                _check_size(name, image)
                yield image
        except EmapError:
            raise
        except FileNotFoundError as error:
            raise DatasetError(f"{name} does not exist") from error
        except UnidentifiedImageError as error:
            raise DatasetError(
                f"{name} cannot be read: it is no image of a known format"
            ) from error
        except OSError as error:
            raise DatasetError(
                f"{name} cannot be read: {error.strerror or reason(error)}"
            ) from error
        except Exception as error:
            # Decoders raise whatever they run into in files that were made to mislead them.
            raise DatasetError(f"{name} cannot be read: {reason(error)}") from error


@dataclass(frozen=True, eq=False)
class Cells:
    """Where the N examples sit on the grid of unique texts and unique images.

    Attributes
    ----------
    texts : list of str
        The U_t unique texts in order of first appearance.
    image_examples : ndarray of shape (U_v,)
        For each unique image, the first example that shows it.
    text_index, image_index : ndarray of shape (N,)
        The cell of each example.
    """

    texts: list[str]
    image_examples: Index
    text_index: Index
    image_index: Index

    @property
    def shape(self) -> tuple[int, int]:
        """Unique texts and unique images."""
        return len(self.texts), len(self.image_examples)


def find_cells(dataset: Dataset) -> Cells:
    """Give unique texts and images numbers, in order of first appearance.

    Texts are the same when their strings are; images when their keys are, else their pixels.

    Raises
    ------
    DatasetError
        If there are fewer than two examples, or a text is no string.
    """
    n = len(dataset)
    if n < 2:
        raise DatasetError(
            f"the dataset has {n} example{'' if n == 1 else 's'}; "
            "recombining texts and images needs at least 2"
        )
    for row, text in enumerate(dataset.texts):
        if not isinstance(text, str):
            raise DatasetError(
                f"the text of example {dataset.ids[row]!r} is {type(text).__name__}; "
                "expected a string"
            )
    text_index, texts = pd.factorize(np.array(list(dataset.texts), dtype=object))
    keys = getattr(dataset, "image_keys", None)
    if keys is None:
        keys = [_pixel_key(dataset.images[i]) for i in range(n)]
    image_index = _numbered(keys)
    _, first = np.unique(image_index, return_index=True)
    return Cells(
        [str(t) for t in texts], first.astype(np.intp), text_index.astype(np.intp), image_index
    )


def match_labels(
    dataset: Dataset, classes: list[str] | None, n_classes: int
) -> NDArray[Any] | None:
    """Return the labels of a dataset on the model's class axis, or None if it has none.

    Parameters
    ----------
    dataset : Dataset
    classes : list of str or None
        Names of the model's outputs; label names are matched to them by name.
    n_classes : int
        Size of the model's last axis.

    Returns
    -------
    ndarray
        Multiclass: class indices, shape (N,). Binary: 0 or 1, shape (N,). Multilabel: 0 or 1,
        shape (N, C). Regression: numbers, shape (N, C).

    Raises
    ------
    LabelError
        If a label names no class, is outside the axis, or does not fit the task.
    """
    if dataset.labels is None:
        return None
    labels = list(dataset.labels)
    if dataset.task == "regression":
        return _numbers(dataset, labels, n_classes)
    if dataset.task == "binary" and n_classes != 1:
        raise LabelError(f"a binary task has one logit with threshold 0; the model has {n_classes}")
    names = _class_names(dataset, classes)
    if dataset.task == "multiclass" and n_classes == 1 and len({str(one) for one in labels}) > 1:
        known = ", ".join(list(names)[:8]) + (", …" if len(names) > 8 else "")
        raise LabelError(
            "the model gives one number for a pair, and a multiclass task needs one for each class"
            + (f" ({known})" if known else "")
            + "; where there are two, give the data task=binary and classes=no,yes, the one below "
            "the threshold first"
        )
    if dataset.task == "multilabel":
        matrix = np.zeros((len(labels), n_classes), dtype=np.int64)
        for row, several in enumerate(labels):
            for label in several:
                matrix[row, _class_of(dataset, row, label, names, n_classes)] = 1
        return matrix
    size = 2 if dataset.task == "binary" else n_classes
    return np.array(
        [_class_of(dataset, row, label, names, size) for row, label in enumerate(labels)],
        dtype=np.int64,
    )


def unknown_labels(
    dataset: Dataset, classes: list[str] | None, n_classes: int | None = None
) -> dict[int, str]:
    """Return the examples whose label is none of a model's classes, each with what is wrong.

    `n_classes` is for a model that names none. Several annotators' answers may name what is no
    class; they earn nothing for it.
    """
    n_classes = len(classes) if classes else n_classes
    if dataset.labels is None or n_classes is None or dataset.task == "regression":
        return {}
    size = 2 if dataset.task == "binary" else n_classes
    names = _class_names(dataset, classes)
    wrong = {}
    for row, label in enumerate(dataset.labels):
        if dataset.task != "multilabel" and is_answers(label):
            continue
        try:
            for one in label if dataset.task == "multilabel" else [label]:
                _class_of(dataset, row, one, names, size)
        except LabelError as error:
            wrong[row] = str(error)
    return wrong


def is_answers(label: Any) -> bool:
    """Say whether the label of a multiclass example holds several annotators' answers."""
    return isinstance(label, (list, tuple))


def fingerprint_of(*parts: str | bytes) -> str:
    """Return a short hash that changes whenever one of the parts does."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()[:16]


def _numbered(keys: Sequence[Hashable]) -> Index:
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.intp)


def _check_size(name: str, image: Image.Image) -> None:
    most = whole_number("EMAP_MAX_IMAGE_PIXELS", MAX_IMAGE_PIXELS)
    if image.width * image.height > most:
        raise DatasetError(
            f"{name} is {image.width:,} × {image.height:,} pixels, more than the {most:,} that are "
            "allowed (EMAP_MAX_IMAGE_PIXELS)"
        )


def _in_colours(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ValueError("its pixels are fractions of an unknown range; save it with 8 bits")
    if image.mode == "I" or image.mode.startswith("I;16"):
        # Pillow itself would make every value above 255 white.
        values = np.asarray(image).astype(np.int64)
        upper = np.clip(values >> 8, 0, 255)
        upper[values == image.info.get("transparency", -1)] = 255
        return Image.fromarray(upper.astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _pixel_key(image: Any) -> str:
    pixels = image.convert("RGBA")
    return fingerprint_of(repr(pixels.size), pixels.tobytes())


def _class_names(dataset: Dataset, classes: list[str] | None) -> dict[str, int]:
    names = classes if classes is not None else dataset.classes
    if dataset.task == "binary" and (names is None or len(names) != 2):
        names = dataset.classes
    return {name: i for i, name in enumerate(names or [])}


def _class_of(dataset: Dataset, row: int, label: Any, names: dict[str, int], size: int) -> int:
    where = _label_cell(dataset, row)
    if isinstance(label, str):
        if label in names and names[label] < size:
            return names[label]
        known = ", ".join(list(names)[:8]) + (", …" if len(names) > 8 else "")
        if label in names:
            raise LabelError(
                f"{where} has the label {label!r}, one of {len(names)} classes ({known}); "
                f"the model has {size}: give the data classes=, those of the model in order"
            )
        raise LabelError(
            f"{where} has the label {label!r}, which is no class of the model; "
            + (
                f"its classes are {known}{_hint(dataset)}"
                if names
                else "none are named: give the data classes="
            )
        )
    if isinstance(label, (bool, int, np.integer, np.bool_)):
        if 0 <= int(label) < size:
            return int(label)
        raise LabelError(f"{where} has the label {label}; classes are numbered 0 to {size - 1}")
    raise LabelError(f"{where} has the label {label!r}; expected the name or number of a class")


def _hint(dataset: Dataset) -> str:
    of_a_table = getattr(dataset, "label_cells", None) is not None
    left_out = getattr(dataset, "skip_bad", False)
    return " (skip_bad leaves such rows out)" if of_a_table and not left_out else ""


def _label_cell(dataset: Dataset, row: int) -> str:
    cells = getattr(dataset, "label_cells", None)
    return f"example {dataset.ids[row]!r}" if cells is None else str(cells[row])


def _numbers(dataset: Dataset, labels: list[Any], n_classes: int) -> NDArray[Any]:
    try:
        values = np.array(labels, dtype=np.float64).reshape(len(labels), -1)
    except (TypeError, ValueError) as error:
        raise LabelError(f"regression needs a number for every example: {error}") from error
    if not np.isfinite(values).all():
        row = int(np.argwhere(~np.isfinite(values))[0][0])
        raise LabelError(
            f"{_label_cell(dataset, row)} has the label {labels[row]!r}; expected a number"
        )
    if values.shape[1] != n_classes:
        raise LabelError(f"labels have {values.shape[1]} numbers an example, the model {n_classes}")
    return values
