"""Tables of measurements in Markdown, with what they were measured on."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import date
from importlib import metadata


class NotMeasuredError(Exception):
    """Why a table cannot be measured here."""


def markdown(
    title: str, note: str, columns: Sequence[str], rows: Sequence[Sequence[object]]
) -> str:
    """Return one table with its heading and a note on what was measured."""
    lines = [f"## {title}", "", note, "", "| " + " | ".join(columns) + " |"]
    lines.append("|" + " --- |" * len(columns))
    lines += ["| " + " | ".join(map(_shown, row)) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def machine() -> str:
    """Return machine, versions and date in one line."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "numpy"))
    return (
        f"{os.cpu_count()} CPU cores ({platform.machine()}), Python {platform.python_version()}, "
        f"{versions}, {date.today().isoformat()}"
    )


def _shown(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
