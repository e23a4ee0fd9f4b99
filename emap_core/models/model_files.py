"""The files of a model: where they may be, and a hash of their content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from emap_core.allowed_folders import check_links
from emap_core.errors import SpecError


def named_file(named_by: Path, name: object, what: str) -> Path:
    """Return the path of a file that another one names; it must be in the same folder.

    Raises
    ------
    SpecError
        If the name leads out of the folder.
    AccessError
        If a link leads to a place where this server may not open files.
    """
    folder = named_by.parent
    path = Path(str(name))
    if not isinstance(name, str) or not name or path.is_absolute() or ".." in path.parts:
        raise SpecError(
            f"{named_by} names the {what} {str(name)!r:.80}, which is not in its folder; put the "
            f"{what} beside it and give only its name"
        )
    check_links(folder, [folder / path])
    return folder / path


def digest(files: Iterable[Path], start: str = "") -> str:
    """Return a hash of the names and the content of files, after `start`."""
    found = hashlib.sha256(start.encode())
    for file in files:
        with file.open("rb") as opened:
            found.update(file.name.encode() + hashlib.file_digest(opened, "sha256").digest())
    return found.hexdigest()[:16]
