"""What the server does before anybody visits."""

import asyncio
import importlib
import socket
import subprocess
import sys
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from streamlit import config
from streamlit.web.server.app_discovery import discover_asgi_app
from streamlit.web.server.starlette.starlette_server import _bind_socket
from websockets.sync.client import connect

HOUSE = Path(__file__).parents[1]
FREEZING = """
import gc, sys
import app
print("pages.shared" in sys.modules, gc.get_freeze_count())
freeze = gc.freeze
def freeze_and_tell():
    print("pages.shared" in sys.modules)
    freeze()
gc.freeze = freeze_and_tell
app.import_pages()
of_pages = sys.modules["pages.shared"].__dict__
print(gc.get_freeze_count() > 0, not any(one is of_pages for one in gc.get_objects()))
"""


class WithoutSocket:
    def get_extra_info(self, name):
        return None


@pytest.fixture
def app(monkeypatch):
    monkeypatch.syspath_prepend(str(HOUSE))
    monkeypatch.setattr(config, "_main_script_path", None)
    return importlib.import_module("app")


def test_pages_are_imported_when_the_server_starts(app, monkeypatch):
    begun = threading.Event()
    monkeypatch.setattr(app, "import_pages", begun.set)

    async def serve():
        async with app.imports_ahead(app.app):
            return begun.wait(10)

    # Where a browser has been driven, the thread of the tests has a loop that runs already.
    with ThreadPoolExecutor() as elsewhere:
        assert elsewhere.submit(asyncio.run, serve()).result()


def test_streamlit_finds_the_server_in_the_script(app):
    assert discover_asgi_app(HOUSE / "app.py").import_string == "app:app"
    assert app.app.script_path == HOUSE / "app.py"


def test_no_part_of_an_answer_waits_for_another(app):
    delayed = []

    async def answer(scope, receive, send):
        tcp = receive.__self__.transport.get_extra_info("socket")
        delayed.append((scope["type"], not tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)))
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 204})
            await send({"type": "http.response.body"})
        else:
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close"})

    for server in (answer, app.WithoutDelay(answer)):
        with served_as_by_streamlit(server) as address:
            urllib.request.urlopen(f"http://{address}").close()
            with connect(f"ws://{address}"):
                pass
    # Without the first two, Streamlit has found another way, and ours can go.
    assert delayed == [("http", True), ("websocket", True), ("http", False), ("websocket", False)]


@pytest.mark.parametrize("transport", [object(), WithoutSocket()])
def test_a_transport_of_another_kind_is_left_as_it_is(app, transport):
    answered = []

    async def answer(scope, receive, send):
        answered.append(scope)

    class Connection:
        def __init__(self):
            self.transport = transport

        async def receive(self):
            pass

    asyncio.run(app.WithoutDelay(answer)("scope", Connection().receive, None))
    assert answered == ["scope"]


@pytest.mark.process
def test_what_pages_import_is_not_collected_again():
    """In a process of its own: here, other tests have imported the pages already."""
    done = subprocess.run(
        [sys.executable, "-c", FREEZING],
        cwd=HOUSE,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["False", "0", "True", "True", "True"]


@contextmanager
def served_as_by_streamlit(answer):
    server = uvicorn.Server(
        uvicorn.Config(answer, ws="websockets-sansio", lifespan="off", log_level="error")
    )
    bound = _bind_socket("127.0.0.1", 0, 5)
    thread = threading.Thread(target=server.run, args=([bound],))
    thread.start()
    try:
        yield "{}:{}".format(*bound.getsockname())
    finally:
        server.should_exit = True
        thread.join()
