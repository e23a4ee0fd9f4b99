"""Child processes that need not load their libraries.

Half of what a process of the command line costs is to import torch and its like. One process
imports them once, and forks whenever a test starts ``python -m emap_core``, ``-m streamlit``, a
worker of Ray or ``-c``: what it becomes has its own id, arguments, environment, folder, files and
signals.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import selectors
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

LIBRARIES = (
    "emap_core.cli",
    "emap_core.engine",
    "emap_core.jobs",
    "emap_core.models.demo",
    "emap_core.datasets.demo",
    "emap_core.presentation.report",
    "streamlit.web.cli",
    "streamlit.web.server",
    "zarr",
)
RAY_WORKER = "ray._private.workers.default_worker"
_MODULES = ("emap_core", "streamlit", RAY_WORKER)
_LENGTH = struct.Struct("!i")
_SECONDS_TO_LOAD = 180


class Popen(subprocess.Popen):
    """A ``subprocess.Popen`` that begins with the libraries loaded where it can."""

    address: str
    """The socket of the process that has loaded them."""
    _connection = None

    def _execute_child(
        self, args, executable, preexec_fn, close_fds, pass_fds, cwd, env, startupinfo,
        creationflags, shell, p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite,
        restore_signals, gid, gids, uid, umask, start_new_session, process_group,
    ):  # fmt: skip
        if not _can_begin_warm(args):
            super()._execute_child(
                args, executable, preexec_fn, close_fds, pass_fds, cwd, env, startupinfo,
                creationflags, shell, p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite,
                restore_signals, gid, gids, uid, umask, start_new_session, process_group,
            )  # fmt: skip
            return
        sys.audit("subprocess.Popen", args[0], args, cwd, env)
        asked = {
            "arguments": [os.fspath(argument) for argument in args[1:]],
            "environment": dict(os.environ if env is None else env),
            "folder": os.fspath(cwd or Path.cwd()),
            "new_session": start_new_session,
        }
        given = (p2cread, c2pwrite, errwrite)
        files = [number if fd == -1 else fd for number, fd in enumerate(given)]
        connection = _connect(self.address)
        _send(connection, asked, [*files, *pass_fds])
        (self.pid,) = _LENGTH.unpack(_receive(connection, _LENGTH.size))
        self._connection = connection
        self._child_created = True
        self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)  # type: ignore[attr-defined]

    def _try_wait(self, wait_flags):
        if self._connection is None:
            return super()._try_wait(wait_flags)
        if wait_flags & os.WNOHANG and not select.select([self._connection], [], [], 0)[0]:
            return 0, 0
        (status,) = _LENGTH.unpack(_receive(self._connection, _LENGTH.size))
        self._connection.close()
        return self.pid, status

    def _internal_poll(self, *given, **named):
        if self._connection is None:
            return super()._internal_poll(*given, **named)
        if self.returncode is None and self._waitpid_lock.acquire(False):  # type: ignore[attr-defined]
            try:
                if self.returncode is None:
                    pid, status = self._try_wait(os.WNOHANG)
                    if pid:
                        self._handle_exitstatus(status)  # type: ignore[attr-defined]
            finally:
                self._waitpid_lock.release()  # type: ignore[attr-defined]
        return self.returncode


def keep_warm(address: Path) -> socket.socket:
    """Start the process that has loaded the libraries, unless it is there already.

    It ends when all that this has returned, to whichever process, is closed.
    """
    try:
        connection = _connect(address)
    except OSError:
        address.unlink(missing_ok=True)
        house = Path(__file__).parents[1]
        paths = [str(house), *filter(None, [os.environ.get("PYTHONPATH")])]
        server = subprocess.Popen(
            [sys.executable, __file__, str(address)],
            cwd=house,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        end = time.monotonic() + _SECONDS_TO_LOAD
        while not address.exists():
            assert server.poll() is None and time.monotonic() < end, "libraries cannot be loaded"
            time.sleep(0.05)
        connection = _connect(address)
    _send(connection, None, [])
    return connection


def _can_begin_warm(args) -> bool:
    if not isinstance(args, list) or len(args) < 3 or args[0] != sys.executable:
        return False
    return args[1] == "-c" or (args[1] == "-m" and args[2] in _MODULES)


def _connect(address) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(address))
    return connection


def _send(connection, asked, files):
    content = json.dumps(asked).encode()
    socket.send_fds(connection, [_LENGTH.pack(len(content))], files)
    connection.sendall(content)


def _receive(connection, size):
    content = b""
    while len(content) < size:
        content += (part := connection.recv(size - len(content)))
        if not part:
            raise EOFError("the process with the libraries is gone")
    return content


def _serve(address):
    """Fork for whoever asks; return in the child what was asked, with its files."""
    children, others = {}, 0
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    listener = socket.socket(socket.AF_UNIX)
    # Who waits for the address may connect as soon as it is there.
    listener.bind(f"{address}.new")
    listener.listen(64)
    Path(f"{address}.new").rename(address)
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    selector.register(woken, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj == woken:
                os.read(woken, 4096)
            elif key.fileobj is not listener:
                selector.unregister(key.fileobj)
                key.fileobj.close()
                others -= 1
                if not others:
                    # Who is left was forgotten, or its test was killed.
                    for pid in children:
                        os.kill(pid, signal.SIGTERM)
                    sys.exit()
            else:
                connection, _ = listener.accept()
                header, files, _, _ = socket.recv_fds(connection, _LENGTH.size, 16)
                asked = json.loads(_receive(connection, _LENGTH.unpack(header)[0]))
                if asked is None:
                    selector.register(connection, selectors.EVENT_READ)
                    others += 1
                    continue
                pid = os.fork()
                if not pid:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    for one in (connection, *children.values(), listener):
                        one.close()
                    selector.close()
                    os.close(woken)
                    os.close(wake)
                    return asked, files
                for file in files:
                    os.close(file)
                connection.sendall(_LENGTH.pack(pid))
                children[pid] = connection
        while children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            connection = children.pop(pid)
            # Perhaps nobody waits for it.
            with contextlib.suppress(OSError), connection:
                connection.sendall(_LENGTH.pack(status))


def _become(asked, files):
    """Be the process that was asked for."""
    if asked["new_session"]:
        os.setsid()
    for number, file in enumerate(files[:3]):
        os.dup2(file, number)
        os.close(file)
    sys.stdin, sys.stdout = os.fdopen(0), os.fdopen(1, "w")
    sys.stderr = os.fdopen(2, "w", buffering=1)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    libraries = [path for path in sys.path if path.startswith((sys.prefix, sys.base_prefix))]
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = [asked["folder"], *filter(None, paths), *libraries]
    subprocess.Popen = Popen
    form, what, *arguments = asked["arguments"]
    sys.argv = [form, *arguments]
    if form == "-c":
        exec(what, {"__name__": "__main__"})  # noqa: S102 - what a test asks for
    else:
        runpy.run_module(what, run_name="__main__", alter_sys=True)


def _load():
    gc.disable()
    for name in LIBRARIES:
        # Where one is missing, who needs it says so.
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()
    gc.enable()


if __name__ == "__main__":
    Popen.address = sys.argv[1]
    _load()
    _become(*_serve(Popen.address))
