"""Pages of runs of other sides than a text and an image, and of more than two."""

from __future__ import annotations

import re

import numpy as np
import pytest
from samples import picture

import emap_core as emap
from emap_core.modalities import why_not_two
from pages import page_names


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Runs of two models of three sides in a folder of their own; the first of them."""
    root = tmp_path_factory.mktemp("runs")
    settings = {"cluster": "written+spoken", "n_resamples": 100}
    runs = [
        emap.compute(f"demo:digits-{name}", "demo:digits", **settings, out=root / name)
        for name in ("joint", "pairs")
    ]
    return runs[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", page_names(of_a_run=True))
def test_each_page_shows_its_part_or_says_why_not(name, digits, open_page, words, monkeypatch):
    monkeypatch.setenv("EMAP_RUNS", str(digits.path.parent))
    said = words(open_page(name, run=digits.id))
    expected = {
        "overview": "needs all three together",
        "contributions": "The question item moves",
        "examples": "Other spoken items",
        "recombine": "What if the question or spoken item were different?",
        "modes": "Question items and spoken items at the **same end**",
        "measures": why_not_two(digits.sides, "Each of these measures"),
        "compare": "2 of 2 runs use their sides together measurably",
        "report": "Share this result",
    }
    assert expected[name] in said
    assert "question (6) × written (100) × spoken (50)" in said


@pytest.fixture(scope="module")
def sampled(tmp_path_factory):
    """A run that scored a part of the combinations."""
    return emap.compute(
        "demo:digits-joint",
        "demo:digits",
        method="sampled",
        images_per_text=24,
        metrics=["accuracy"],
        n_resamples=100,
        out=tmp_path_factory.mktemp("runs") / "sampled",
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["overview", "contributions", "examples", "recombine", "modes"])
def test_a_sample_shows_what_it_knows_and_says_what_it_does_not(
    name, sampled, open_page, words, monkeypatch
):
    monkeypatch.setenv("EMAP_RUNS", str(sampled.path.parent))
    said = words(open_page(name, run=sampled.id))
    expected = {
        "overview": "Interactions carry ",
        "contributions": "The question item moves",
        "examples": "This run scored only a part of the grid.",
        "recombine": "Run it again with the exact method",
        "modes": "Run it again with the exact method",
    }
    assert expected[name] in said
    assert "What if the text or image" not in said, "the sides of this run are others"
    # A number that is not known is no number.
    assert not re.search(r"\bnan\b", said, re.IGNORECASE)


@pytest.mark.slow
def test_a_link_that_names_other_sides_shows_these(digits, open_page, words, monkeypatch):
    monkeypatch.setenv("EMAP_RUNS", str(digits.path.parent))
    view = {"run": digits.id, "view": "first.written~second.spoken"}
    assert "mean over all items of question" in words(open_page("recombine", **view))
    boxes = {box.label: box.value for box in open_page("contributions", **view).selectbox}
    assert (boxes["Across"], boxes["Upwards"]) == ("written", "spoken")
    said = words(open_page("modes", **view))
    assert "with the first spoken item at the same end" in said
    assert "over all pairs, 100 written items × 50 spoken items." in said


@pytest.mark.slow
def test_pages_of_four_sides_whose_sums_alone_were_kept(open_page, words, monkeypatch, tmp_path):
    draws = np.random.default_rng(0)
    names, sizes = ("motion", "pulse", "skin", "breath"), (6, 5, 4, 3)
    items = [draws.normal(size=(size, 2)) for size in sizes]
    sides = {
        name: [of_side[i] for i in draws.integers(0, len(of_side), 60)]
        for name, of_side in zip(names, items, strict=True)
    }

    def model(*given):
        a, b, c, d = (np.stack(one)[:, 0] for one in given)
        return np.stack([a * b * d, a + b * c], axis=1)

    truth = model(*sides.values()).argmax(axis=1)
    data = {"sides": sides, "labels": truth.tolist(), "classes": ["calm", "alarm"]}
    run = emap.compute(
        model, data, out=tmp_path / "four", keep="sums", fingerprint="four", n_resamples=100
    )
    monkeypatch.setenv("EMAP_RUNS", str(tmp_path))
    expected = {
        "overview": "all four together",
        "contributions": "item moves",
        "examples": "answers to other combinations here",
        "recombine": "on average over",
        "modes": "Each number is a mean over all items of",
        "compare": "Select at least one more run",
        "report": "Share this result",
    }
    for name, said in expected.items():
        assert said in words(open_page(name, run=run.id))


@pytest.mark.slow
def test_two_images_stand_side_by_side_under_their_names(open_page, words, monkeypatch, tmp_path):
    def model(left, right):
        a, b = (np.array([np.asarray(x)[0, 0, 0] / 99 - 1 for x in some]) for some in (left, right))
        return np.stack([a * b, a + b], axis=1)

    shown = [picture(i) for i in range(16)]
    data = {"sides": {"left": shown[:8], "right": shown[8:]}, "labels": ["a", "b"] * 4}
    run = emap.compute(
        model,
        data | {"classes": ["a", "b"]},
        out=tmp_path / "two",
        fingerprint="two",
        n_resamples=100,
    )
    monkeypatch.setenv("EMAP_RUNS", str(tmp_path))
    app = open_page("contributions", run=run.id)
    assert re.search("The (left|right) moves the logit .* those of the (left|right) by", words(app))
    assert {"left", "right"} < set(app.dataframe[0].value) and "What left and right add to" in {
        one.label for one in app.segmented_control
    }
    app = open_page("examples", run=run.id)
    said = words(app)
    assert said.index("\nleft\n") < said.index("\nright\n")
    assert "sides: left (image), right (image)" in said
    for side in ("left", "right"):
        assert len(re.findall(rf'alt="{side} \d+ [ab] ', said)) == 7
