"""Public data sets in their own layouts run from the commands that the documentation lists."""

from __future__ import annotations

import functools
import http.server
import json
import shlex
from pathlib import Path

import pytest
from datasets_in_their_layouts import LAYOUTS, page
from local_server import answering

from emap_core.cli import main
from emap_core.runs import Run

HOUSE = Path(__file__).parents[2]


@pytest.fixture
def server(tmp_path):
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path / "served")
    handler.log_message = lambda *_: None  # type: ignore[attr-defined]
    with answering(handler) as url:
        yield url


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("EMAP_CACHE", str(tmp_path / "cache"))
    Path("anything.py").write_text("from datasets_in_their_layouts import Anything as load\n")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_a_data_set_runs_as_it_is_distributed(layout, folder, server, capsys):
    layout.write()
    if layout.name.startswith("Products"):
        table = Path("products.csv")
        table.write_text(table.read_text().replace("SERVER", server))
    model = ["--model", "anything:load"]
    if layout.outputs:
        model += ["--model-arg", f"classes={json.dumps(layout.outputs)}"]
    command = ["run", *model, *shlex.split(layout.command), "--out", "run"]
    assert main([*command, "--n-resamples", "100"]) == 0, capsys.readouterr().err
    said = capsys.readouterr().err
    assert ("--side" in layout.command or "Taken: text from" in said) and layout.told in said
    run = Run.load("run")
    assert (len(run.ids), len(run.texts), run.manifest["n_images"]) == layout.shape
    assert run.texts[0] == layout.text
    if layout.labels:
        labels = run.examples()["label"][:2].tolist()
        assert [str(label) for label in labels] == list(layout.labels)


def test_the_documentation_lists_these_commands():
    """``python tests/datasets_in_their_layouts.py`` writes the page anew."""
    assert (HOUSE / "docs" / "layouts.md").read_text() == page()
    assert len(LAYOUTS) == 26
