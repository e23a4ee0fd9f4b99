"""A server that speaks the hub's protocol, for as much of it as its library asks for."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from local_server import answering

COMMIT, OTHER = "a" * 40, "b" * 40


@dataclass
class Hub:
    """What is on the hub.

    Attributes
    ----------
    folders : dict
        From ``models/ID`` or ``datasets/ID`` to the folder of its files.
    gated : set of str
        Repositories that may not be read.
    revisions : dict
        From names of revisions to commits.
    breaks : dict
        From names of files to the number of bytes after which the next download breaks off.
    asked : list
        Method, path and range of all that was asked for.
    """

    folders: dict[str, Path]
    gated: set[str] = field(default_factory=set)
    revisions: dict[str, str] = field(default_factory=lambda: {"main": COMMIT, "v1": OTHER})
    breaks: dict[str, int] = field(default_factory=dict)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    url: str = ""

    def got(self, name: str) -> list[str | None]:
        """Return the ranges in which a file was asked for."""
        return [area for verb, path, area in self.asked if verb == "GET" and path.endswith(name)]


@contextlib.contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Let the hub answer for as long as the block lasts, and tell its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.respond()

        def do_GET(self) -> None:
            self.respond()

        def respond(self) -> None:
            path = unquote(self.path.partition("?")[0])
            hub.asked.append((self.command, path, self.headers.get("Range")))
            parts = path.strip("/").split("/")
            if parts[0] == "api":
                self.describe(parts[1:])
            else:
                at = parts.index("resolve")
                kind = [] if parts[0] == "datasets" else ["models"]
                self.file("/".join([*kind, *parts[:at]]), parts[at + 1], "/".join(parts[at + 2 :]))

        def describe(self, parts: list[str]) -> None:
            at = next((i for i, p in enumerate(parts) if p in ("revision", "tree")), len(parts))
            name = "/".join(parts[:at])
            revision = parts[at + 1] if at < len(parts) else "main"
            if (commit := self.commit(name, revision)) is None:
                return
            files = [f for f in sorted(hub.folders[name].rglob("*")) if f.is_file()]
            named = [(str(f.relative_to(hub.folders[name])), f) for f in files]
            if at < len(parts) and parts[at] == "tree":
                self.send(
                    200,
                    [
                        {"type": "file", "path": n, "size": f.stat().st_size, "oid": _etag(f)}
                        for n, f in named
                    ],
                )
                return
            listed = [{"rfilename": n} for n, _ in named]
            self.send(200, {"id": "/".join(parts[1:at]), "sha": commit, "siblings": listed})

        def commit(self, name: str, revision: str) -> str | None:
            commits = hub.revisions.values()
            found = hub.revisions.get(revision, revision if revision in commits else None)
            if name not in hub.folders:
                self.send(401, {"error": "Invalid username or password."})
            elif found is None:
                self.send(404, {"error": "no revision"}, {"X-Error-Code": "RevisionNotFound"})
            return found if name in hub.folders else None

        def file(self, name: str, revision: str, file: str) -> None:
            if (commit := self.commit(name, revision)) is None:
                return
            if name in hub.gated:
                self.send(403, {"error": "gated"}, {"X-Error-Code": "GatedRepo"})
                return
            path = hub.folders[name] / file
            if not path.is_file():
                self.send(404, {"error": "none"}, {"X-Error-Code": "EntryNotFound"})
                return
            content = path.read_bytes()
            start = int((self.headers.get("Range") or "bytes=0-")[6:].split("-")[0])
            self.send_response(206 if start else 200)
            self.send_header("X-Repo-Commit", commit)
            self.send_header("ETag", f'"{_etag(path)}"')
            self.send_header("Content-Length", str(len(content) - start))
            if start:
                self.send_header(
                    "Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}"
                )
            self.end_headers()
            if self.command == "HEAD":
                return
            stop = hub.breaks.pop(file, None)
            self.wfile.write(content[start:stop])
            if stop is not None:
                self.wfile.flush()
                self.close_connection = True

        def send(self, status: int, found: object, headers: dict[str, str] | None = None) -> None:
            content = json.dumps(found).encode()
            self.send_response(status)
            for key, value in (headers or {}).items():
                self.send_header(key, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with answering(Handler) as hub.url:
        yield hub


def _etag(path: Path) -> str:
    return hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()
