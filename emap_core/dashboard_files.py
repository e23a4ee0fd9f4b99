"""Where the dashboard and the files of the demos lie: beside the package, or in it."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def dashboard_folder() -> Path:
    """Return the folder of ``app.py``, ``pages`` and ``assets``.

    In a checkout it is the one that holds the package; a wheel has it within the package.
    """
    inside = _PACKAGE / "dashboard"
    return inside if inside.is_dir() else _PACKAGE.parent
