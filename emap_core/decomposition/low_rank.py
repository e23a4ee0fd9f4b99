"""A few products of a text score and an image score, fitted to the evaluated cells of a grid.

Source: variational Bayes for matrix factorisation, Lim & Teh, "Variational Bayesian approach to
movie rating prediction", KDD Cup and Workshop 2007. Its priors shrink scores that few cells
support and switch products off that the cells do not.
"""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

from emap_core.types import Array

RANK = 4
_SWEEPS = 15
_TOLERANCE = 3e-3


def fit_products(
    texts: NDArray[np.int32],
    images: NDArray[np.int32],
    residuals: Array,
    shape: tuple[int, int],
    seed: int = 0,
) -> tuple[Array, Array]:
    """Return text scores, shape (U_t, C, R), and image scores, (U_v, C, R), of every class.

    Their product summed over R predicts what is left in a cell beyond the additive fit.

    Parameters
    ----------
    texts, images : ndarray of shape (M,)
        The cells, sorted by text.
    residuals : ndarray of shape (M, C)
    shape : tuple of int
        Unique texts and images.
    seed : int
        Of the start.
    """
    n_classes = residuals.shape[1]
    size = np.sqrt(np.mean(residuals**2, axis=0))
    size[size == 0] = 1.0
    residuals = residuals / size
    rank = min(RANK, min(shape) - 1)
    place = np.concatenate([[0], np.cumsum(np.bincount(texts, minlength=shape[0]))])
    place = place.astype(np.int32)

    def on_cells(values: Array) -> scipy.sparse.csr_matrix:
        return scipy.sparse.csr_matrix((values, images, place), shape=shape)

    met = on_cells(np.ones(len(texts)))
    by_class = [on_cells(np.ascontiguousarray(residuals[:, c])) for c in range(n_classes)]
    total = np.full(n_classes, float(len(texts)))
    noise = np.ones(n_classes)
    y = np.stack([_start(m, rank, seed) for m in by_class], axis=1)
    x = np.stack([m @ y[:, c] for c, m in enumerate(by_class)], axis=1)
    x /= np.maximum(met.getnnz(axis=1), 1)[:, None, None]
    scale = np.ones((n_classes, rank))
    x_products, y_products = _squares(x), _squares(y)
    met_transposed = met.T.tocsr()
    transposed = [m.T.tocsr() for m in by_class]
    before = total
    for _ in range(_SWEEPS):
        gram = _gathered(met, y_products)
        pull = np.stack([m @ y[:, c] for c, m in enumerate(by_class)], axis=1)
        x, spread = _posterior(gram, pull, noise, 1.0 / scale)
        x_products = _squares(x) + spread
        scale = np.maximum(np.einsum("uckk->ck", x_products) / shape[0], 1e-6)
        gram = _gathered(met_transposed, x_products)
        pull = np.stack([m @ x[:, c] for c, m in enumerate(transposed)], axis=1)
        y, spread = _posterior(gram, pull, noise, np.ones_like(scale))
        y_products = _squares(y) + spread
        explained = 2 * np.einsum("wck,wck->c", y, pull)
        explained -= np.einsum("wckl,wckl->c", y_products, gram)
        left = np.maximum(total - explained, 1e-9 * total)
        noise = left / len(texts)
        if (np.abs(left - before) <= _TOLERANCE * left).all():
            break
        before = left
    return x * size[:, None], y


def _start(cells: scipy.sparse.csr_matrix, rank: int, seed: int) -> Array:
    vectors = np.random.default_rng(seed).normal(size=(cells.shape[1], rank))
    for _ in range(3):
        vectors = np.linalg.qr(cells.T @ (cells @ vectors))[0]
    return np.asarray(vectors * np.sqrt(cells.shape[1]))


def _squares(scores: Array) -> Array:
    return np.asarray(scores[..., :, None] * scores[..., None, :])


def _gathered(met: scipy.sparse.csr_matrix, products: Array) -> Array:
    gathered = met @ products.reshape(len(products), -1)
    return np.asarray(gathered.reshape(-1, *products.shape[1:]))


def _posterior(gram: Array, pull: Array, noise: Array, precision: Array) -> tuple[Array, Array]:
    """Return means, shape (U, C, R), and covariances, shape (U, C, R, R), of the scores."""
    prior = np.einsum("ck,kl->ckl", precision * noise[:, None], np.eye(gram.shape[-1]))
    inverse = np.linalg.inv(gram + prior)
    return np.einsum("uckl,ucl->uck", inverse, pull), inverse * noise[:, None, None]
