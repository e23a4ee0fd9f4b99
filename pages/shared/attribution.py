"""Which words of an example meet which regions: what is known of it, or how to find it out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from emap_core.errors import RunError
from emap_core.inference.digits import number, signed
from emap_core.probes.ask import finished
from emap_core.probes.attribution import Attributed, Attribution, attributed_examples
from emap_core.probes.words_over_examples import WordsOverExamples, words_over_examples
from emap_core.runs import Run
from emap_core.visible import visible
from pages.shared.escape import plain
from pages.shared.layout import section
from pages.shared.offer import offer
from pages.shared.selection import choose, set_view, view
from pages.shared.show import selected_ids, show, theme

_CHART = "attribution-map"
_PARTS = {
    "interaction": "What they add together",
    "text": "Text by itself",
    "image": "Image by itself",
}
_PAIRS = 5


def show_attribution(run: Run, example: int) -> None:
    """Draw which words of an example meet which regions, or offer to find out."""
    probe = Attribution(run.ids[example])
    section(probe.question)
    try:
        found = finished(run, probe)
    except RunError as error:
        st.error(plain(error), icon=":material/error:")
        return
    if isinstance(found, Attributed):
        _show_found(run, example, found)
    else:
        offer(
            run,
            probe,
            "Words are left out and regions covered in many ways",
            example=str(probe.example),
        )
    known = attributed_examples(run)
    if len(known) > 1:
        _show_words(words_over_examples(known))


def _show_found(run: Run, example: int, found: Attributed) -> None:
    st.markdown(plain(found.sentence))
    part = choose("Show", _PARTS, "part", label_visibility="collapsed")
    pair = _pair(example, found)
    if part == "interaction":
        _choice(
            st.pills,
            "A word, and its regions in the picture",
            "word",
            pair[0],
            {k: plain(name) for k, name in enumerate(found.words)},
            lambda word: _choose(example, word, found.region_of(word)),
        )
    chart = found.chart(
        theme(),
        pair=pair,
        show=part,
        picture=run.thumbnail(int(run.decomposition.image_index[example])),
    )
    show(
        chart,
        _CHART,
        on_select=lambda: _clicked(example, found, pair),
        selection_mode="points",
    )
    if part == "interaction":
        _choice(
            st.selectbox,
            "A region, and its words beside the picture",
            "region",
            pair[1],
            {k: visible(f"{found.where(k)}: {name}") for k, name in enumerate(found.regions)},
            lambda region: _choose(example, pair[0], region),
        )
        _list_pairs(found)
    st.caption(plain(" ".join(found.details)))


def _show_words(words: WordsOverExamples) -> None:
    st.markdown(f"##### Over the {words.n_examples:,} examples that were asked about")
    st.markdown(plain(words.sentence))
    show(words.chart(theme()), "words-over-examples")
    st.caption(
        "What a word adds to the predicted class together with each part of the image, summed over "
        "its regions; the mean of the examples that have the word, whose number stands beside it."
    )


def _pair(example: int, found: Attributed) -> tuple[int, int]:
    """Return the word and the region of the link, the strongest where it is of another example."""
    given = [int(part) for part in view("pair").split(":") if part.isdecimal()]
    if len(given) == 3 and given[0] == example:
        word, region = given[1:]
        if word < len(found.words) and region < len(found.regions):
            return word, region
    return found.strongest(1)[0]


def _choose(example: int, word: int, region: int) -> None:
    set_view(pair=f"{example}:{word}:{region}")


def _choice(
    draw: Any,
    label: str,
    name: str,
    current: int,
    options: dict[int, str],
    take: Callable[[int], None],
) -> None:
    key = f"attribution-{name}"
    # The URL is the truth.
    st.session_state[key] = current

    def changed() -> None:
        chosen = st.session_state[key]
        take(current if chosen is None else chosen)

    draw(label, list(options), format_func=options.__getitem__, key=key, on_change=changed)


def _clicked(example: int, found: Attributed, pair: tuple[int, int]) -> None:
    for one in selected_ids(st.session_state[_CHART])[:1]:
        name, _, number_of = one.partition("-")
        if name == "word":
            _choose(example, int(number_of), found.region_of(int(number_of)))
        elif name == "region":
            _choose(example, pair[0], int(number_of))


def _list_pairs(found: Attributed) -> None:
    if found.nothing:
        return
    lines = [
        "- "
        + plain(
            f"“{found.words[w]}” with the {found.where(p)} ({found.regions[p]}): "
            f"{signed(found.interactions[w, p])} ± {number(1.96 * found.standard_errors[w, p])}"
        )
        for w, p in found.strongest(_PAIRS)
    ]
    st.markdown("\n".join([f"The strongest pairs, in {found.unit}:", "", *lines]))
