"""A server's answers, kept on disk, so that nothing is paid for twice."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emap_core.errors import ModelError

_TABLES = (
    "CREATE TABLE IF NOT EXISTS answers "
    "(request TEXT PRIMARY KEY, tokens TEXT, n_read INTEGER, seconds REAL)",
    "CREATE TABLE IF NOT EXISTS scored "
    "(run TEXT, request TEXT, unlisted INTEGER, PRIMARY KEY (run, request)) WITHOUT ROWID",
)


@dataclass(frozen=True)
class Answer:
    """The beginning of a server's answer to one request.

    Attributes
    ----------
    tokens : list of (str, float)
        The likeliest first tokens with their log-probabilities.
    n_read : int or None
        Tokens of the request, image included, if the server says so.
    seconds : float
        How long the answer took.
    """

    tokens: list[tuple[str, float]]
    n_read: int | None
    seconds: float


class KeptAnswers:
    """Answers in one file, written one by one; several threads and processes may use it.

    The file holds hashes of requests and the returned tokens, but neither texts nor keys. It also
    holds which answers each run used, since an interrupted run resumes in another process.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._opened = sqlite3.connect(file, timeout=60.0, check_same_thread=False)
            with self._opened:
                for table in _TABLES:
                    self._opened.execute(table)
        except (sqlite3.Error, OSError) as error:
            raise self._cannot("open", error) from error

    def get(self, request: str) -> Answer | None:
        """Return the answer to a request, given its hash, or None."""
        row = self._one("SELECT tokens, n_read, seconds FROM answers WHERE request = ?", (request,))
        if row is None:
            return None
        return Answer([(str(t), float(p)) for t, p in json.loads(row[0])], row[1], row[2])

    def put(self, request: str, answer: Answer) -> None:
        """Store an answer at once."""
        values = (request, json.dumps(answer.tokens), answer.n_read, answer.seconds)
        self._write("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)", [values])

    def put_scored(self, run: str, unlisted: Mapping[str, bool]) -> None:
        """Store for a run, by request, whether a class was missing from an answer's tokens."""
        rows = [(run, request, int(lacks)) for request, lacks in unlisted.items()]
        self._write("INSERT OR REPLACE INTO scored VALUES (?, ?, ?)", rows)

    def scored(self, run: str) -> tuple[int, int]:
        """Return how many requests a run has scored, and in how many a class was unlisted."""
        n, n_unlisted = self._one(
            "SELECT COUNT(*), TOTAL(unlisted) FROM scored WHERE run = ?", (run,)
        )
        return n, int(n_unlisted)

    def _write(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        try:
            with self._lock, self._opened:
                self._opened.executemany(statement, rows)
        except sqlite3.Error as error:
            raise self._cannot("written", error) from error

    def totals(self) -> tuple[int, float | None, float | None]:
        """Return the number of answers, and the means of their tokens read and seconds."""
        n, n_read, seconds = self._one(
            "SELECT COUNT(*), AVG(n_read), AVG(seconds) FROM answers", ()
        )
        return n, n_read, seconds

    def _one(self, query: str, values: tuple[str, ...]) -> Any:
        try:
            with self._lock:
                return self._opened.execute(query, values).fetchone()
        except sqlite3.Error as error:
            raise self._cannot("read", error) from error

    def _cannot(self, what: str, error: Exception) -> ModelError:
        return ModelError(
            f"the file of answers {self._file} cannot be {what}: {error}; move it away, or name "
            "another folder with EMAP_CACHE"
        )
