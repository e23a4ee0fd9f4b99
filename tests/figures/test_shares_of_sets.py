from __future__ import annotations

import numpy as np
import pytest

from emap_core.decomposition import decompose
from emap_core.figures import looks_of, shares_of_sets, waterfall
from emap_core.modalities import NAMES
from emap_core.themes import LIGHT

SIDES = ("one", "two", "three")
BITS = np.indices((2, 2, 2))
LOOKS = looks_of({"one": "text", "two": "image", "three": "audio"})


def of_bits(values):
    return decompose(values, index=dict(zip(SIDES, BITS.reshape(3, -1), strict=True)))


def bars(chart):
    (found,) = (trace for trace in chart.figure.data if trace.type == "bar")
    return found


def test_each_set_of_sides_has_the_bar_of_its_share():
    # Signs ±1 of independent fair bits are orthogonal: shares are the squares of their factors.
    one, two, three = 2.0 * BITS - 1.0
    chart = shares_of_sets(of_bits(3 * one + 2 * one * three + 4 * one * two * three), LOOKS)
    expected = np.array([9, 0, 0, 0, 4, 0, 16]) / 29
    assert bars(chart).y == pytest.approx(100 * expected)
    assert chart.table["share of the variance"].to_numpy() == pytest.approx(expected)
    assert chart.table["sides"].tolist()[-1] == "one × two × three"
    said = [note.text for note in chart.figure.layout.annotations]
    assert said == [
        "<b>31.0%</b><br>single sides",
        "<b>13.8%</b><br>pairs",
        "<b>55.2%</b><br>all three",
    ]
    assert list(bars(chart).text) == ["31.0", "0.0", "0.0", "0.0", "13.8", "0.0", "55.2"]
    assert "one × two × three 55.2%" in chart.alt


def test_dots_say_which_sides_a_bar_is_about():
    chart = shares_of_sets(of_bits(BITS.sum(axis=0) % 2), LOOKS)
    (dots,) = (
        trace for trace in chart.figure.data if trace.type == "scatter" and trace.mode == "markers"
    )
    filled = {
        (x, y)
        for x, y, colour in zip(dots.x, dots.y, dots.marker.color, strict=True)
        if colour != LIGHT.paper
    }
    assert {y for x, y in filled if x == 4} == {0, 2}
    assert {y for x, y in filled if x == 6} == {0, 1, 2}
    assert len(filled) == 3 + 3 * 2 + 3
    assert "100.0%" in chart.figure.layout.annotations[-1].text


def test_outputs_that_never_vary_have_nothing_to_share_out():
    chart = shares_of_sets(of_bits(np.ones((2, 2, 2))), LOOKS)
    assert "never vary" in chart.alt


def test_a_waterfall_of_three_sides_has_a_bar_a_side_a_bar_a_pair_and_the_rest():
    d = of_bits(np.random.default_rng(3).normal(size=(2, 2, 2)))
    chart = waterfall(d, 5, ["no", "yes"], looks=LOOKS)
    parts = chart.table.iloc[0].drop("class")
    pairs = ["one × two", "one × three", "two × three"]
    assert list(parts.index) == ["mean", *SIDES, "EMAP", *pairs, "all three", "logit"]
    assert parts[["mean", *SIDES]].sum() == pytest.approx(parts.EMAP) == d.emap[5, 0]
    assert parts[["EMAP", *pairs, "all three"]].sum() == pytest.approx(parts.logit)
    assert parts["all three"] == pytest.approx(d.contribution(*SIDES)[5, 0])
    for pair in pairs:
        assert parts[pair] == pytest.approx(d.contribution(*pair.split(" × "))[5, 0])
    assert bars(chart).marker.color[1:4] == tuple(LOOKS[side].colour for side in SIDES)


def test_a_waterfall_draws_no_rounding():
    one, two, three = np.random.default_rng(3).normal(size=(3, 2, 1, 1))
    grid = one + two.reshape(1, 2, 1) * three.reshape(1, 1, 2)
    d = of_bits(grid)
    parts = waterfall(d, 5, ["no", "yes"], looks=LOOKS).table.iloc[0]
    assert parts["one × two"] == parts["all three"] == 0
    assert abs(parts["two × three"]) > 1e-3


def test_sides_of_one_modality_differ_by_lightness_and_those_of_others_by_colour_and_hatch():
    looks = looks_of(
        {"premise": "text", "hypothesis": "text", "sound": "audio", "clip": "video"}
        | {"row": "table", "sensor": "array", "picture": "image"}
    )
    assert looks["premise"].colour == "#0072B2"
    assert looks["picture"].colour == "#E69F00"
    assert looks["premise"].hatch == looks["hypothesis"].hatch
    assert looks["premise"].colour != looks["hypothesis"].colour
    assert len({look.colour for look in looks.values()}) == 7
    assert len({look.hatch for look in looks.values()}) == 6


def test_there_is_a_look_for_every_modality():
    assert len(looks_of({name: name for name in NAMES})) == len(NAMES)
