"""Where a model's vectors of texts and images are: two cones with a gap between them.

Sources: gap, cones and the shift along the gap, Liang et al., "Mind the Gap", NeurIPS 2022 (arXiv
2203.02053); RMG, the distance of matched pairs beside distances within either side (Schrodi et
al. 2024, arXiv 2404.07983).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from emap_core.errors import DatasetError
from emap_core.inference.gap import Interval
from emap_core.inference.resamples.limits import estimate, variance_of
from emap_core.inference.resamples.population import Population
from emap_core.types import Array, Index

SHIFTS = (-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0)
MOST_PAIRS = 2_000
"""Most examples that are ranked against each other; with more, a random sample."""
SCALE = 100.0
"""Scale of the contrastive loss, as in the paper; it is CLIP's."""

_OF_MEANS = {
    "gap": (0.0, 2.0),
    "text_cone": (-1.0, 1.0),
    "image_cone": (-1.0, 1.0),
    "matched": (-1.0, 1.0),
    "relative_gap": (0.0, 1.0),
    "offset_share": (0.0, 1.0),
}
"""Numbers that follow from means of vectors, with the lowest and highest value of each."""
_FOLDS = 5
_LEAST = 1e-12


@dataclass(frozen=True)
class Shift:
    """The effect on pairs of moving both sides along the gap and normalising them again.

    Attributes
    ----------
    shift : float
        0 is the original place; at 1, images and texts have moved towards each other by as much as
        makes a gap of 1.
    distance : float
        Length of the remaining gap; negative if the sides have passed each other.
    loss : float
        Contrastive loss at `SCALE`, both directions averaged.
    texts_found, images_found : float
        Recall at 1 of the text for an image, and of the image for a text.
    """

    shift: float
    distance: float
    loss: float
    texts_found: float
    images_found: float


@dataclass(frozen=True)
class ModalityGap:
    """Where the vectors of both sides are, all of length 1.

    Attributes
    ----------
    gap : float
        Distance of the mean of the images from the mean of the texts.
    text_cone, image_cone : float
        Mean cosine of two different examples of a side; 1 is a single point.
    matched : float
        Mean cosine of the text and the image of an example.
    relative_gap : float
        RMG: mean distance of matched pairs, over that plus the mean distance within a side.
    offset_share : float
        The gap's share of the squared distance of matched pairs, common to all.
    separability : float
        Accuracy of telling images from texts by a linear classifier, cross-validated.
    shifts : tuple of Shift
    n_pairs : int
        Examples that were ranked against each other.
    centred_texts_found, centred_images_found : float
        Recall at 1 after subtracting each side's mean from its vectors, which leaves only the
        interactions of the score; NaN if an earlier version did not measure it.
    """

    gap: float
    text_cone: float
    image_cone: float
    matched: float
    relative_gap: float
    offset_share: float
    separability: float
    shifts: tuple[Shift, ...]
    n_pairs: int
    centred_texts_found: float = float("nan")
    centred_images_found: float = float("nan")


