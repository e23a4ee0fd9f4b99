"""What sentences call the sides of a run: one table, from the words of text and image to its own.

Sentences, labels and figures are written for a text and an image. A run of a premise and a
hypothesis says the same of these; whatever is shown of it goes through here, and only what we
wrote, never what the data say.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from emap_core.modalities import TEXT_AND_IMAGE, Side, plural

Sides = tuple[Side, ...]

_PATTERN = re.compile(
    r"(?<![\w./:=\"'-])(?:[Tt]exts?|[Ii]mages?|[Pp]ictures?)(?![\w/=]|[.:]\w|-(?!led\b|only\b))"
)


def worded(sides: Sides, sentence: str, *, of_more: bool = False) -> str:
    """Return a sentence of ours with the sides called by their names.

    With `of_more`, these are two sides of more, whose names are often no nouns: "spoken items".

    Parts of names, paths and flags stay: text-led becomes premise-led, but text_only and
    texts.csv are what they are.
    """
    # The words text and image cannot name three sides.
    if sides == TEXT_AND_IMAGE or len(sides) > 2 or not sentence:
        return sentence
    table = _words(sides, of_more)
    return _PATTERN.sub(lambda found: table[found[0]], sentence)


def items_of(side: Side, sides: Sides) -> str:
    """Return what several items of one of some sides are called: premises, items of written."""
    # Of three sides some are called by what tells them apart, and are no nouns.
    return plural(side) if len(sides) == 2 else f"items of {side.name}"


def grid_of(sides: Sides, sizes: Sequence[int]) -> str:
    """Return how large a grid is: 6 texts × 100 images; 6 question × 100 written × 50 spoken."""
    return " × ".join(
        f"{size:,} {plural(side) if len(sides) == 2 else side.name}"
        for side, size in zip(sides, sizes, strict=True)
    )


def cells_of(sides: Sides) -> str:
    """Return what the cells of a grid are called: pairs of two sides, combinations of more."""
    return "pairs" if len(sides) == 2 else "combinations"


@cache
def _words(sides: Sides, of_more: bool) -> dict[str, str]:
    first, second = sides
    firsts, seconds = (f"{side.name} items" if of_more else plural(side) for side in sides)
    table = {
        "text": first.name,
        "texts": firsts,
        "image": second.name,
        "images": seconds,
        "picture": second.name,
        "pictures": seconds,
    }
    return table | {word.capitalize(): own[:1].upper() + own[1:] for word, own in table.items()}
