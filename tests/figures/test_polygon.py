from __future__ import annotations

import numpy as np
import pytest

from emap_core.figures import inside


def winds_around(corners, x, y):
    """Return how many times an outline goes around a point, from the angles seen from there."""
    seen = np.asarray(corners) - (x, y)
    angles = np.unwrap(np.arctan2(*np.vstack([seen, seen[:1]]).T))
    return abs(round((angles[-1] - angles[0]) / (2 * np.pi)))


def by_hand(rng):
    """A line as a hand draws it: around, in and out, and over itself."""
    angle = np.linspace(0, 2 * np.pi, 80, endpoint=False)
    radius = 1 + 0.6 * np.sin(5 * angle) + 0.2 * rng.normal(size=80)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


@pytest.mark.parametrize(
    "outline",
    [
        by_hand(np.random.default_rng(0)),
        by_hand(np.random.default_rng(1))[::-1],
        # A star in one stroke: the middle is gone around twice.
        [(np.sin(4 * np.pi * i / 5), np.cos(4 * np.pi * i / 5)) for i in range(5)],
        [(-1, -1), (1, -1), (1, 1), (-1, 1)],
    ],
    ids=["by hand", "by hand, backwards", "star", "box"],
)
def test_a_point_is_inside_where_the_outline_goes_around_it_an_odd_number_of_times(outline):
    x, y = np.random.default_rng(2).normal(size=(2, 400))
    expected = [winds_around(outline, *point) % 2 == 1 for point in zip(x, y, strict=True)]
    assert 10 < sum(expected) < 390
    assert list(inside(outline, x, y)) == expected


def test_the_sides_of_two_boxes_share_their_points_out():
    x, y = np.indices((5, 5)).reshape(2, -1).astype(float)
    left = inside([(0, 0), (2, 0), (2, 4), (0, 4)], x, y)
    right = inside([(2, 0), (4, 0), (4, 4), (2, 4)], x, y)
    assert not (left & right).any()
    assert (left | right).sum() == 4 * 4


@pytest.mark.parametrize("outline", [[], [(0, 0)], [(-1, -1), (1, 1)]])
def test_fewer_than_three_corners_hold_nothing(outline):
    assert not inside(outline, np.zeros(3), np.zeros(3)).any()
    assert not inside([(0, 0), (1, 0), (0, 1)], np.zeros(0), np.zeros(0)).any()
