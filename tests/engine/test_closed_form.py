"""A two-tower model in closed form against the grid of all its scores."""

import numpy as np
import pytest
import torch
from samples import make_examples, numbers_of_image, numbers_of_text

import emap_core as emap
from emap_core.decomposition.dot_products import decompose_dot_products
from emap_core.presentation.run_details import facts

PARTS = ("logits", "mean", "row_mean", "column_mean", "emap", "emap_leave_one_out")


def vectors(n, d, seed, dtype=np.float32):
    """Return unit vectors around a common direction, as encoders give them."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, d)) + 1.5 * rng.normal(size=d)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(dtype)


def check_against_grid(found, texts, images, text_index, image_index, scale, bias):
    grid = scale * (texts.astype(np.float64) @ images.astype(np.float64).T) + bias
    expected = emap.decompose(grid, text_index, image_index)
    for name in PARTS:
        ours, theirs = getattr(found, name), getattr(expected, name)
        np.testing.assert_allclose(ours.ravel(), theirs.ravel(), rtol=1e-6, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(found.variance_shares, expected.variance_shares, rtol=1e-6)
    np.testing.assert_allclose(found.variance, expected.variance, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_thousand_pairs_come_to_the_digits_of_the_grid(dtype):
    texts, images = vectors(2000, 64, 0, dtype), vectors(2000, 64, 1, dtype)
    each = np.arange(2000)
    found = decompose_dot_products(texts, images, each, each, scale=100.0, bias=-3.0)
    check_against_grid(found, texts, images, each, each, 100.0, -3.0)


def test_texts_and_images_that_repeat_weigh_as_often_as_they_are_used():
    rng = np.random.default_rng(2)
    texts, images = vectors(9, 5, 0), vectors(14, 5, 1)
    text_index, image_index = rng.integers(0, 9, 70), rng.integers(0, 14, 70)
    text_index[:9], image_index[:14] = np.arange(9), np.arange(14)
    found = decompose_dot_products(texts, images, text_index, image_index, scale=-2.0, bias=1e4)
    check_against_grid(found, texts, images, text_index, image_index, -2.0, 1e4)


class Towers:
    """A dot product of two vectors, scaled and shifted."""

    similarity = True
    fingerprint = "towers"
    power = 1

    def __init__(self):
        self.pairs_scored = 0

    def encode_texts(self, texts):
        return torch.tensor(np.stack([numbers_of_text(t) for t in texts]), dtype=torch.float32)

    def encode_images(self, images):
        return torch.tensor(np.stack([numbers_of_image(v) for v in images]), dtype=torch.float32)

    def score(self, texts, images):
        self.pairs_scored += len(texts)
        return 7.0 * (texts * images).sum(1, keepdim=True) ** self.power - 2.0


class Bent(Towers):
    """The same, squared: it says that it is a dot product, and is not."""

    power = 2


def data():
    examples = make_examples(n=400, n_texts=60, n_images=90)
    labels = np.random.default_rng(0).integers(0, 2, 400)
    examples.labels, examples.task, examples.classes = (
        list(map(int, labels)),
        "binary",
        ["no", "yes"],
    )
    return examples


@pytest.mark.slow
def test_the_engine_takes_it_where_only_sums_are_kept_and_says_so(tmp_path):
    kept = emap.compute(Towers(), data(), out=tmp_path / "kept")
    model = Towers()
    run = emap.compute(model, data(), out=tmp_path / "sums", keep="sums", batch_size=50)
    assert run.manifest["closed_form"] and not kept.manifest["closed_form"]
    assert model.pairs_scored < 60 * 90 / 2
    assert "in closed form" in facts(run)["Method"] and "closed" not in facts(kept)["Method"]
    for name in PARTS:
        ours, theirs = (getattr(one.decomposition, name) for one in (run, kept))
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        run.decomposition.variance_shares, kept.decomposition.variance_shares, atol=1e-6
    )
    np.testing.assert_allclose(run.table(), kept.table(), atol=1e-9)


def test_a_head_that_is_no_dot_product_is_scored_on_all_pairs(tmp_path):
    model = Bent()
    run = emap.compute(model, data(), out=tmp_path / "run", keep="sums")
    assert not run.manifest["closed_form"] and model.pairs_scored >= 60 * 90
