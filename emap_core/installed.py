"""How this program was installed, for what people are told to type."""

from __future__ import annotations

import sys
from pathlib import Path

_HOUSE = Path(__file__).resolve().parents[1]


def from_a_checkout() -> bool:
    """Return whether the code lies in a checkout, where pip installs what is there."""
    return (_HOUSE / "pyproject.toml").is_file() and (_HOUSE / "app.py").is_file()


def program() -> str:
    """Return how people start the program: ``emap-lens`` where pip installed it."""
    called = Path(sys.argv[0]).stem
    if called == "emap-lens" or not from_a_checkout():
        return "emap-lens"
    return "python -m emap_core"


def with_extra(name: str) -> str:
    """Return the command that installs an optional dependency, such as ``hf``."""
    return f"pip install '{'.' if from_a_checkout() else 'emap-lens'}[{name}]'"
