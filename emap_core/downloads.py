"""Progress of downloads, for listeners in this process, such as a page that waits for one.

On a terminal, bars show progress; a job has no bars and reports to its page through this file.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Listener = Callable[[dict[str, Any]], None]

_SECONDS_BETWEEN = 0.25
_listeners: list[Listener] = []


@contextmanager
def listening_to_downloads(listener: Listener) -> Iterator[None]:
    """Tell a listener about downloads within the block, whichever thread makes them.

    It gets ``event`` (download), ``what``, ``done`` and ``total``, in ``unit`` (B or images).
    """
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


class Download:
    """Progress of one download.

    Parameters
    ----------
    what : str
        What to call it.
    unit : {"B", "images"}
    """

    def __init__(self, what: str, unit: str) -> None:
        self._fields = {"event": "download", "what": what, "unit": unit}
        self._told = 0.0
        self._most = 0
        self._lock = threading.Lock()

    def is_at(self, done: int, total: int) -> None:
        """Report progress a few times a second; it never goes backwards."""
        now = time.monotonic()
        with self._lock:
            soon = now - self._told < _SECONDS_BETWEEN and done < total
            if not _listeners or not total or done <= self._most or soon:
                return
            self._told, self._most = now, done
            for listener in _listeners:
                listener({**self._fields, "done": done, "total": total})


def is_heard() -> bool:
    """Return whether anybody listens."""
    return bool(_listeners)
