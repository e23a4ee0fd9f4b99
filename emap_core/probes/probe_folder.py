"""The folder of a run's probe: ``<run>/probes/<name>[-<key>]/``, finished tiles first."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filelock
import numpy as np

from emap_core.errors import RunError
from emap_core.probes.base import Probe
from emap_core.runs import Run
from emap_core.runs.checksummed_results import read_sealed, write_sealed
from emap_core.runs.folder import RunFolder, read_json, write_json
from emap_core.runs.store import lock_at, opened, remove_folder, replacing
from emap_core.types import Array

RESULT = "result.json"
_FORMAT = 1


def folders_of(run: Run, name: str) -> list[Path]:
    """Return the folders of a probe in a run, finished or not."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return sorted(
            path
            for path in RunFolder(run.path).probes.iterdir()
            if path.name == name or path.name.startswith(f"{name}-")
        )
    return []


def found_in(path: Path, run: Run) -> dict[str, Any] | None:
    """Return what a probe found, given its folder, or None if it is not finished.

    Also None if the result is damaged, which `emap_core.runs.checksums.check_run` reports.
    """
    with contextlib.suppress(RunError):
        return _content(path, str(run.manifest["created"]))
    return None


def _content(path: Path, created: str) -> dict[str, Any] | None:
    found = read_sealed(path / RESULT, created)
    # A newer version may give it another meaning, and another question has another name.
    if found is None or found.get("format") != _FORMAT or found.get("probe") != path.name:
        return None
    content = found.get("found")
    return content if isinstance(content, dict) else None


class ProbeFolder:
    """The files of one probe of a run.

    Parameters
    ----------
    run : Run
    probe : Probe
    """

    def __init__(self, run: Run, probe: Probe) -> None:
        key = probe.key(run)
        self.name = f"{probe.name}-{key}" if key else probe.name
        self.path: Path = RunFolder(run.path).probes / self.name
        self._run_id, self._created = run.id, str(run.manifest["created"])
        self._tiles: Path | None = None

    def read(self) -> dict[str, Any] | None:
        """Return what the probe found, or None if it is not finished.

        Raises
        ------
        RunError
            If the file was changed.
        """
        try:
            return _content(self.path, self._created)
        except RunError as error:
            raise RunError(
                f"the probe {self.name} of run {self._run_id!r} is damaged: {error}; delete "
                f"{RESULT} and ask again"
            ) from error

    def write(self, found: dict[str, Any]) -> None:
        """Keep what the probe found; its tiles are no longer needed.

        Raises
        ------
        RunError
            If it cannot be written.
        """
        content = {"format": _FORMAT, "probe": self.name, "found": found}
        try:
            write_sealed(self.path / RESULT, content, self._created)
            remove_folder(self.path / "parts")
        except OSError as error:
            raise RunError(
                f"the probe {self.name} cannot be kept in {self.path}: {error.strerror or error}"
            ) from error

    def resume(self, identity: dict[str, Any] | None) -> None:
        """Resume with the tiles of the same work, and delete those of other work.

        Parameters
        ----------
        identity : dict or None
            Everything that changes a tile; None if unknown, and then nothing is kept.
        """
        # The name on disk is older than today's.
        tiles, same = self.path / "parts", False
        if identity is not None:
            # Compare it as JSON returns it: without tuples.
            identity = json.loads(json.dumps({"run": self._created, **identity}))
            with contextlib.suppress(RunError):
                same = read_json(tiles / "work.json") == identity
        with contextlib.suppress(OSError):
            if not same:
                remove_folder(tiles)
            if identity is not None:
                # On a read-only disk nothing is kept until the end, which then reports it.
                if not same:
                    write_json(tiles / "work.json", identity)
                self._tiles = tiles

    def tile(self, name: str, shape: tuple[int, ...], compute: Callable[[], Array]) -> Array:
        """Return a kept tile, or compute and keep it."""
        if self._tiles is None:
            return compute()
        path = self._tiles / f"{name}.npy"
        with contextlib.suppress(OSError, ValueError, EOFError), opened(path) as file:
            kept = np.load(file, allow_pickle=False)
            if kept.shape == shape and kept.dtype == np.float64 and np.isfinite(kept).all():
                return np.asarray(kept)
        found = compute()
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.save(file, found)
        return found

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Lock the probe, so that no other process computes it at the same time.

        Raises
        ------
        RunError
            If another process does.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = lock_at(self.path / ".lock")
            lock.acquire(timeout=5.0)
        except filelock.Timeout:
            raise RunError(
                f"the probe {self.name} of run {self._run_id!r} is being computed by another "
                "process; wait for it, or cancel it"
            ) from None
        except OSError as error:
            raise RunError(
                f"the probe {self.name} cannot be kept in {self.path}: {error.strerror or error}"
            ) from error
        try:
            yield
        finally:
            lock.release()
