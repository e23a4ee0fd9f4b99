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
print(sorted({"torch", "sklearn", "scipy.stats", "zarr"} & set(sys.modules)))
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
    pages = [str(page.path) for page in PAGES]
    loaded = subprocess.run(
        [sys.executable, "-c", _IMPORTS, *pages], cwd=FOLDER.parent, capture_output=True, text=True
    )
    assert loaded.stdout.strip() == "[]", loaded.stderr
