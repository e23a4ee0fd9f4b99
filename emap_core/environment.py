"""Limits that the operator of a machine sets in its environment."""

from __future__ import annotations

import os

from emap_core.errors import SettingError


def whole_number(name: str, default: int) -> int:
    """Return the whole number in an environment variable, or `default` if it is not set.

    Raises
    ------
    SettingError
        If it holds anything but a whole number above 0.
    """
    given = os.environ.get(name, "")
    if not given:
        return default
    if not (given.isascii() and given.isdecimal()) or int(given) < 1:
        raise SettingError(f"{name} is {given!r}; expected a whole number above 0")
    return int(given)
