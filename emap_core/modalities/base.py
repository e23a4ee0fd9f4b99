"""The protocol for items of a side: how they are read, kept, named and masked.

A side of the data has a name, such as *premise*, and a modality. The rest of the code asks the
modality for everything it needs to know about texts, images or sounds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

from emap_core.errors import DatasetError
from emap_core.modalities.fingerprints import fingerprint_of
from emap_core.types import Mask

FindFile = Callable[[str, Any], Path]
"""Takes the kind of file, in a word, and a cell; returns the file if it may be opened."""


class BadItemError(DatasetError):
    """A cell or a file has the wrong content; the message continues after its name."""


@dataclass(frozen=True)
class Side:
    """One of the inputs of a model.

    Attributes
    ----------
    name : str
        Its name in the singular: text, premise, left image.
    modality : str
        The modality of its items, one of `emap_core.modalities.NAMES`.
    """

    name: str
    modality: str


@dataclass(frozen=True)
class Preview:
    """What a run keeps of an item for people to look at.

    Attributes
    ----------
    poster : bytes
        A JPEG of at most 256 pixels per side.
    content : bytes
        A larger preview of the modality's `media_type`; empty if the poster or the words show as
        much.
    """

    poster: bytes
    content: bytes = b""


class Modality(ABC):
    """A kind of item.

    A *source* is what an item is opened from: the item itself, a path, or a file's content.

    Attributes
    ----------
    name, plural : str
        Names of one item and of several, in messages.
    usual_names : tuple of str
        Default names of columns and folders with such items, in order of preference.
    suffixes : tuple of str
        Endings of its files.
    unit : str
        Name of `units`, in the plural.
    media_type : str
        Media type of a preview's content.
    read_at_once : bool
        Whether sources are the items themselves, so that all are in memory.
    """

    name: ClassVar[str]
    plural: ClassVar[str]
    usual_names: ClassVar[tuple[str, ...]]
    suffixes: ClassVar[tuple[str, ...]] = ()
    unit: ClassVar[str]
    media_type: ClassVar[str] = ""
    read_at_once: ClassVar[bool] = False

    def is_at_hand(self, cell: Any) -> bool:
        """Return whether a cell is clearly an item of this kind, by its type alone."""
        return False

    @abstractmethod
    def source(self, cell: Any, find: FindFile) -> Any:
        """Return the source of the item in a cell.

        Raises
        ------
        BadItemError
            If there is none, or the cell holds something else.
        """

    @abstractmethod
    def open(self, source: Any) -> Any:
        """Return the item.

        Raises
        ------
        BadItemError
            If the file cannot be read as one.
        """

    @abstractmethod
    def key(self, source: Any) -> str:
        """Return a key that is equal for sources of the same item."""

    @abstractmethod
    def words(self, source: Any) -> str:
        """Return a few words that tell the item from others, without opening it."""

    def n_bytes(self, item: Any) -> int:
        """Return roughly how much memory an item takes."""
        return 1024

    @abstractmethod
    def preview(self, item: Any, most_bytes: int) -> Preview:
        """Return an item's preview for the run; its content has at most `most_bytes`."""

    @abstractmethod
    def units(self, item: Any, most: int) -> list[str]:
        """Return names of the parts of an item that can be masked, at most `most`."""

    @abstractmethod
    def mask(self, item: Any, keep: Mask) -> Any:
        """Return the item without the units for which `keep` is False.

        `keep` has one value for each of the units that `units` returned.
        """


def file_name(source: Any, plain: str) -> str:
    """Return the name of a source that is a path, or `plain`."""
    return source.name if isinstance(source, Path) else plain


def file_key(source: Path | bytes) -> str:
    """Return a key that is equal for equal files: the path, or a hash of the content."""
    return str(source) if isinstance(source, Path) else fingerprint_of(source)


def content_of(source: Path | bytes) -> bytes:
    """Return the content of a file, given as a path or as the content.

    Raises
    ------
    BadItemError
        If there is no such file, or it cannot be read.
    """
    if isinstance(source, bytes):
        return source
    try:
        return source.read_bytes()
    except FileNotFoundError as error:
        raise BadItemError("does not exist") from error
    except OSError as error:
        raise BadItemError(f"cannot be read: {error.strerror}") from error


def file_source(what: str, cell: Any, find: FindFile) -> Path | bytes:
    """Return the path or the content of a file in a cell, also in Arrow's form."""
    if isinstance(cell, dict):
        cell = cell.get("bytes") or cell.get("path")
    if isinstance(cell, (bytes, Path)) and cell:
        return cell
    if not isinstance(cell, str) or not cell.strip():
        raise BadItemError(f"there is no {what}; give the path of a file, or its content")
    return find(what, cell)


def stretches(size: int, most: int) -> list[slice]:
    """Cut `size` places into consecutive stretches of nearly equal length."""
    count = max(1, min(most, size))
    edges = [round(k * size / count) for k in range(count + 1)]
    return [slice(start, stop) for start, stop in pairwise(edges)]


def left_out(places: Sequence[slice], keep: Mask) -> list[slice]:
    """Return the places that are not kept."""
    return [place for place, kept in zip(places, keep, strict=True) if not kept]
