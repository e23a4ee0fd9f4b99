"""Beside each number stands whom it speaks of, and how many examples it is from."""

from __future__ import annotations

import re

import pytest

import emap_core as emap

INTERVAL = re.compile(r"\[[−+\d.]+, [−+\d.]+\]")
WHOM = "for new texts and new images"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["overview", "contributions", "measures", "report"])
def test_a_page_of_a_run_says_of_its_intervals_whom_they_speak_of(
    name, open_page, words, runs_with_one
):
    said = words(open_page(name, run=runs_with_one.id))
    if INTERVAL.search(said):
        assert WHOM in said
        assert "N = 60" in said or "60 examples; 95% interval" in said


@pytest.mark.slow
def test_every_answer_with_an_interval_has_them_below_it(open_page, words, runs_with_one):
    said = words(open_page("overview", run=runs_with_one.id))
    assert "What kinds of examples there are" in said
    # Below the table, beside the kinds, and below the gaps on the best scale.
    assert said.count(f"95% intervals in brackets, {WHOM}, N = 60.") == 3


@pytest.mark.slow
def test_shares_of_modes_say_over_which_pairs(open_page, words, runs_with_one):
    texts, images = runs_with_one.sizes
    said = words(open_page("modes", run=runs_with_one.id))
    assert f"over all pairs, {texts} texts × {images} images." in said


def test_a_card_says_whom_its_interval_speaks_of(open_page, words, runs_with_one):
    runs_with_one.intervals()
    assert f"Interval {WHOM} · 20" in words(open_page("start"))


@pytest.mark.slow
def test_slices_and_whose_gap_is_larger_say_it_too(open_page, words, no_runs):
    for name in ("concat", "additive"):
        emap.compute(f"demo:{name}", "demo:easy-vqa", limit=60, out=no_runs / name, n_resamples=100)
    said = words(open_page("compare", run="concat"))
    assert f"on the same 60 examples, with 95% intervals {WHOM}." in said
    said = words(open_page("contributions", run="concat", view="flip.helped"))
    assert re.search(r"\d+ of \d+ predictions change|None of \d+ predictions? changes", said)
