"""The app on a port of its own."""

import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

HOUSE = Path(__file__).parents[1]


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def serve_app(log, environment, *options, popen=subprocess.Popen):
    """Serve the app, its words in the file `log`, and give its port."""
    port = free_port()
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
        wait_for(f"http://127.0.0.1:{port}", server, log)
        yield port
    finally:
        server.terminate()
        server.wait(30)


def wait_for(url, server, log):
    for _ in range(600):
        assert server.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=5):  # noqa: S310
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(log.read_text())


def visit(port, query="", page="", host="127.0.0.1", click=None, **options):
    """Open the app as a browser does; give what it says first, and all until it is at rest.

    With the label of a button to click on, what is said after that.
    """
    # Whatever the name, it leads here.
    options["sock"] = socket.create_connection(("127.0.0.1", port))
    with connect(f"ws://{host}:{port}/_stcore/stream", max_size=None, **options) as browser:
        wish = BackMsg()
        wish.rerun_script.query_string = query
        wish.rerun_script.page_name = page
        browser.send(wish.SerializeToString())
        said = until_at_rest(browser)
        session = next(m.new_session for m in said if m.WhichOneof("type") == "new_session")
        if click is not None:
            elements = [message.delta.new_element for message in said]
            wish.rerun_script.widget_states.widgets.add(
                id=next(e.button.id for e in elements if e.button.label == click),
                trigger_value=True,
            )
            browser.send(wish.SerializeToString())
            said = until_at_rest(browser)
        return session, said


def until_at_rest(browser):
    said = []
    # A page that begins anew, as the very first on a server may, has only finished early.
    while not said or not (
        said[-1].WhichOneof("type") == "script_finished"
        and said[-1].script_finished == ForwardMsg.FINISHED_SUCCESSFULLY
    ):
        said.append(ForwardMsg.FromString(browser.recv(timeout=120)))
    return said


def words(said):
    return " ".join(str(message.delta) for message in said if message.HasField("delta"))
