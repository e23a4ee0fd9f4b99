"""The folders that paths from strangers must stay in; links are resolved first."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from emap_core.errors import AccessError, SpecError

_ROOTS, _IMAGE_ROOTS = "EMAP_ROOTS", "EMAP_IMAGE_ROOTS"
_HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?(@(?!.*\.\.)[\w./-]+)?")


def roots_of_environment() -> tuple[Path, ...] | None:
    """Return the folders in ``EMAP_ROOTS``, separated as in PATH; None if it is not set."""
    return _folders(_ROOTS)


def image_roots_of_environment() -> tuple[Path, ...] | None:
    """Return the folders besides their own in which tables may name images; None for anywhere.

    The same as for other paths, unless the parent process set closer limits.
    """
    return roots_of_environment() if _IMAGE_ROOTS not in os.environ else _folders(_IMAGE_ROOTS)


def for_a_child(roots: Sequence[Path] | None, image_roots: Sequence[Path] | None) -> dict[str, str]:
    """Return the environment that confines a child process to these folders; None for anywhere."""
    given = {_ROOTS: roots, _IMAGE_ROOTS: image_roots}
    return {
        name: os.pathsep.join(map(str, folders))
        for name, folders in given.items()
        if folders is not None
    }


def _folders(variable: str) -> tuple[Path, ...] | None:
    given = os.environ.get(variable)
    if given is None:
        return None
    return tuple(Path(one).resolve() for one in given.split(os.pathsep) if one.strip())


def path_or_hub_id(name: str, roots: Iterable[Path] | None) -> Path | None:
    """Return the path that a name stands for, or None if it can only be a repository's id.

    ``a/b`` may be either. If paths are confined to some folders, it is an id unless it is in one of
    them, whatever else this machine has: nobody can find out what is there.
    """
    if roots is None or lies_in(name, roots) or not _HUB_ID.fullmatch(name):
        return Path(name)
    return None


def not_a_folder(name: str, path: Path | None) -> str:
    """Return the beginning of a message about a name that is neither a folder nor on the hub."""
    if path is None:
        return f"{name} is not in a folder of EMAP_ROOTS"
    return f"folder {name} does not exist"


def lies_in(path: str | Path, roots: Iterable[Path]) -> bool:
    """Return whether a path leads into one of the folders after its links are followed."""
    try:
        resolved = Path(path).resolve()
    except (OSError, RuntimeError, ValueError):
        return False
    return any(resolved.is_relative_to(root.resolve()) for root in roots)


def beside(
    path: str,
    folder: Path,
    kind: Literal["file", "folder"],
    roots: Sequence[Path] | None,
) -> Path:
    """Return where a file or folder named by an option is: here, or in a table's folder.

    Parameters
    ----------
    path : str
    folder : Path
        The table's folder.
    kind : {"file", "folder"}
    roots : sequence of Path or None
        Folders besides the table's that it may be in; None for anywhere.

    Raises
    ------
    AccessError
        If it may not be opened on this server, whether or not it exists.
    SpecError
        If it does not exist.
    """
    candidates = [Path(path), folder / path]
    if roots is not None:
        candidates = [one for one in candidates if lies_in(one, (folder, *roots))]
        if not candidates:
            check_path(kind, path, (folder, *roots))
    for one in candidates:
        with contextlib.suppress(OSError, ValueError):
            if one.is_file() if kind == "file" else one.is_dir():
                return one
    raise SpecError(f"there is no {kind} {path}, neither here nor in {folder}")


def check_path(what: str, path: str | Path, roots: Iterable[Path]) -> None:
    """Raise an AccessError unless a path leads into one of the folders."""
    if not lies_in(path, roots):
        # One message whether or not it exists, so that nobody can find out what exists.
        raise AccessError(
            f"{what} {str(path)!r} is outside the folders that may be opened here; the server's "
            "operator names them in EMAP_ROOTS"
        )


def check_links(folder: Path, files: Iterable[Path]) -> None:
    """Raise an AccessError if a link leads out of the folders that may be opened on this server.

    Parameters
    ----------
    folder : Path
        A folder where files may be, besides those that the server's operator names.
    files : iterable of Path
    """
    roots = roots_of_environment()
    if roots is None:
        return
    for file in files:
        check_path("file", file, (folder, *roots))
