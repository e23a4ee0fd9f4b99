from __future__ import annotations

import pytest

from emap_core.runs.store import location, remove_folder


@pytest.fixture
def run_behind_a_url(finished_run, monkeypatch):
    root = location("memory://shared-by-many")
    for path in finished_run.path.rglob("*"):
        if path.is_file():
            copy = root / finished_run.id / str(path.relative_to(finished_run.path))
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    monkeypatch.setenv("EMAP_RUNS", str(root))
    yield finished_run
    remove_folder(root)


@pytest.mark.parametrize("page", ["start", "overview", "examples", "recombine", "report"])
def test_pages_show_a_run_behind_a_url(open_page, words, run_behind_a_url, page):
    app = open_page(page, run=run_behind_a_url.id)
    assert "60 examples" in words(app)
    assert not app.error
