"""Errors that come from code that users bring: what was raised, and where."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

from emap_core.errors import EmapError, reason

TRACEBACK_VARIABLE = "EMAP_TRACEBACK"
"""Set, it makes the command line print the whole traceback of an error."""

_HOUSE = Path(__file__).parents[1]
_INSTALLED = (
    *(_HOUSE / name for name in ("emap_core", "app.py", "pages")),
    *(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
)
"""Where this program and installed libraries lie, as far as Python names the folders."""

# Those of `pip install --user` and of Debian lie elsewhere, but are called the same.
_FOLDERS_OF_LIBRARIES = {"site-packages", "dist-packages"}


def place_in_own_code(error: BaseException) -> str | None:
    """Return the last place in a user's own code that an error came through, if there is one.

    Below that place are libraries. Only the file's name is given: runs keep it, and name no folder.
    An error that says what to do speaks for itself; then its cause is looked at.
    """
    looked_at = error.__cause__ if isinstance(error, EmapError) else error
    if looked_at is None:
        return None
    for frame in reversed(traceback.extract_tb(looked_at.__traceback__)):
        file = Path(frame.filename)
        if file.is_file() and not _is_installed(file):
            return f"{file.name}, line {frame.lineno} ({frame.name})"
    return None


def _is_installed(file: Path) -> bool:
    return bool(_FOLDERS_OF_LIBRARIES & set(file.parts)) or any(
        map(file.is_relative_to, _INSTALLED)
    )


def with_place(error: BaseException) -> str:
    """Return an error in words: its kind if it has no words for people, and its place."""
    said = str(error)
    if not isinstance(error, EmapError):
        kind, why = type(error).__name__, reason(error)
        # As short as our own messages, and without what a terminal would obey.
        said = str(EmapError(kind if why == kind else f"{kind}: {why}"))
    place = place_in_own_code(error)
    return said if place is None else f"{said}, raised in {place}"
