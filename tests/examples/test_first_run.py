"""The notebook in examples/ runs as it stands."""

import ast
import json
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]


@pytest.mark.slow
def test_every_cell_of_the_notebook_runs_and_shows_something(tmp_path, monkeypatch):
    notebook = json.loads((HOUSE / "examples" / "first_run.ipynb").read_text())
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    shown = []
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        *statements, last = ast.parse("".join(cell["source"])).body
        assert isinstance(last, ast.Expr)
        exec(compile(ast.Module(statements, []), "cell", "exec"), names)  # noqa: S102 - our own
        found = eval(compile(ast.Expression(last.value), "cell", "eval"), names)  # noqa: S307
        shown.append(found._repr_html_())
    assert names["run"].verdict().sentence in shown[0]
    assert all(shown)
    assert not (tmp_path / "runs").exists()
