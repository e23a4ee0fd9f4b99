"""What is in a run folder, and how each file is written in one step."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import filelock

from emap_core.errors import RunError
from emap_core.runs.manifest import FORMAT, checked_event, checked_manifest
from emap_core.runs.store import Lease, is_held, is_local, location, lock_at, opened, replacing

# "part" is a finished shard: the word on disk is older than the name.
Status = Literal[
    "queued", "running", "finished", "failed", "cancelled", "interrupted", "part", "damaged"
]

STATUS_IN_WORDS: dict[str, str] = {
    "queued": "is queued",
    "running": "is still running",
    "failed": "failed",
    "cancelled": "was cancelled",
    "interrupted": "was interrupted",
    "part": "is one of several shards",
    "damaged": "is damaged",
}
"""What became of a run that is not finished, to follow its name in a sentence."""

Json = dict[str, Any]

_LARGEST_JSON = 2**28


def index_column(place: int) -> str:
    """Return the column of `RunFolder.examples` with the numbers of a side's items."""
    return ("text_index", "image_index")[place] if place < 2 else f"side_{place}_index"


def runs_root() -> Path:
    """Return where runs are kept: the folder or URL in ``EMAP_RUNS``, or ``./runs``."""
    return location(os.environ.get("EMAP_RUNS", "runs"))


def write_json(path: Path, content: Json) -> None:
    """Write an object as JSON in one step."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, allow_nan=False))


def read_json(path: Path) -> Json | None:
    """Return the object in a JSON file, or None if there is no such file.

    Raises
    ------
    RunError
        If the file does not contain a JSON object.
    """
    try:
        with opened(path) as file:
            text = file.read(_LARGEST_JSON + 1)
        if len(text) > _LARGEST_JSON:
            raise ValueError(f"it is larger than {_LARGEST_JSON:,} bytes")
        content = json.loads(text.decode())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(
            f"{path.name} in run {path.parent.name!r} cannot be read: {error}"
        ) from error
    if not isinstance(content, dict):
        raise RunError(f"{path.name} in run {path.parent.name!r} is not a JSON object")
    return content


@dataclass(frozen=True)
class RunFolder:
    """Paths and small files of one run."""

    path: Path

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def examples(self) -> Path:
        """Table of the examples: id, cell, label."""
        return self.path / "examples.parquet"

    @property
    def columns(self) -> Path:
        """Table of the data's other columns, as text, if there are any."""
        return self.path / "columns.parquet"

    @property
    def texts(self) -> Path:
        """Table of the unique texts."""
        return self.path / "texts.parquet"

    def previews(self, place: int) -> Path:
        """Return the folder of tables with small and large pictures of a side's unique items.

        Those of the first side, 0, are in plan order; a first side of texts has none.
        """
        return self.path / (("rows", "images")[place] if place < 2 else f"side-{place}")

    def words(self, place: int) -> Path:
        """Return the table with words for a side's unique items, unless they are images.

        For the first side, 0, it is `texts`.
        """
        return self.path / ("words.parquet" if place == 1 else f"words-{place}.parquet")

    @property
    def tiles(self) -> Path:
        """Folder of finished tiles' partial sums."""
        return self.path / "tiles"

    @property
    def encodings(self) -> Path:
        """Folder of encoded texts and images; it exists until the run is finished."""
        return self.path / "states"

    @property
    def grid(self) -> Path:
        """Zarr store of the grid, if it is kept."""
        return self.path / "grid.zarr"

    @property
    def plan(self) -> Path:
        """The tiles, fixed before the first one is computed."""
        return self.path / "plan.json"

    @property
    def warm_up(self) -> Path:
        """The cells of the warm-up tile; they exist until the run is finished."""
        return self.path / "probe.npy"

    @property
    def first_outputs(self) -> Path:
        """What the model gave for a few pairs at first, to see later whether it is the same."""
        return self.path / "first_outputs.npz"

    @property
    def sums(self) -> Path:
        """Row, column, total and matched values: everything a decomposition needs."""
        return self.path / "sums.npz"

    @property
    def means_of_two(self) -> Path:
        """With more than two sides, means of every two over the others, unless too large."""
        return self.path / "means.npz"

    @property
    def linear_probes(self) -> Path:
        """Scores of linear probes, if there was a training split; the name on disk is older."""
        return self.path / "baselines.npz"

    @property
    def density(self) -> Path:
        """How likely each pair is, if that was estimated."""
        return self.path / "density.npz"

    @property
    def inference(self) -> Path:
        """Intervals and tests, computed on first use."""
        return self.path / "inference"

    @property
    def probes(self) -> Path:
        """Answers to further questions about the run, one folder per question."""
        return self.path / "probes"

    @property
    def selections(self) -> Path:
        """Examples that visitors chose by hand, one file per selection."""
        return self.path / "selections"

    @property
    def cancel_request(self) -> Path:
        """A file whose existence asks the run to stop."""
        return self.path / "cancel"

    def manifest(self) -> Json:
        """Return the manifest, as `checked_manifest` does.

        Raises
        ------
        RunError
            If there is no manifest, or it has a newer format or does not fit.
        """
        content = read_json(self.path / "run.json")
        if content is None:
            raise RunError(f"{self.id!r} is not a run: {self.path} has no run.json")
        return checked_manifest(content, self.id)

    def write_manifest(self, content: Json) -> None:
        """Write the manifest in one step."""
        write_json(self.path / "run.json", {"format": FORMAT, **content})

    def update_manifest(self, **changes: Any) -> None:
        """Change some entries of the manifest."""
        self.write_manifest({**self.manifest(), **changes})

    def progress(self) -> Json | None:
        """Return the newest progress event, or None before the first or for a damaged one."""
        try:
            return checked_event(read_json(self.path / "progress.json"))
        except RunError:
            return None

    def write_progress(self, event: Json) -> None:
        """Store the newest progress event for anybody who watches."""
        write_json(self.path / "progress.json", event)

    def lock(self) -> filelock.BaseFileLock | Lease:
        """Return the lock held by the process that computes the run."""
        self.path.mkdir(parents=True, exist_ok=True)
        return lock_at(self.path / ".lock")

    @contextmanager
    def inference_lock(self) -> Iterator[None]:
        """Let one process compute the intervals while others wait for them."""
        try:
            self.inference.mkdir(exist_ok=True)
            lock = lock_at(self.inference / ".lock")
            lock.acquire()
        except OSError:
            # A read-only disk keeps nothing, so there is nothing to wait for.
            yield
            return
        try:
            yield
        finally:
            lock.release()

    def is_locked(self) -> bool:
        """Whether a process is computing the run now."""
        return is_held(self.path / ".lock")

    def status(self) -> Status:
        """Return the run's status; if it says running but is not locked, it was interrupted."""
        return self.state()[0]

    def state(self) -> tuple[Status, Json]:
        """Return the run's status and the manifest that says so."""
        manifest = self.manifest()
        status = self.status_in(manifest)
        if status == "interrupted":
            # It may have finished between the look at its manifest and that at its lock.
            manifest = self.manifest()
            status = self.status_in(manifest)
        return status, manifest

    def status_in(self, manifest: Json) -> Status:
        """Return `status`, given a manifest that was read before."""
        status = cast(Status, manifest["status"])
        if status in ("running", "queued") and not self.is_locked():
            return "interrupted"
        return status


