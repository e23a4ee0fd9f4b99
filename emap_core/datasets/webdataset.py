"""``webdataset:GLOB``: tar shards, or a folder, in which an example's files share a name."""

from __future__ import annotations

import glob
import json
import re
import tarfile
from pathlib import Path
from typing import Any

from emap_core.allowed_folders import check_links
from emap_core.datasets.table import Records
from emap_core.datasets.table_files import TwiceError, read_once
from emap_core.errors import DatasetError, SpecError

_BRACES = re.compile(r"\{([^{}]*(?:,|\.\.)[^{}]*)\}")
_MOST_SHARDS = 100_000
_PICTURES = ("jpg", "jpeg", "png", "webp", "gif", "bmp")
_WORDS = ("txt", "text", "json", "cls", "cls2")


def read_webdataset(pattern: str, n_examples: int | None = None) -> Records:
    """Return the examples in all shards that match a pattern, in order of shard names.

    ``name.png``, ``name.txt``, ``name.cls`` and ``name.json`` become the columns image, text, label
    and the values of the JSON object; other files become columns named after their ending. If
    shards share a key, each key starts with the name of its shard. A pattern may also be a folder
    of such files; other files in it are left out.

    Parameters
    ----------
    pattern : str
    n_examples : int, optional
        Read only this many examples from the start.

    Raises
    ------
    SpecError
        If no file matches.
    DatasetError
        If a shard cannot be read.
    """
    import pandas as pd

    if Path(pattern).is_dir():
        return _read_folder(Path(pattern), n_examples)
    shards = _shards(pattern)
    examples: dict[str, dict[str, Any]] = {}
    shard_of: dict[str, str] = {}
    names: dict[str, str] = {}
    wrong: dict[str, str] = {}
    for shard in shards:
        if len(examples) == n_examples:
            break
        finished: set[str] = set()
        seen: set[str] = set()
        last: str | None = None
        try:
            with tarfile.open(shard) as opened:
                for member in opened:
                    if member.isfile() and (stream := opened.extractfile(member)) is not None:
                        folder, _, file = member.name.rpartition("/")
                        name, _, ending = file.partition(".")
                        key = f"{folder}/{name}" if folder else name
                        example = f"{shard} {key}"
                        if len(examples) == n_examples and example not in examples:
                            break
                        names[example] = f"example {key!r} in {Path(shard).name}"
                        if example in finished or f"{example} {ending}" in seen:
                            raise DatasetError(
                                f"shard {shard} has the key {key!r} twice; each example needs its "
                                "own key, and its files next to each other"
                            )
                        seen.add(f"{example} {ending}")
                        if last not in (None, example):
                            finished.add(last)
                        last = example
                        row = examples.setdefault(example, {"__key__": key})
                        shard_of[example] = shard
                        try:
                            _add(row, file, _columns(ending.lower(), stream.read()))
                        except _UnreadableError as error:
                            wrong.setdefault(example, f"{file} {error}")
        except (tarfile.TarError, OSError) as error:
            said = str(error).splitlines()[0].rstrip(":")
            raise DatasetError(f"shard {shard} cannot be read: {said}") from error
    _tell_shards_apart(examples, shard_of)
    table = pd.DataFrame(list(examples.values()), dtype=object)
    # People do not see rows in shards, but they see file names.
    table.attrs["rows"] = list(names.values())
    table.attrs["wrong"] = {row: wrong[one] for row, one in enumerate(examples) if one in wrong}
    return Records(table, pattern, Path(), {"id_column": "__key__"})


def _tell_shards_apart(examples: dict[str, dict[str, Any]], shard_of: dict[str, str]) -> None:
    """Put the shard's name before each example's key, if several examples have the same key."""
    keys = [row["__key__"] for row in examples.values()]
    if len(set(keys)) == len(keys):
        return
    names = {shard: Path(shard).stem for shard in shard_of.values()}
    if len(set(names.values())) < len(names):
        names = {shard: shard for shard in names}
    for example, row in examples.items():
        row["__key__"] = f"{names[shard_of[example]]}/{row['__key__']}"