def unit_rows(vectors: NDArray[Any]) -> Array:
    """Return vectors scaled to length 1, shape (N, D), in float64.

    Raises
    ------
    DatasetError
        If one has length 0.
    """
    rows = np.asarray(vectors, dtype=np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not (lengths > 0).all():
        raise DatasetError("a vector is 0, so it has no direction; leave its example out")
    return np.asarray(rows / lengths)


def modality_gap(
    texts: NDArray[Any],
    images: NDArray[Any],
    text_index: Index | None = None,
    image_index: Index | None = None,
    *,
    seed: int = 0,
) -> ModalityGap:
    """Measure the gap between the vectors of texts and of images.

    Parameters
    ----------
    texts, images : ndarray of shape (U_1, D) and (U_2, D)
        Vectors of any length above 0; they are normalised.
    text_index, image_index : ndarray of shape (N,), optional
        The text and the image of each example; without them, example i is row i of both. Several
        texts of one image, and images of one text, all count as found.
    seed : int
        Seed of the folds, and of the ranked examples if there are more than `MOST_PAIRS`.

    Raises
    ------
    DatasetError
        If the vectors of the two sides differ in size, or one is 0.
    """
    if texts.shape[1:] != images.shape[1:] or texts.ndim != 2:
        raise DatasetError(
            f"vectors have shapes {texts.shape} and {images.shape}; expected (N, D) of one D"
        )
    text_rows, image_rows = unit_rows(texts), unit_rows(images)
    of_text = np.arange(len(texts)) if text_index is None else text_index
    of_image = np.arange(len(images)) if image_index is None else image_index
    t, v = text_rows[of_text], image_rows[of_image]
    centre_t, centre_v = t.mean(axis=0), v.mean(axis=0)
    offset = centre_v - centre_t
    matched = float(np.einsum("nd,nd->n", t, v).mean())
    cones = [_cone(centre, len(t)) for centre in (centre_t, centre_v)]
    within = 1.0 - float(np.mean(cones))
    rng = np.random.default_rng(seed)
    some = np.arange(len(t))
    if len(some) > MOST_PAIRS:
        some = np.sort(rng.choice(len(t), MOST_PAIRS, replace=False))
    same = (of_text[some][:, None] == of_text[some]) | (of_image[some][:, None] == of_image[some])
    centred = _found((t - centre_t)[some] @ (v - centre_v)[some].T, same)
    return ModalityGap(
        gap=float(np.linalg.norm(offset)),
        text_cone=cones[0],
        image_cone=cones[1],
        matched=matched,
        relative_gap=(1.0 - matched) / (1.0 - matched + within),
        # If all pairs coincide, there is no distance to split.
        offset_share=float(offset @ offset) / max(2.0 - 2.0 * matched, _LEAST),
        separability=_separability(t[some], v[some], seed),
        shifts=tuple(_shifted(t[some], v[some], same, offset, shift) for shift in SHIFTS),
        n_pairs=len(some),
        centred_texts_found=centred[0],
        centred_images_found=centred[1],
    )


def gap_intervals(
    texts: NDArray[Any],
    images: NDArray[Any],
    text_index: Index,
    image_index: Index,
    population: Population,
    *,
    n_resamples: int = 200,
    seed: int = 0,
) -> dict[str, Interval]:
    """Return the numbers that follow from means of vectors, with 95% limits, by name.

    Parameters
    ----------
    texts, images, text_index, image_index
        As for `modality_gap`.
    population : Population
        What is drawn.
    n_resamples, seed : int
        As for `intervals`.
    """
    t, v = unit_rows(texts)[text_index], unit_rows(images)[image_index]
    cosines = np.einsum("nd,nd->n", t, v)

    def under(weights: Array) -> Array:
        """Return the numbers of each of B weightings of the examples, shape (6, B)."""
        total, squares = weights.sum(axis=1), np.square(weights).sum(axis=1)
        centres = [weights @ side / total[:, None] for side in (t, v)]
        # For two different examples: a resample's copy of an example is not another one.
        text_cone, image_cone = (
            (total**2 * np.square(centre).sum(axis=1) - squares)
            / np.maximum(total**2 - squares, _LEAST)
            for centre in centres
        )
        gap = np.linalg.norm(centres[1] - centres[0], axis=1)
        matched = weights @ cosines / total
        apart, within = 1.0 - matched, 1.0 - (text_cone + image_cone) / 2.0
        share = gap**2 / np.maximum(2.0 * apart, _LEAST)
        return np.stack([gap, text_cone, image_cone, matched, apart / (apart + within), share])

    values = under(np.ones((1, len(t))))[:, 0]
    rng = np.random.default_rng(seed)
    each = population.share_out(n_resamples)
    variances = []
    for units in population.draws:
        found = np.concatenate([under(one) for one in units.resamples(each, rng)], axis=1)
        variances.append([variance_of(of_one, units.size) for of_one in found])
    return {
        name: estimate(float(value), of_draws, population).interval(limits)
        for (name, limits), value, of_draws in zip(
            _OF_MEANS.items(), values, zip(*variances, strict=True), strict=True
        )
    }


def _cone(centre: Array, n: int) -> float:
    return float((n * (centre @ centre) - 1.0) / max(n - 1, 1))


def _shifted(
    texts: Array, images: Array, same: NDArray[np.bool_], offset: Array, shift: float
) -> Shift:
    along = offset / max(float(np.linalg.norm(offset)), _LEAST)
    t, v = unit_rows(texts + 0.5 * shift * along), unit_rows(images - 0.5 * shift * along)
    left = v.mean(axis=0) - t.mean(axis=0)
    scores = t @ v.T
    logits, own = SCALE * scores, SCALE * np.diag(scores)
    losses = [float((scipy.special.logsumexp(logits, axis=axis) - own).mean()) for axis in (0, 1)]
    return Shift(
        shift,
        float(np.copysign(np.linalg.norm(left), left @ along)),
        float(np.mean(losses)),
        *_found(scores, same),
    )


def _found(scores: Array, same: NDArray[np.bool_]) -> tuple[float, float]:
    """Return recall at 1 of the text for an image, and of the image for a text."""
    each = np.arange(len(scores))
    texts, images = same[scores.argmax(axis=0), each], same[each, scores.argmax(axis=1)]
    return float(texts.mean()), float(images.mean())


def _separability(texts: Array, images: Array, seed: int) -> float:
    # scikit-learn takes a second to load, which few runs need.
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    vectors = np.concatenate([texts, images])
    side = np.arange(len(vectors)) >= len(texts)
    folds = min(_FOLDS, len(texts))
    if folds < 2:
        return float("nan")
    chosen = StratifiedKFold(folds, shuffle=True, random_state=seed)
    return float(cross_val_score(LogisticRegression(), vectors, side, cv=chosen).mean())
