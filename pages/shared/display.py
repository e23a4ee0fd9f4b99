"""Draw what figures and runs hold: charts with their words and tables, pictures, long texts."""

from __future__ import annotations

import base64
from collections.abc import Callable, Hashable, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Literal

import streamlit as st

from emap_core.human_readable import or_no_text
from emap_core.presentation.run_titles import file_name
from emap_core.runs import Run
from emap_core.themes import Theme, theme_named
from emap_core.untrusted_text import visible, visible_table
from pages.shared.figure_tools import figure_tools
from pages.shared.plain_text import escaped
from pages.shared.run_and_example import file_of, run_key, run_titles
from pages.shared.side_names_on_pages import with_own_words
from pages.shared.url_selection import selected

if TYPE_CHECKING:
    from emap_core.figures import Chart

SelectionMode = Literal["points", "box", "lasso"]

_CONFIG = {"displaylogo": False, "displayModeBar": "hover", "scrollZoom": False}

_SCROLLING = """<style>@media (max-width: 640px) {
    .st-key-KEY { overflow-x: auto }
    .st-key-KEY > * { min-width: WIDTH }
}</style>"""
"""On a phone a figure is as wide as it has to be, and scrolls sideways."""

_SHARPNESS = 2
"""Pixels of a saved picture per pixel on the screen."""

_LONG_TEXT = 400
"""A longer text folds, in characters."""


def theme() -> Theme:
    """Return the colours of the theme that the visitor sees."""
    return theme_named(st.context.theme.type)


def drawn(name: str, run: Run, draw: Callable[[Theme], Chart], *look: Hashable) -> Chart:
    """Return a chart of a run in the visitor's theme, drawn once for all who see it.

    Parameters
    ----------
    name : str
        Name of the chart; different charts of a run need different names.
    run : Run
    draw : callable
        Takes a theme, returns a chart.
    *look : hashable
        Everything that the chart depends on, apart from the run and the theme.
    """
    return _drawn(run_key(run), name, look, theme().name, draw)


# A copy for each visitor: several threads cannot safely read a figure at once.
@st.cache_data(max_entries=64, show_spinner=False)
def _drawn(
    key: tuple[str, str],
    name: str,
    look: tuple[Hashable, ...],
    ground: str,
    _draw: Callable[[Theme], Chart],
) -> Chart:
    # A copy writes its parts in another order than a newly built figure. With the first figure a
    # copy as well, the browser sees no difference to the next ones and keeps its zoom.
    return deepcopy(_draw(theme_named(ground)))


def show(
    chart: Chart,
    key: str,
    *,
    on_select: Literal["ignore", "rerun"] | Callable[[], None] = "ignore",
    selection_mode: SelectionMode | Sequence[SelectionMode] = "points",
    table: bool = True,
) -> Any:
    """Draw a chart across the page, with its message for screen readers and its data as a table.

    Visitors can save it as PNG or SVG, in a file named after the run and `key`.

    Parameters
    ----------
    chart : Chart
    key : str
        Key of the Streamlit element; in callbacks its event is ``st.session_state[key]``.
    on_select : {"ignore", "rerun"} or callable
    selection_mode : str or sequence of str
        ``"points"``, ``"box"``, ``"lasso"``.
    table : bool
        Whether the data can be unfolded below the chart.

    Returns
    -------
    Selection event, see `selected_ids`; of no use if selections are ignored.
    """
    chart = with_own_words(chart)
    if chart.least_width:
        st.html(_SCROLLING.replace("KEY", key).replace("WIDTH", f"{chart.least_width}px"))
    event: Any = st.plotly_chart(
        chart.figure,
        width="stretch",
        theme=None,
        key=key,
        on_select=on_select,
        selection_mode=selection_mode,
        config={
            **_CONFIG,
            "toImageButtonOptions": {
                "filename": _file_of_figure(key),
                "scale": _SHARPNESS,
            },
        },
        alt=chart.alt,
    )
    figure_tools(key)
    if table:
        unfolded = st.expander("As a table", key=f"{key}-table", on_change="rerun")
        # Only visitors who unfold it pay for it: a table of 10,000 rows is a megabyte.
        if unfolded.open:
            unfolded.dataframe(visible_table(chart.table), hide_index=True)
    return event


