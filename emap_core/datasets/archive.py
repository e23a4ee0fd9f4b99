"""Unpack a zip or tar from somebody else without trusting anything in it."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any, cast

from emap_core.environment import whole_number
from emap_core.errors import DatasetError, EmapError

_CHUNK = 1 << 20
_HARMLESS_BYTES = 10 << 20
"""A file of any size may unpack to this many bytes: tables with few words compress well."""
_COMPRESSED: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}


@dataclass(frozen=True)
class Limits:
    """How much an archive may hold.

    Attributes
    ----------
    files : int
        50,000 by default.
    total_bytes : int
        Unpacked size of all files: 4 GiB by default.
    ratio : int
        How many times larger the unpacked size may be: 200 by default.
    """

    files: int = 50_000
    total_bytes: int = 4 << 30
    ratio: int = 200

    @classmethod
    def from_environment(cls) -> Limits:
        """Return the defaults, or the limits in ``EMAP_MAX_FILES``, ``EMAP_MAX_UNPACKED_BYTES``."""
        return cls(
            files=whole_number("EMAP_MAX_FILES", cls.files),
            total_bytes=whole_number("EMAP_MAX_UNPACKED_BYTES", cls.total_bytes),
        )


def unpack(archive: Path, folder: Path, limits: Limits | None = None) -> None:
    """Unpack a zip or tar, plain or compressed, into a new folder; all of it or nothing.

    Parameters
    ----------
    archive : Path
    folder : Path
        The new folder; it must not exist.
    limits : Limits, optional
        By default, the limits in the environment.

    Raises
    ------
    DatasetError
        If it is not an archive or is damaged, if a member leads out of the folder or is a link or a
        device, or if it contains more than the limits allow.
    """
    limits = Limits.from_environment() if limits is None else limits
    folder.mkdir(parents=True)
    try:
        target = _Target(archive, folder, limits)
        if zipfile.is_zipfile(archive):
            _unpack_zip(archive, target)
        else:
            _unpack_tar(archive, target)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, EmapError) or not isinstance(error, Exception):
            raise
        # The readers of these formats do not say what they raise on malicious bytes.
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DatasetError(f"{archive.name} cannot be unpacked: {' '.join(why.split())}") from error


class _Target:
    """The folder that members are written to, and how much of the limits is left."""

    def __init__(self, archive: Path, folder: Path, limits: Limits) -> None:
        self.name = archive.name
        self.packed_bytes = archive.stat().st_size
        self.folder = folder
        self.limits = limits
        self.n_files = 0
        self.n_bytes = 0

    def refuse(self, member: str, why: str) -> DatasetError:
        shown = member if len(member) <= 100 else member[:99] + "…"
        return DatasetError(f"{self.name} holds {shown!r}, {why}")

    def place(self, member: str) -> Path:
        """Return where a member goes."""
        path = PurePosixPath(member.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or PureWindowsPath(member).drive:
            raise self.refuse(member, "which would be written outside its folder")
        self.n_files += 1
        self.check_count(self.n_files)
        return self.folder / path

    def check_count(self, n_files: int) -> None:
        """Refuse more members than are allowed."""
        if n_files > self.limits.files:
            raise DatasetError(
                f"{self.name} holds more than the {self.limits.files:,} files and folders that are "
                "allowed (EMAP_MAX_FILES)"
            )

    def check_size(self, member: str, size: int, packed: int) -> None:
        """Refuse a member by its header, before any of it is read."""
        self._check_total(member, self.n_bytes + size)
        if size > max(_HARMLESS_BYTES, self.limits.ratio * packed):
            raise self.refuse(
                member,
                f"which would grow to {size:,} bytes, more than {self.limits.ratio} times its "
                "packed size",
            )

    def write(self, member: str, path: Path, content: IO[bytes]) -> None:
        """Write a member, counting the bytes that actually come out of it."""
        if path.exists():
            raise self.refuse(member, "which is there twice")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            while chunk := content.read(_CHUNK):
                self.n_bytes += len(chunk)
                self._check_total(member, self.n_bytes)
                file.write(chunk)

    def _check_total(self, member: str, total: int) -> None:
        if total > self.limits.total_bytes:
            raise self.refuse(
                member,
                f"which makes it larger than {self.limits.total_bytes:,} bytes, the most that are "
                "allowed (EMAP_MAX_UNPACKED_BYTES)",
            )


def _unpack_zip(archive: Path, target: _Target) -> None:
    with zipfile.ZipFile(archive) as source:
        target.check_count(len(source.infolist()))
        for member in source.infolist():
            name = member.filename
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                what = "a link" if kind == stat.S_IFLNK else "a device"
                raise target.refuse(name, f"{what}; only files and folders are unpacked")
            path = target.place(name)
            if member.is_dir():
                path.mkdir(parents=True, exist_ok=True)
                continue
            if member.flag_bits & 1:
                raise target.refuse(name, "which needs a password; pack it without one")
            target.check_size(name, member.file_size, member.compress_size)
            with source.open(member) as content:
                target.write(name, path, content)


def _unpack_tar(archive: Path, target: _Target) -> None:
    with (
        _plain(archive) as plain,
        tarfile.open(fileobj=cast(IO[bytes], _Headers(plain)), mode="r:") as source,
    ):
        for member in source:
            name = member.name
            if member.issym() or member.islnk():
                raise target.refuse(name, "a link; only files and folders are unpacked")
            if member.issparse() or not (member.isreg() or member.isdir()):
                raise target.refuse(name, "a device; only files and folders are unpacked")
            path = target.place(name)
            if member.isdir():
                path.mkdir(parents=True, exist_ok=True)
                continue
            target.check_size(name, member.size, target.packed_bytes)
            content = source.extractfile(member)
            if content is not None:
                target.write(name, path, content)


@contextmanager
def _plain(archive: Path) -> Iterator[IO[bytes]]:
    """Open a tar as an uncompressed stream."""
    with archive.open("rb") as file:
        begin = file.read(8)
    for magic, opened in _COMPRESSED.items():
        if begin.startswith(magic):
            with opened(archive, "rb") as file:
                yield file
            return
    with archive.open("rb") as file:
        yield file


class _Headers:
    """A file that returns at most a chunk at a time.

    Otherwise a header that claims to be gigabytes long would be read into memory.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.seek = file.seek
        self.tell = file.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _CHUNK:
            raise tarfile.ReadError("a header in it is far too long")
        return self.file.read(size)
