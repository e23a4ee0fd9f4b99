"""A job is a child process on this machine with its own folder, ``<runs>/.jobs/<id>``.

The child holds the lock of its folder as long as it lives, so this server, the next one or a
terminal can see whether it is alive; its standard output reports progress. Nothing has to be kept
in memory, and nothing is lost when the server ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from emap_core.errors import RunError
from emap_core.jobs.specification import ProbeSpecification, RunSpecification
from emap_core.option_names import for_a_child
from emap_core.runs.folder import (
    STATUS_IN_WORDS,
    RunFolder,
    describe_run,
    holds_run,
    read_json,
    runs_root,
    write_json,
)
from emap_core.runs.store import address, folder_of_this_machine

Command = Literal["plan", "run", "probe"]
State = Literal[
    "starting",
    "queued",
    "running",
    "finished",
    "failed",
    "cancelled",
    "interrupted",
    "part",
    "damaged",
]

_HOUSE = Path(__file__).resolve().parents[2]
_KEPT = 100
_TAIL = 1 << 20


@dataclass(frozen=True)
class Job:
    """The state of a job.

    Attributes
    ----------
    id : str
        Equal commands and work have equal ids.
    command : {"plan", "run", "probe"}
    work : RunSpecification, ProbeSpecification or None
        What was asked; None for a run started elsewhere.
    state : str
        starting (model and data are being loaded), queued, running, finished, failed, cancelled,
        interrupted (its process ended without a word), or damaged (its folder cannot be read).
    run_id : str or None
        The run folder's name, as soon as it is known.
    event : dict
        The newest progress event, which may be a download's before the run is known; once a plan is
        finished, what it found.
    error : str or None
        What was wrong, in one line.
    started : float
        Seconds since 1970.
    owner : str or None
        Who started it, if visitors sign in.
    """

    id: str
    command: Command
    work: RunSpecification | ProbeSpecification | None
    state: State
    run_id: str | None
    event: dict[str, Any]
    error: str | None
    started: float
    owner: str | None = None

    @property
    def alive(self) -> bool:
        """Whether its process is running or waiting for its turn."""
        return self.state in ("starting", "queued", "running")

    @property
    def became(self) -> str:
        """What became of it if it ended without a result, to follow its name in a sentence."""
        return STATUS_IN_WORDS.get(self.state, self.state)


def start(
    work: RunSpecification | ProbeSpecification,
    command: Command = "run",
    owner: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Job:
    """Start a job, or return the existing one if the same work is already under way.

    Parameters
    ----------
    work : RunSpecification or ProbeSpecification
    command : {"run", "plan", "probe"}
        Compute a run, only estimate its cost, or probe a finished one.
    owner : str, optional
        Who asks; a job that is already under way stays with whoever asked first.
    environment : mapping, optional
        Variables for its process on top of this process's environment.

    Raises
    ------
    RunError
        If the runs folder cannot be written.
    """
    job_id = f"{command}-{work.key}"
    folder = _jobs_root() / job_id
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder) as lock:
            if lock is not None:
                _launch(folder, lock, work, command, owner, environment or {})
        if lock is None:
            _wait_for(folder / "job.json")
    except OSError as error:
        raise RunError(
            f"a job cannot be started in {runs_root()}: {error.strerror or error}"
        ) from error
    _prune()
    return follow(job_id)


def follow(job_id: str) -> Job:
    """Return the state of a job.

    Raises
    ------
    RunError
        If there is no such job.
    """
    folder = _jobs_root() / job_id
    inside = job_id == folder.name and not job_id.startswith(".")
    stored = read_json(folder / "job.json") if inside else None
    if stored is None:
        raise RunError(f"there is no job {job_id!r}")
    if not _fits(stored):
        raise RunError(f"job {job_id!r} is damaged; delete {folder}")
    # Check first whether it lives: if it has ended, everything it wrote can then be read.
    alive = _is_alive(folder)
    events = _events(folder / "stdout")
    last = events[-1] if events else {}
    run_id = next((event["run"] for event in reversed(events) if event.get("run")), None)
    state, error = _state(stored["command"], alive, last, folder)
    if stored["command"] == "plan" and state == "finished":
        run_id = last.get("run_id")
    return Job(
        id=job_id,
        command=stored["command"],
        work=(ProbeSpecification if stored["command"] == "probe" else RunSpecification)(
            **stored["work"]
        ),
        state=state,
        run_id=run_id,
        event=last,
        error=error,
        started=stored["started"],
        owner=stored.get("owner"),
    )


def _fits(stored: dict[str, Any]) -> bool:
    """Return whether a stored job looks like what `start` writes."""
    kinds: dict[str, Any] = {
        "command": str,
        "work": dict,
        "owner": str | None,
        "started": int | float,
    }
    if not all(isinstance(stored.get(name), kind) for name, kind in kinds.items()):
        return False
    work = stored["work"]
    of_work: dict[str, Any] = {"model": str, "data": str, "settings": dict}
    if stored["command"] == "probe":
        of_work = {"run": str, "probe": str, "settings": dict}
    alike = set(work) == set(of_work)
    return alike and all(isinstance(work[name], kind) for name, kind in of_work.items())


def find(run_id: str) -> Job | None:
    """Return the newest job that computes or computed a run, wherever it started."""
    for job in list_jobs("run"):
        if job.run_id == run_id:
            return job
    path = runs_root() / run_id
    if run_id != path.name or run_id.startswith(".") or not holds_run(path):
        return None
    info = describe_run(path)
    return Job(
        id="",
        command="run",
        work=None,
        state=info.status,
        run_id=run_id,
        event=info.progress or {},
        error=info.error,
        started=(path / "run.json").stat().st_mtime,
    )


def cancel(job: Job) -> None:
    """Ask a job to stop; it stops within one tile and keeps finished tiles."""
    if job.run_id is not None and job.command == "run":
        request = RunFolder(runs_root() / job.run_id).cancel_request
        with contextlib.suppress(OSError):
            request.touch()
    folder = _jobs_root() / job.id
    if job.id and _is_alive(folder):
        (folder / "cancelled").touch()
        with contextlib.suppress(ProcessLookupError):
            os.kill(int((folder / "pid").read_text()), signal.SIGTERM)


def list_jobs(command: Command | None = None, *, alive: bool = False) -> list[Job]:
    """Return the jobs of the runs folder, newest first.

    Parameters
    ----------
    command : {"plan", "run", "probe"}, optional
        Only jobs of this command.
    alive : bool
        Only running jobs; the files of the others are not read.
    """
    found = []
    for path in _jobs_root().glob(f"{command}-*/job.json" if command else "*/job.json"):
        if alive and not _is_alive(path.parent):
            continue
        with contextlib.suppress(RunError, KeyError, TypeError):
            found.append(follow(path.parent.name))
    return sorted(found, key=lambda job: job.started, reverse=True)


def _jobs_root() -> Path:
    return folder_of_this_machine(runs_root()) / ".jobs"


def _launch(
    folder: Path,
    lock: int,
    work: RunSpecification | ProbeSpecification,
    command: Command,
    owner: str | None,
    environment: Mapping[str, str],
) -> None:
    for leftover in ("stdout", "stderr", "cancelled"):
        (folder / leftover).unlink(missing_ok=True)
    asked = {"command": command, "work": asdict(work), "owner": owner, "started": time.time()}
    write_json(folder / "job.json", asked)
    told = ["--progress=json", "--images" if command == "plan" else "--queue"]
    arguments = [sys.executable, "-m", "emap_core", command, *told, *work.arguments()]
    paths = [str(_HOUSE), *filter(None, [os.environ.get("PYTHONPATH")])]
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        process = subprocess.Popen(  # noqa: S603 — our own command line, each value one argument
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env={
                **os.environ,
                **environment,
                "EMAP_RUNS": address(runs_root()),
                **for_a_child("browser"),
                "PYTHONPATH": os.pathsep.join(paths),
            },
            # The child keeps the lock open; signals that end this process do not reach it.
            pass_fds=[lock],
            start_new_session=True,
        )
    (folder / "pid").write_text(str(process.pid))


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[int | None]:
    """Take the lock of a job's folder; None if its process or another start holds it."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield descriptor if _lock(descriptor) else None
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    # A process that only looks holds the lock for an instant; a living child keeps holding it.
    for _ in range(5):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)
        else:
            return True
    return False


