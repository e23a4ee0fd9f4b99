"""Examples chosen by hand, too many for a link: kept in the run under a short key."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emap_core.errors import RunError
from emap_core.runs.checksummed_results import read_sealed, write_sealed
from emap_core.runs.folder import RunFolder
from emap_core.runs.run import Run

MOST_KEPT = 200
"""Most selections of a run; each further one replaces the oldest."""

_KEY_LENGTH = 16


def keep_selection(run: Run, positions: NDArray[np.intp]) -> str:
    """Keep the chosen examples, and return the key that finds them again.

    The same examples have the same key.

    Raises
    ------
    RunError
        If the run's folder cannot be written.
    """
    chosen = np.zeros(len(run.ids), dtype=bool)
    chosen[positions] = True
    bits = np.packbits(chosen).tobytes()
    key = hashlib.sha256(bits).hexdigest()[:_KEY_LENGTH]
    folder = RunFolder(run.path)
    path = folder.selections / f"{key}.json"
    try:
        if not path.exists():
            content = {"chosen": base64.b64encode(bits).decode()}
            write_sealed(path, content, run.manifest["created"])
            _forget_oldest(folder)
    except OSError as error:
        raise RunError(f"run {run.id!r} cannot be written: {error.strerror or error}") from error
    return key


def kept_selection(run: Run, key: str) -> NDArray[np.intp] | None:
    """Return the positions kept under a key, or None if they are missing or damaged."""
    # A link may contain anything; it must not lead out of the folder.
    if len(key) != _KEY_LENGTH or not set(key) <= set("0123456789abcdef"):
        return None
    path = RunFolder(run.path).selections / f"{key}.json"
    try:
        content: dict[str, Any] = read_sealed(path, run.manifest["created"]) or {}
        bits = np.frombuffer(base64.b64decode(content["chosen"]), dtype=np.uint8)
        return np.flatnonzero(np.unpackbits(bits, count=len(run.ids)))
    except (RunError, LookupError, ValueError, TypeError):
        return None


def _forget_oldest(folder: RunFolder) -> None:
    kept = sorted(folder.selections.glob("*.json"), key=lambda path: path.stat().st_mtime)
    for path in kept[:-MOST_KEPT]:
        path.unlink(missing_ok=True)
