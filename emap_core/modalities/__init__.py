"""What an item of a side is: text, image, audio, video, table row, array; one file a kind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emap_core.errors import SettingError
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
"""What modalities are asked for by."""

TEXT_AND_IMAGE = (Side("text", "text"), Side("image", "image"))
"""The sides of data and models that name none."""

__all__ = [
    "NAMES",
    "TEXT_AND_IMAGE",
    "BadItemError",
    "Modality",
    "Preview",
    "Side",
    "guessed",
    "modality",
]


def modality(name: str) -> Modality:
    """Return a modality by its name.

    Raises
    ------
    SettingError
        If there is none of this name.
    """
    if name not in _BY_NAME:
        raise SettingError(f"modality {name!r} is unknown; expected one of {', '.join(NAMES)}")
    return _BY_NAME[name]


def guessed(column: str, cells: Sequence[Any]) -> str:
    """Return the modality of a column that nobody named one for.

    Files tell by the ends of their names, then the column by its own; other strings are texts.
    """
    first = next((cell for cell in cells if cell is not None and cell == cell), None)
    path = first.get("path") if isinstance(first, dict) else first
    if isinstance(path, (str, Path)):
        end = Path(str(path).strip()).suffix.lower() if len(str(path)) < 4_096 else ""
        for one in _ALL:
            if end and end in one.suffixes and not (isinstance(path, str) and " " in path.strip()):
                return one.name
    if isinstance(first, dict) and not {"bytes", "path", "array"} & first.keys():
        return "table"
    for one in _ALL:
        if column.lower() in one.usual_names:
            return one.name
    return "text" if isinstance(first, str) else "array" if isinstance(first, list) else "image"
