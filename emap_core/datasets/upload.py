"""A dataset uploaded in the browser: an archive with a table and images, or a table."""

from __future__ import annotations

import contextlib
import hashlib
import re
import tempfile
from pathlib import Path

from emap_core.datasets.archive import unpack
from emap_core.datasets.limited_process import limited
from emap_core.datasets.table_files import METADATA
from emap_core.errors import DatasetError

KINDS = ("zip", "parquet")
"""File endings that can be uploaded."""
_TABLES = (".csv", ".tsv", ".json", ".jsonl", ".parquet")


def receive(name: str, content: bytes, folder: Path) -> str:
    """Store an uploaded file in `folder`, once, and return the spec of its dataset.

    Parameters
    ----------
    name : str
        The file's original name.
    content : bytes
    folder : Path
        Where uploads are kept, each in a folder named after its content.

    Raises
    ------
    DatasetError
        If it is neither a parquet file nor an archive with one table at the top.
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
            # Only a complete file takes its place.
            with contextlib.suppress(OSError):
                # Another upload of the same file was first.
                fresh.replace(home)
    if kind == "parquet":
        return f"parquet:{next(home.glob('*.parquet'))}"
    (unpacked,) = (path for path in home.iterdir() if path.is_dir())
    return _spec_of(_top(unpacked), name)


def unpack_upload(archive: str, stem: str) -> None:
    """Unpack an archive into a folder beside it that replaces it."""
    file = Path(archive)
    unpack(file, file.with_name(stem))
    file.unlink()
    _name_table(_top(file.with_name(stem)), stem)


def as_uploaded(words: str, folder: Path) -> str:
    """Return words that name uploaded files as in their archive, without `folder`."""
    return re.sub(re.escape(str(folder)) + r"/[0-9a-f]{16}/", "", words)


def _top(folder: Path) -> Path:
    """Return the folder of the table: archives often hold one folder with everything in it."""
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
    """Name the one table after the archive, once: runs are named after their table.

    The same archive, uploaded later under another name, keeps its first name.
    """
    tables = _tables(folder)
    if len(tables) == 1 and not _has_metadata(folder):
        tables[0].rename(tables[0].with_stem(stem))


def _has_metadata(folder: Path) -> bool:
    return any((folder / name).is_file() for name in METADATA)


def _tables(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in _TABLES)
    # JSON beside another table may hold settings, or rows to join.
    return [path for path in found if path.suffix.lower() != ".json"] or found