def _wait_for(path: Path) -> None:
    # Another process is starting the same job and has not yet written its files.
    end = time.monotonic() + 5
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.02)


def _is_alive(folder: Path) -> bool:
    try:
        descriptor = os.open(folder / "lock", os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _events(path: Path) -> list[dict[str, Any]]:
    """Return the newest complete lines of a job's output."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL))
            lines = file.read().split(b"\n")[:-1]
    except OSError:
        return []
    found = []
    for line in lines[-3:]:
        with contextlib.suppress(ValueError):
            content = json.loads(line)
            if isinstance(content, dict):
                found.append(content)
    return found


def _state(
    command: Command, alive: bool, last: dict[str, Any], folder: Path
) -> tuple[State, str | None]:
    event = last.get("event")
    if event == "finished" or (command == "plan" and last and event is None):
        return "finished", None
    if event in ("failed", "cancelled"):
        return event, last.get("message")
    if alive:
        if event == "queued":
            return "queued", None
        return ("running" if event not in (None, "download") else "starting"), None
    if (folder / "cancelled").exists():
        return "cancelled", None
    words = _last_line(folder / "stderr")
    if words.startswith("error: "):
        return "failed", words.removeprefix("error: ")
    if words:
        return "failed", f"internal error: {words}"
    return "interrupted", "its process was ended from outside or ran out of memory"


def _last_line(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 8192))
            lines = file.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1].strip() if lines else ""


def _prune() -> None:
    """Delete the folders of the oldest ended jobs; the runs themselves stay."""
    for job in list_jobs()[_KEPT:]:
        if not job.alive:
            shutil.rmtree(_jobs_root() / job.id, ignore_errors=True)
