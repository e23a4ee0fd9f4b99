"""What the server does before anybody visits."""

import asyncio
import importlib
import threading
from pathlib import Path

import pytest
from streamlit import config
from streamlit.web.server.app_discovery import discover_asgi_app

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

    assert asyncio.run(serve())


def test_streamlit_finds_the_server_in_the_script(app):
    assert discover_asgi_app(HOUSE / "app.py").import_string == "app:app"
    assert app.app.script_path == HOUSE / "app.py"
