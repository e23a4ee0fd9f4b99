"""What an item of a side is, whatever it is: how it is read, kept, named and taken apart.

A side of the data has a name, such as *premise*, and a modality. All that the rest of the code
knows of texts, images or sounds it asks their modality for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

from emap_core.errors import DatasetError
from emap_core.modalities.keys import fingerprint_of
from emap_core.types import Mask

FindFile = Callable[[str, Any], Path]
"""Takes what is looked for, in a word, and a cell; returns the file, if it may be opened."""


class BadItemError(DatasetError):
    """A cell or a file does not hold what it should; the message goes on after its name."""


@dataclass(frozen=True)
class Side:
    """One of the inputs of a model.

    Attributes
    ----------
    name : str
        What people call it, in the singular: text, premise, left image.
    modality : str
        What its items are, one of `emap_core.modalities.NAMES`.
    """

    name: str
    modality: str


@dataclass(frozen=True)
class Preview:
    """What a run keeps of an item for people to look at.

    Attributes
    ----------
    poster : bytes
        A JPEG of at most 256 pixels a side.
    content : bytes
        What is looked at more closely, of the modality's `media_type`; empty where the poster, or
        the words, show as much.
    """

    poster: bytes
    content: bytes = b""


class Modality(ABC):
    """A kind of item.

    A *source* is what an item is opened from: the item itself, a path, or the content of a file.

    Attributes
    ----------
    name, plural : str
        Of one item and of several, in messages.
    usual_names : tuple of str
        Columns and folders that hold such items where nobody says so, in order of preference.
    suffixes : tuple of str
        What the names of its files end in.
    unit : str
        What `units` are called, in the plural.
    media_type : str
        Of the content of a preview.
    read_at_once : bool
        Whether sources are the items themselves, so that all of them are in memory.
    """

    name: ClassVar[str]
    plural: ClassVar[str]
    usual_names: ClassVar[tuple[str, ...]]
    suffixes: ClassVar[tuple[str, ...]] = ()
    unit: ClassVar[str]
    media_type: ClassVar[str] = ""
    read_at_once: ClassVar[bool] = False

    def is_at_hand(self, cell: Any) -> bool:
        """Say whether a cell is clearly an item of this kind, by its type alone."""
        return False

    @abstractmethod
    def source(self, cell: Any, find: FindFile) -> Any:
        """Return what an item is opened from, by what stands in a cell.

        Raises
        ------
        BadItemError
            If it is not there, or something else.
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
        """Return what is the same for sources of the same item."""

    @abstractmethod
    def words(self, source: Any) -> str:
        """Return a few words that tell the item from others, without opening it."""

    def n_bytes(self, item: Any) -> int:
        """Return how much memory an item takes, about."""
        return 1024

    @abstractmethod
    def preview(self, item: Any, most_bytes: int) -> Preview:
        """Return what a run keeps of an item; its content takes `most_bytes` at most."""

    @abstractmethod
    def units(self, item: Any, most: int) -> list[str]:
        """Return names of the parts of an item that can be taken away, `most` of them at most."""

    @abstractmethod
    def mask(self, item: Any, keep: Mask) -> Any:
        """Return the item with the units taken away that `keep`, one truth value each, leaves out.

        There are as many as `units` was asked for.
        """


def file_name(source: Any, plain: str) -> str:
    """Return the name of a source that is a path, else `plain`."""
    return source.name if isinstance(source, Path) else plain


def file_key(source: Path | bytes) -> str:
    """Return what is the same for the same file: its path, or a hash of its content."""
    return str(source) if isinstance(source, Path) else fingerprint_of(source)


def content_of(source: Path | bytes) -> bytes:
    """Return the content of a file that is given as a path, or as that.

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
    """Return the path of a file, or its content, that stands in a cell as Arrow writes it too."""
    if isinstance(cell, dict):
        cell = cell.get("bytes") or cell.get("path")
    if isinstance(cell, (bytes, Path)) and cell:
        return cell
    if not isinstance(cell, str) or not cell.strip():
        raise BadItemError(f"there is no {what}; give the path of a file, or its content")
    return find(what, cell)


def stretches(size: int, most: int) -> list[slice]:
    """Return consecutive stretches of about one length that `size` places are cut into."""
    count = max(1, min(most, size))
    edges = [round(k * size / count) for k in range(count + 1)]
    return [slice(start, stop) for start, stop in pairwise(edges)]


def left_out(places: Sequence[slice], keep: Mask) -> list[slice]:
    """Return the places that are not kept."""
    return [place for place, kept in zip(places, keep, strict=True) if not kept]
