"""Where the files of the dashboard and the demos are: beside the package, or in it."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def dashboard_folder() -> Path:
    """Return the folder of ``app.py``, ``pages`` and ``assets``.

    In a checkout this is the folder that contains the package; in a wheel it is inside the package.
    """
    inside = _PACKAGE / "dashboard"
    return inside if inside.is_dir() else _PACKAGE.parent
