"""The app on a port of its own."""

import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

HOUSE = Path(__file__).parents[1]


@contextmanager
def serve_app(log, environment, *options, popen=subprocess.Popen):
    """Serve the app, its words in the file `log`, and give its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with log.open("wb") as words:
        server = popen(
            [
                *(sys.executable, "-m", "streamlit", "run", "app.py"),
                *(f"--server.port={port}", "--server.headless=true", *options),
            ],
            cwd=HOUSE,
            env=environment,
            stdout=words,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}", server, log)
        yield port
    finally:
        server.terminate()
        server.wait(30)


def _wait_for(url, server, log):
    for _ in range(600):
        assert server.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=5):  # noqa: S310
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(log.read_text())
