"""Names of a run's sides in sentences: one table, from "text" and "image" to the run's own words.

Sentences, labels and figures are written for a text and an image. For a run on premises and
hypotheses, everything shown goes through this file, but only our own words, never the data's.
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
    """Return one of our sentences with the names of the sides.

    With `of_more`, these are two of more than two sides, whose names are often not nouns: "spoken
    items".

    Parts of names, paths and flags stay: text-led becomes premise-led, but text_only and texts.csv
    do not change.
    """
    # The words text and image cannot name three sides.
    if sides == TEXT_AND_IMAGE or len(sides) > 2 or not sentence:
        return sentence
    table = _words(sides, of_more)
    return _PATTERN.sub(lambda found: table[found[0]], sentence)


def items_of(side: Side, sides: Sides) -> str:
    """Return the name of a side's items among these sides: premises, or items of written."""
    # With three sides, some names are adjectives.
    return plural(side) if len(sides) == 2 else f"items of {side.name}"


def item_of(side: Side, sides: Sides) -> str:
    """Return the name of one item of a side among these sides: premise, or written item."""
    # With three sides, some names are adjectives.
    return side.name if len(sides) == 2 else f"{side.name} item"


def grid_of(sides: Sides, sizes: Sequence[int]) -> str:
    """Return the size of a grid: 6 texts × 9 images; question (6) × written (9) × spoken (5)."""
    # With three sides, some names are adjectives.
    return " × ".join(
        f"{size:,} {plural(side)}" if len(sides) == 2 else f"{side.name} ({size:,})"
        for side, size in zip(sides, sizes, strict=True)
    )


def cell_of(n_sides: int) -> str:
    """Return the name of a cell of a grid: a pair with two sides, with more a combination."""
    return "pair" if n_sides == 2 else "combination"


def cells_of(n_sides: int) -> str:
    """Return the name of a grid's cells: pairs with two sides, with more combinations."""
    return f"{cell_of(n_sides)}s"


@cache
def _words(sides: Sides, of_more: bool) -> dict[str, str]:
    one, other = (f"{side.name} item" if of_more else side.name for side in sides)
    several, others = (f"{side.name} items" if of_more else plural(side) for side in sides)
    table = {
        "text": one,
        "texts": several,
        "image": other,
        "images": others,
        "picture": other,
        "pictures": others,
    }
    return table | {word.capitalize(): own[:1].upper() + own[1:] for word, own in table.items()}
