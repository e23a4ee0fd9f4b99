from __future__ import annotations

import numpy as np

from emap_core.figures import gap_dumbbell
from emap_core.inference import Gap


def _gap(metric="accuracy", full=0.999, projected=0.809, low=0.182, high=0.198, **changes):
    values = {
        "metric": metric,
        "projection": "emap_leave_one_out",
        "full": full,
        "projected": projected,
        "difference": full - projected,
        "low": low,
        "high": high,
        "p_value": 0.001,
        "method": "bootstrap",
        "n_examples": 9673,
        "n_resamples": 1000,
        "seed": 0,
        "standard_error": 0.004,
        "degrees_of_freedom": 9672,
        "cluster": "none",
        "n_units": 9673,
        "unit": "examples",
        "population": "for new examples",
    }
    return Gap(**(values | changes))


def _markers(figure):
    return {trace.name: trace for trace in figure.data if trace.mode == "markers"}


def _interval(figure):
    return next(t for t in figure.data if t.name == "interval of the difference")


def test_a_row_shows_both_scores_and_the_interval_where_the_additive_score_would_be():
    figure = gap_dumbbell({"concat": _gap()}).figure
    markers = _markers(figure)
    np.testing.assert_allclose(markers["the model as it is"].x, [99.9])
    np.testing.assert_allclose(markers["without interactions (EMAP)"].x, [80.9])
    np.testing.assert_allclose(_interval(figure).x[:2], [99.9 - 19.8, 99.9 - 18.2])


def test_the_full_model_is_filled_and_its_projection_hollow():
    markers = _markers(gap_dumbbell({"concat": _gap()}).figure)
    full, hollow = markers["the model as it is"], markers["without interactions (EMAP)"]
    assert full.marker.color == full.marker.line.color == hollow.marker.line.color
    assert hollow.marker.color != full.marker.color


def test_difference_and_interval_are_written_in_points():
    chart = gap_dumbbell({"concat": _gap()})
    assert chart.figure.layout.annotations[0].text == "+19.0 points [18.2, 19.8]"
    assert "99.9% as it is, 80.9% without" in chart.alt
    assert "N = 9,673" in chart.alt


def test_a_loss_grows_without_interactions_so_its_interval_lies_above():
    gap = _gap("log_loss", full=0.2, projected=0.5, low=0.25, high=0.35, difference=0.3)
    np.testing.assert_allclose(
        _interval(gap_dumbbell({"log loss": gap}).figure).x[:2], [0.45, 0.55]
    )


def test_metrics_of_other_units_have_an_axis_of_their_own():
    loss = _gap("log_loss", full=0.2, projected=0.5, low=0.25, high=0.35, difference=0.3)
    figure = gap_dumbbell({"accuracy": _gap(), "log loss": loss}).figure
    assert figure.layout.xaxis.ticksuffix == "%"
    assert figure.layout.xaxis2.ticksuffix == ""
    assert figure.layout.xaxis2.range[1] < 1


def test_the_legend_takes_no_height_from_the_rows_however_narrow_the_page_is():
    one, five = (gap_dumbbell({str(n): _gap() for n in range(count)}).figure for count in (1, 5))
    each = (five.layout.height - one.layout.height) / 4
    # A label of 14 px, the bar of the row above and its marker.
    assert each >= 14 + 21 + 18
    assert one.layout.legend.orientation == "v"
    guessed = gap_dumbbell({"a": _gap()}, chance={"a": 0.5}).figure
    assert guessed.layout.margin.t > one.layout.margin.t, "guessing has a line in the legend"


def test_an_axis_whose_title_would_repeat_its_row_has_none_and_takes_no_room_for_one():
    loss = _gap("log_loss", full=0.2, projected=0.5, low=0.25, high=0.35, difference=0.3)
    metrics = gap_dumbbell({"Accuracy": _gap(), "Log loss": loss}).figure.layout
    assert metrics.xaxis.title.text is None and metrics.xaxis2.title.text is None
    models = gap_dumbbell({"concat": _gap(), "other": loss}, title="accuracy, %").figure.layout
    assert (models.xaxis.title.text, models.xaxis2.title.text) == ("accuracy, %", "log loss")
    assert models.height > metrics.height + 2 * 20


def test_rows_stand_in_the_order_given():
    figure = gap_dumbbell({"b": _gap(), "a": _gap(full=0.5, projected=0.4)}).figure
    assert list(figure.layout.yaxis.ticktext) == ["b", "a"]
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]


def test_a_gap_without_numbers_is_said_to_be_undefined():
    nothing = float("nan")
    gap = _gap(full=0.9, projected=nothing, difference=nothing, low=nothing, high=nothing)
    chart = gap_dumbbell({"one image": gap})
    assert "not defined" in chart.alt
    assert "no interval" in chart.alt


def test_a_difference_of_rounding_alone_does_not_fill_the_axis():
    gap = _gap("log_loss", full=0.2, projected=0.2 + 3e-8, difference=-3e-8, low=-4e-8, high=1e-8)
    low, high = gap_dumbbell({"additive": gap}).figure.layout.xaxis.range
    assert low < 0.2 < high
    assert high - low > 1e-4


def test_no_bar_leaves_the_range_of_its_metric():
    gap = _gap(full=1.0, projected=1.0, low=-0.55, high=0.55)
    figure = gap_dumbbell({"circle": gap}).figure
    bar = next(trace for trace in figure.data if trace.name == "interval of the difference")
    np.testing.assert_allclose([x for x in bar.x if x is not None], [45.0, 100.0])
    assert figure.layout.xaxis.range[1] < 105
