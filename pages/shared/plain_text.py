"""Texts from users or their data, shown as plain text."""

from __future__ import annotations

import re

from emap_core.untrusted_text import escape, visible

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|~>$:<&])")


_REPLACED = re.compile(
    r"(?<=:)(?=material/|//)|(?<=\S@)(?=\S)|(?<=www)(?=\.)|(?<=-)(?=[->])|(?<=<)(?=-)"
)
"""Places where Streamlit would see an icon, a link, an arrow or a dash even in escaped text."""


def plain(text: object) -> str:
    """Return a text that is safe inside Markdown: labels, captions and alerts show it verbatim."""
    broken = _REPLACED.sub("\u2060", visible(text))
    return _MARKDOWN.sub(r"\\\1", broken).replace("\n", " ")


def beside(name: object, note: str) -> str:
    """Return a name and a note that are safe inside ``st.html``; the name keeps its direction."""
    return f"<bdi>{escaped(name)}</bdi>" + (f" ({escaped(note)})" if note else "")


def escaped(text: object) -> str:
    """Return a text that is safe inside ``st.html``."""
    return escape(text)
