"""One stream of events that the terminal's progress bar, a page and a log all read."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from emap_core.errors import Cancelled
from emap_core.runs.folder import RunFolder
from emap_core.runs.store import seconds_between_calls

Event = dict[str, Any]
Listener = Callable[[Event], None]

_SECONDS_BETWEEN_EVENTS = 0.25
_SECONDS_BETWEEN_ESTIMATES = 1.0


@dataclass
class Progress:
    """Report how far a run is, and notice requests to stop.

    Parameters
    ----------
    run_id : str
    listener : callable or None
        Gets every event: ``event`` (checking, planned, encoding, progress, finished, failed,
        cancelled), ``run``, and for progress ``pairs_done``, ``pairs_total``,
        ``pairs_per_second``, ``seconds_left``, ``gap`` (estimate or None).
    cancelled : callable or None
        Whether the caller wants the run to stop.
    """

    run_id: str
    listener: Listener | None = None
    cancelled: Callable[[], bool] | None = None
    folder: RunFolder | None = None
    pairs_total: int = 0
    _done_before: int = 0
    _began: float = 0.0
    _told: float = 0.0
    _estimated: float = 0.0
    _gap: float | None = field(default=None)
    _called: dict[str, float] = field(default_factory=dict)

    def tell(self, event: str, **fields: Any) -> None:
        """Send an event and keep it in the run folder as the newest."""
        content = {"event": event, "run": self.run_id, **fields}
        passing = event in ("encoding", "progress")
        if self.folder is not None and (not passing or self._may_call(self.folder, "write")):
            self.folder.write_progress(content)
        if self.listener is not None:
            self.listener(content)

    def start_pairs(self, done: int, total: int) -> None:
        """Start to count pairs; `done` were computed before an interruption."""
        self.pairs_total, self._done_before = total, done
        self._began = self._told = self._estimated = time.monotonic()

    def encoding(self, what: str, done: int, total: int) -> None:
        """Tell how many chunks of texts or images are encoded."""
        now = time.monotonic()
        if now - self._told >= _SECONDS_BETWEEN_EVENTS or done == total:
            self._told = now
            self.tell("encoding", what=what, done=done, total=total)

    def pairs(self, done: int, estimate: Callable[[], float | None]) -> None:
        """Tell how many pairs are done; `estimate` gives the gap so far and is rarely called."""
        now = time.monotonic()
        if now - self._told < _SECONDS_BETWEEN_EVENTS and done < self.pairs_total:
            return
        if now - self._estimated >= _SECONDS_BETWEEN_ESTIMATES:
            self._gap, self._estimated = estimate(), now
        self._told = now
        rate = (done - self._done_before) / max(now - self._began, 1e-9)
        self.tell(
            "progress",
            pairs_done=done,
            pairs_total=self.pairs_total,
            pairs_per_second=rate,
            seconds_left=(self.pairs_total - done) / rate if rate > 0 else None,
            gap=self._gap,
        )

    def check(self) -> None:
        """Raise `Cancelled` if the run was asked to stop, by its caller or by a file."""
        folder = self.folder
        asked = folder is not None and self._may_call(folder, "look")
        if folder is not None and asked:
            asked = folder.cancel_request.exists()
        if asked or (self.cancelled is not None and self.cancelled()):
            raise Cancelled(f"run {self.run_id!r} was cancelled; start it again to resume it")

    def _may_call(self, folder: RunFolder, what: str) -> bool:
        """Whether a small call to the run's location is due; too many would slow the tiles down."""
        now = time.monotonic()
        if now - self._called.get(what, -math.inf) < seconds_between_calls(folder.path):
            return False
        self._called[what] = now
        return True
