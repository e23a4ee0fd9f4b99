"""The empirical multimodally-additive projection on the grid of unique texts and images.

Source of the projection: Hessel & Lee, "Does my multimodal model learn cross-modal
interactions? It's harder to tell than you might think!", EMNLP 2020 (arXiv 2010.06572),
section 3.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from emap_core.decomposition.rounding import may_tie, noise_of_logits, settle
from emap_core.errors import DatasetError
from emap_core.types import Array, Index

PARTS = ("text", "image", "interaction")
"""Order of the first axis of `Decomposition.variance_shares`."""


@dataclass(frozen=True, eq=False)
class Decomposition:
    """A model's predictions on N examples, split into text, image and interaction parts.

    Every array is float64. N examples, C classes, U_t unique texts, U_v unique images; example i
    sits in cell ``(text_index[i], image_index[i])`` of the grid. Projections and one-sided means
    are settled: no decision hangs on a rounding, see `emap_core.decomposition.rounding`.

    Attributes
    ----------
    logits : ndarray of shape (N, C)
        The model's own predictions.
    mean : ndarray of shape (C,)
        Mean over all recombinations, weighted by how often each text and image is used.
    text_mean : ndarray of shape (U_t, C)
        Mean of each unique text over all images (r in the formulas).
    image_mean : ndarray of shape (U_v, C)
        Mean of each unique image over all texts (c in the formulas).
    text_share, image_share : ndarray of shape (U_t,) and (U_v,)
        Shares of the examples that use each text and each image (p and q).
    text_index, image_index : ndarray of shape (N,)
        The cell of each example.
    sums_of_squares : ndarray of shape (3, C)
        Variance over all recombinations that the text, image and interaction parts carry.
    centred_variance : ndarray of shape (C,)
        Variance over all recombinations of the logits minus their mean over classes.
    noise : ndarray of shape (C,)
        Size below which an interaction is rounding in the model; that of float32 logits unless
        given.
    """

    logits: Array
    mean: Array
    text_mean: Array
    image_mean: Array
    text_share: Array
    image_share: Array
    text_index: Index
    image_index: Index
    sums_of_squares: Array
    centred_variance: Array
    noise: Array = field(default=None, kw_only=True)  # type: ignore[arg-type]  # set below

    def __post_init__(self) -> None:
        if self.noise is None:
            object.__setattr__(self, "noise", noise_of_logits(self.logits))

    @cached_property
    def text_effect(self) -> Array:
        """What the text of each example adds to the mean, shape (N, C)."""
        return (self.text_mean - self.mean)[self.text_index]

    @cached_property
    def image_effect(self) -> Array:
        """What the image of each example adds to the mean, shape (N, C)."""
        return (self.image_mean - self.mean)[self.image_index]

    @cached_property
    def emap(self) -> Array:
        """Additive projection of each prediction, shape (N, C)."""
        return self.settled(self.mean + self.text_effect + self.image_effect)

    @cached_property
    def interaction(self) -> Array:
        """What is left of each prediction beyond its additive projection, shape (N, C)."""
        return self.logits - self.emap

    @cached_property
    def text_only(self) -> Array:
        """Mean of each example's text over all images but its own, shape (N, C).

        NaN where there is a single image, since nothing is left to average over.
        """
        return self.settled(self._text_alone)

    @cached_property
    def image_only(self) -> Array:
        """Mean of each example's image over all texts but its own, shape (N, C).

        NaN where there is a single text, since nothing is left to average over.
        """
        return self.settled(self._image_alone)

    @cached_property
    def emap_leave_one_out(self) -> Array:
        """Additive projection of each prediction from the cells that are not its own, shape (N, C).

        The plain projection of example i contains f(t_i, v_i) itself; leaving out its text's row
        and its image's column from the opposite means removes that. NaN with a single unique
        text or image.
        """
        p = self.text_share[self.text_index][:, None]
        q = self.image_share[self.image_index][:, None]
        r = self.text_mean[self.text_index]
        c = self.image_mean[self.image_index]
        mean = _leave_out(self.mean - p * r - q * c + p * q * self.logits, (1.0 - p) * (1.0 - q))
        return self.settled(self._text_alone + self._image_alone - mean)

    @cached_property
    def within_rounding(self) -> Index:
        """Numbers of the examples whose decision, or whose rank, may hang on a rounding."""
        if not self.interaction.any():
            return np.arange(len(self.logits))
        return np.flatnonzero(may_tie(self.logits, self.noise))

    @cached_property
    def own_weight(self) -> float:
        """Weight of an example's own prediction in its plain projection, on average."""
        return self.own_weight_among(np.arange(len(self.logits)))

    def own_weight_among(self, examples: Index) -> float:
        """Return the same of a projection of these examples alone, by their numbers."""
        texts, images = self.text_index[examples], self.image_index[examples]
        p, q = (np.bincount(index)[index] / len(index) for index in (texts, images))
        return float((p + q - p * q).mean())

    @property
    def _text_alone(self) -> Array:
        own = self.image_share[self.image_index][:, None]
        return _leave_out(self.text_mean[self.text_index] - own * self.logits, 1.0 - own)

    @property
    def _image_alone(self) -> Array:
        own = self.text_share[self.text_index][:, None]
        return _leave_out(self.image_mean[self.image_index] - own * self.logits, 1.0 - own)

    def settled(self, projected: Array) -> Array:
        """Return projected scores, shape (..., N, C), in which no decision hangs on a rounding."""
        return settle(projected, self.logits, self.noise)

    @property
    def variance(self) -> Array:
        """Variance of the logits over all recombinations, shape (C,)."""
        return np.asarray(self.sums_of_squares.sum(axis=0))

    @cached_property
    def variance_shares(self) -> Array:
        """Shares of the variance that text, image and interaction carry, shape (3, C).

        Each column sums to 1; it is NaN for a class whose logit never varies.
        """
        return _shares(self.sums_of_squares)

    @cached_property
    def pooled_shares(self) -> Array:
        """Shares of the variance summed over classes, shape (3,); NaN without any variance."""
        return _shares(self.sums_of_squares.sum(axis=1))

    def texts_in_order(self, order: Index) -> Decomposition:
        """Return the same with text i moved to row ``order[i]``."""
        place = np.argsort(order)
        return replace(
            self,
            text_mean=self.text_mean[place],
            text_share=self.text_share[place],
            text_index=order[self.text_index],
        )

    def class_centred(self) -> Decomposition:
        """Return the decomposition of the logits minus their mean over classes.

        Softmax does not see a number that is added to all classes, variance shares do; for
        softmax tasks with more than one class, shares and modes are read from this one.
        """

        def centre(values: Array) -> Array:
            return np.asarray(values - values.mean(axis=-1, keepdims=True))

        text_mean, image_mean, mean = map(centre, (self.text_mean, self.image_mean, self.mean))
        return Decomposition(
            logits=centre(self.logits),
            mean=mean,
            text_mean=text_mean,
            image_mean=image_mean,
            text_share=self.text_share,
            image_share=self.image_share,
            text_index=self.text_index,
            image_index=self.image_index,
            sums_of_squares=_sums_of_squares(
                text_mean,
                image_mean,
                mean,
                self.text_share,
                self.image_share,
                self.centred_variance,
            ),
            centred_variance=self.centred_variance,
            # Centred logits carry the rounding of all classes.
            noise=np.full_like(self.noise, self.noise.max()),
        )


