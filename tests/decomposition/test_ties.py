"""An additive model loses nothing with its projection, however coarse or large its logits are."""

import numpy as np
import pytest
import torch

import emap_core as emap
from emap_core.decomposition.weighted_projection import weighted_projection
from emap_core.inference import flips, intervals, kinds, score_table
from emap_core.inference.predictions.scores import predict

N = 90


def votes(rng, step, n_classes=3, n=N):
    """Return an exactly additive grid: votes of the text plus votes of the image."""
    text, image = rng.integers(0, 4, (2, n, n_classes))
    return (text[:, None] + image[None]) * step


def own_decisions(grid):
    return grid[np.arange(len(grid)), np.arange(len(grid))].argmax(axis=1)


GRIDS = {
    "whole votes": lambda rng: votes(rng, 1.0),
    "thirds": lambda rng: votes(rng, 1 / 3),
    "thirds in float32": lambda rng: votes(rng, np.float32(1 / 3)).astype(np.float32),
    "thirds in float16": lambda rng: votes(rng, 1 / 3).astype(np.float16),
    "thirds in bfloat16": lambda rng: torch.tensor(votes(rng, 1 / 3)).to(torch.bfloat16),
    "far from 0": lambda rng: (1e4 + votes(rng, 1 / 3)).astype(np.float32),
}


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("seed", [0, 1])
def test_an_additive_model_with_ties_loses_nothing(name, seed):
    grid = GRIDS[name](np.random.default_rng(seed))
    d = emap.decompose(grid)
    labels = d.logits.argmax(axis=1)
    table = score_table(d, labels, "multiclass", ["accuracy", "f1_macro", "top_2_accuracy"])
    assert (table.loc[["emap", "emap_leave_one_out"]] == table.loc["full"]).all(axis=None)
    assert table.loc["full", "accuracy"] == 1.0
    assert (flips(d, labels, "multiclass") == "same").all()
    np.testing.assert_array_equal(d.interaction, 0.0)


@pytest.mark.slow
def test_neither_do_its_resamples():
    grid = votes(np.random.default_rng(2), 1 / 3)
    d = emap.decompose(grid)
    names = ["accuracy", "f1_macro", "roc_auc", "log_loss"]
    found = intervals(d, own_decisions(grid), "multiclass", names, grid=grid, n_resamples=100)
    for name in names:
        gap = found.gaps[name]["emap_leave_one_out"]
        assert gap.difference == pytest.approx(0.0, abs=1e-9)
        assert (gap.low, gap.high) == pytest.approx((0.0, 0.0), abs=1e-9)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_a_logit_at_the_threshold_stays_there(dtype):
    # Additive in 15 steps on each side: one in fifteen logits or so is exactly 0.
    t, v = np.linspace(-0.7, 0.7, 15), np.linspace(0.7, -0.7, 15)
    grid = (t[:, None] + v[None] + 0.0).astype(dtype)
    grid[np.abs(grid) < 1e-6] = 0.0
    texts = np.repeat(np.arange(15), 6)
    images = np.tile(np.arange(15), 6)
    d = emap.decompose(grid[:, :, None], texts, images)
    assert (d.logits == 0.0).any()
    own = predict(d.logits, "binary")
    assert (predict(d.emap, "binary") == own).all()
    assert (predict(d.emap_leave_one_out, "binary") == own).all()


def test_what_softmax_does_not_see_breaks_no_tie():
    # Logarithms of probabilities of an additive model: not additive, but its decisions are.
    grid = votes(np.random.default_rng(3), 1.0)
    logs = grid - np.log(np.exp(grid).sum(axis=2, keepdims=True))
    d = emap.decompose(logs)
    assert np.abs(d.interaction).max() > 0.1
    labels = d.logits.argmax(axis=1)
    assert (flips(d, labels, "multiclass") == "same").all()


def test_a_tie_of_the_projection_alone_is_not_given_to_the_model():
    # Whether text and image are of one kind, on all recombinations: without interactions the two
    # classes tie everywhere, and only one of them can be guessed.
    kind = np.arange(40) % 2
    alike = (kind[:, None] == kind[None]).astype(float)
    grid = np.stack([alike, 1.0 - alike], axis=2) / 3
    d = emap.decompose(grid, np.arange(40), np.random.default_rng(0).permutation(40))
    assert set(predict(d.emap, "multiclass")) == {0}


def test_sides_that_tie_with_the_model_agree_with_it():
    # The image says nothing: the text alone is the model, up to roundings.
    text = votes(np.random.default_rng(5), 1 / 3)[:, :1]
    d = emap.decompose(np.broadcast_to(text, (N, N, 3)))
    assert set(kinds(d, "multiclass")) <= {"redundant", "text-led"}


def test_projections_of_anything_else_stay_as_they_are():
    grid = np.random.default_rng(6).normal(size=(20, 20, 3))
    d = emap.decompose(grid)
    plain = grid.mean(axis=1) + grid.mean(axis=0) - grid.mean(axis=(0, 1))
    np.testing.assert_allclose(d.emap, plain, atol=1e-14)


def test_a_grid_of_torch_is_read_in_any_type():
    grid = np.random.default_rng(7).integers(-4, 5, (6, 6, 2)) / 4
    expected = emap.decompose(grid)
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        tensor = torch.tensor(grid, dtype=dtype, requires_grad=True)
        np.testing.assert_array_equal(emap.decompose(tensor).logits, expected.logits)


@pytest.mark.parametrize("seed", [0, 1])
def test_weights_on_pairs_break_no_tie(seed):
    rng = np.random.default_rng(seed)
    grid = votes(rng, 1 / 3)
    d = emap.decompose(grid)
    found = weighted_projection(grid, d, np.exp(rng.normal(size=(N, N))))
    np.testing.assert_array_equal(found.additive, d.logits)
    np.testing.assert_array_equal(found.leave_one_out, d.logits)
