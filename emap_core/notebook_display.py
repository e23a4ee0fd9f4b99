"""What a notebook cell shows for an object: a summary and a figure, not its fields."""

from __future__ import annotations

import importlib


class ShownInNotebooks:
    """Let `emap_core.presentation.notebook.html` show an object.

    A gap does not have to know who shows it. The import happens on use, so that the rooms below
    presentation do not depend on it.
    """

    def _repr_html_(self) -> str:
        shown: str = importlib.import_module("emap_core.presentation.notebook").html(self)
        return shown
