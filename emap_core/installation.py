"""How this program was installed, so that messages name commands that work."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emap_core.errors import MissingExtraError

_HOUSE = Path(__file__).resolve().parents[1]


def from_a_checkout() -> bool:
    """Return whether the code is in a checkout, from which pip installs ``.``."""
    return (_HOUSE / "pyproject.toml").is_file() and (_HOUSE / "app.py").is_file()


def program() -> str:
    """Return how to start the program: ``emap-lens`` if pip installed it."""
    called = Path(sys.argv[0]).stem
    if called == "emap-lens" or not from_a_checkout():
        return "emap-lens"
    return "python -m emap_core"


def with_extra(name: str) -> str:
    """Return the command that installs an optional dependency, such as ``hf``."""
    return f"pip install '{'.' if from_a_checkout() else 'emap-lens'}[{name}]'"


@contextmanager
def computing() -> Iterator[None]:
    """Say what to install if the block needs torch and it is missing.

    Reading finished runs does not need torch, and a small installation leaves it out.

    Raises
    ------
    MissingExtraError
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError(
            f"computing needs torch, which is not installed: {with_extra('compute')}"
        ) from error
