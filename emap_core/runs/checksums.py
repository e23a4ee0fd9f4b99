"""Checksums of a finished run's files, kept beside them, and what has changed since."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emap_core.errors import RunError
from emap_core.runs.checksummed_results import read_sealed
from emap_core.runs.folder import STATUS_IN_WORDS, RunFolder, find_run, read_json, write_json
from emap_core.runs.store import entries, is_link, is_passing, name_within, opened

CHECKSUMS = "checksums.json"
_CHANGING = (CHECKSUMS, "progress.json", "cancel")


def write_checksums(folder: RunFolder) -> None:
    """Keep the size and SHA-256 of every file of a finished run.

    Files that come later carry their own checksums: intervals and the like in ``inference/``,
    answers to probes in ``probes/``, and visitors' choices in ``selections/``.
    """
    found = {name: list(_state(path)) for name, path in _files(folder) if not is_link(path)}
    write_json(folder.path / CHECKSUMS, {"sha256": found})


def renew_manifest_checksum(folder: RunFolder) -> None:
    """Update the checksum of a manifest that was changed on purpose, if there are checksums."""
    kept = read_json(folder.path / CHECKSUMS)
    if kept is not None:
        kept["sha256"]["run.json"] = list(_state(folder.path / "run.json"))
        write_json(folder.path / CHECKSUMS, kept)


def check_run(path: str | Path) -> list[str]:
    """Return what is wrong with a finished run's files, one per line; empty if all is well.

    Parameters
    ----------
    path : str or Path
        Id or folder.

    Raises
    ------
    RunError
        If there is no such run, it is unfinished, has a newer format, or has no checksums.
    """
    folder = RunFolder(find_run(path))
    status, manifest = folder.state()
    if status != "finished":
        raise RunError(
            f"run {folder.id!r} {STATUS_IN_WORDS[status]}; only finished runs have checksums"
        )
    kept = read_json(folder.path / CHECKSUMS)
    if kept is None:
        raise RunError(
            f"run {folder.id!r} has no checksums: an older version computed it, or the disk was "
            "full, so nothing shows whether it is complete"
        )
    expected, there = kept.get("sha256"), dict(_files(folder))
    if not isinstance(expected, dict) or not all(map(_is_state, expected.values())):
        raise RunError(f"{CHECKSUMS} in run {folder.id!r} contains no checksums")
    found = []
    for name, (n_bytes, digest) in sorted(expected.items()):
        if name not in there:
            found.append(f"{name} is missing")
            continue
        if is_link(there[name]):
            continue
        try:
            now_bytes, now = _state(there[name])
        except OSError as error:
            found.append(f"{name} cannot be read: {error.strerror}")
            continue
        if now_bytes < n_bytes:
            found.append(f"{name} is cut off: {now_bytes:,} bytes of {n_bytes:,}")
        elif now != digest:
            found.append(f"{name} has changed")
    found += [f"{name} does not belong there" for name in sorted(set(there) - set(expected))]
    links = sorted(str(name_within(p, folder.path)) for p in entries(folder.path) if is_link(p))
    found += [f"{name} is a link and was not followed" for name in links]
    return found + list(_changed_later(folder, manifest["created"]))


def _changed_later(folder: RunFolder, run: str) -> Iterator[str]:
    """Yield what is wrong with files that came after the run was finished."""
    for within, depth in _later(folder).items():
        for path in entries(within):
            name = name_within(path, folder.path)
            if is_link(path) or is_passing(path.name):
                continue
            if within == folder.probes and name.parts[2:-1] == ("parts",):
                # These belong to an unfinished probe and are checked when it resumes.
                continue
            if len(name.parts) != depth or path.suffix != ".json":
                yield f"{name} does not belong there"
                continue
            try:
                read_sealed(path, run)
            except RunError as error:
                yield f"{name.parent}/{error}"


def _later(folder: RunFolder) -> dict[Path, int]:
    """Return the folders of files that come after a run is finished, and how deep the files are."""
    return {folder.inference: 2, folder.probes: 3, folder.selections: 2}


def _files(folder: RunFolder) -> Iterator[tuple[str, Path]]:
    later = {within.name for within in _later(folder)}
    for path in entries(folder.path):
        name = name_within(path, folder.path)
        if is_passing(name.name) or name.parts[0] in later or str(name) in _CHANGING:
            continue
        yield str(name), path


def _is_state(stored: Any) -> bool:
    return isinstance(stored, list) and list(map(type, stored)) == [int, str]


def _state(path: Path) -> tuple[int, str]:
    with opened(path, follow=False) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return path.stat().st_size, digest
