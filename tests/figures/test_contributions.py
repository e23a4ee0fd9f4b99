from __future__ import annotations

import numpy as np

from emap_core.figures import contributions, rows_of_traces

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
    # Half as long as in one line, for phones.
    assert layout.xaxis.title.text == "what the text adds to<br>the logit, logits"


def test_very_many_points_are_sent_small_with_colours_that_read_the_same():
    rng = np.random.default_rng(0)
    text, image, interaction = rng.normal(size=(3, 20_001))
    chart = contributions(text, image, interaction, None, np.arange(20_001).astype(str).tolist())
    points = chart.figure.data[0]
    assert points.customdata is None
    assert points.marker.color.dtype == np.int8
    scale = chart.figure.layout.coloraxis
    limit = np.quantile(np.abs(interaction), 0.98)
    shown = np.asarray(points.marker.color, dtype=float) / scale.cmax * limit
    inside = np.abs(interaction) <= limit
    np.testing.assert_allclose(shown[inside], interaction[inside], atol=limit / 200)
    assert scale.colorbar.ticktext[-1] == f"+{limit:.2f}"
    assert scale.colorbar.tickvals[-1] == scale.cmax


def test_margins_count_every_example_once():
    chart = _chart()[0]
    across, upwards = [trace for trace in chart.figure.data if trace.type == "bar"]
    assert sum(across.y) == sum(upwards.x) == 200


def test_a_point_leads_back_to_its_example():
    chart, text, image, flips = _chart()
    traces = rows_of_traces(flips, 200)
    for rows, trace in zip(traces, chart.figure.data, strict=False):
        np.testing.assert_allclose(trace.x, text[rows], rtol=1e-6)
        np.testing.assert_allclose(trace.y, image[rows], rtol=1e-6)
    assert sorted(np.concatenate(traces)) == list(range(200))
    (all_of_them,) = rows_of_traces(None, 200)
    assert list(all_of_them) == list(range(200))


def test_of_a_hundred_thousand_points_only_numbers_are_sent():
    n = 100_000
    values = np.random.default_rng(0).normal(size=(3, n))
    chart = contributions(*values, None, [f"example-{i}" for i in range(n)])
    # Two float32 and a byte each in base64, where plotly escapes every slash.
    assert len(chart.figure.to_json()) < 1.7e6


def test_words_name_the_side_that_moves_predictions_more():
    chart, *_, flips = _chart()
    assert "The text moves the logit more" in chart.alt
    assert f"{(flips != 'same').sum()} of 200 predictions change" in chart.alt


def test_no_example_and_no_spread_still_draw():
    nothing = np.zeros(0)
    assert "selection is empty" in contributions(nothing, nothing, nothing, None, []).alt
    zeros = np.zeros(3)
    assert len(contributions(zeros, zeros, zeros, None, ["a", "b", "c"]).table) == 3


def test_the_message_counts_the_predictions_that_change_where_there_are_any():
    def said(flips):
        return contributions(*np.eye(3), flips, ["a", "b", "c"]).alt

    assert "2 of 3 predictions change without" in said(np.array(["same", "helped", "hurt"]))
    assert "1 of 3 predictions changes without" in said(np.array(["same", "same", "hurt"]))
    assert "None of 3 predictions changes without" in said(np.array(["same", "same", "same"]))
    assert "without the interaction" not in said(None)
