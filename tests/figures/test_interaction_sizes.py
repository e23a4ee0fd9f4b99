from __future__ import annotations

import numpy as np

from emap_core.figures import interaction_sizes


def test_each_example_is_a_point_and_words_count_who_has_the_larger_interaction():
    first, second = np.array([1.0, 2.0, 3.0, 0.5]), np.array([2.0, 1.0, 4.0, 0.5])
    chart = interaction_sizes(first, second, list("abcd"), ("concat", "additive"))
    (points,) = chart.figure.data
    assert list(points.customdata) == list("abcd")
    np.testing.assert_allclose(points.x, first)
    np.testing.assert_allclose(points.y, second)
    assert "2 have the larger interaction in additive and 1 in concat" in chart.alt
    np.testing.assert_allclose(chart.table.difference, second - first)


def test_axes_are_equal():
    chart = interaction_sizes(np.ones(2), np.zeros(2), ["a", "b"], ("a", "b"))
    assert chart.figure.layout.xaxis.range == chart.figure.layout.yaxis.range
    assert chart.figure.layout.yaxis.scaleanchor == "x"


def test_nothing_in_common_is_said():
    nothing = np.zeros(0)
    assert "no example in common" in interaction_sizes(nothing, nothing, [], ("a", "b")).alt


def test_rounding_errors_of_a_model_without_interactions_are_not_ranked():
    rng = np.random.default_rng(0)
    names = [str(i) for i in range(20)]
    some = interaction_sizes(rng.random(20), rng.random(20), names, ("a", "b"))
    assert "ranks correlate" in some.alt
    none = interaction_sizes(1e-6 * rng.random(20), rng.random(20), names, ("a", "b"))
    assert "ranks correlate" not in none.alt
