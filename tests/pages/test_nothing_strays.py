from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from pages import FOLDER, PAGES, page_names

_IMPORTS = """
import ast, pathlib, sys
for page in sys.argv[1:]:
    tree = ast.parse(pathlib.Path(page).read_text(encoding="utf-8"))
    tree.body = [line for line in tree.body if isinstance(line, (ast.Import, ast.ImportFrom))]
    exec(compile(tree, page, "exec"), {})
"""
_HEAVY = """
print(sorted({"torch", "sklearn", "scipy.stats", "zarr"} & set(sys.modules)))
"""
_BEFORE_A_VISIT = """
import sys
import app
app.import_pages()
before = set(sys.modules)
"""
_BEFORE_A_RESULT = """
import sys
from pages.shared.visitor import import_what_shows_a_run
import_what_shows_a_run()
before = set(sys.modules)
"""
_LATER = """
print({name.partition(".")[0] for name in set(sys.modules) - before} - {"emap_core", "pages"})
"""


@pytest.mark.parametrize("page", [page.path for page in PAGES], ids=page_names())
def test_no_page_holds_a_string_that_streamlit_would_draw(page):
    first, *others = ast.parse(page.read_text(encoding="utf-8")).body
    assert isinstance(first, ast.Expr)
    assert not [node.lineno for node in others if _is_string(node)]


def _is_string(node):
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


@pytest.mark.process
def test_no_page_waits_for_the_libraries_of_models_and_fits():
    assert _said(_IMPORTS + _HEAVY, *page_names()) == "[]"


@pytest.mark.process
@pytest.mark.parametrize(
    ("ahead", "page"),
    [(_BEFORE_A_VISIT, "start"), (_BEFORE_A_VISIT, "run"), (_BEFORE_A_RESULT, "overview")],
    ids=["start", "run", "overview"],
)
def test_nobody_waits_for_libraries_that_were_imported_ahead(ahead, page):
    assert _said(ahead + _IMPORTS + _LATER, page) == "set()"


def _said(code, *names):
    pages = [str(page.path) for page in PAGES if page.name in names]
    command = [sys.executable, "-c", code, *pages]
    done = subprocess.run(command, cwd=FOLDER.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
