"""Recombine: give an example another text or image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from emap_core.datasets.base import ImageFiles
from emap_core.decomposition import Decomposition
from emap_core.decomposition.block_means import Blocks, Window
from emap_core.errors import EmapError
from emap_core.figures import (
    column_names,
    interaction_heatmap,
    marked_window,
    waterfall,
    window_within,
)
from emap_core.human_readable import or_no_text, shortened
from emap_core.inference.number_format import signed
from emap_core.inference.predictions.scores import one_score
from emap_core.modalities import TEXT_AND_IMAGE
from emap_core.presentation.charts import score_names
from emap_core.presentation.chosen_sides import ChosenSides, looks
from emap_core.runs import Run
from emap_core.untrusted_text import visible, visible_table
from pages import shared
from pages.shared.interaction_grid import (
    blocks_of,
    choose_class,
    choose_sides,
    grid_is_there,
    modes_of,
    names_of,
    own_reading,
    quantity,
    unit,
)

QUESTION = "What if the text or image were different?"
MANY_TEXTS = 500
CHART = "recombine-heatmap"
# The heatmap's trace that visitors click; as a string here, this note would show on the page.
MARKS = 1


def _page() -> None:
    run = shared.require_run(QUESTION)
    question = QUESTION if len(run.sides) == 2 else "What if one side were different?"
    if not grid_is_there(run, question, "Other pairs need"):
        return
    top = st.container()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        c = choose_class(run, kept=True)
        two = choose_sides(run)
        order, text_order, image_order = _choose_order(two, c)
    u, w = _pair(two)
    cell = two.pair(u, w)
    if two.others:
        question = f"What if the {two.sides[0].name} or {two.item_name(1)} were different?"
    with top:
        shared.header(question, _answer(two, u, w, c, cell), run)
        if not shared.view("pair"):
            shared.say_if_another_example(run)
        if two.note:
            shared.text(two.note)
    _show_heatmap(two, c, order, text_order, image_order, (u, w))
    _show_pair(two, u, w)
    _show_numbers(two, cell)
    _show_new_pair(run)
    view = shared.view_key(**names_of(two)) if two.others else None
    shared.next_step("pages/modes.py", "What interacts with what, in a few modes", view=view)


def _choose_order(two: ChosenSides, c: int) -> tuple[str, NDArray[np.intp], NDArray[np.intp]]:
    modes = modes_of(two, c, own_reading(two.run))
    options = {f"mode{k + 1}": f"mode {k + 1}" for k in range(min(3, len(modes)))}
    options |= {"effect": "effect of each side", "data": "first appearance"}
    chosen = shared.choose(
        "Rows and columns in the order of",
        options,
        "order",
        help=two.worded("Ordered by a mode, texts and images that act alike stand side by side."),
    )
    d = two.shares
    if chosen.startswith("mode"):
        k = int(chosen[4:]) - 1
        keys = modes.row_scores[:, k], modes.column_scores[:, k]
    elif chosen == "effect":
        keys = d.row_mean[:, c], d.column_mean[:, c]
    else:
        return chosen, np.arange(len(d.row_share)), np.arange(len(d.column_share))
    return chosen, np.argsort(-keys[0], kind="stable"), np.argsort(-keys[1], kind="stable")


def _pair(two: ChosenSides) -> tuple[int, int]:
    d = two.shares
    found = _numbers(shared.view("pair"), 2)
    if found and found[0] < len(d.row_share) and found[1] < len(d.column_share):
        return found[0], found[1]
    example = shared.current_example(two.run) or 0
    first, second = two.index
    return int(first[example]), int(second[example])


def _answer(two: ChosenSides, u: int, w: int, c: int, cell: Decomposition) -> str:
    run, (texts, images) = two.run, two.index
    text, other = (
        shortened(or_no_text(run.words(place, item)), 80)
        for place, item in zip(two.places, (u, w), strict=True)
    )
    names = column_names(run.classes, len(cell.mean))
    asked = bool(((texts == u) & (images == w)).any())
    start = "“{}” with {} ({}): ".format(
        text,
        other if run.words_of_side(two.places[1]) is None else f"“{other}”",
        "in the data" if asked else "never in the data",
    )
    if two.others:
        return (
            f"{start}on average over {' and '.join(two.others)}, what they do together adds "
            f"{signed(cell.interaction[0, c])} to {quantity(run, c)}."
        )
    if len(names) > 1 and run.task == "multiclass" and run.grid is not None:
        full, additive = names[cell.logits[0].argmax()], names[cell.emap[0].argmax()]
        if full == additive:
            return f"{start}the model answers {full}, with interactions and without."
        return f"{start}the model answers {full}; without interactions it would be {additive}."
    return f"{start}the interaction adds {signed(cell.interaction[0, c])} to {quantity(run, c)}."


def _show_heatmap(
    two: ChosenSides,
    c: int,
    order: str,
    text_order: NDArray[np.intp],
    image_order: NDArray[np.intp],
    pair: tuple[int, int],
) -> None:
    window = _window(len(text_order), len(image_order))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        mouse = st.container(width="content")
        if window is not None:
            st.button("Show the whole grid", on_click=lambda: shared.set_view(window=None))
    run = two.run
    blocks = blocks_of(two, c, order, text_order, image_order, window)
    chart = interaction_heatmap(
        blocks,
        two.words(0),
        chosen=pair,
        quantity=quantity(run, c),
        unit=unit(run),
        theme=shared.theme(),
    )

    shared.show(two.worded_chart(chart), CHART)
    with mouse:
        _point(blocks)


def _point(blocks: Blocks) -> None:
    """Let a click select the pair or block of pairs below it, and a box zoom in."""

    def take(trace: int, mark: int) -> None:
        window = marked_window([mark], blocks) if trace == MARKS else None
        if window is None:
            return
        top, bottom, left, right = window
        first_row, _, first_column, _ = blocks.window
        u = blocks.rows[(top + bottom - 1) // 2 - first_row]
        w = blocks.columns[(left + right - 1) // 2 - first_column]
        shared.set_view(pair=f"{u},{w}")

    def zoom(outline: list[tuple[float, float]]) -> None:
        window = window_within(outline, blocks)
        if window is not None:
            shared.set_view(window=",".join(map(str, window)))

    shared.pointing(
        CHART,
        {"move": "selects a pair", "box": "draws a box to zoom in"},
        take,
        zoom,
        shared.Marks(),
    )


def _window(n_texts: int, n_images: int) -> Window | None:
    found = _numbers(shared.view("window"), 4)
    if not found:
        return None
    top, bottom, left, right = found
    fits = top < bottom <= n_texts and left < right <= n_images
    return (top, bottom, left, right) if fits else None


def _numbers(text: str, count: int) -> tuple[int, ...]:
    parts = text.split(",")
    found = tuple(one for part in parts if (one := shared.whole_number(part)) is not None)
    return found if len(found) == len(parts) == count else ()


def _show_pair(two: ChosenSides, u: int, w: int) -> None:
    shared.section("Selected pair")
    if [side.modality == "text" for side in two.sides] == [True, False]:
        picture, words = st.columns([1, 3], gap="medium")
        with picture:
            _show_item(two, 1, w)
        with words:
            _show_item(two, 0, u)
            _choose_text(two, u, w)
            _choose_image(two, u, w)
        return
    # Two of a kind stand in their order, each above what replaces it.
    left, right = st.columns(2, gap="medium")
    with left:
        _show_item(two, 0, u)
        _choose_text(two, u, w)
    with right:
        _show_item(two, 1, w)
        _choose_image(two, u, w)


def _show_item(two: ChosenSides, k: int, number: int) -> None:
    alt = f"{two.item_name(k).capitalize()} {number + 1} of the data"
    shared.item(two.run, two.places[k], number, alt=alt, size="1.25rem")


def _choose_image(two: ChosenSides, u: int, w: int) -> None:
    n_images = two.run.sizes[two.places[1]]
    st.session_state["pair-image"] = w + 1
    st.number_input(
        f"Another {two.item_name(1)} (1 to {n_images:,})",
        1,
        n_images,
        key="pair-image",
        on_change=lambda: shared.set_view(pair=f"{u},{st.session_state['pair-image'] - 1}"),
    )


def _show_numbers(two: ChosenSides, cell: Decomposition) -> None:
    run = two.run
    shared.subsection(
        "How its prediction builds up" if not two.others else "How its mean builds up"
    )
    names = column_names(run.classes, len(cell.mean))
    of_sides = looks(run)
    if two.others or run.grid is not None:
        chart = waterfall(
            cell,
            0,
            score_names(run),
            score=one_score(run.space, run.task),
            unit=unit(run),
            looks={side: of_sides[side] for side in cell.sides},
            theme=shared.theme(),
        )
        shared.show(chart, "pair-waterfall")
        title = f"All {len(names)} outputs" if len(names) > 1 else "The numbers"
    else:
        title = f"The {len(run.kept_classes):,} classes whose grid was kept"
    with st.expander(title, expanded=run.grid is None and not two.others):
        table = pd.DataFrame(
            {
                "class": names,
                "model": cell.logits[0],
                "without interaction (EMAP)": cell.emap[0],
                "interaction": cell.interaction[0],
            }
        )
        table = table.dropna().sort_values("model", ascending=False)
        st.dataframe(visible_table(table), hide_index=True)
        if run.softmax:
            st.caption(
                "The mean over classes is subtracted: it makes no difference to the softmax."
            )


def _choose_text(two: ChosenSides, u: int, w: int) -> None:
    texts = two.words(0)
    options = list(range(len(texts)))
    if len(options) > MANY_TEXTS:
        # Thousands of options are slow to send and nobody reads them: visitors search instead.
        wanted = st.text_input("Find a text", key="pair-search").casefold()
        matching = [i for i in options if wanted in texts[i].casefold()]
        options = list(dict.fromkeys([u, *matching[:MANY_TEXTS]]))
    st.session_state["pair-text"] = u
    st.selectbox(
        f"Another {two.item_name(0)} ({len(texts):,} in the data)",
        options,
        format_func=lambda u: visible(or_no_text(texts[u])),
        key="pair-text",
        on_change=lambda: shared.set_view(pair=f"{st.session_state['pair-text']},{w}"),
    )


def _show_new_pair(run: Run) -> None:
    if run.sides != TEXT_AND_IMAGE:
        # Visitors type a text and upload an image below.
        return
    unfolded = st.expander("Your own pair", key="own-pair", on_change="rerun")
    # Only visitors who unfold this wait for the model and its libraries.
    if not unfolded.open:
        return
    with unfolded:
        try:
            shared.policy().check_full()
        except EmapError as error:
            st.caption(shared.plain(error))
            return
        model = _model_at_hand(run)
        if model is None:
            st.caption(
                "Only the model’s scores are available here, not the model. To score a pair of "
                "your own, call the model from Python."
            )
            return
        text = st.text_input("Your text", placeholder=run.texts[0], key="own-text")
        file = st.file_uploader("Your image", ["png", "jpg", "jpeg", "webp"], key="own-image")
        if not (text and file):
            st.caption("Type a text and choose an image to see the model’s scores.")
            return
        try:
            image = ImageFiles([file.getvalue()], ["your image"])[0]
            scores = _score(model, text, image)
        except (EmapError, ValueError, RuntimeError) as error:
            st.error(shared.plain(error), icon=":material/error:")
            return
        st.image(image, width=160, alt="The image that was uploaded")
        table = pd.DataFrame({"class": column_names(run.classes, len(scores)), "model": scores})
        table = table.sort_values("model", ascending=False)
        st.dataframe(visible_table(table), hide_index=True)


@st.cache_resource(max_entries=4, show_spinner="Loading the model …")
def _load(spec: str) -> Any:
    from emap_core.models import load_model

    return load_model(spec)


def _model_at_hand(run: Run) -> Any | None:
    """Return the demo model that made the run; visitors can make the server load no other."""
    try:
        model = _load(f"demo:{run.manifest['model']}")
    except EmapError:
        return None
    same = getattr(model, "fingerprint", None) == run.manifest["fingerprints"]["model"]
    return model if same else None


def _score(model: Any, text: str, image: Image.Image) -> NDArray[Any]:
    from emap_core.models.base import Scorer

    scorer = Scorer(model)
    encodings = scorer.encode_texts([text]), scorer.encode_images([image])
    scores: NDArray[Any] = scorer.score_tile(*encodings, batch_size=1)[0, 0]
    return scores


_page()
