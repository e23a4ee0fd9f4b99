"""What lies in a run folder, and how it is written in single steps."""

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

Json = dict[str, Any]

_LARGEST_JSON = 2**28


def index_column(place: int) -> str:
    """Return the column of `RunFolder.examples` that has the numbers of a side's items."""
    return ("text_index", "image_index")[place] if place < 2 else f"side_{place}_index"


def runs_root() -> Path:
    """Return what holds the runs: the folder or URL in ``EMAP_RUNS``, or ``runs`` where we are."""
    return location(os.environ.get("EMAP_RUNS", "runs"))


def write_json(path: Path, content: Json) -> None:
    """Write an object as JSON in one step."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, allow_nan=False))


def read_json(path: Path) -> Json | None:
    """Return the object in a JSON file, None where there is no such file.

    Raises
    ------
    RunError
        If the file holds no JSON object.
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
        raise RunError(f"{path.name} in run {path.parent.name!r} holds no JSON object")
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
        """Table of the data's other columns, as text, where there are any."""
        return self.path / "columns.parquet"

    @property
    def texts(self) -> Path:
        """Table of the unique texts."""
        return self.path / "texts.parquet"

    def previews(self, place: int) -> Path:
        """Return the folder of tables with small and large pictures of a side's unique items.

        Those of the first side, 0, are in plan order; where that is text there are none.
        """
        return self.path / (("rows", "images")[place] if place < 2 else f"side-{place}")

    def words(self, place: int) -> Path:
        """Return the table of the words of a side's unique items, where they are no images.

        The first side, 0, has `texts`.
        """
        return self.path / ("words.parquet" if place == 1 else f"words-{place}.parquet")

    @property
    def tiles(self) -> Path:
        """Folder of finished tiles' partial sums."""
        return self.path / "tiles"

    @property
    def encodings(self) -> Path:
        """Folder of encoded texts and images, there until the run is finished."""
        return self.path / "states"

    @property
    def grid(self) -> Path:
        """Zarr store of the grid, where it is kept."""
        return self.path / "grid.zarr"

    @property
    def plan(self) -> Path:
        """The tiles, fixed before the first one is computed."""
        return self.path / "plan.json"

    @property
    def warm_up(self) -> Path:
        """The cells of the warm-up tile, there until the run is finished."""
        return self.path / "probe.npy"

    @property
    def sums(self) -> Path:
        """Row, column, total and matched values: all that a decomposition needs."""
        return self.path / "sums.npz"

    @property
    def means_of_two(self) -> Path:
        """Means of every two sides over the others, of more sides than two, unless too large."""
        return self.path / "means.npz"

    @property
    def linear_probes(self) -> Path:
        """Scores of linear probes, where there was a training split; the name on disk is older."""
        return self.path / "baselines.npz"

    @property
    def density(self) -> Path:
        """How likely each pair is, where that was estimated."""
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
        """Examples that visitors chose by hand, a file a selection, whenever they did."""
        return self.path / "selections"

    @property
    def cancel_request(self) -> Path:
        """A file whose existence asks the run to stop."""
        return self.path / "cancel"

    def manifest(self) -> Json:
        """Return what the run is about, as `checked_manifest` does.

        Raises
        ------
        RunError
            If there is no manifest, or one of a newer format, or one that does not fit.
        """
        content = read_json(self.path / "run.json")
        if content is None:
            raise RunError(f"{self.id!r} is not a run: {self.path} has no run.json")
        return checked_manifest(content, self.id)

    def write_manifest(self, content: Json) -> None:
        """Write the manifest in one step."""
        write_json(self.path / "run.json", {"format": FORMAT, **content})

    def update_manifest(self, **changes: Any) -> None:
        """Change single entries of the manifest."""
        self.write_manifest({**self.manifest(), **changes})

    def progress(self) -> Json | None:
        """Return the newest progress event, None before the first and for a damaged one."""
        try:
            return checked_event(read_json(self.path / "progress.json"))
        except RunError:
            return None

    def write_progress(self, event: Json) -> None:
        """Keep the newest progress event for whoever watches."""
        write_json(self.path / "progress.json", event)

    def lock(self) -> filelock.BaseFileLock | Lease:
        """Return the lock that whoever computes the run holds."""
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
            # On a read-only disk nothing is kept, so there is nothing to wait for.
            yield
            return
        try:
            yield
        finally:
            lock.release()

    def is_locked(self) -> bool:
        """Whether some process computes the run just now."""
        return is_held(self.path / ".lock")

    def status(self) -> Status:
        """Return how far the run is; one that claims to run while nobody holds it was cut off."""
        return self.status_in(self.manifest())

    def status_in(self, manifest: Json) -> Status:
        """Return `status` where the manifest is read already."""
        status = cast(Status, manifest["status"])
        if status in ("running", "queued") and not self.is_locked():
            return "interrupted"
        return status


@dataclass(frozen=True)
class RunInfo:
    """One line of the list of runs."""

    id: str
    path: Path
    status: Status
    manifest: Json
    error: str | None

    @property
    def is_archived(self) -> bool:
        """Whether lists leave the run out, as somebody wished."""
        return bool(self.manifest.get("archived"))

    @property
    def progress(self) -> Json | None:
        """The newest progress event, read when it is asked for; most lists show none."""
        return RunFolder(self.path).progress()


def describe_run(path: Path) -> RunInfo:
    """Return what is known of a run folder, finished or not; of a damaged one `error` says why."""
    folder = RunFolder(path)
    try:
        manifest = folder.manifest()
    except RunError as error:
        return RunInfo(folder.id, path, "damaged", {}, str(error))
    return RunInfo(folder.id, path, folder.status_in(manifest), manifest, manifest["error"])


def holds_run(path: Path) -> bool:
    """Say whether a folder holds a run; one whose name no disk can hold does not."""
    try:
        return (path / "run.json").is_file()
    except (OSError, ValueError):
        return False


def list_runs(root: Path | None = None) -> list[RunInfo]:
    """Return the runs in `root` (`runs_root` by default), the newest first."""
    root = runs_root() if root is None else root
    if not root.is_dir():
        return []
    found = [describe_run(path.parent) for path in root.glob("*/run.json")]
    return sorted(found, key=lambda run: (run.manifest.get("created", ""), run.id), reverse=True)


def find_run(name: str | Path) -> Path:
    """Return the folder of a run given by its id or its path.

    Raises
    ------
    RunError
        If there is no such run.
    """
    path = location(name)
    # Behind a URL only a name can be looked for, and a URL lies in no other folder.
    candidates = [runs_root() / path] if is_local(path) else []
    for candidate in (*candidates, path):
        if holds_run(candidate):
            return candidate
    raise RunError(f"there is no run {str(name)!r}, neither in {runs_root()} nor as a folder")
