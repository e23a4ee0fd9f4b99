"""Texts: strings, equal if their characters are."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from emap_core.modalities.base import BadItemError, FindFile, Modality, Preview, left_out, stretches
from emap_core.modalities.posters import card
from emap_core.types import Mask

_WORD = re.compile(r"\S+")


class Text(Modality):
    """A string."""

    name: ClassVar[str] = "text"
    plural: ClassVar[str] = "texts"
    usual_names: ClassVar[tuple[str, ...]] = (
        *("text", "caption", "question", "sentence", "prompt", "title"),
        *("premise", "hypothesis", "context", "sentence1", "sentence2", "text_a", "text_b"),
    )
    unit: ClassVar[str] = "words"
    read_at_once: ClassVar[bool] = True

    def source(self, cell: Any, find: FindFile) -> str:
        """Return the text itself."""
        if not isinstance(cell, str):
            raise BadItemError(f"the text is a {type(cell).__name__}; expected a string")
        return str(cell)

    def open(self, source: str) -> str:
        """Return the text itself."""
        return source

    def key(self, source: str) -> str:
        """Return the text itself."""
        return source

    def words(self, source: str) -> str:
        """Return the text itself."""
        return source

    def preview(self, item: str, most_bytes: int) -> Preview:
        """Return a card with the first lines; the words of the run show the rest."""
        return Preview(card(item))

    def units(self, item: str, most: int) -> list[str]:
        """Return the words, or stretches of neighbouring words if there are more."""
        found = list(_WORD.finditer(item))
        return [
            item[found[some.start].start() : found[some.stop - 1].end()]
            for some in (stretches(len(found), most) if found else [])
        ]

    def mask(self, item: str, keep: Mask) -> str:
        """Return the text without the words left out."""
        found = list(_WORD.finditer(item))
        gone = {
            k for some in left_out(stretches(len(found), len(keep)), keep) for k in _numbers(some)
        }
        return " ".join(word[0] for k, word in enumerate(found) if k not in gone)


def _numbers(some: slice) -> range:
    return range(some.start, some.stop)


MODALITY = Text()
