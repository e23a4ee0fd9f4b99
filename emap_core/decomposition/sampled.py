"""The projection of a large grid from a part of its cells, with the error that this leaves.

Least squares of a(text) + b(image) on an incomplete two-way layout, each cell weighted by what it
stands for (Horvitz & Thompson, JASA 1952). A low-rank fit to the other half of the cells is taken
off first: a control variate, cross-fitted. Draws of the error come from splitting
the residuals at random into two halves, which is the wild bootstrap (Liu, Annals of Statistics
16, 1988).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from emap_core.decomposition.design import MATCHED, Design
from emap_core.decomposition.exact import Array, Decomposition
from emap_core.decomposition.low_rank import fit_products
from emap_core.errors import DatasetError

_DRAWS = 16
_CLASS_ELEMENTS = 2**25
_WORTH = 0.05
_ROUNDS = 3


@dataclass(frozen=True, eq=False)
class SampledDecomposition(Decomposition):
    """A decomposition whose means are estimates; sums of squares are free of their noise.

    Attributes
    ----------
    noise_variance, centred_noise_variance : ndarray of shape (2, C)
        What the errors of the text means and of the image means add to the sums of squares, of
        the logits and of the logits minus their mean over classes.
    """

    noise_variance: Array
    centred_noise_variance: Array

    def class_centred(self) -> Decomposition:
        """Return the decomposition of the logits minus their mean over classes."""
        plain = super().class_centred()
        sums = plain.sums_of_squares
        effects = np.maximum(sums[:2] - self.centred_noise_variance, 0.0)
        return replace(plain, sums_of_squares=_with_rest(effects, self.centred_variance))


@dataclass(frozen=True, eq=False)
class SampledFit:
    """A projection estimated from a design, with draws of its error.

    Attributes
    ----------
    decomposition : Decomposition
        A `SampledDecomposition`; of the whole grid it is the exact one.
    text_noise : ndarray of shape (B, U_t, C), float32
        Draws of the error of `text_mean` if cells were drawn with replacement: what one half of
        the cells, split at random, differs by from all of them.
    image_noise : ndarray of shape (B, U_v, C), float32
        The same draws for `image_mean`.
    fraction : float
        Share of the grid that was evaluated.
    explained : ndarray of shape (C,)
        Share of the variance beyond the additive fit that the low-rank fit took off.
    """

    decomposition: Decomposition
    text_noise: NDArray[np.float32]
    image_noise: NDArray[np.float32]
    fraction: float
    explained: Array

    @property
    def text_standard_error(self) -> Array:
        """Standard error of `text_mean` from the choice of pairs, shape (U_t, C)."""
        return _spread(self.text_noise, self.fraction)

    @property
    def image_standard_error(self) -> Array:
        """Standard error of `image_mean` from the choice of pairs, shape (U_v, C)."""
        return _spread(self.image_noise, self.fraction)


def fit(design: Design, values: ArrayLike, *, low_rank: bool = True, seed: int = 0) -> SampledFit:
    """Fit the projection to the evaluated cells of a design.

    Parameters
    ----------
    design : Design
    values : array of shape (M, C)
        The model's output for each cell of the design, in its order; it may be a memory map.
    low_rank : bool
        Whether products of text and image scores are taken off before the additive fit, where
        they predict cells that they were not fitted to.
    seed : int
        Of the draws of the error.

    Raises
    ------
    DatasetError
        If `values` does not fit the design or holds a value that is not finite.
    """
    cells = np.asarray(values)
    if cells.ndim == 1:
        cells = cells[:, None]
    if cells.ndim != 2 or len(cells) != len(design):
        raise DatasetError(
            f"values have shape {cells.shape}; the design has {len(design)} cells, "
            "expected one row each"
        )
    layout = _Layout(design, design.weights)
    step = max(1, _CLASS_ELEMENTS // len(design))
    parts = [
        _fit_classes(design, layout, cells[:, c : c + step], low_rank, seed)
        for c in range(0, cells.shape[1], step)
    ]
    text_mean, image_mean, text_noise, image_noise, explained = (
        np.concatenate(part, axis=-1) for part in zip(*parts, strict=True)
    )
    mean = design.text_share @ text_mean
    variance, centred_variance = _variances(layout.weights, cells, mean)
    rest = 1.0 - design.fraction
    noise = _noise_variance(design, text_noise, image_noise) * rest
    centred = _noise_variance(design, _centre(text_noise), _centre(image_noise)) * rest
    effects = np.stack(
        [
            design.text_share @ (text_mean - mean) ** 2,
            design.image_share @ (image_mean - mean) ** 2,
        ]
    )
    decomposition = SampledDecomposition(
        logits=np.asarray(cells[design.example_cells], dtype=np.float64),
        mean=mean,
        text_mean=text_mean,
        image_mean=image_mean,
        text_share=design.text_share,
        image_share=design.image_share,
        text_index=design.text_index,
        image_index=design.image_index,
        sums_of_squares=_with_rest(np.maximum(effects - noise, 0.0), variance),
        centred_variance=centred_variance,
        noise_variance=noise,
        centred_noise_variance=centred,
    )
    return SampledFit(decomposition, text_noise, image_noise, design.fraction, explained)


def _fit_classes(
    design: Design, layout: _Layout, values: NDArray[np.floating], low_rank: bool, seed: int
) -> tuple[Array, Array, NDArray[np.float32], NDArray[np.float32], Array]:
    offset = np.asarray(values[0], dtype=np.float64)
    centred = np.asarray(values, dtype=np.float64) - offset
    if not np.isfinite(centred).all():
        m = int(np.argwhere(~np.isfinite(centred))[0][0])
        raise DatasetError(
            f"values hold a number that is not finite for text {design.texts[m]} "
            f"with image {design.images[m]}"
        )
    means = layout.project(centred)
    drawn = design.rounds != MATCHED
    explained = np.zeros(centred.shape[1])
    if design.fraction < 1 and low_rank:
        residuals = centred - layout.at(means, design)
        products, explained = _products(design, centred, residuals, seed)
        centred -= products
        means = layout.project(centred)
    text_noise, image_noise = (
        np.zeros((_DRAWS, size, centred.shape[1]), dtype=np.float32) for size in design.shape
    )
    if design.fraction < 1:
        centred -= layout.at(means, design)
        # Residuals are smaller than errors by the means that were fitted to them.
        freedom = max(drawn.sum() - sum(design.shape) + 1, 1)
        centred *= drawn[:, None] * np.sqrt(drawn.sum() / freedom)
        rng = np.random.default_rng(seed)
        for b in range(_DRAWS):
            signs = 2.0 * rng.integers(0, 2, (len(design), 1)) - 1.0
            text_noise[b], image_noise[b], _ = layout.project(centred * signs, 1e-3)
    return means[0] + offset, means[1] + offset, text_noise, image_noise, explained


def _products(design: Design, values: Array, residuals: Array, seed: int) -> tuple[Array, Array]:
    """Return the low-rank fit to the other half at each cell, and what it explains of each class.

    It is centred over all recombinations, so that taking it off leaves the means as they are.
    """
    drawn = design.rounds != MATCHED
    folds = [drawn & (design.rounds % 2 == h) for h in (0, 1)]
    products = np.zeros_like(residuals)
    for own, other in (folds, folds[::-1]):
        x, y = _fit_fold(design, values, other, seed)
        x -= np.einsum("u,uck->ck", design.text_share, x)
        y -= np.einsum("w,wck->ck", design.image_share, y)
        for cells, share in ((own, 1.0), (~drawn, 0.5)):
            products[cells] += share * _at_cells(design, x, y, cells)
    size = np.einsum("mc,mc->c", products[drawn], products[drawn])
    match = np.einsum("mc,mc->c", products[drawn], residuals[drawn])
    scale = np.clip(match / np.where(size > 0, size, 1.0), 0.0, 1.0)
    total = np.einsum("mc,mc->c", residuals[drawn], residuals[drawn])
    explained = scale * (2 * match - scale * size) / np.where(total > 0, total, 1.0)
    scale[explained < _WORTH] = 0.0
    return products * scale, np.where(scale > 0, explained, 0.0)


def _fit_fold(
    design: Design, values: Array, fold: NDArray[np.bool_], seed: int
) -> tuple[Array, Array]:
    """Return text and image scores fitted to some cells, and to nothing but these.

    Means that the other cells had a part in would carry their errors into the fit, and the fit
    back to them, where no draw of the error shows it: the standard errors of images that meet few
    texts would be a sixth too small. Means and products are therefore fitted in turns.
    """
    layout = _Layout(design, design.weights * fold)
    products = np.zeros_like(values)
    for _ in range(_ROUNDS):
        means = layout.project(values - products, 1e-6)
        left = (values - layout.at(means, design))[fold]
        x, y = fit_products(design.texts[fold], design.images[fold], left, design.shape, seed)
        products[fold] = _at_cells(design, x, y, fold)
    return x, y


def _at_cells(design: Design, x: Array, y: Array, cells: NDArray[np.bool_]) -> Array:
    texts, images = design.texts[cells], design.images[cells]
    each = [np.einsum("mk,mk->m", x[texts, c], y[images, c]) for c in range(x.shape[1])]
    return np.stack(each, axis=1)


def _variances(weights: Array, cells: NDArray[np.floating], mean: Array) -> tuple[Array, Array]:
    variance, centred = np.zeros((2, len(mean)))
    step = max(1, _CLASS_ELEMENTS // (8 * len(mean)))
    for start in range(0, len(cells), step):
        part = slice(start, start + step)
        off = np.asarray(cells[part], dtype=np.float64) - mean
        variance += weights[part] @ off**2
        off -= off.mean(axis=1, keepdims=True)
        centred += weights[part] @ off**2
    return variance / weights.sum(), centred / weights.sum()


def _starts(numbers: NDArray[np.int32], size: int) -> NDArray[np.int32]:
    counts = np.bincount(numbers, minlength=size)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)


def _noise_variance(
    design: Design, text_noise: NDArray[np.float32], image_noise: NDArray[np.float32]
) -> Array:
    return np.stack(
        [
            np.mean([share @ np.square(draw, dtype=np.float64) for draw in noise], axis=0)
            for share, noise in (
                (design.text_share, text_noise),
                (design.image_share, image_noise),
            )
        ]
    )


def _with_rest(effects: Array, variance: Array) -> Array:
    return np.vstack([effects, np.maximum(variance - effects.sum(axis=0), 0.0)])


def _centre(noise: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(noise - noise.mean(axis=-1, keepdims=True))


def _spread(noise: NDArray[np.float32], fraction: float) -> Array:
    squares = np.mean([np.square(draw, dtype=np.float64) for draw in noise], axis=0)
    return np.asarray(np.sqrt(squares * (1.0 - fraction)))


class _Layout:
    """Least squares on the cells of a design, for many right-hand sides."""

    def __init__(self, design: Design, weights: Array) -> None:
        n_texts, n_images = design.shape
        n = len(design)
        self.p, self.q = design.text_share, design.image_share
        self.weights = weights
        place = _starts(design.texts, n_texts)
        by_text = np.arange(n, dtype=np.int32)
        self.text_sums = sparse.csr_matrix((np.ones(n), by_text, place), (n_texts, n))
        by_image = np.argsort(design.images, kind="stable").astype(np.int32)
        columns = _starts(design.images, n_images)
        self.image_sums = sparse.csr_matrix((np.ones(n), by_image, columns), (n_images, n))
        self.cells = sparse.csr_matrix((self.weights, design.images, place), design.shape)
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
        b = self._solve(right, tolerance)
        a = of_texts - (self.cells @ b) / self.text_weight
        text_mean, image_mean = self.p @ a, self.q @ b
        return a + image_mean, b + text_mean, text_mean + image_mean

    def at(self, means: tuple[Array, Array, Array], design: Design) -> Array:
        """Return the additive fit of row, column and total means at each cell, shape (M, C)."""
        text_mean, image_mean, mean = means
        return np.asarray(text_mean[design.texts] + (image_mean - mean)[design.images])

    def _solve(self, right: Array, tolerance: float) -> Array:
        """Solve for the image effects by conjugate gradients, all classes side by side."""
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