@dataclass(frozen=True)
class RunInfo:
    """One line in the list of runs."""

    id: str
    path: Path
    status: Status
    manifest: Json
    error: str | None

    @property
    def is_archived(self) -> bool:
        """Whether somebody has hidden the run from lists."""
        return bool(self.manifest.get("archived"))

    @property
    def progress(self) -> Json | None:
        """The newest progress event, read on use; most lists do not show it."""
        return RunFolder(self.path).progress()


def describe_run(path: Path) -> RunInfo:
    """Return what is known about a run folder, finished or not; `error` says why one is damaged."""
    folder = RunFolder(path)
    try:
        status, manifest = folder.state()
    except RunError as error:
        return RunInfo(folder.id, path, "damaged", {}, str(error))
    return RunInfo(folder.id, path, status, manifest, manifest["error"])


def holds_run(path: Path) -> bool:
    """Return whether a folder holds a run; a name that no disk allows does not."""
    try:
        return (path / "run.json").is_file()
    except (OSError, ValueError):
        return False


def list_runs(root: Path | None = None) -> list[RunInfo]:
    """Return the runs in `root` (`runs_root` by default), newest first."""
    root = runs_root() if root is None else root
    if not root.is_dir():
        return []
    found = [describe_run(path.parent) for path in root.glob("*/run.json")]
    return sorted(found, key=lambda run: (run.manifest.get("created", ""), run.id), reverse=True)


def find_run(name: str | Path) -> Path:
    """Return the folder of a run, given its id or its path.

    Raises
    ------
    RunError
        If there is no such run.
    """
    path = location(name)
    # Behind a URL we can only look for a name, and a URL is not inside another folder.
    candidates = [runs_root() / path] if is_local(path) else []
    for candidate in (*candidates, path):
        if holds_run(candidate):
            return candidate
    raise RunError(f"there is no run {str(name)!r}, neither in {runs_root()} nor as a folder")
