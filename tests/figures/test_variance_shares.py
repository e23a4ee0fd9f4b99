from __future__ import annotations

import numpy as np

from emap_core.decomposition import decompose
from emap_core.figures import variance_shares


def test_bars_are_the_shares_of_each_class_largest_interaction_on_top():
    rng = np.random.default_rng(0)
    grid = rng.normal(size=(5, 6, 3)) * [0.1, 3.0, 1.0] + rng.normal(size=(5, 1, 3)) * 2
    d = decompose(grid, np.arange(30) // 6, np.arange(30) % 6)
    chart = variance_shares(d, ["a", "b", "c"])

    text, image, interaction = chart.figure.data[:3]
    assert [trace.name for trace in (text, image, interaction)] == ["text", "image", "interaction"]
    drawn = np.array([text.x, image.x, interaction.x])
    np.testing.assert_allclose(drawn.sum(axis=0), 100)
    np.testing.assert_allclose(drawn[:, 0], 100 * d.pooled_shares)
    order = np.argsort(-d.variance_shares[2])
    np.testing.assert_allclose(drawn[:, 1:], 100 * d.variance_shares[:, order])
    assert list(chart.table["class"][1:]) == [["a", "b", "c"][c] for c in order]
    assert f"{100 * d.pooled_shares[2]:.1f}%" in chart.alt


def test_the_three_parts_can_be_told_apart_without_colour():
    d = decompose(np.random.default_rng(1).normal(size=(4, 4)))
    hatches = [bar.marker.pattern.shape for bar in variance_shares(d, ["a"]).figure.data[:3]]
    assert hatches == ["-", "/", ""]


def test_a_class_that_never_varies_is_said_to_and_stands_last():
    grid = np.random.default_rng(2).normal(size=(4, 4, 2)) * [0.0, 1.0]
    chart = variance_shares(decompose(grid), ["still", "moving"])
    assert list(chart.table["class"]) == ["all classes together", "moving", "still"]
    assert "never varies" in chart.figure.data[3].text[2]


def test_many_classes_are_cut_to_those_with_the_most_interaction_and_the_table_keeps_all():
    grid = np.random.default_rng(3).normal(size=(4, 4, 50))
    chart = variance_shares(decompose(grid), [f"class {c}" for c in range(50)], most=10)
    assert len(chart.figure.data[0].x) == 11
    assert len(chart.table) == 51
    assert "10 of 50" in chart.alt


def test_names_of_classes_are_shown_as_they_are_never_as_markup():
    grid = np.random.default_rng(4).normal(size=(4, 4, 2))
    chart = variance_shares(decompose(grid), ["<b>x</b>", "y"])
    labels = chart.figure.layout.yaxis.ticktext
    assert any("&lt;b&gt;x" in label for label in labels)
