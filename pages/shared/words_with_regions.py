"""Which words of an example interact with which regions: what is known, or how to find out."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import streamlit as st

from emap_core import jobs
from emap_core.errors import RunError
from emap_core.figures import column_names
from emap_core.inference.number_format import number, signed
from emap_core.jobs import ProbeSpecification
from emap_core.probes.ask import finished, with_largest_interaction
from emap_core.probes.attribution import Attributed, Attribution, attributed_examples
from emap_core.probes.words_over_examples import WordsOverExamples, words_over_examples
from emap_core.runs import Run
from emap_core.types import Mask
from emap_core.untrusted_text import visible
from pages.shared.display import selected_ids, show, theme
from pages.shared.job_progress import progress
from pages.shared.layout import section
from pages.shared.plain_text import plain
from pages.shared.probe_button import offer
from pages.shared.url_selection import choose, set_view, view, whole_number
from pages.shared.visitor import policy

_CHART = "attribution-map"
_PARTS = {
    "interaction": "What they add together",
    "text": "Text by itself",
    "image": "Image by itself",
}
_PAIRS = 5
_HOW = "Words are left out and regions covered in many ways"
_MANY, _MOST = 20, 200
"""How many examples are asked about at a time: the default, and the most."""


def show_attribution(run: Run, example: int, listed: Mask) -> None:
    """Draw which words of an example interact with which regions, or offer to find out.

    Parameters
    ----------
    run : Run
    example : int
    listed : ndarray of bool, shape (N,)
        The examples in the page's list; many can be asked about at once.
    """
    section(Attribution.question)
    class_name = _class(run, example)
    probe = Attribution(run.ids[example], class_name)
    try:
        found = finished(run, probe)
    except RunError as error:
        st.error(plain(error), icon=":material/error:")
        return
    if isinstance(found, Attributed):
        _show_found(run, example, found)
    else:
        asked: dict[str, Any] = {"example": [str(probe.example)], "class": class_name}
        offer(run, probe, _HOW, **asked)
    _show_many(run, listed)


def _class(run: Run, example: int) -> str | None:
    """Draw the choice of whose output is taken apart; return it, None for the predicted class."""
    names = column_names(run.classes, len(run.shares.mean))
    if len(names) == 1:
        return None
    predicted = int(np.argmax(run.decomposition.logits[example]))
    # The predicted class comes first, and the link leaves it out.
    order = [predicted, *(c for c in range(len(names)) if c != predicted)]
    given, _, chosen = view("of").partition(":")
    named = whole_number(chosen) if given == str(example) else None
    current = predicted if named is None else named
    _choice(
        st.selectbox,
        "The class whose output is taken apart",
        "class",
        current if current in order else predicted,
        {c: visible(f"{names[c]} (predicted)" if c == predicted else names[c]) for c in order},
        lambda c: set_view(of=None if c == predicted else f"{example}:{c}", pair=None),
    )
    return None if current not in order or current == predicted else names[current]


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
        picture=run.thumbnail(int(run.decomposition.column_index[example])),
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


def _show_many(run: Run, listed: Mask) -> None:
    """Draw what the words of all examples asked about interact with, and offer to ask more."""
    known = attributed_examples(run)
    if len(known) < 2 and policy().viewer:
        return
    section("Which words with which regions, over many examples?")
    if len(known) > 1:
        _show_words(words_over_examples(known))
    if not policy().viewer:
        _offer_many(run, listed, {one.example for one in known})


def _show_words(words: WordsOverExamples) -> None:
    st.markdown(plain(words.sentence))
    show(words.chart(theme()), "words-over-examples")
    st.caption(
        "How much a word and each part of the image change the predicted class together, up or "
        "down. The numbers are summed over regions and averaged over the examples that have the "
        f"word, of the {words.n_examples:,} asked about; how many that is stands beside the word. "
        "Words with the largest total come first."
    )


def _offer_many(run: Run, listed: Mask, known: Collection[str]) -> None:
    for job in jobs.list_jobs("probe", alive=True):
        work = job.work
        if (
            isinstance(work, ProbeSpecification)
            and (work.run, work.probe) == (run.id, Attribution.name)
            and len(work.settings.get("example") or ()) > 1
        ):
            progress(job)
            return
    most = min(_MOST, int(listed.sum()))
    if most < 2:
        return
    count = min(max(whole_number(view("many")) or _MANY, 2), most)
    st.session_state["attribution-many"] = count
    st.number_input(
        "Examples with the largest interaction",
        min_value=2,
        max_value=most,
        key="attribution-many",
        on_change=lambda: set_view(many=str(st.session_state["attribution-many"])),
        help="Taken from the list on this page; filter it to choose among fewer.",
        width=320,
    )
    ids = with_largest_interaction(run, count, listed)
    asked = [name for name in ids if name not in known]
    if not asked:
        st.caption(f"These {len(ids):,} have been asked about; the figure above has them.")
        return
    offer(
        run,
        [Attribution(name) for name in asked],
        f"{len(asked):,} of these {len(ids):,} have not been asked about. {_HOW}",
        f"Ask about {len(asked):,} example{'' if len(asked) == 1 else 's'}",
        example=asked,
    )


def _pair(example: int, found: Attributed) -> tuple[int, int]:
    """Return the link's word and region, or the strongest if the link is about another example."""
    numbers = map(whole_number, view("pair").split(":"))
    given = [one for one in numbers if one is not None]
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
