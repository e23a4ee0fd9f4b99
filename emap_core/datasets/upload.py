"""A dataset that came through the browser: an archive with a table and images, or a table."""

from __future__ import annotations

import contextlib
import hashlib
import re
import tempfile
from pathlib import Path

from emap_core.datasets.archive import unpack
from emap_core.datasets.limited import limited
from emap_core.datasets.table_files import METADATA
from emap_core.errors import DatasetError

KINDS = ("zip", "parquet")
"""Endings of files that can be uploaded."""
_TABLES = (".csv", ".tsv", ".json", ".jsonl", ".parquet")


def receive(name: str, content: bytes, folder: Path) -> str:
    """Put an uploaded file into `folder`, once, and return the spec of the dataset in it.

    Parameters
    ----------
    name : str
        What the file is called where it came from.
    content : bytes
    folder : Path
        Where uploads are kept, each in a folder named by its content.

    Raises
    ------
    DatasetError
        If it is neither a parquet file nor an archive with one table at its top.
    """
    path = Path(re.split(r"[/\\]", name)[-1])
    stem = re.sub(r"[^\w-]+", "-", path.stem).strip("-") or "upload"
    kind = path.suffix.lower().lstrip(".")
    if kind not in KINDS:
        raise DatasetError(
            f"{name} is neither a .zip nor a .parquet file; pack the table and "
            "its images into a .zip"
        )
    home = folder / hashlib.sha256(content).hexdigest()[:16]
    if not home.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            fresh = Path(temporary) / "fresh"
            fresh.mkdir()
            file = fresh / f"{stem}.{kind}"
            file.write_bytes(content)
            if kind == "zip":
                limited(
                    f"{__name__}:unpack_upload",
                    *(str(file), stem),
                    doing=f"{name} cannot be unpacked",
                )
            # Only a file that is there as a whole takes its place.
            with contextlib.suppress(OSError):
                # Whoever sent the same in this instant was first.
                fresh.replace(home)
    if kind == "parquet":
        return f"parquet:{next(home.glob('*.parquet'))}"
    (unpacked,) = (path for path in home.iterdir() if path.is_dir())
    return _spec_of(_top(unpacked), name)


def unpack_upload(archive: str, stem: str) -> None:
    """Put what is in an archive into a folder beside it, in its place."""
    file = Path(archive)
    unpack(file, file.with_name(stem))
    file.unlink()
    _name_table(_top(file.with_name(stem)), stem)


def as_uploaded(words: str, folder: Path) -> str:
    """Return words in which uploaded files are called as in their archive, without `folder`."""
    return re.sub(re.escape(str(folder)) + r"/[0-9a-f]{16}/", "", words)


def _top(folder: Path) -> Path:
    """Return where the table is: archives often hold one folder with everything in it."""
    inside = [path for path in folder.iterdir() if not path.name.startswith((".", "__MACOSX"))]
    return _top(inside[0]) if len(inside) == 1 and inside[0].is_dir() else folder


def _spec_of(folder: Path, name: str) -> str:
    if _has_metadata(folder):
        return f"imagefolder:{folder}"
    tables = _tables(folder)
    if len(tables) != 1:
        has = " and ".join(path.name for path in tables) or "none"
        raise DatasetError(
            f"{name} has {has} of {', '.join('*' + ending for ending in _TABLES)} at its top; "
            "expected one table there that names the images"
        )
    prefix = tables[0].suffix.lower().lstrip(".").replace("tsv", "csv")
    return f"{prefix}:{tables[0]}"


def _name_table(folder: Path, stem: str) -> None:
    """Call the one table like the archive, once: runs are named after their table.

    Whoever comes later with the same archive under another name finds it as the first named it.
    """
    tables = _tables(folder)
    if len(tables) == 1 and not _has_metadata(folder):
        tables[0].rename(tables[0].with_stem(stem))


def _has_metadata(folder: Path) -> bool:
    return any((folder / name).is_file() for name in METADATA)


def _tables(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in _TABLES)
    # JSON beside another table holds settings, say, or what the table is joined with.
    return [path for path in found if path.suffix.lower() != ".json"] or found