def _read_folder(folder: Path, n_examples: int | None) -> Records:
    """Return the examples in a folder and its subfolders; images stay where they are."""
    import pandas as pd

    examples: dict[str, dict[str, Any]] = {}
    wrong: dict[str, str] = {}
    for file in sorted(folder.rglob("*")):
        within = file.relative_to(folder)
        name, _, ending = file.name.partition(".")
        if ending.lower() not in (*_PICTURES, *_WORDS) or not name:
            continue
        key = (within.parent / name).as_posix()
        if len(examples) == n_examples and key not in examples:
            break
        check_links(folder, [file])
        row = examples.setdefault(key, {"__key__": key})
        try:
            is_picture = ending.lower() in _PICTURES
            found = (
                {"image": within.as_posix()}
                if is_picture
                else _columns(ending.lower(), file.read_bytes())
            )
            _add(row, file.name, found)
        except _UnreadableError as error:
            wrong.setdefault(key, f"{file.name} {error}")
        except OSError as error:
            raise DatasetError(f"{file} cannot be read: {error.strerror or error}") from error
    if not examples:
        raise DatasetError(
            f"folder {folder} has no files *.{', *.'.join((*_PICTURES, *_WORDS))}; expected an "
            "example's files to share their name"
        )
    table = pd.DataFrame(list(examples.values()), dtype=object)
    table.attrs["rows"] = [f"example {key!r} in {folder.name}" for key in examples]
    table.attrs["wrong"] = {row: wrong[one] for row, one in enumerate(examples) if one in wrong}
    return Records(table, str(folder), folder, {"id_column": "__key__"})


def _shards(pattern: str) -> list[str]:
    """Return the files that a pattern names: ``*`` and ``?``, ``{000..012}``, ``{a,b}``, ``::``."""
    shards: list[str] = []
    for one in shard_patterns(pattern):
        if "://" in one or one.startswith("pipe:"):
            raise SpecError(
                f"shard {one[:80]} is an address or a command; download the shards and name the "
                "files"
            )
        fits = sorted(glob.glob(one))  # noqa: PTH207 - a pattern may be absolute
        if not fits:
            raise SpecError(
                f"no file matches {one}"
                + (
                    ""
                    if one == pattern
                    else f", which {pattern[:200]} names; name shards that exist"
                )
            )
        shards += [shard for shard in fits if shard not in shards]
    return shards


def shard_patterns(pattern: str) -> list[str]:
    """Return the ``glob`` patterns that a pattern with ``::`` and braces stands for.

    Raises
    ------
    SpecError
        If braces are not a range or a list, or stand for too many patterns.
    """
    return [one for part in pattern.split("::") for one in _without_braces(part)]


def _without_braces(pattern: str) -> list[str]:
    """Return what a shell makes of braces, unless a file has exactly this name."""
    found, waiting = [], [pattern]
    while waiting:
        one = waiting.pop()
        braces = _BRACES.search(one)
        if braces is None or Path(one).exists():
            found.append(one)
        else:
            within = [one[: braces.start()] + x + one[braces.end() :] for x in _choices(braces[1])]
            waiting += within[::-1]
        if len(found) + len(waiting) > _MOST_SHARDS:
            raise SpecError(f"{pattern[:80]} names more than {_MOST_SHARDS:,} shards; name fewer")
    return found


def _choices(within: str) -> list[str]:
    first, dots, last = within.partition("..")
    if not dots or "," in within:
        return within.split(",")
    if not (first.isdecimal() and last.isdecimal()) or len(first) > 12 or len(last) > 12:
        raise SpecError(f"{{{within[:60]}}} is not a range of shards; expected {{000..012}}")
    if int(last) - int(first) >= _MOST_SHARDS:
        raise SpecError(
            f"{{{within}}} names {int(last) - int(first) + 1:,} shards; name at most "
            f"{_MOST_SHARDS:,}"
        )
    return [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)]


def _add(row: dict[str, Any], file: str, columns: dict[str, Any]) -> None:
    """Add a file's columns to the row of its example; none of them may exist already."""
    for name, value in columns.items():
        if name in row and row[name] != value:
            raise _UnreadableError(
                f"has {name!r}, which another file of the example gives differently; keep one"
            )
        row[name] = value


class _UnreadableError(Exception):
    """The content of an example's file does not fit its ending."""


def _columns(ending: str, content: bytes) -> dict[str, Any]:
    if ending in _PICTURES:
        return {"image": content}
    try:
        if ending == "json":
            described = json.loads(content, object_pairs_hook=read_once)
            return described if isinstance(described, dict) else {"json": described}
        if ending in ("txt", "text"):
            return {"text": content.decode().rstrip("\r\n")}
    except UnicodeDecodeError as error:
        raise _UnreadableError(f"is not UTF-8: {error}") from error
    except TwiceError as error:
        raise _UnreadableError(str(error)) from error
    except (ValueError, RecursionError) as error:
        raise _UnreadableError(f"is not valid JSON: {error}") from error
    if ending in ("cls", "cls2"):
        try:
            return {"label": int(content)}
        except ValueError as error:
            said = content[:60].decode(errors="replace")
            raise _UnreadableError(
                f"holds {said!r}; expected a class number (names go into .json)"
            ) from error
    return {ending: content}
