"""Spellings of classes: in a file of names, and as labels ``Yes``, ``yes`` and ``yes.``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emap_core.datasets.base import label_number
from emap_core.errors import DatasetError
from emap_core.option_names import option


def read_classes(file: Path) -> list[str]:
    """Return the names of classes in a file: one name per line, or JSON.

    Raises
    ------
    DatasetError
        If it holds something else.
    """
    try:
        content = file.read_text(encoding="utf-8-sig")
        held = json.loads(content) if content.lstrip()[:1] in ("[", "{") else content.splitlines()
    except (OSError, ValueError, RecursionError) as error:
        raise DatasetError(f"{file} cannot be read: {error}") from error
    if isinstance(held, dict):
        numbered = {label_number(key): name for key, name in held.items()}
        if None in numbered:
            numbered = {label_number(number): name for name, number in held.items()}
        if set(numbered) != set(range(len(held))):
            raise DatasetError(
                f"{file} does not number its {len(held)} classes from 0; expected one name per "
                "line, or names with numbers"
            )
        held = [numbered[number] for number in range(len(held))]
    names = [str(name).strip() for name in held if str(name).strip()]
    if not names:
        raise DatasetError(f"{file} has no class names; expected one name per line")
    return names


def spellings_told(labels: Sequence[Any]) -> list[str]:
    """Return a sentence on labels that differ only in capitals, spaces or a full stop, if any."""
    groups = [group for group in _groups(labels).values() if len(group) > 1]
    if not groups:
        return []
    some = "; ".join(
        " and ".join(f"{name!r:.40} ({n:,})" for name, n in group.most_common(3))
        for group in groups[:3]
    )
    more = f", and {len(groups) - 3:,} more" if len(groups) > 3 else ""
    return [
        "Labels that differ only in capitals, spaces or a full stop are different classes: "
        f"{some}{more}; {option('merge_labels', 'true')} merges them"
    ]


def merged(labels: Sequence[Any], classes: Sequence[str] | None) -> list[Any]:
    """Return labels after merging those that differ only in capitals, spaces or a full stop.

    The merged label is the class's name if classes are named, otherwise the most frequent spelling.
    """
    names = {folded(name): name for name in classes or ()}
    for key, group in _groups(labels).items():
        names.setdefault(key, group.most_common(1)[0][0])

    def one(label: Any) -> Any:
        return names[folded(label)] if isinstance(label, str) else label

    return [
        [one(each) for each in label] if isinstance(label, list) else one(label) for label in labels
    ]


def _groups(labels: Sequence[Any]) -> dict[str, Counter[str]]:
    groups: dict[str, Counter[str]] = {}
    for label in labels:
        for each in label if isinstance(label, list) else [label]:
            if isinstance(each, str):
                groups.setdefault(folded(each), Counter())[each] += 1
    return groups


def folded(label: str) -> str:
    """Return a key shared by labels that differ only in capitals, spaces or a full stop."""
    return " ".join(label.split()).rstrip(".").rstrip().casefold() or label