def _file_of_figure(key: str) -> str:
    run_id = selected("run") or ""
    return file_name(run_titles().get(run_id, run_id), key)


def selected_ids(event: Any) -> list[str]:
    """Return the ids of the points in a chart's selection event, in order, each once.

    Streamlit returns a trace's ``ids`` as ``"id"`` and its ``customdata`` as a list or a dict.
    """
    selection = (event or {}).get("selection") or {}
    found = []
    for point in selection.get("points") or []:
        name = point.get("id")
        if name is None:
            data = point.get("customdata")
            first = next(iter(data.values()), None) if isinstance(data, dict) else data
            name = first[0] if isinstance(first, list | tuple) and first else first
        if name is not None:
            found.append(str(name))
    return list(dict.fromkeys(found))


def item(run: Run, place: int, number: int, *, alt: str, size: str = "1.125rem") -> None:
    """Show a unique item of a run: a text, a picture, or a player for a sound.

    Parameters
    ----------
    run : Run
    place : int
        0 of the first side, 1 of the second.
    number : int
        Which unique item of that side.
    alt : str
        What it stands for, in words.
    size : str
        Font size of a text.
    """
    kind = run.sides[place].modality
    if kind == "text":
        text(run.words(place, number), size=size)
    else:
        _SHOWN.get(kind, _poster)(run, place, number, alt)


def _looked_at(run: Run, place: int, number: int, alt: str) -> None:
    if place == 1:
        picture(run, number, alt=alt)
    else:
        content = run.content(place, number) or run.poster(place, number)
        st.image(content, width="stretch", alt=visible(alt))


def _poster(run: Run, place: int, number: int, alt: str) -> None:
    st.image(run.poster(place, number), alt=visible(alt))
    text(run.words(place, number))


def _played(run: Run, place: int, number: int, alt: str) -> None:
    _poster(run, place, number, alt)
    if content := run.content(place, number):
        st.audio(content, format="audio/wav")


def _moving(run: Run, place: int, number: int, alt: str) -> None:
    if content := run.content(place, number):
        st.image(content, alt=visible(alt))
    else:
        _poster(run, place, number, alt)


_SHOWN = {"image": _looked_at, "audio": _played, "video": _moving}


def picture(run: Run, image: int, *, alt: str) -> None:
    """Show a unique image of a run, not too high, with a button that shows it at its full size.

    Parameters
    ----------
    run : Run
    image : int
    alt : str
        What it stands for, in words.
    """
    with st.container(key=f"picture-{image}"):
        content = run.picture(image)
        st.image(content, width="stretch", alt=visible(alt))
        if st.button("Zoom in", key=f"zoom-{image}", icon=":material/zoom_in:", type="tertiary"):
            _at_full_size(content, alt, file_of(run, f"image-{image + 1}.jpg"))


@st.dialog("The image at its full size", width="large")
def _at_full_size(content: bytes, alt: str, name: str) -> None:
    source = "data:image/jpeg;base64," + base64.b64encode(content).decode()
    # A small image fills half of the screen; a large one scrolls.
    st.html(
        '<div tabindex="0" style="overflow:auto;max-height:70vh">'
        f'<img alt="{escaped(alt)}" src="{source}" '
        'style="display:block;max-width:none;min-width:min(100%,384px)"></div>'
    )
    st.download_button(
        "Save the image",
        content,
        name,
        "image/jpeg",
        icon=":material/download:",
        on_click="ignore",
    )


def text(words: str, *, size: str = "1rem") -> None:
    """Show a text from data verbatim: no Markdown, its own direction; a long one folds."""
    words = or_no_text(words)
    style = f"font-size:{size};line-height:1.5;margin:0;white-space:pre-wrap;overflow-wrap:anywhere"
    if len(words) <= _LONG_TEXT:
        st.html(f'<p dir="auto" style="{style}">{escaped(words)}</p>')
        return
    start = escaped(words[:_LONG_TEXT].rstrip())
    st.html(
        f'<details><summary dir="auto" style="{style};cursor:pointer">{start} … '
        f"<u>all {len(words):,} characters</u></summary>"
        f'<p dir="auto" style="{style};max-height:20rem;overflow:auto">{escaped(words)}</p>'
        "</details>"
    )