def decompose(
    grid: ArrayLike,
    text_index: ArrayLike | None = None,
    image_index: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> Decomposition:
    """Project a grid of logits onto functions of the form a(text) + b(image).

    Parameters
    ----------
    grid : array or tensor of shape (U_t, U_v, C) or (U_t, U_v)
        The model's output for every unique text (rows) with every unique image (columns). Its
        type, float16 say, tells how much of it is rounding.
    text_index, image_index : array of shape (N,), optional
        The cell of each example. Without them the grid must be square and example i is cell
        (i, i).
    weights : array of shape (N,), optional
        Weight of each example, 1 by default; shares of texts and images follow from them.

    Raises
    ------
    DatasetError
        If shapes do not fit together, an index is outside the grid, or a value is not finite.

    Examples
    --------
    >>> import emap_core as emap
    >>> emap.decompose([[0.0, 1.0], [1.0, 0.0]]).variance_shares.ravel().tolist()
    [0.0, 0.0, 1.0]
    """
    cells, dtype = _numbers(grid)
    if cells.ndim == 2:
        cells = cells[:, :, None]
    if cells.ndim != 3 or 0 in cells.shape:
        raise DatasetError(
            f"grid has shape {np.shape(grid)}; expected (texts, images, classes), none of them 0"
        )
    if not np.isfinite(cells).all():
        u, w = np.argwhere(~np.isfinite(cells))[0][:2]
        raise DatasetError(f"grid holds a value that is not finite for text {u} with image {w}")
    texts, images = _cells_of_examples(cells.shape, text_index, image_index)
    p, q = example_shares(texts, images, cells.shape[0], cells.shape[1], weights)

    text_mean = np.einsum("w,uwc->uc", q, cells, optimize=True)
    image_mean = np.einsum("u,uwc->wc", p, cells, optimize=True)
    mean = p @ text_mean
    residual = cells - text_mean[:, None] - image_mean[None] + mean
    centred = cells - cells.mean(axis=2, keepdims=True)
    centred -= mean - mean.mean()
    logits = cells[texts, images]
    sums = np.stack(
        [
            p @ (text_mean - mean) ** 2,
            q @ (image_mean - mean) ** 2,
            np.einsum("u,w,uwc->c", p, q, np.square(residual), optimize=True),
        ]
    )
    return Decomposition(
        logits=logits,
        mean=mean,
        text_mean=text_mean,
        image_mean=image_mean,
        text_share=p,
        image_share=q,
        text_index=texts,
        image_index=images,
        sums_of_squares=_without_rounding(sums, text_mean, image_mean, mean),
        centred_variance=np.einsum("u,w,uwc->c", p, q, np.square(centred), optimize=True),
        noise=noise_of_logits(logits, dtype),
    )


def _numbers(grid: Any) -> tuple[Array, str]:
    """Return a grid in float64 and the type that it came in."""
    if hasattr(grid, "detach"):
        # A tensor of torch; NumPy knows no bfloat16.
        grid = grid.detach().cpu()
        dtype = str(grid.dtype).removeprefix("torch.")
        grid = grid.double()
    else:
        dtype = str(getattr(grid, "dtype", "float64"))
    if np.ma.isMaskedArray(grid) or np.iscomplexobj(grid):
        raise DatasetError(
            "grid has masked or complex values; give a real number for every text and image"
        )
    return np.asarray(grid, dtype=np.float64), dtype


def decompose_sums(
    *,
    logits: Array,
    mean: Array,
    text_mean: Array,
    image_mean: Array,
    variance: Array,
    centred_variance: Array,
    text_index: Index,
    image_index: Index,
) -> Decomposition:
    """Return the decomposition from row, column, total and matched values alone.

    The grid itself is not needed: the interaction carries the variance that text and image leave,
    clipped at 0. Shapes are those of `Decomposition`; `variance` and `centred_variance` have
    shape (C,).
    """
    p, q = example_shares(text_index, image_index, len(text_mean), len(image_mean))
    return Decomposition(
        logits=logits,
        mean=mean,
        text_mean=text_mean,
        image_mean=image_mean,
        text_share=p,
        image_share=q,
        text_index=text_index,
        image_index=image_index,
        sums_of_squares=_sums_of_squares(text_mean, image_mean, mean, p, q, variance),
        centred_variance=centred_variance,
    )


def example_shares(
    text_index: Index,
    image_index: Index,
    n_texts: int,
    n_images: int,
    weights: ArrayLike | None = None,
) -> tuple[Array, Array]:
    """Return the shares of the examples that use each text, shape (U_t,), and image, (U_v,)."""
    if weights is None:
        each = np.ones(len(text_index))
    else:
        each = np.asarray(weights, dtype=np.float64)
        if each.shape != text_index.shape or not (each >= 0).all() or not each.sum() > 0:
            raise DatasetError(
                f"weights must be {len(text_index)} numbers, none negative, not all 0; "
                f"got shape {each.shape}"
            )
    p = np.bincount(text_index, weights=each, minlength=n_texts)
    q = np.bincount(image_index, weights=each, minlength=n_images)
    return p / each.sum(), q / each.sum()


def _cells_of_examples(
    shape: tuple[int, ...], text_index: ArrayLike | None, image_index: ArrayLike | None
) -> tuple[Index, Index]:
    if text_index is None and image_index is None:
        if shape[0] != shape[1]:
            raise DatasetError(
                f"grid has {shape[0]} texts and {shape[1]} images; without text_index and "
                "image_index it must be square"
            )
        diagonal = np.arange(shape[0])
        return diagonal, diagonal
    if text_index is None or image_index is None:
        raise DatasetError("text_index and image_index belong together; give both or neither")
    texts, images = np.asarray(text_index), np.asarray(image_index)
    if texts.ndim != 1 or texts.shape != images.shape or texts.size == 0:
        raise DatasetError(
            f"text_index and image_index must be of one length, at least 1; "
            f"got shapes {texts.shape} and {images.shape}"
        )
    for name, index, size in (("text_index", texts, shape[0]), ("image_index", images, shape[1])):
        if not np.issubdtype(index.dtype, np.integer):
            raise DatasetError(f"{name} must hold whole numbers, not {index.dtype}")
        if index.min() < 0 or index.max() >= size:
            raise DatasetError(
                f"{name} goes from {index.min()} to {index.max()}; the grid has 0 to {size - 1}"
            )
    return texts.astype(np.intp), images.astype(np.intp)


def _sums_of_squares(
    text_mean: Array, image_mean: Array, mean: Array, p: Array, q: Array, variance: Array
) -> Array:
    text = p @ (text_mean - mean) ** 2
    image = q @ (image_mean - mean) ** 2
    sums = np.stack([text, image, np.maximum(variance - text - image, 0.0)])
    return _without_rounding(sums, text_mean, image_mean, mean)


def _without_rounding(sums: Array, text_mean: Array, image_mean: Array, mean: Array) -> Array:
    # A constant logit leaves only rounding errors of its own size, of which shares make no sense.
    size = np.maximum(np.abs(mean), np.maximum(np.abs(text_mean).max(0), np.abs(image_mean).max(0)))
    return np.where(sums.sum(axis=0) > (16 * np.finfo(np.float64).eps * size) ** 2, sums, 0.0)


def _shares(sums: Array) -> Array:
    total = sums.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, sums / total, np.nan)


def _leave_out(total: Array, rest: Array) -> Array:
    # Shares are quotients, so that a text used by every example may miss 1 by one rounding.
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(rest > 1e-12, total / rest, np.nan)
