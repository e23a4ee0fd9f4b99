"""Where a run is: in a folder on this machine, or behind any URL that fsspec can open."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import stat
import tempfile
import threading
import time
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import Any, Self, cast

import filelock

from emap_core.errors import RunError, reason
from emap_core.installation import with_extra

LEASE_SECONDS = 60.0
"""How long a lock behind a URL outlives its holder."""

HOW_TO_INSTALL = with_extra("remote")


def _at_home(path: Path) -> Path:
    """Return a path with the folder that a leading ``~`` names, if there is one."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def location(given: str | Path) -> Path:
    """Return a folder or a file, given as a path or as a URL (``s3:``, ``gs:``, ``memory:``, …).

    A URL's path is not a `pathlib.Path`, but has the methods that runs need.

    Raises
    ------
    RunError
        If the package that opens the URL is not installed, nobody answers there, or the disk allows
        no such path.
    """
    if not isinstance(given, str):
        return _possible(_at_home(given)) if type(given) is type(Path()) else given
    if "://" not in given:
        return _possible(_at_home(Path(given)))
    if given.startswith("file://"):
        return _possible(Path(given.removeprefix("file://")))
    try:
        from upath import UPath

        # Others write there, too: a cached listing would hide their files.
        path = UPath(given, use_listings_cache=False)
        # Only now does fsspec look for the package that opens it.
        path.fs  # noqa: B018
    except (ImportError, ValueError) as error:
        raise RunError(f"{given} cannot be opened: {error} ({HOW_TO_INSTALL})") from error
    _reach(path.protocol, given.split("/")[2], path)
    return cast(Path, path)


def _possible(path: Path) -> Path:
    """Return a path; raise a RunError if the disk cannot tell whether it exists."""
    if why := why_impossible(path):
        raise RunError(f"{path} cannot be opened: {why}; choose another path")
    return path


def why_impossible(path: Path) -> str | None:
    """Return why the disk cannot tell whether a path exists; None if it can.

    A name may be too long, or a folder closed to this user. `pathlib` raises in these cases.
    """
    try:
        path.lstat()
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return error.strerror or str(error)
    except ValueError as error:
        return str(error)
    return None


_reached: set[tuple[str, str]] = set()


def _reach(protocol: str, place: str, path: Any) -> None:
    """Look once whether a bucket or server answers; its absence would pass for that of a run.

    Raises
    ------
    RunError
        If the host is unknown, credentials are missing, and so on. A place answers even if it has
        nothing under the path, or does not say whether it has.
    """
    if (protocol, place) in _reached:
        return
    try:
        path.fs.info(path.path)
    except OSError:
        pass
    except Exception as error:
        raise RunError(
            f"{protocol}://{place} cannot be reached: {reason(error)}; correct the address, or say "
            "who you are as its library asks"
        ) from error
    _reached.add((protocol, place))


def is_local(path: Path) -> bool:
    """Return whether a path is on this machine."""
    return isinstance(path, Path)


def seconds_between_calls(path: Path) -> float:
    """Return how long to wait between small writes, such as progress, to spare a network."""
    return 0.0 if is_local(path) or cast(Any, path).protocol == "memory" else 2.0


def address(path: Path) -> str:
    """Return the text from which `location` makes the same path in any working folder."""
    return str(path.resolve()) if is_local(path) else str(path)


def name_within(path: Path, folder: Path) -> PurePosixPath:
    """Return the name of a path below a folder."""
    return PurePosixPath(path.as_posix()).relative_to(PurePosixPath(folder.as_posix()))


def opened(path: Path, *, follow: bool = True) -> BufferedReader:
    """Open a regular file for reading; refuse links unless told to `follow` them.

    Raises
    ------
    OSError
        If there is no regular file: a folder, a device, or a pipe, on which reading would wait.
    """
    if not is_local(path):
        return path.open("rb")
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags if follow else flags | os.O_NOFOLLOW)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file")
    return os.fdopen(descriptor, "rb")


def beside(path: Path) -> Path:
    """Return where a file is written before it replaces the one at `path`."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path on disk; its file replaces `path` if the block succeeds."""
    if is_local(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = beside(path)
        try:
            yield temporary
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder) / path.name
        yield temporary
        path.parent.mkdir(parents=True, exist_ok=True)
        # An object store replaces an object as a whole, once it is complete.
        cast(Any, path).fs.put_file(str(temporary), cast(Any, path).path)


def entries(folder: Path) -> Iterator[Path]:
    """Return all files below a folder; links are not followed."""
    for path in sorted(folder.rglob("*"), key=str):
        if is_link(path) or not path.is_dir():
            yield path


