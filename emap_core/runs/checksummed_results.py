"""Results that are computed later and kept in a run; each file contains its own checksum.

A file is trusted only if it is, byte by byte, what `write_sealed` writes under this name for this
run. A file that was changed, renamed or copied from another run is computed again instead.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from emap_core.errors import RunError
from emap_core.runs.store import opened, replacing

_LARGEST = 2**28
_SEAL = "sha256"


def write_sealed(path: Path, content: dict[str, Any], run: str) -> None:
    """Write an object as JSON in one step; `run` is what tells the run from all others."""
    with replacing(path) as temporary:
        temporary.write_text(_sealed(path.name, content, run))


def read_sealed(path: Path, run: str) -> dict[str, Any] | None:
    """Return what `write_sealed` wrote, or None if there is no such file.

    Raises
    ------
    RunError
        If the file was changed.
    """
    try:
        with opened(path) as file:
            text = file.read(_LARGEST).decode()
        content = json.loads(text)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise RunError(f"{path.name} has changed")
    if content.pop(_SEAL, None) is None:
        raise RunError(f"{path.name} has no checksum; delete it to compute it again")
    try:
        whole = text == _sealed(path.name, content, run)
    except ValueError:
        whole = False
    if not whole:
        raise RunError(f"{path.name} has changed")
    return content


def _sealed(name: str, content: dict[str, Any], run: str) -> str:
    written = json.dumps(content, allow_nan=False)
    digest = hashlib.sha256(f"{run}\n{name}\n{written}".encode()).hexdigest()
    return json.dumps({_SEAL: digest, **content}, indent=1, allow_nan=False)
