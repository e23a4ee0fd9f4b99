"""Time and disk in words."""

from __future__ import annotations


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


def disk(n_bytes: float) -> str:
    """Return a size as people say it: ``12 kB``, ``5.6 MB``, ``2.1 GB``."""
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= size:
            return f"{n_bytes / size:.1f} {unit}"
    return f"{max(n_bytes / 1e3, 1):.0f} kB"
