from __future__ import annotations

import numpy as np
import pytest

import emap_core as emap
from emap_core.inference.resamples import resampling
from emap_core.inference.resamples.population import population_of
from emap_core.inference.resamples.resampling import reproject


def _sample(seed=0, n=14, n_texts=5, n_images=8, n_classes=3):
    rng = np.random.default_rng(seed)
    grid = rng.normal(size=(n_texts, n_images, n_classes)) + 1e3
    text = np.r_[np.arange(n_texts), rng.integers(0, n_texts, n - n_texts)]
    image = np.r_[np.arange(n_images), rng.integers(0, n_images, n - n_images)]
    return grid, emap.decompose(grid, text, image), rng


def _draws(decomposition, cluster, n_resamples, rng):
    draws = population_of(decomposition, cluster).draws
    return np.concatenate([units.draw(n_resamples, rng) for units in draws])


def _spelled_out(grid, decomposition, weights):
    """Decompose the examples with their copies written out one by one."""
    copies = np.repeat(np.arange(len(weights)), weights.astype(int))
    text, image = decomposition.row_index[copies], decomposition.column_index[copies]
    return copies, emap.decompose(grid, text, image)


@pytest.mark.parametrize("cluster", ["none", "image", "text", "both"])
@pytest.mark.parametrize("centred", [False, True])
def test_every_resample_equals_the_copies_spelled_out(cluster, centred):
    grid, decomposition, rng = _sample()
    weights = _draws(decomposition, cluster, 12, rng)
    found = list(reproject(grid, decomposition, weights, centred=centred))
    scores = {
        name: np.concatenate([part.scores[name] for part in found]) for name in found[0].scores
    }
    sums = np.concatenate([part.sums_of_squares for part in found])
    for b, weight in enumerate(weights):
        copies, expected = _spelled_out(grid, decomposition, weight)
        for name, values in scores.items():
            plain = {
                "text_only": expected.row_mean[expected.row_index],
                "image_only": expected.column_mean[expected.column_index],
            }.get(name, expected.emap)
            wanted = getattr(expected, name)
            wanted = np.where(np.isnan(wanted), plain, wanted)
            np.testing.assert_allclose(values[b, copies], wanted, atol=1e-9)
        shares = expected.class_centred() if centred else expected
        np.testing.assert_allclose(sums[b], shares.sums_of_squares, atol=1e-9)


def test_weights_need_not_be_whole():
    grid, decomposition, rng = _sample(seed=2)
    weights = rng.dirichlet(np.ones(14), size=3)
    found = next(reproject(grid, decomposition, weights))
    for b in range(3):
        expected = emap.decompose(
            grid, decomposition.row_index, decomposition.column_index, weights[b]
        )
        np.testing.assert_allclose(found.scores["emap"][b], expected.emap, atol=1e-9)
        np.testing.assert_allclose(
            found.scores["emap_leave_one_out"][b], expected.emap_leave_one_out, atol=1e-9
        )


def test_a_grid_in_strips_and_small_chunks_change_nothing(monkeypatch):
    grid, decomposition, rng = _sample()
    weights = _draws(decomposition, "none", 30, rng)
    whole = list(reproject(grid, decomposition, weights))

    class Blocks:
        def strips(self):
            for rows in (np.array([3, 1]), np.array([0, 4, 2])):
                yield rows, grid[rows]

    monkeypatch.setattr(resampling, "_BYTES_OF_MEANS", 8 * 3 * 13 * 7)
    monkeypatch.setattr(resampling, "_ELEMENTS_OF_SCORES", 14 * 3 * 2)
    parts = list(reproject(Blocks(), decomposition, weights))
    assert max(len(part.weights) for part in parts) <= 8
    for name in whole[0].scores:
        np.testing.assert_allclose(
            np.concatenate([part.scores[name] for part in parts]),
            np.concatenate([part.scores[name] for part in whole]),
            atol=1e-9,
        )
    flat = emap.decompose(grid[:, :, 0], decomposition.row_index, decomposition.column_index)
    one = next(reproject(grid[:, :, 0], flat, weights))
    np.testing.assert_allclose(one.scores["emap"][0], whole[0].scores["emap"][0][:, :1], atol=1e-9)


def test_a_resample_of_a_single_text_takes_the_plain_projection():
    grid, decomposition, _ = _sample()
    weights = (decomposition.row_index == 2).astype(float)[None]
    found = next(reproject(grid, decomposition, weights))
    assert found.n_degenerate == 1
    scored = weights[0] > 0
    np.testing.assert_array_equal(
        found.scores["emap_leave_one_out"][0, scored], found.scores["emap"][0, scored]
    )
    assert np.isfinite(found.scores["image_only"]).all()
