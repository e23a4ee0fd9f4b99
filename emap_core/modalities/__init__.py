"""What an item of a side is: text, image, audio, video, table row, array; one file per kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emap_core.errors import RunError, SettingError
from emap_core.modalities import array, audio, image, table_row, text, video
from emap_core.modalities.base import BadItemError, Modality, Preview, Side

_ALL: tuple[Modality, ...] = (
    text.MODALITY,
    image.MODALITY,
    audio.MODALITY,
    video.MODALITY,
    table_row.MODALITY,
    array.MODALITY,
)
_BY_NAME = {one.name: one for one in _ALL}
NAMES = tuple(_BY_NAME)
"""Names of the modalities."""

TEXT_AND_IMAGE = (Side("text", "text"), Side("image", "image"))
"""The sides of data and models that do not name any."""

__all__ = [
    "NAMES",
    "TEXT_AND_IMAGE",
    "BadItemError",
    "Modality",
    "Preview",
    "Side",
    "guessed",
    "modality",
    "plural",
    "sides_of",
    "sizes_of",
    "two_sides",
    "why_not_two",
]


def modality(name: str) -> Modality:
    """Return a modality by name.

    Raises
    ------
    SettingError
        If there is no such modality.
    """
    if name not in _BY_NAME:
        raise SettingError(f"modality {name!r} is unknown; expected one of {', '.join(NAMES)}")
    return _BY_NAME[name]


def sides_of(manifest: Mapping[str, Any]) -> tuple[Side, ...]:
    """Return the sides of a manifest's run; in older runs, text and image."""
    stated = manifest.get("sides")
    if not stated:
        return TEXT_AND_IMAGE
    return tuple(Side(one["name"], one["modality"]) for one in stated)


def sizes_of(manifest: Mapping[str, Any]) -> tuple[int, ...]:
    """Return how many unique items each side of a manifest's run has."""
    if len(sides_of(manifest)) == 2:
        return manifest.get("n_texts", 0), manifest.get("n_images", 0)
    return tuple(side["n_items"] for side in manifest["sides"])


def why_not_two(sides: Sequence[Side], what: str) -> str | None:
    """Return why something about two sides does not exist for these, or None if it does.

    Parameters
    ----------
    sides : sequence of Side
        The sides of a run.
    what : str
        What is about two sides, as the start of a sentence: "this figure".
    """
    if len(sides) == 2:
        return None
    names = ", ".join(side.name for side in sides)
    return f"{what} is about two sides, but the run has {len(sides)}: {names}"


def two_sides(sides: Sequence[Side], what: str) -> tuple[Side, Side]:
    """Return the two sides of a run.

    Parameters
    ----------
    sides : sequence of Side
    what : str
        What is about two sides; see `why_not_two`.

    Raises
    ------
    RunError
        If the run has more.
    """
    why = why_not_two(sides, what)
    if why is not None:
        raise RunError(why)
    first, second = sides
    return first, second


def plural(side: Side) -> str:
    """Return a side's name in the plural: texts, premises, left images."""
    kind = modality(side.modality)
    if side.name == kind.name:
        return kind.plural
    if side.name.endswith("is"):
        return f"{side.name[:-2]}es"
    return f"{side.name}es" if side.name.endswith(("s", "x", "ch", "sh")) else f"{side.name}s"


def guessed(column: str, cells: Sequence[Any]) -> str:
    """Guess the modality of a column.

    File endings decide first, then the name of the column; other strings are texts.
    """
    first = next((cell for cell in cells if not _is_missing(cell)), None)
    path = first.get("path") if isinstance(first, dict) else first
    if isinstance(path, (str, Path)) and " " not in str(path).strip() and len(str(path)) < 4_096:
        end = Path(str(path).strip()).suffix.lower()
        for one in _ALL:
            if end in one.suffixes:
                return one.name
    # An array of small whole numbers is rather an image or a video than anything else.
    for one in _ALL:
        if one.is_at_hand(first):
            return one.name
    for one in _ALL:
        if column.lower() in one.usual_names and (one.name == "text" or not isinstance(first, str)):
            return one.name
    return "text" if isinstance(first, str) else "image"


def _is_missing(cell: Any) -> bool:
    return cell is None or (isinstance(cell, float) and cell != cell)
