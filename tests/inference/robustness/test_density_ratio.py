import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from emap_core.errors import DatasetError
from emap_core.inference.robustness.density_ratio import LARGEST_RATIO, density_ratio


def correlated(n, c=0.8, seed=0, noise=4):
    """Return encodings whose first column is correlated, and the log of the true density ratio."""
    rng = np.random.default_rng(seed)
    t = rng.normal(size=n)
    v = c * t + np.sqrt(1 - c * c) * rng.normal(size=n)
    truth = (c * np.outer(t, v) - c * c * np.add.outer(t**2, v**2) / 2) / (1 - c * c)
    encodings = [np.column_stack([x, rng.normal(size=(n, noise))]) for x in (t, v)]
    return *encodings, truth


def test_it_finds_the_ratio_of_two_normal_distributions():
    texts, images, truth = correlated(1000)
    cells = np.arange(1000)
    found = density_ratio(texts, images, cells, cells)
    most = np.log(LARGEST_RATIO)
    kept = np.clip(truth, -most, most)
    assert np.corrcoef(np.log(found.ratio).ravel(), kept.ravel())[0, 1] > 0.9
    shuffled = np.random.default_rng(1).permutation(1000)
    best = roc_auc_score(
        np.repeat([1, 0], 1000), np.concatenate([truth[cells, cells], truth[cells, shuffled]])
    )
    assert found.auc == pytest.approx(best, abs=0.04)
    assert found.ratio.mean() == pytest.approx(1.0)


def test_repeated_texts_and_images_count_by_how_often_they_are_used():
    rng = np.random.default_rng(2)
    texts, images = rng.normal(size=(30, 3)), rng.normal(size=(60, 3))
    text_index, image_index = rng.integers(0, 30, 3000), rng.integers(0, 60, 3000)
    # A pair stays in proportion to exp(t·v) in the first column: the true ratio, up to a factor.
    stays = np.exp(texts[text_index, 0] * images[image_index, 0])
    stays = rng.random(3000) < stays / stays.max() * 20
    texts_kept, images_kept = text_index[stays], image_index[stays]
    found = density_ratio(texts, images, texts_kept, images_kept)
    p = np.bincount(texts_kept, minlength=30) / stays.sum()
    q = np.bincount(images_kept, minlength=60) / stays.sum()
    assert p @ found.ratio @ q == pytest.approx(1.0)
    likely = np.outer(texts[:, 0], images[:, 0])
    assert np.corrcoef(np.log(found.ratio).ravel(), likely.ravel())[0, 1] > 0.7


@pytest.mark.slow
@pytest.mark.parametrize("encodings", ["names", "noise"])
def test_what_is_only_memorised_makes_no_pair_likely(encodings):
    # Names tell each item apart, so a classifier that had seen a pair would know it again.
    rng = np.random.default_rng(3)
    n = 200
    texts, images = (np.eye(n), np.eye(n)) if encodings == "names" else rng.normal(size=(2, n, 30))
    found = density_ratio(texts, images, np.arange(n), rng.permutation(n))
    assert found.auc == pytest.approx(0.5, abs=0.06)
    assert np.abs(np.log(found.ratio)).mean() < 0.1


def test_ratios_are_cut_off_where_pairs_never_occur():
    rng = np.random.default_rng(4)
    texts = np.repeat([[-1.0], [1.0]], 100, axis=0) + 0.01 * rng.normal(size=(200, 1))
    found = density_ratio(texts, texts, np.arange(200), np.arange(200))
    assert found.auc == pytest.approx(0.75, abs=0.02)
    assert found.ratio.max() / found.ratio.min() <= LARGEST_RATIO**2 * (1 + 1e-9)
    assert found.ratio[0, 50] > 10 * found.ratio[0, 150]


@pytest.mark.parametrize("n_texts", [1, 2, 3])
def test_a_side_with_hardly_any_items_tells_nothing_apart(n_texts):
    rng = np.random.default_rng(5)
    cells = np.arange(40) % n_texts, np.arange(40)
    found = density_ratio(rng.normal(size=(n_texts, 3)), rng.normal(size=(40, 3)), *cells)
    assert np.isfinite(found.ratio).all()
    assert found.auc < 0.75
    flat = density_ratio(np.ones((n_texts, 2)), rng.normal(size=(40, 3)), *cells)
    assert (flat.ratio == 1).all()


def test_states_that_are_not_numbers_are_refused():
    cells = np.arange(12)
    with pytest.raises(DatasetError, match="text encodings have shape"):
        density_ratio(np.full((12, 2), np.nan), np.ones((12, 2)), cells, cells)
    with pytest.raises(DatasetError, match="image encodings have shape"):
        density_ratio(np.eye(12), np.ones(12), cells, cells)
