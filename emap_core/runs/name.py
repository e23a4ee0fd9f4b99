"""The name that a person may give a run."""

from __future__ import annotations

import unicodedata

from emap_core.errors import SettingError

LONGEST_NAME = 120
"""Characters of a run's name at most."""


def checked_name(name: str | None) -> str | None:
    """Return the name of a run without blanks around it, None for an empty one.

    Raises
    ------
    SettingError
        If it is too long or holds what is not a character of one line.
    """
    if name is None:
        return None
    if not isinstance(name, str):
        raise SettingError(f"name is {name!r}; expected a string")
    text = name.strip()
    if len(text) > LONGEST_NAME:
        raise SettingError(
            f"name has {len(text)} characters; shorten it to {LONGEST_NAME} or fewer"
        )
    kinds = {unicodedata.category(character) for character in text}
    if kinds & {"Cc", "Cf", "Zl", "Zp"}:
        raise SettingError("name has a control character; remove it")
    if "Cs" in kinds:
        raise SettingError("name has half a character (a lone surrogate); remove it")
    return text or None
