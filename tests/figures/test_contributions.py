from __future__ import annotations

import numpy as np

from emap_core.figures import contributions

IDS = [f"q{i}" for i in range(200)]


def _chart(**options):
    rng = np.random.default_rng(0)
    text, image, interaction = rng.normal(size=(3, 200)) * [[3.0], [1.0], [0.5]]
    flips = rng.choice(["helped", "hurt", "changed", "same"], 200, p=[0.1, 0.1, 0.1, 0.7])
    return contributions(text, image, interaction, flips, IDS, **options), text, image, flips


def test_every_example_is_one_point_at_its_text_and_image_contribution():
    chart, text, image, flips = _chart()
    traces = {trace.marker.symbol: trace for trace in chart.figure.data[:4]}
    for symbol, flip in (
        ("circle", "same"),
        ("diamond", "changed"),
        ("triangle-up", "helped"),
        ("triangle-down", "hurt"),
    ):
        trace, rows = traces[symbol], flips == flip
        assert list(trace.customdata) == [IDS[i] for i in np.flatnonzero(rows)]
        np.testing.assert_allclose(trace.x, text[rows], rtol=1e-6)
        np.testing.assert_allclose(trace.y, image[rows], rtol=1e-6)


def test_colours_are_centred_at_zero_and_axes_are_equal():
    layout = _chart()[0].figure.layout
    assert layout.coloraxis.cmin == -layout.coloraxis.cmax < 0
    assert layout.yaxis.scaleanchor == "x"


def test_margins_count_every_example_once():
    chart = _chart()[0]
    across, upwards = [trace for trace in chart.figure.data if trace.type == "bar"]
    assert sum(across.y) == sum(upwards.x) == 200


def test_the_chosen_example_is_ringed():
    chart, text, image, _ = _chart(selected="q7")
    ring = chart.figure.data[4]
    assert ring.x[0] == text[7]
    assert ring.y[0] == image[7]
    assert len(_chart(selected="unknown", margins=False)[0].figure.data) == 4


def test_words_name_the_side_that_moves_predictions_more():
    chart, *_, flips = _chart()
    assert "The text moves the logit more" in chart.alt
    assert f"{(flips != 'same').sum()} predictions change" in chart.alt


def test_no_example_and_no_spread_still_draw():
    nothing = np.zeros(0)
    assert "No example" in contributions(nothing, nothing, nothing, None, []).alt
    zeros = np.zeros(3)
    assert len(contributions(zeros, zeros, zeros, None, ["a", "b", "c"]).table) == 3
