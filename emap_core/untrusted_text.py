"""Texts from data, with every character visible and in its place."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from emap_core.formula_injection import harmless

if TYPE_CHECKING:
    import pandas as pd

_UNSEEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters, and those that reverse the letters after them, even outside the text."""


def visible(text: object) -> str:
    """Return a text with U+FFFD for each control character and each direction override."""
    return _UNSEEN.sub("\ufffd", str(text))


def escape(text: object) -> str:
    """Return HTML that shows a text verbatim; see `visible`."""
    return html.escape(visible(text))


def visible_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose column names and texts are `visible`; other values stay as they are.

    Anyone who sees a table can export it, so no cell may be a formula in a spreadsheet.
    """
    import pandas as pd

    shown = table.copy(deep=False)
    for at, kind in enumerate(shown.dtypes):
        if not pd.api.types.is_numeric_dtype(kind):
            shown.isetitem(at, shown.iloc[:, at].map(_visible_if_text))
    return shown.rename(columns=_visible_if_text)


def _visible_if_text(value: object) -> object:
    return harmless(visible(value)) if isinstance(value, str) else value
