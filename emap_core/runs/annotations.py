"""What people say of a run: a name, tags and a comment; the run itself does not depend on them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any

from emap_core.errors import SettingError

LONGEST_NAME = 120
"""Characters of a run's name at most."""

LONGEST_TAG = 40
"""Characters of a tag at most."""

MOST_TAGS = 20
"""Tags of a run at most."""

LONGEST_COMMENT = 2_000
"""Characters of a run's comment at most."""


def checked_name(name: str | None) -> str | None:
    """Return the name of a run without blanks around it, None for an empty one.

    Raises
    ------
    SettingError
        If it is too long or holds what is not a character of one line.
    """
    return None if name is None else _checked("name", name, LONGEST_NAME) or None


def checked_comment(comment: str | None) -> str | None:
    """Return a comment, of any number of lines, without blanks around it; None for an empty one.

    Raises
    ------
    SettingError
        If it is too long or holds a control character.
    """
    if comment is None:
        return None
    return _checked("comment", comment, LONGEST_COMMENT, lines=True) or None


def checked_tags(tags: Iterable[str]) -> list[str]:
    """Return tags, each once, in their order; empty ones are left out.

    Raises
    ------
    SettingError
        If one is too long or holds a comma or what is not a character of one line, or there are
        too many.
    """
    if isinstance(tags, str):
        raise SettingError(f"tags are {tags!r}; expected a list of strings")
    found = dict.fromkeys(_checked("tag", tag, LONGEST_TAG) for tag in tags)
    found.pop("", None)
    for tag in found:
        if "," in tag:
            raise SettingError(f"tag {tag!r} has a comma; give each tag by itself")
    if len(found) > MOST_TAGS:
        raise SettingError(f"a run has {len(found)} tags; leave at most {MOST_TAGS}")
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
