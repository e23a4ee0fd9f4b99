"""The folders in which paths from strangers have to lie; links are resolved first."""

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
    """Return the folders in ``EMAP_ROOTS``, separated as in PATH; None where it is not set."""
    return _folders(_ROOTS)


def image_roots_of_environment() -> tuple[Path, ...] | None:
    """Return the folders that tables may name images in, beside their own; None for anywhere.

    The same as those for other paths, unless whoever started this process set closer limits.
    """
    return roots_of_environment() if _IMAGE_ROOTS not in os.environ else _folders(_IMAGE_ROOTS)


def for_a_child(roots: Sequence[Path] | None, image_roots: Sequence[Path] | None) -> dict[str, str]:
    """Return the environment that confines a child process to these folders, None for anywhere."""
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
    """Return the path that a name stands for, None where it can only be the id of a repository.

    ``a/b`` may be both. Where paths have to lie in some folders, it is an id unless it lies in one
    of them, whatever else there is on this machine: nobody can ask what there is.
    """
    if roots is None or lies_in(name, roots) or not _HUB_ID.fullmatch(name):
        return Path(name)
    return None


def not_a_folder(name: str, path: Path | None) -> str:
    """Return the beginning of a message that a name is neither a folder nor on the hub."""
    if path is None:
        return f"{name} is not in the folders of EMAP_ROOTS"
    return f"folder {name} does not exist"


def lies_in(path: str | Path, roots: Iterable[Path]) -> bool:
    """Say whether a path leads into one of the folders, wherever its links go."""
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
    """Return where a file or folder is that an option names: here, else in a table's folder.

    Parameters
    ----------
    path : str
    folder : Path
        That of the table.
    kind : {"file", "folder"}
    roots : sequence of Path or None
        Folders that it may lie in beside the table's; anywhere if None.

    Raises
    ------
    AccessError
        If it may not be opened on this server, whether or not it is there.
    SpecError
        If it is not there.
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
        # One message for what is there and what is not, so that nobody can ask what there is.
        raise AccessError(
            f"{what} {str(path)!r} is outside of the folders that may be opened here; the "
            "operator of the server names them with EMAP_ROOTS"
        )


def check_links(folder: Path, files: Iterable[Path]) -> None:
    """Raise an AccessError if a link leads to where no file may be opened on this server.

    Parameters
    ----------
    folder : Path
        Where files may lie besides the folders of the server's operator.
    files : iterable of Path
    """
    roots = roots_of_environment()
    if roots is None:
        return
    for file in files:
        check_path("file", file, (folder, *roots))
