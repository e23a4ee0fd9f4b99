"""What people change about an existing run: its name and notes, whether it is listed, its end."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from emap_core.errors import RunError
from emap_core.runs.annotations import checked_comment, checked_name, checked_tags
from emap_core.runs.checksums import renew_manifest_checksum
from emap_core.runs.folder import RunFolder, find_run
from emap_core.runs.store import remove_folder


def annotate_run(
    run: str | Path,
    *,
    name: str | None = None,
    comment: str | None = None,
    tags: Iterable[str] | None = None,
) -> None:
    """Set a run's name, tags and comment; its folder, id and numbers stay the same.

    Parameters
    ----------
    run : str or Path
        Id or folder.
    name, comment : str, optional
        An empty one removes the current one; None leaves it.
    tags : iterable of str, optional
        All tags of the run from now on; None leaves its tags.

    Raises
    ------
    RunError, SettingError
        If there is no such run, it cannot be written, or a value is not valid.
    """
    folder = RunFolder(find_run(run))
    changes: dict[str, Any] = {}
    if name is not None:
        changes["name"] = checked_name(name)
    if comment is not None:
        changes["comment"] = checked_comment(comment)
    if tags is not None:
        changes["tags"] = checked_tags(tags)
    _change(folder, **changes)


def archive_run(run: str | Path, archived: bool = True) -> None:
    """Hide a run from lists, or bring it back; nothing is lost.

    Parameters
    ----------
    run : str or Path
        Id or folder.
    archived : bool
        False lists the run again.

    Raises
    ------
    RunError
        If there is no such run, or it cannot be written.
    """
    _change(RunFolder(find_run(run)), archived=bool(archived))


def delete_run(run: str | Path) -> None:
    """Delete a run and everything in its folder.

    Raises
    ------
    RunError
        If there is no such run, it is being computed, or its folder cannot be removed.
    """
    folder = RunFolder(find_run(run))
    if folder.is_locked():
        raise RunError(f"run {folder.id!r} is being computed; cancel it first")
    remove_folder(folder.path)
    if folder.path.exists():
        raise RunError(f"run {folder.id!r} cannot be removed; check who owns its folder")


def _change(folder: RunFolder, **changes: Any) -> None:
    try:
        folder.update_manifest(**changes)
        renew_manifest_checksum(folder)
    except OSError as error:
        raise RunError(f"run {folder.id!r} cannot be written: {error.strerror or error}") from error
