"""What the server does before anybody visits."""

import asyncio
import gc
import importlib
import socket
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


def test_what_pages_import_is_not_collected_again(app, monkeypatch):
    frozen = []
    monkeypatch.setattr(gc, "freeze", lambda: frozen.append("pages.shared" in sys.modules))
    app.import_pages()
    assert frozen == [True]


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
