"""Words as people read them: shortened, with a capital, counted; times and sizes."""

from __future__ import annotations


def shortened(words: object, width: int) -> str:
    """Return words of at most `width` characters, with an ellipsis where they were cut."""
    text = str(words)
    return text if len(text) <= width else f"{text[: width - 1].rstrip()}…"


def capitalised(words: str) -> str:
    """Return words with a capital at the start; the others keep theirs."""
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
