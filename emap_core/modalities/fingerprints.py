"""Hashes that identify equal content."""

from __future__ import annotations

import hashlib


def fingerprint_of(*parts: str | bytes) -> str:
    """Return a short hash that changes whenever one of the parts does."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()[:16]
