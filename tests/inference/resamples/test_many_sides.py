"""Resamples of any number of sides against decompositions of the copies, spelled out."""

from __future__ import annotations

import numpy as np
import pytest

import emap_core as emap
from emap_core.inference.resamples import many_sides
from emap_core.inference.resamples.many_sides import reproject_sides
from emap_core.inference.resamples.resampling import reproject
from emap_core.inference.table import score_table

SIZES = (5, 4, 6, 3)


@pytest.fixture(autouse=True)
def _four_items_stand_for_others(monkeypatch):
    monkeypatch.setattr(score_table, "FEWEST_ITEMS", 4)


def sample(n_sides, seed=0, n=16, n_classes=2):
    rng = np.random.default_rng(seed)
    sizes = SIZES[:n_sides]
    grid = rng.normal(size=(*sizes, n_classes)) + 1e3
    index = {name: rng.permutation(n) % size for name, size in zip("abcd", sizes, strict=False)}
    weights = np.stack([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(10)])
    return grid, emap.decompose(grid, index=index), weights.astype(float)


def joined(parts):
    parts = list(parts)
    scores = {row: np.concatenate([part.scores[row] for part in parts]) for row in parts[0].scores}
    return scores, np.concatenate([part.sums_of_squares for part in parts])


@pytest.mark.parametrize("n_sides", [3, 4])
@pytest.mark.parametrize("centred", [False, True])
def test_every_resample_equals_the_copies_spelled_out(n_sides, centred):
    grid, decomposition, weights = sample(n_sides)
    scores, sums = joined(reproject(grid, decomposition, weights, centred=centred))
    left_out = score_table.sides_left_out(decomposition)
    assert left_out == ("a", "b", "c")
    orders = {"pairs": 2, "triples": 3} if n_sides == 4 else {"pairs": 2}
    assert list(scores) == [
        *reversed(orders), "emap", "emap_leave_one_out",
        *(f"{side}_only" for side in decomposition.sides),
    ]  # fmt: skip
    for b, weight in enumerate(weights):
        copies = np.repeat(np.arange(len(weight)), weight.astype(int))
        index = {side: decomposition.index[k][copies] for k, side in enumerate("abcd"[:n_sides])}
        expected = emap.decompose(grid, index=index)
        rows = {"emap": expected.emap, "emap_leave_one_out": expected.emap_leave_one_out}
        rows |= {f"{side}_only": expected.only(side) for side in index}
        for row, order in orders.items():
            rows[row] = expected.projection(order, leave_one_out=left_out)
        for row, wanted in rows.items():
            np.testing.assert_allclose(scores[row][b, copies], wanted, rtol=0, atol=1e-9)
        of = expected.class_centred() if centred else expected
        np.testing.assert_allclose(sums[b], of.sums_of_squares, rtol=0, atol=1e-9)


def test_two_sides_are_those_of_texts_and_images():
    grid, decomposition, weights = sample(2)
    ours = joined(reproject_sides(grid, decomposition, weights, centred=True))
    usual = joined(reproject(grid, decomposition, weights, centred=True))
    assert set(ours[0]) == set(usual[0])
    for row, values in usual[0].items():
        np.testing.assert_allclose(ours[0][row], values, rtol=0, atol=1e-9)
    np.testing.assert_allclose(ours[1], usual[1], rtol=0, atol=1e-9)


def test_weights_need_not_be_whole():
    grid, decomposition, _ = sample(3)
    weights = np.random.default_rng(1).dirichlet(np.ones(16), size=3)
    scores, sums = joined(reproject(grid, decomposition, weights))
    index = dict(zip(decomposition.sides, decomposition.index, strict=True))
    for b in range(3):
        expected = emap.decompose(grid, index=index, weights=weights[b])
        np.testing.assert_allclose(scores["emap"][b], expected.emap, rtol=0, atol=1e-9)
        np.testing.assert_allclose(sums[b], expected.sums_of_squares, rtol=0, atol=1e-9)


def test_a_grid_in_strips_and_small_chunks_change_nothing(monkeypatch):
    grid, decomposition, weights = sample(3)
    whole, sums = joined(reproject(grid, decomposition, weights))

    class Strips:
        def strips(self):
            for rows in (np.array([3, 1]), np.array([0, 4, 2])):
                yield rows, grid[rows]

    monkeypatch.setattr(many_sides, "_BYTES_OF_MEANS", 1)
    monkeypatch.setattr(many_sides, "_ELEMENTS_OF_PART", 1)
    parts, part_sums = joined(reproject(Strips(), decomposition, weights))
    for row, values in whole.items():
        np.testing.assert_allclose(parts[row], values, rtol=0, atol=1e-9)
    np.testing.assert_allclose(part_sums, sums, rtol=0, atol=1e-9)


def test_a_resample_with_a_single_item_takes_plain_means():
    grid, decomposition, _ = sample(3)
    weights = (decomposition.index[1] == 2).astype(float)[None]
    (found,) = reproject(grid, decomposition, weights)
    assert found.n_degenerate == 1
    index = dict(zip(decomposition.sides, decomposition.index, strict=True))
    expected = emap.decompose(grid, index=index, weights=weights[0])
    scored = weights[0] > 0
    np.testing.assert_allclose(
        found.scores["pairs"][0, scored], expected.projection(2)[scored], rtol=0, atol=1e-9
    )
    np.testing.assert_allclose(
        found.scores["a_only"][0, scored], expected.only("a")[scored], rtol=0, atol=1e-9
    )
