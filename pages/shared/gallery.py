"""Several small pictures side by side, each with its proportions and a caption."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import streamlit as st

from emap_core.runs import Run
from pages.shared.plain_text import beside, escaped


def gallery(
    run: Run,
    images: Sequence[int],
    captions: Sequence[str] | None = None,
    notes: Sequence[str] | None = None,
    *,
    height: int = 96,
    place: int = 1,
) -> None:
    """Show unique images of a run, or pictures of another side's items, in rows that wrap.

    Parameters
    ----------
    run : Run
    images : sequence of int
        Numbers of unique images.
    captions : sequence of str, optional
        What to write below each.
    notes : sequence of str, optional
        What to add to each caption in brackets, whatever the direction of its script.
    height : int
        Height of each picture, in pixels.
    place : int
        Which side, counted from 0.
    """
    # Two always fit side by side, however long a caption or wide a picture.
    widest = f"min({'calc(50% - 5px)' if len(images) > 1 else '100%'},{2 * height}px)"
    figures = []
    for k, image in enumerate(images):
        caption = "" if captions is None else captions[k]
        note = "" if notes is None else notes[k]
        alt = escaped(f"{run.sides[place].name} {image + 1} {caption} {note}".strip())
        below = f"<figcaption>{beside(caption, note)}</figcaption>" if caption else ""
        below = _player(run, image, place) + below
        figures.append(
            '<figure style="margin:0;font-size:.875rem;text-align:center;overflow-wrap:anywhere;'
            f'max-width:{widest}"><img alt="{alt}" src="{data_uri(run, image, place)}" '
            f'style="height:{height}px;max-width:100%;object-fit:contain;'
            'border-radius:4px;border:1px solid rgba(127,127,127,.5)">'
            f"{below}</figure>"
        )
    row = "display:flex;flex-wrap:wrap;gap:10px"
    st.html(f'<div style="{row}">{"".join(figures)}</div>')


def _player(run: Run, item: int, place: int) -> str:
    """Return a player for a sound; an empty text for anything that can be seen."""
    content = run.content(place, item) if run.sides[place].modality == "audio" else b""
    if not content:
        return ""
    data = base64.b64encode(content).decode()
    # Any narrower and its play button disappears.
    style = "display:block;width:100%;min-width:96px;height:32px"
    return f'<audio controls src="data:audio/wav;base64,{data}" style="{style}"></audio>'


def data_uri(run: Run, image: int, place: int = 1) -> str:
    """Return the thumbnail of a unique item as text that a page can hold."""
    return "data:image/jpeg;base64," + base64.b64encode(run.poster(place, image)).decode()
