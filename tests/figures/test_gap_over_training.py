from __future__ import annotations

import numpy as np
import pytest
from figures.test_gap_dumbbell import _gap

from emap_core.figures import gap_over_training
from emap_core.figures.gap_over_training import Checkpoint


def at(step, difference, training="training", **changes):
    low, high = difference - 0.02, difference + 0.03
    return Checkpoint(
        training, step, _gap(projected=0.999 - difference, low=low, high=high, **changes)
    )


def test_gaps_stand_in_points_over_their_steps_with_intervals():
    chart = gap_over_training([at(200, 0.1), at(100, 0.01)])
    (drawn,) = chart.figure.data
    assert list(drawn.x) == [100, 200] and drawn.mode == "lines+markers"
    assert drawn.y == pytest.approx([1, 10])
    assert drawn.error_y.array == pytest.approx([3, 3])
    assert drawn.error_y.arrayminus == pytest.approx([2, 2])
    assert chart.figure.layout.yaxis.title.text == "gap in accuracy, points"
    assert "+1.0 points [−1.0, 4.0] at step 100 and +10.0 points [8.0, 13.0] at step 200" in (
        chart.alt
    )


def test_trainings_differ_by_more_than_colour_and_seeds_are_points():
    seeds = [at(100, 0.1, "b"), at(100, 0.2, "b"), at(200, np.nan, "b")]
    chart = gap_over_training([at(100, 0.1, "a"), at(200, 0.2, "a"), *seeds])
    a, b = chart.figure.data
    assert (a.name, b.name) == ("a", "b") and chart.figure.layout.showlegend
    assert a.mode == "lines+markers" and b.mode == "markers"
    assert a.marker.symbol != b.marker.symbol
