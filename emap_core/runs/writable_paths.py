"""Check, before anything is computed, whether something can be written at a path."""

from __future__ import annotations

import os
from pathlib import Path

from emap_core.errors import RunError
from emap_core.runs.store import beside, is_local, why_impossible


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
    _check_name(path, what)
    there = next(one for one in (path, *path.absolute().parents) if os.path.lexists(one))
    if not there.is_dir():
        raise RunError(f"{what} {path} cannot be written: {there} is not a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise RunError(f"{what} {path} cannot be written: {there} is read-only here")


def check_file_target(path: Path, what: str) -> None:
    """Raise a RunError if a file on this machine cannot be written."""
    if not is_local(path):
        return
    _check_name(path, what)
    if path.is_dir():
        raise RunError(f"{what} {path} cannot be written: it is a folder; name a file in it")
    # It is written under a longer name first.
    _check_name(path, what, beside(path))
    check_folder_target(path.absolute().parent, f"the folder of {what}")


def _check_name(path: Path, what: str, written: Path | None = None) -> None:
    if why := why_impossible(written or path):
        raise RunError(f"{what} {path} cannot be written: {why}; choose another path")
