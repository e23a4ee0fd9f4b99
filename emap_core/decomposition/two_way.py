"""Least squares of a(text) + b(image) on the cells of an incomplete two-way layout."""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

from emap_core.decomposition.design import Design
from emap_core.types import Array


class TwoWayLayout:
    """Least squares on the cells of a design, for many right-hand sides."""

    def __init__(self, design: Design, weights: Array) -> None:
        n_texts, n_images = self._shape = design.shape
        n = len(design)
        self.p, self.q = design.text_share, design.image_share
        self.weights = weights
        self._texts, self._images = design.texts, design.images
        place = _starts(design.texts, n_texts)
        by_text = np.arange(n, dtype=np.int32)
        self.text_sums = scipy.sparse.csr_matrix((np.ones(n), by_text, place), (n_texts, n))
        by_image = np.argsort(design.images, kind="stable").astype(np.int32)
        columns = _starts(design.images, n_images)
        self.image_sums = scipy.sparse.csr_matrix((np.ones(n), by_image, columns), (n_images, n))
        self._place = place
        self.cells = self.on_cells(weights)
        self.cells_transposed = self.cells.T.tocsr()
        # A text or image without any weight has a mean of 0, not an undefined one.
        self.text_weight, self.image_weight = (
            np.maximum(np.asarray(self.cells.sum(axis=axis)), 1e-300).reshape(-1, 1)
            for axis in (1, 0)
        )

    def project(self, values: Array, tolerance: float = 1e-13) -> tuple[Array, Array, Array]:
        """Return row, column and total means of the additive fit to values of shape (M, C)."""
        weighted = self.weights[:, None] * values
        of_texts = (self.text_sums @ weighted) / self.text_weight
        right = self.image_sums @ weighted - self.cells_transposed @ of_texts
        b = self.solve(right, tolerance)
        a = of_texts - (self.cells @ b) / self.text_weight
        text_mean, image_mean = self.p @ a, self.q @ b
        return a + image_mean, b + text_mean, text_mean + image_mean

    def at(self, means: tuple[Array, Array, Array]) -> Array:
        """Return the additive fit of row, column and total means at each cell, shape (M, C)."""
        text_mean, image_mean, mean = means
        return np.asarray(text_mean[self._texts] + (image_mean - mean)[self._images])

    @property
    def leverage(self) -> Array:
        """Weight of each cell's own value in its additive fit, shape (M,), about.

        That of both one-sided means; it is exact where all cells are there and weigh alike.
        """
        of_text = self.weights / self.text_weight[self._texts, 0]
        of_image = self.weights / self.image_weight[self._images, 0]
        return np.asarray(of_text + of_image - self.weights / self.weights.sum())

    def on_cells(self, values: Array) -> scipy.sparse.csr_matrix:
        """Return one number per cell as a sparse matrix of texts and images."""
        return scipy.sparse.csr_matrix((values, self._images, self._place), self._shape)

    def solve(self, right: Array, tolerance: float) -> Array:
        """Solve for the image effects by conjugate gradients, all columns side by side."""
        x = np.zeros_like(right)
        residual = right.copy()
        z = residual / self.image_weight
        direction = z.copy()
        size = start = np.einsum("wc,wc->c", residual, z)
        for _ in range(1000):
            if (size <= tolerance**2 * start).all():
                break
            forward = (self.cells @ direction) / self.text_weight
            forward = self.image_weight * direction - self.cells_transposed @ forward
            curvature = np.einsum("wc,wc->c", direction, forward)
            step = np.where(curvature > 0, size / np.where(curvature > 0, curvature, 1), 0)
            x += step * direction
            residual -= step * forward
            z = residual / self.image_weight
            after = np.einsum("wc,wc->c", residual, z)
            direction = z + np.where(size > 0, after / np.where(size > 0, size, 1), 0) * direction
            size = after
        return x


def _starts(numbers: NDArray[np.int32], size: int) -> NDArray[np.int32]:
    counts = np.bincount(numbers, minlength=size)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