def is_link(path: Path) -> bool:
    """Return whether a path is a link, which may lead anywhere."""
    return is_local(path) and path.is_symlink()


def zipped(folder: Path) -> bytes:
    """Return the run folder as a zip file whose one folder is the run's id.

    Links are left out: their targets are not part of the run.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in entries(folder):
            # Locks and half-written files belong to this machine.
            if path.name.startswith(".") or not path.is_file() or is_link(path):
                continue
            with opened(path, follow=False) as file:
                archive.writestr(f"{folder.name}/{name_within(path, folder)}", file.read())
    return buffer.getvalue()


def is_passing(name: str) -> bool:
    """Return whether a file is a lock, or a leftover of an interrupted `replacing`."""
    return name == ".lock" or (name.startswith(".") and name.endswith(".tmp"))


@contextmanager
def on_disk(path: Path) -> Iterator[Path]:
    """Give a file as a path on disk, for libraries that cannot open anything else."""
    if is_local(path):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        copy.write_bytes(path.read_bytes())
        yield copy


def remove_folder(path: Path) -> None:
    """Remove a folder and its contents, as far as possible."""
    if is_local(path):
        shutil.rmtree(path, ignore_errors=True)
        return
    with suppress(OSError):
        cast(Any, path).fs.rm(cast(Any, path).path, recursive=True)


def array_store(path: Path) -> Any:
    """Return a zarr store for an array."""
    if is_local(path):
        return str(path)
    from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
    from zarr.storage import FsspecStore

    remote = cast(Any, path)
    files = remote.fs
    if not files.async_impl:
        return FsspecStore(AsyncFileSystemWrapper(files, asynchronous=True), path=remote.path)
    return FsspecStore.from_url(str(path), storage_options=dict(remote.storage_options))


def folder_of_this_machine(runs: Path) -> Path:
    """Return where jobs and device locks are: with the runs, if those are on this machine."""
    if is_local(runs):
        return runs
    digest = hashlib.sha256(str(runs).encode()).hexdigest()[:8]
    return Path.home() / ".cache" / "emap-lens" / digest


def lock_at(path: Path) -> filelock.BaseFileLock | Lease:
    """Return a lock; behind a URL it is a lease that its holder renews."""
    return filelock.FileLock(path) if is_local(path) else Lease(path)


def is_held(path: Path) -> bool:
    """Return whether somebody holds the lock at a path now; nothing is written."""
    if not is_local(path):
        return Lease(path).holder() is not None
    if not path.exists():
        return False
    try:
        with filelock.FileLock(path, timeout=0):
            return False
    except filelock.Timeout:
        return True
    except OSError:
        # Nobody here computes in a read-only folder.
        return False


class Lease:
    """A lock for stores without locks: a file that names its holder and when it expires.

    The holder renews the date every third of the time; a process that finds an expired date takes
    over. If two take over at the same moment, the later one wins, and the other notices when it
    reads its file back. The machines' clocks must differ by less than `LEASE_SECONDS`.

    Parameters
    ----------
    path : Path
        Behind a URL.
    seconds : float
        How long the lease outlives its holder.
    """

    def __init__(self, path: Path, seconds: float = LEASE_SECONDS) -> None:
        self._path = path
        self._seconds = seconds
        self._name = uuid.uuid4().hex
        self._released = threading.Event()

    def holder(self) -> str | None:
        """Return the name of the lease's current holder, or None."""
        try:
            found = json.loads(self._path.read_text())
            return str(found["holder"]) if float(found["until"]) > time.time() else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def acquire(self, timeout: float = -1.0) -> Self:
        """Wait until the lease is free, at most `timeout` seconds (forever if below 0).

        Raises
        ------
        filelock.Timeout
            If somebody else still holds it after that.
        """
        deadline = time.monotonic() + timeout
        while not self._taken():
            if timeout >= 0 and time.monotonic() >= deadline:
                raise filelock.Timeout(str(self._path))
            time.sleep(0.25)
        threading.Thread(target=self._renew, daemon=True).start()
        return self

    def release(self) -> None:
        """Release the lease."""
        self._released.set()
        if self.holder() == self._name:
            with suppress(OSError):
                self._path.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    def _taken(self) -> bool:
        if self.holder() is not None:
            return False
        self._write()
        time.sleep(0.05)
        return self.holder() == self._name

    def _renew(self) -> None:
        while not self._released.wait(self._seconds / 3):
            with suppress(OSError):
                self._write()

    def _write(self) -> None:
        content = {"holder": self._name, "until": time.time() + self._seconds}
        self._path.write_text(json.dumps(content))
