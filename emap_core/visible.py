"""Texts from data in which every character can be seen and stays where it is."""

from __future__ import annotations

import html
import re

import pandas as pd

from emap_core.spreadsheet import harmless

_UNSEEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Controls, and what turns the letters around that follow, also those beside the text."""


def visible(text: object) -> str:
    """Return a text with U+FFFD for each control and each character that overrides direction."""
    return _UNSEEN.sub("\ufffd", str(text))


def escape(text: object) -> str:
    """Return a text as HTML that shows it as it is, see `visible`."""
    return html.escape(visible(text))


def visible_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with `visible` names of columns and texts; other values stay as they are.

    Whoever sees a table can export it, so no cell is a formula to a spreadsheet.
    """
    shown = table.copy(deep=False)
    for at, kind in enumerate(shown.dtypes):
        if not pd.api.types.is_numeric_dtype(kind):
            shown.isetitem(at, shown.iloc[:, at].map(_visible_if_text))
    return shown.rename(columns=_visible_if_text)


def _visible_if_text(value: object) -> object:
    return harmless(visible(value)) if isinstance(value, str) else value
