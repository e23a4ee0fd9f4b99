"""The projection of a score that is a scaled dot product of two vectors, without its grid.

The score is s t·v + b. Its means over images and texts are scores of the mean vectors, and the
variance of its interaction is s² tr(Σ_t Σ_v), so that N texts and images of D numbers take N D²
operations in place of N² D.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emap_core.decomposition.projection import Decomposition, decompose_sums, example_shares
from emap_core.errors import DatasetError
from emap_core.types import Array, Index

Chunks = Callable[[], Iterable[NDArray[Any]]]
"""Returns the vectors of a side in order, some at a time, each shape (n, D)."""

_ROWS = 2**15


@dataclass(frozen=True, eq=False)
class _Side:
    """Mean, covariance and the rows of one side."""

    mean: Array
    covariance: Array
    chunks: Chunks

    @classmethod
    def of(cls, chunks: Chunks, share: Array) -> _Side:
        mean = sum(weights @ rows.astype(np.float64) for rows, weights in _weighted(chunks, share))
        centre = np.asarray(mean, dtype=np.float64)
        covariance = np.zeros((len(centre), len(centre)))
        for rows, weights in _weighted(chunks, share):
            # In the type of the vectors: single precision tells a sum of squares to 1e-7. A product
            # with itself takes half of the operations.
            centred = (rows - centre.astype(rows.dtype)) * np.sqrt(weights / share.max())[
                :, None
            ].astype(rows.dtype)
            covariance += (centred.T @ centred).astype(np.float64) * share.max()
        return cls(centre, covariance, chunks)

    def scores(self, vector: Array) -> Array:
        """Return the product of every row less the mean with a vector, shape (U,)."""
        centred = [(rows.astype(np.float64) - self.mean) @ vector for rows in self.chunks()]
        return np.concatenate(centred)


def decompose_dot_products(
    texts: NDArray[Any] | Chunks,
    images: NDArray[Any] | Chunks,
    text_index: Index,
    image_index: Index,
    *,
    scale: float = 1.0,
    bias: float = 0.0,
    logits: Array | None = None,
) -> Decomposition:
    """Project the scores s t·v + b of all texts with all images.

    Parameters
    ----------
    texts, images : ndarray of shape (U_t, D) and (U_v, D), or callables
        The vectors of unique texts and images; a callable returns them some at a time.
    text_index, image_index : ndarray of shape (N,)
        The cell of each example.
    scale, bias : float
        s and b.
    logits : ndarray of shape (N, 1), optional
        The scores of the examples, computed from the vectors unless given; needed with callables.

    Raises
    ------
    DatasetError
        If the vectors of both sides differ in length.
    """
    if logits is None:
        if callable(texts) or callable(images):
            raise DatasetError("logits are missing; give those of the examples with callables")
        logits = scale * _matched(texts, images, text_index, image_index)[:, None] + bias
    n_texts, n_images = int(text_index.max()) + 1, int(image_index.max()) + 1
    p, q = example_shares(text_index, image_index, n_texts, n_images)
    text, image = (_Side.of(_chunks(side), w) for side, w in ((texts, p), (images, q)))
    if text.mean.shape != image.mean.shape:
        raise DatasetError(
            f"vectors of texts have {len(text.mean)} numbers and those of images "
            f"{len(image.mean)}; give vectors of one length"
        )
    mean = scale * float(text.mean @ image.mean) + bias
    # Effects rather than means, which lose digits to a large common score.
    of_texts, of_images = (
        scale * side.scores(other.mean)[:, None] for side, other in ((text, image), (image, text))
    )
    interaction = scale**2 * float((text.covariance * image.covariance).sum())
    variance = p @ of_texts**2 + q @ of_images**2 + interaction
    return decompose_sums(
        logits=logits,
        mean=np.array([mean]),
        text_mean=mean + of_texts,
        image_mean=mean + of_images,
        variance=variance,
        # The one output less the mean over outputs.
        centred_variance=np.zeros(1),
        text_index=text_index,
        image_index=image_index,
    )


def _chunks(side: NDArray[Any] | Chunks) -> Chunks:
    if callable(side):
        return side
    return lambda: (side[start : start + _ROWS] for start in range(0, len(side), _ROWS))


def _weighted(chunks: Chunks, share: Array) -> Iterator[tuple[NDArray[Any], Array]]:
    start = 0
    for rows in chunks():
        yield rows, share[start : start + len(rows)]
        start += len(rows)


def _matched(
    texts: NDArray[Any], images: NDArray[Any], text_index: Index, image_index: Index
) -> Array:
    found = np.empty(len(text_index))
    for start in range(0, len(text_index), _ROWS):
        some = slice(start, start + _ROWS)
        pairs = texts[text_index[some]], images[image_index[some]]
        found[some] = np.einsum("nd,nd->n", *(side.astype(np.float64) for side in pairs))
    return found
