"""Nearby folders of checkpoints, to choose from."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

_DEEP = 2
_MOST_FOLDERS = 2_000
_MOST_FOUND = 50


_CONFIGS = {"config.json": "hf", "open_clip_config.json": "openclip"}
"""Files that identify a folder of transformers, then of OpenCLIP, with the prefix for it."""


def checkpoints_nearby(roots: Sequence[Path]) -> list[str]:
    """Return specs of folders with a configuration and .safetensors, up to two levels down.

    Hidden folders and links are skipped; of very many folders, only the first are searched.
    """
    found = list[str]()
    for place, folder in enumerate(_folders(roots)):
        if place >= _MOST_FOLDERS or len(found) >= _MOST_FOUND:
            break
        try:
            names = {entry.name for entry in os.scandir(folder)}
        except OSError:
            continue
        prefix = next((prefix for config, prefix in _CONFIGS.items() if config in names), None)
        if prefix and any(name.endswith(".safetensors") for name in names):
            found.append(f"{prefix}:{folder}")
    return sorted(found)


def _folders(roots: Sequence[Path]) -> Iterator[Path]:
    """Return folders level by level."""
    level = list(roots)
    for depth in range(_DEEP + 1):
        yield from level
        if depth < _DEEP:
            level = [below for folder in level for below in _below(folder)]


def _below(folder: Path) -> list[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        return [
            folder / entry.name
            for entry in entries
            if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
        ]
    except OSError:
        return []
