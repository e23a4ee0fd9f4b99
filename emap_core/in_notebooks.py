"""What a cell of a notebook shows of an object: its picture in words, not its fields."""

from __future__ import annotations

import importlib


class ShownInNotebooks:
    """Shown by `emap_core.presentation.notebook.html`, which knows how.

    Whoever holds a gap should not have to know who shows it. It is looked up when it is asked for,
    so that the rooms below presentation stand without it.
    """

    def _repr_html_(self) -> str:
        shown: str = importlib.import_module("emap_core.presentation.notebook").html(self)
        return shown
