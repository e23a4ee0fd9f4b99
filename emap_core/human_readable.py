"""Words as people read them: shortened, capitalised, counted; times and sizes."""

from __future__ import annotations

from collections.abc import Sequence


def shortened(words: object, width: int) -> str:
    """Return words cut to at most `width` characters, with an ellipsis at the cut."""
    text = str(words)
    return text if len(text) <= width else f"{text[: width - 1].rstrip()}…"


def shortened_apart(texts: Sequence[str], width: int) -> list[str]:
    """Return several names shortened so that different ones stay different.

    Names that would be cut before they differ keep their beginning and the part that differs:
    ``a long na…first one`` and ``a long na…second one``.
    """
    cut = [shortened(text, width) for text in texts]
    return [_apart(text, own, texts, cut, width) for text, own in zip(texts, cut, strict=True)]


def _apart(text: str, own: str, texts: Sequence[str], cut: list[str], width: int) -> str:
    alike = [
        other for other, short in zip(texts, cut, strict=True) if short == own and other != text
    ]
    if not alike:
        return own
    differs = max(_same_until(text, other) for other in alike)
    # From the start of the word, unless it is far away.
    start = max(text.rfind(" ", 0, differs + 1) + 1, differs - width // 4)
    head = text[: width // 3].rstrip()
    return f"{head}…{shortened(text[start:], width - len(head) - 1)}"


def _same_until(one: str, other: str) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


def or_no_text(text: str) -> str:
    """Return a text from the data, or a note that it is empty."""
    return text if text.strip() else "(no text)"


def capitalised(words: str) -> str:
    """Return words with a capital first letter; other letters stay as they are."""
    return words[:1].upper() + words[1:]


def counted(n: int, one: str, several: str = "") -> str:
    """Return a number with what it counts: ``1 example``, ``2,000 examples``."""
    return f"{n:,} {one if n == 1 else several or f'{one}s'}"


def duration(seconds: float) -> str:
    """Return a time as people say it: ``20 seconds``, ``3 minutes``, ``2.5 hours``."""
    if seconds < 1.5:
        return "a second"
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} minutes"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} hours"
    return f"{seconds / 86400:.1f} days"


def size(n_bytes: float) -> str:
    """Return a size on disk as people say it: ``12 kB``, ``5.6 MB``, ``2.1 GB``."""
    for unit, one in (("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= one:
            return f"{n_bytes / one:.1f} {unit}"
    return f"{max(n_bytes / 1e3, 1):.0f} kB"
