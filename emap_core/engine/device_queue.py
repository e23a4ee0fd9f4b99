"""A queue for a device: waiting runs and probes use it one after another."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import filelock

from emap_core.engine.progress import Progress
from emap_core.runs.folder import runs_root
from emap_core.runs.store import folder_of_this_machine


@contextlib.contextmanager
def device_turn(device: str, progress: Progress) -> Iterator[None]:
    """Wait until no other queued run uses the device; the lock ends with the process."""
    here = folder_of_this_machine(runs_root())
    here.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(here / f".device-{device.replace(':', '-')}.lock")
    waiting = False
    while True:
        progress.check()
        try:
            lock.acquire(timeout=0.5)
            break
        except filelock.Timeout:
            if not waiting:
                progress.tell("queued", message=f"waiting for another run on {device} to end")
                waiting = True
    try:
        yield
    finally:
        lock.release()
