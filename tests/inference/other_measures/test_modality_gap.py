"""The gap between two towers against the published vectors of CLIP and ConVIRT."""

from pathlib import Path

import numpy as np
import pytest

from emap_core.decomposition.dot_products import decompose_dot_products
from emap_core.errors import DatasetError
from emap_core.inference.other_measures.modality_gap import (
    gap_intervals,
    modality_gap,
    unit_rows,
)
from emap_core.inference.resamples.population import population_of_items

PLACE = Path("shared") / "reference" / "modality_gap"
FOUND = [one / PLACE for one in Path(__file__).parents if (one / PLACE).is_dir()]
pytestmark = pytest.mark.slow


def published(name):
    """Return texts and images of Liang et al. (2022); they are not part of this project."""
    if not FOUND:
        pytest.skip(f"needs {PLACE} beside the project")
    images, texts = np.load(FOUND[0] / f"features_{name}.npy")
    return texts, images


def test_published_vectors_of_clip_have_their_gap():
    texts, images = published("clip")
    found = modality_gap(texts, images)
    assert found.gap == pytest.approx(0.851352, abs=1e-6)
    assert (found.image_cone, found.text_cone) == pytest.approx((0.5315, 0.5152), abs=5e-5)
    assert found.matched == pytest.approx(0.3099, abs=5e-5)
    assert found.relative_gap == pytest.approx(0.5915, abs=5e-5)
    assert found.offset_share == pytest.approx(0.525155, abs=1e-6)
    assert found.separability > 0.99
    at = {one.shift: one for one in found.shifts}
    assert (at[0].texts_found, at[0].images_found) == (0.552, 0.506)
    assert (found.centred_texts_found, found.centred_images_found) == (0.508, 0.522)
    five = [at[shift] for shift in (-1, -0.5, 0, 0.5, 1)]
    distances = [1.429402, 1.195812, 0.851352, 0.383115, -0.160513]
    assert [one.distance for one in five] == pytest.approx(distances, abs=1e-6)
    losses = [2.3628, 2.0520, 1.8009, 2.4704, 4.4368]
    assert [one.loss for one in five] == pytest.approx(losses, abs=5e-5)


@pytest.mark.parametrize(
    ("name", "gap", "cones", "shares"),
    [
        ("clip", 0.851352, (0.5152, 0.5315), (0.1673, 0.0974, 0.7352)),
        ("convirt", 0.823076, (0.1316, 0.7641), (0.5840, 0.0164, 0.3996)),
    ],
)
def test_published_vectors_share_out_their_scores(name, gap, cones, shares):
    texts, images = map(unit_rows, published(name))
    found, each = modality_gap(texts, images), np.arange(500)
    assert found.gap == pytest.approx(gap, abs=1e-6)
    assert (found.text_cone, found.image_cone) == pytest.approx(cones, abs=5e-5)
    split = decompose_dot_products(texts, images, each, each, scale=100.0)
    assert split.pooled_shares == pytest.approx(shares, abs=5e-5)


def _drawn(n, seed):
    """Return texts and images around two centres, whose matched pairs have something in common."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(n, 6))
    centres = np.array([(1, 1, 1, 1, 1, 1), (0, 0, 0, 2, 2, 2)])
    texts, images = common + rng.normal(size=(2, n, 6)) + centres[:, None]
    return texts, images


def test_limits_hold_the_geometry_of_the_population():
    names = ("gap", "text_cone", "image_cone", "matched", "relative_gap", "offset_share")
    whole, covered, n = modality_gap(*_drawn(20_000, 999)), dict.fromkeys(names, 0), 120
    each = np.arange(n)
    for seed in range(60):
        population = population_of_items(each, each)
        texts, images = _drawn(n, seed)
        found = gap_intervals(texts, images, each, each, population, n_resamples=100)
        for name in names:
            covered[name] += found[name].low <= getattr(whole, name) <= found[name].high
    assert set(found) == set(names)
    assert min(covered.values()) >= 53, covered
    # Whatever is drawn, the values are those of the vectors.
    here = modality_gap(*_drawn(n, 59))
    assert [found[name].value for name in names] == pytest.approx([getattr(here, k) for k in names])


def test_repeated_captions_count_as_found_and_what_does_not_fit_is_refused():
    rng = np.random.default_rng(0)
    texts, images = rng.normal(size=(6, 4)), rng.normal(size=(3, 4))
    texts[:] = images.repeat(2, axis=0)
    found = modality_gap(texts + 1e-9, images, np.arange(6), np.arange(3).repeat(2))
    at_rest = next(one for one in found.shifts if one.shift == 0)
    assert at_rest.texts_found == at_rest.images_found == 1 and found.matched == pytest.approx(1)
    with pytest.raises(DatasetError, match="of one D"):
        modality_gap(texts, images[:, :3])
    with pytest.raises(DatasetError, match="no direction"):
        modality_gap(0 * texts, texts)
