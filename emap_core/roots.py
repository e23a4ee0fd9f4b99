"""The folders that paths from strangers have to lie in, links resolved first."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from emap_core.errors import AccessError


def roots_of_environment() -> tuple[Path, ...] | None:
    """Return the folders in ``EMAP_ROOTS``, separated as in PATH; None where it is not set."""
    given = os.environ.get("EMAP_ROOTS")
    if given is None:
        return None
    return tuple(Path(one).resolve() for one in given.split(os.pathsep) if one.strip())


def lies_in(path: str | Path, roots: Iterable[Path]) -> bool:
    """Say whether a path leads into one of the folders, wherever its links go."""
    try:
        resolved = Path(path).resolve()
    except (OSError, RuntimeError, ValueError):
        return False
    return any(resolved.is_relative_to(root.resolve()) for root in roots)


def check_path(what: str, path: str | Path, roots: Iterable[Path]) -> None:
    """Raise an AccessError unless a path leads into one of the folders."""
    if not lies_in(path, roots):
        # One message for what is there and what is not, so that nobody can ask what there is.
        raise AccessError(
            f"{what} {str(path)!r} is outside of the folders that may be opened here; whoever runs "
            "the server names them with EMAP_ROOTS"
        )
