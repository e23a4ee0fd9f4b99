"""What people say about a run: a name, tags and a comment; the run does not depend on them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any

from emap_core.errors import SettingError

LONGEST_NAME = 120
"""Most characters of a run's name."""

LONGEST_TAG = 40
"""Most characters of a tag."""

MOST_TAGS = 20
"""Most tags of a run."""

LONGEST_COMMENT = 2_000
"""Most characters of a run's comment."""


def checked_name(name: str | None) -> str | None:
    """Return the name of a run without blanks around it, or None if it is empty.

    Raises
    ------
    SettingError
        If it is too long or contains a line break or control character.
    """
    return None if name is None else _checked("name", name, LONGEST_NAME) or None


def checked_comment(comment: str | None) -> str | None:
    """Return a comment of any number of lines without blanks around it, or None if it is empty.

    Raises
    ------
    SettingError
        If it is too long or contains a control character.
    """
    if comment is None:
        return None
    return _checked("comment", comment, LONGEST_COMMENT, lines=True) or None


def checked_tags(tags: Iterable[str]) -> list[str]:
    """Return tags, each once, in order; empty ones are left out.

    Raises
    ------
    SettingError
        If one is too long or contains a comma, a line break or a control character, or there are
        too many.
    """
    if isinstance(tags, str):
        raise SettingError(f"tags are {tags!r}; expected a list of strings")
    found = dict.fromkeys(_checked("tag", tag, LONGEST_TAG) for tag in tags)
    found.pop("", None)
    for tag in found:
        if "," in tag:
            raise SettingError(f"tag {tag!r} has a comma; give each tag separately")
    if len(found) > MOST_TAGS:
        raise SettingError(f"a run has {len(found)} tags; give at most {MOST_TAGS}")
    return list(found)


def _checked(what: str, given: Any, longest: int, *, lines: bool = False) -> str:
    if not isinstance(given, str):
        raise SettingError(f"{what} is {given!r}; expected a string")
    text = given.replace("\r\n", "\n").strip()
    if len(text) > longest:
        raise SettingError(
            f"{what} has {len(text):,} characters; shorten it to {longest:,} or fewer"
        )
    characters = set(text) - {"\n"} if lines else set(text)
    kinds = {unicodedata.category(character) for character in characters}
    if kinds & {"Cc", "Cf", "Zl", "Zp"}:
        raise SettingError(f"{what} has a control character; remove it")
    if "Cs" in kinds:
        raise SettingError(f"{what} has half a character (a lone surrogate); remove it")
    return text
