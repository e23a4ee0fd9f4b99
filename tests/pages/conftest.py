"""A small real run, and the app as a visitor opens it."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.runtime.scriptrunner.script_cache import ScriptCache
from streamlit.testing.v1 import AppTest, app_test, local_script_runner

import emap_core as emap
from pages.shared.run_and_example import forget_lists

APP = Path(__file__).parents[2] / "app.py"


@pytest.fixture(scope="session", autouse=True)
def prepared_once():
    """Let all apps of the tests share what was compiled, as all visitors of a server do.

    Nor does any look through what is installed for components, which the app has none of.
    """
    cache = ScriptCache()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app_test, "ScriptCache", lambda: cache)
        patch.setattr(local_script_runner, "ScriptCache", lambda: cache)
        patch.setattr(
            app_test.BidiComponentManager,  # type: ignore[attr-defined]
            "discover_and_register_components",
            lambda *_, **_n: None,
        )
        yield


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    """A run of the demo on 60 examples, in a folder of runs of its own."""
    root = tmp_path_factory.mktemp("runs")
    return emap.compute(
        "demo:concat", "demo:easy-vqa", data_args={"limit": 60}, out=root / "small-demo"
    )


@pytest.fixture
def runs_with_one(finished_run, monkeypatch):
    """Let the app's folder of runs be the one with the finished run."""
    monkeypatch.setenv("EMAP_RUNS", str(finished_run.path.parent))
    return finished_run


@pytest.fixture
def no_runs(tmp_path, monkeypatch):
    """Let the app's folder of runs be empty."""
    monkeypatch.setenv("EMAP_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.fixture
def open_page():
    """Return a function that opens a page of the app with keys in its URL."""

    def open_(name: str, **keys: str) -> AppTest:
        # Tests are quicker than the two seconds for which a list of runs is kept.
        forget_lists()
        app = AppTest.from_file(str(APP), default_timeout=60)
        for key, value in keys.items():
            app.query_params[key] = value
        return app.switch_page(f"pages/{name}.py").run()

    return open_


@pytest.fixture
def words():
    """Return a function that gives all that a page says, in one string."""

    def words_(app: AppTest) -> str:
        assert not app.exception, app.exception
        found = [getattr(e, "value", None) or getattr(e, "body", "") or "" for e in _elements(app)]
        return "\n".join(str(text).replace("\\", "") for text in found)

    return words_


def _elements(app: AppTest):
    kinds = (
        "title",
        "header",
        "subheader",
        "html",
        "text",
        "markdown",
        "caption",
        "error",
        "info",
        "success",
    )
    return [element for kind in kinds for element in app.get(kind)]
