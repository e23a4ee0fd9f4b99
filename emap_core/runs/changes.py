"""Rename a run, or delete it."""

from __future__ import annotations

from pathlib import Path

from emap_core.errors import RunError
from emap_core.runs.check import renew_manifest_checksum
from emap_core.runs.folder import RunFolder, find_run
from emap_core.runs.name import checked_name
from emap_core.runs.store import remove_folder


def rename_run(run: str | Path, name: str | None) -> None:
    """Give a run another name, or with None its own again; its folder and id stay.

    Raises
    ------
    RunError, SettingError
        If there is no such run, it cannot be written, or the name is not valid.
    """
    folder = RunFolder(find_run(run))
    chosen = checked_name(name)
    try:
        folder.update_manifest(name=chosen)
        renew_manifest_checksum(folder)
    except OSError as error:
        raise RunError(f"run {folder.id!r} cannot be written: {error.strerror or error}") from error


def delete_run(run: str | Path) -> None:
    """Remove a run with all that is in its folder.

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
