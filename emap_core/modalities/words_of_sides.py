"""What sentences call the sides of a run: one table, from the words of text and image to its own.

Sentences, labels and figures are written for a text and an image. A run of a premise and a
hypothesis says the same of these; whatever is shown of it goes through here, and only what we
wrote, never what the data say.
"""

from __future__ import annotations

import re
from functools import cache

from emap_core.modalities import TEXT_AND_IMAGE, Side, plural

Sides = tuple[Side, ...]

_PATTERN = re.compile(
    r"(?<![\w./:=\"'-])(?:[Tt]exts?|[Ii]mages?|[Pp]ictures?)(?![\w/=]|[.:]\w|-(?!led\b|only\b))"
)


def worded(sides: Sides, sentence: str) -> str:
    """Return a sentence of ours with the sides called by their names.

    Parts of names, paths and flags stay: text-led becomes premise-led, but text_only and
    texts.csv are what they are.
    """
    # A text and an image are no words for three sides.
    if sides == TEXT_AND_IMAGE or len(sides) > 2 or not sentence:
        return sentence
    table = _words(sides)
    return _PATTERN.sub(lambda found: table[found[0]], sentence)


@cache
def _words(sides: Sides) -> dict[str, str]:
    first, second = sides
    table = {
        "text": first.name,
        "texts": plural(first),
        "image": second.name,
        "images": plural(second),
        "picture": second.name,
        "pictures": plural(second),
    }
    return table | {word.capitalize(): own[:1].upper() + own[1:] for word, own in table.items()}
