"""The one language of colour and form for every figure, page and export."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any
from unicodedata import east_asian_width

import plotly.graph_objects as go

from emap_core.human_readable import shortened_apart
from emap_core.themes import Theme
from emap_core.untrusted_text import visible

TEXT = "#0072B2"
IMAGE = "#E69F00"
INTERACTION = "#CC79A7"
CONSTANT = "#7F7F7F"
_OF_MODALITIES = {
    "text": (TEXT, "-"),
    "image": (IMAGE, "/"),
    "audio": ("#009E73", "\\"),
    "video": ("#D55E00", "x"),
    "table": ("#56B4E9", "+"),
    "array": ("#F0E442", "."),
}
_PALER = 0.45
"""How much paler each further side of a modality is than the one before."""
FONT = '"Source Sans 3", "Source Sans Pro", "Source Sans", system-ui, sans-serif'
FONT_SIZE = 14


@dataclass(frozen=True)
class Look:
    """How a side is drawn.

    Attributes
    ----------
    colour : str
    hatch : str
        A pattern of Plotly's.
    """

    colour: str
    hatch: str


def looks_of(modalities: Mapping[str, str]) -> dict[str, Look]:
    """Return how sides are drawn, by name, from the modality of each.

    Several sides of one modality share its hatching and colour, each paler than the one before.
    """
    found: dict[str, Look] = {}
    seen: list[str] = []
    for side, modality in modalities.items():
        colour, hatch = _OF_MODALITIES[modality]
        white = 1.0 - (1.0 - _PALER) ** seen.count(modality)
        found[side] = Look(_paler(colour, white), hatch)
        seen.append(modality)
    return found


def _paler(colour: str, white: float) -> str:
    parts = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return "#" + "".join(f"{round(part + white * (255 - part)):02X}" for part in parts)


TEXT_AND_IMAGE = looks_of({"text": "text", "image": "image"})
"""How the sides of most runs are drawn."""

JOINT = Look(INTERACTION, "")
"""How what several sides do together is drawn."""


def new_figure(theme: Theme, *, height: int, **layout: Any) -> go.Figure:
    """Return an empty figure in the common style on the theme's background, `height` in pixels."""
    figure = go.Figure()
    apply_style(figure, theme, height=height, **layout)
    return figure


def apply_style(figure: go.Figure, theme: Theme, *, height: int, **layout: Any) -> None:
    """Give a figure the common fonts, lines and margins, `height` in pixels."""
    figure.update_layout(template=_template(theme), height=height)
    figure.update_layout(**layout)


def outline(theme: Theme, width: float = 1.0) -> dict[str, Any]:
    """Return the ink line that keeps a light colour visible on a light ground."""
    return {"color": theme.ink, "width": width}


def hatching(shape: str, theme: Theme) -> dict[str, Any]:
    """Return a hatching with one of Plotly's shapes."""
    return {
        "shape": shape,
        "fillmode": "overlay",
        "fgcolor": theme.ink,
        "fgopacity": 0.45,
        "size": 7,
        "solidity": 0.15,
    }


def signed_scale(theme: Theme) -> list[list[Any]]:
    """Return the diverging colours, for a scale centred at 0."""
    return [list(stop) for stop in theme.signed]


def words(text: str, width: int = 48) -> str:
    """Return a text as one line of at most `width` characters, safe inside a figure.

    Figures read ``<b>`` and the like as markup; a text from a dataset is shown verbatim. Wide
    characters (Chinese, Japanese, Korean) count as two.
    """
    line = " ".join(visible(text).split())
    widths = accumulate(2 if east_asian_width(letter) in "WF" else 1 for letter in line)
    kept = sum(used <= width for used in widths)
    if kept < len(line):
        line = line[: kept - 1].rstrip() + "…"
    return html.escape(line, quote=False)


def words_apart(texts: Sequence[str], width: int) -> list[str]:
    """Return texts as `words` does, cut so that different ones stay different."""
    lines = [" ".join(visible(text).split()) for text in texts]
    return [words(line, width) for line in shortened_apart(lines, width)]


def in_hover(ids: Sequence[str]) -> list[str] | None:
    """Return hover texts for ids, or None if all ids are safe inside a figure unchanged."""
    shown = [words(name) for name in ids]
    return None if shown == list(ids) else shown


def column_names(classes: Sequence[str], n_columns: int) -> list[str]:
    """Return a name for each of the C columns; a binary task's one logit stands for both."""
    if n_columns == 1 and len(classes) == 2:
        return [f"{classes[1]} (rather than {classes[0]})"]
    return [str(name) for name in classes]


def _template(theme: Theme) -> go.layout.Template:
    axis = {
        "gridcolor": theme.faint,
        "linecolor": theme.ink,
        "zerolinecolor": theme.ink,
        "zerolinewidth": 1,
        "zeroline": False,
        "tickcolor": theme.faint,
        "automargin": True,
        "title": {"font": {"size": FONT_SIZE}, "standoff": 8},
        "tickfont": {"size": FONT_SIZE},
    }
    return go.layout.Template(
        layout={
            "font": {"family": FONT, "size": FONT_SIZE, "color": theme.ink},
            # Wherever a saved picture ends up, its ink is on the background it was chosen for.
            "paper_bgcolor": theme.paper,
            "plot_bgcolor": "rgba(0,0,0,0)",
            "margin": {"l": 8, "r": 8, "t": 40, "b": 8},
            "xaxis": axis,
            "yaxis": axis,
            "separators": ".,",
            "hoverlabel": {
                "font": {"family": FONT, "size": FONT_SIZE, "color": theme.ink},
                "bgcolor": theme.paper,
                "bordercolor": theme.ink,
            },
            "legend": {
                "orientation": "h",
                "x": 0,
                "xanchor": "left",
                "y": 1.0,
                "yanchor": "bottom",
                "font": {"size": FONT_SIZE},
            },
            "dragmode": "pan",
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": theme.ink, "activecolor": TEXT},
            "coloraxis": {
                "colorbar": {
                    "outlinewidth": 0,
                    "thickness": 14,
                    "title": {"font": {"size": FONT_SIZE}},
                }
            },
        }
    )
