from __future__ import annotations

import ast

import pytest

from pages import PAGES, page_names


@pytest.mark.parametrize("page", [page.path for page in PAGES], ids=page_names())
def test_no_page_holds_a_string_that_streamlit_would_draw(page):
    first, *others = ast.parse(page.read_text(encoding="utf-8")).body
    assert isinstance(first, ast.Expr)
    assert not [node.lineno for node in others if _is_string(node)]


def _is_string(node):
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
