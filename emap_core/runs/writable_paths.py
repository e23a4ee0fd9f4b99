"""Check, before anything is computed, whether something can be written at a path."""

from __future__ import annotations

import os
from pathlib import Path

from emap_core.errors import RunError
from emap_core.runs.store import is_local


def check_folder_target(path: Path, what: str) -> None:
    """Raise a RunError if a folder on this machine cannot be made or written to.

    Parameters
    ----------
    path : Path
        A URL is not checked: only writing shows whether it works.
    what : str
        What to call it in messages.
    """
    if not is_local(path):
        return
    there = next(one for one in (path, *path.absolute().parents) if os.path.lexists(one))
    if not there.is_dir():
        raise RunError(f"{what} {path} cannot be written: {there} is not a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise RunError(f"{what} {path} cannot be written: {there} is read-only here")


def check_file_target(path: Path, what: str) -> None:
    """Raise a RunError if a file on this machine cannot be written."""
    if not is_local(path):
        return
    if path.is_dir():
        raise RunError(f"{what} {path} cannot be written: it is a folder; name a file in it")
    check_folder_target(path.absolute().parent, f"the folder of {what}")
