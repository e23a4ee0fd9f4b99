"""The empirical multimodally-additive projection on the grid of unique items of every side.

Source of the projection: Hessel & Lee, "Does my multimodal model learn cross-modal
interactions? It's harder to tell than you might think!", EMNLP 2020 (arXiv 2010.06572),
section 3. The paper has two sides, text and image; with more, it is the sum of one function per
side.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from emap_core.decomposition.rounding import may_tie, noise_of_logits, settle
from emap_core.decomposition.sets_of_sides import (
    Sides,
    all_sets,
    mean_square,
    means_of_grid,
    order_weights,
    own_weights,
    product,
    projection_weights,
    subsets,
    term,
)
from emap_core.errors import DatasetError
from emap_core.notebook_display import ShownInNotebooks
from emap_core.types import Array, Index

TEXT_AND_IMAGE: Sides = ("text", "image")
"""The sides of a grid without names."""

PARTS = (*TEXT_AND_IMAGE, "interaction")
"""Order of the first axis of `Decomposition.variance_shares` if a grid names no sides."""

Kind = TypeVar("Kind", bound="Decomposition")


@dataclass(frozen=True, eq=False)
class Decomposition(ShownInNotebooks):
    """A model's predictions on N examples, split into a part for each side and interactions.

    Every array is float64. N examples, C classes, M sides, U_m unique items of side m; example i
    sits in the cell ``(index[0][i], …, index[M - 1][i])`` of the grid. Projections and one-sided
    means are settled: no decision depends on rounding, see `emap_core.decomposition.rounding`.

    Attributes
    ----------
    sides : tuple of str
        Names of the grid's axes.
    logits : ndarray of shape (N, C)
        The model's own predictions.
    mean : ndarray of shape (C,)
        Mean over all recombinations, weighted by how often each item is used.
    side_means : tuple of ndarray of shape (U_m, C)
        Mean of each unique item over all other sides.
    shares : tuple of ndarray of shape (U_m,)
        Shares of the examples that use each item.
    index : tuple of ndarray of shape (N,)
        Number of each example's item.
    sums_of_squares : ndarray of shape (2^M - 1, C)
        Variance over all recombinations that the term of each set of sides carries: single sides in
        order, then pairs, finally all sides together. With two sides: first, second, interaction.
    centred_variance : ndarray of shape (C,)
        Variance over all recombinations of the logits minus their mean over classes.
    joint_means : mapping of tuple of str to ndarray of shape (N, C)
        For each set of several but not all sides, the mean over the others at each example; empty
        with two sides.
    centred_joint_squares : mapping of tuple of str to ndarray of shape (C,)
        Variance of the logits minus their mean over classes that the terms of these sets carry.
    noise : ndarray of shape (C,)
        Size below which an interaction is rounding in the model; by default that of float32 logits.
    """

    sides: Sides
    logits: Array
    mean: Array
    side_means: tuple[Array, ...]
    shares: tuple[Array, ...]
    index: tuple[Index, ...]
    sums_of_squares: Array
    centred_variance: Array
    joint_means: Mapping[Sides, Array] = field(default_factory=dict)
    centred_joint_squares: Mapping[Sides, Array] = field(default_factory=dict)
    noise: Array = field(default=None, kw_only=True)  # type: ignore[arg-type]  # set below

    def __post_init__(self) -> None:
        if self.noise is None:
            object.__setattr__(self, "noise", noise_of_logits(self.logits))

    @classmethod
    def from_means(
        cls,
        means: Mapping[Sides, Array],
        *,
        logits: Array,
        index: Mapping[str, Index],
        shares: Sequence[Array],
        centred_variance: Array,
        variance: Array | None = None,
        rest: Array | None = None,
        noise: Array | None = None,
    ) -> Self:
        """Return the decomposition from the means of all sets of sides except the whole.

        Parameters
        ----------
        means : mapping of tuple of str to ndarray
            For every set of sides except all of them, including the empty one; each has the axes of
            its sides, with classes last.
        logits : ndarray of shape (N, C)
        index : mapping of str to ndarray of shape (N,)
            The cell of each example, sides in order.
        shares : sequence of ndarray of shape (U_m,)
        centred_variance : ndarray of shape (C,)
        variance, rest : ndarray of shape (C,)
            The variance over all recombinations, or the part that only all sides together carry (by
            default what the other sets leave, clipped at 0). One of them is needed.
        noise : ndarray of shape (C,), optional
        """
        sides = tuple(index)
        share = dict(zip(sides, shares, strict=True))
        proper = all_sets(sides)[:-1]
        squares = {
            some: mean_square(term(some, means), [share[side] for side in some]) for some in proper
        }
        if rest is None:
            if variance is None:
                raise TypeError("from_means needs variance or rest")
            rest = _what_is_left(variance, list(squares.values()))
        joint = [some for some in proper if len(some) > 1]
        centred = {some: _centre(values) for some, values in means.items()} if joint else {}
        return cls(
            sides=sides,
            logits=logits,
            mean=means[()],
            side_means=tuple(means[(side,)] for side in sides),
            shares=tuple(shares),
            index=tuple(index.values()),
            sums_of_squares=_without_rounding(np.stack([*squares.values(), rest]), means),
            centred_variance=centred_variance,
            joint_means={some: means[some][tuple(index[side] for side in some)] for some in joint},
            centred_joint_squares={
                some: mean_square(term(some, centred), [share[side] for side in some])
                for some in joint
            },
            noise=noise,  # type: ignore[arg-type]  # that of float32 logits where there is none
        )

    def as_kind(self, kind: type[Kind], **further: Any) -> Kind:
        """Return the same as another kind of decomposition, with that kind's own fields."""
        own = {one.name: getattr(self, one.name) for one in fields(Decomposition)}
        return kind(**(own | further))

    def equals(self, other: Decomposition) -> bool:
        """Whether all arrays of both are the same to the bit."""
        try:
            for one in fields(self):
                np.testing.assert_equal(getattr(self, one.name), getattr(other, one.name))
        except AssertionError:
            return False
        return True

    @cached_property
    def effects(self) -> dict[str, Array]:
        """What each example's items add to the mean, by side, each of shape (N, C)."""
        return {
            side: (means - self.mean)[index]
            for side, means, index in zip(self.sides, self.side_means, self.index, strict=True)
        }

    @cached_property
    def emap(self) -> Array:
        """Additive projection of each prediction, shape (N, C)."""
        return self.projection(1)

    @cached_property
    def interaction(self) -> Array:
        """What each prediction has beyond its additive projection, shape (N, C)."""
        return self.logits - self.emap

    @cached_property
    def emap_leave_one_out(self) -> Array:
        """Additive projection of each prediction from all cells but its own, shape (N, C).

        The plain projection of example i contains its own cell. NaN if all sides, or all but one,
        have a single unique item.
        """
        return self.projection(1, leave_one_out=True)

    def projection(self, order: int, *, leave_one_out: bool | Collection[str] = False) -> Array:
        """Return the projection onto sums of functions of up to `order` sides, shape (N, C).

        Order 1 is additive; order 2 lets every two sides interact, and so on; order M is the model.

        Parameters
        ----------
        order : int
            1 to M.
        leave_one_out : bool or collection of str
            Whether to leave each example's own cell out of its projection. The cell has the weight
            `own_weights` in the plain one, a least squares fit, so no further fit is needed. Or the
            sides whose own item is left out, if the items of the others are all there are: see
            `emap_core.decomposition.sets_of_sides.projection_weights`. NaN if nothing else is left.
        """
        if not 1 <= order <= len(self.sides):
            raise DatasetError(
                f"order is {order}; expected 1 to {len(self.sides)}, the number of sides"
            )
        if not isinstance(leave_one_out, bool):
            return self.settled(self._without_items(order, leave_one_out))
        projected = self._projected(order)
        if leave_one_out:
            own = self.own_weights(self.index, order)[:, None]
            projected = _leave_out(projected - own * self.logits, 1.0 - own)
        return self.settled(projected)

    def _projected(self, order: int) -> Array:
        if order == 1:
            # Effects keep digits that a large common mean would cost.
            found = self.mean
            for effect in self.effects.values():
                found = found + effect
            return found
        found = np.zeros_like(self.logits)
        for some in [(), *all_sets(self.sides)]:
            if len(some) <= order:
                found += order_weights(len(self.sides), order)[len(some)] * (
                    self._mean_at_examples(some) - self.mean
                )
        return found + self.mean

    def _without_items(self, order: int, sides: Collection[str]) -> Array:
        own = [share[index] for share, index in zip(self.shares, self.index, strict=True)]
        weights = projection_weights(own, order, {self._place(side) for side in sides})
        found = np.zeros_like(self.logits)
        for some, weight in weights.items():
            mean = self._mean_at_examples(tuple(self.sides[k] for k in some))
            found += weight[:, None] * (mean - self.mean)
        return found + self.mean

    def only(self, side: str) -> Array:
        """Mean of each example's item of a side over all cells but its own, shape (N, C).

        NaN if all other sides have a single item, because nothing is left to average over.
        """
        others = [
            share[index]
            for name, share, index in zip(self.sides, self.shares, self.index, strict=True)
            if name != side
        ]
        own = product(others)[:, None]
        place = self._place(side)
        mean = self.side_means[place][self.index[place]]
        return self.settled(_leave_out(mean - own * self.logits, 1.0 - own))

    @cached_property
    def one_sided(self) -> dict[str, Array]:
        """`only` for every side, each of shape (N, C)."""
        return {side: self.only(side) for side in self.sides}

    def contribution(self, *sides: str) -> Array:
        """Return what the items of some sides add together to each prediction, shape (N, C).

        It is what no fewer of them add: for one side its effect, for two what only the pair adds.
        The mean and the contributions of all sets of sides sum to the logits.
        """
        some = tuple(side for side in self.sides if side in sides)
        if len(some) != len(sides) or not some:
            raise DatasetError(
                f"sides are {', '.join(map(repr, sides)) or 'missing'}; expected some of "
                f"{', '.join(map(repr, self.sides))}"
            )
        found = np.zeros_like(self.logits)
        for part in [some, *subsets(some)[:-1]]:
            # The signs of all means, including the total one, sum to 0.
            sign = (-1.0) ** (len(some) - len(part))
            found += sign * (self._mean_at_examples(part) - self.mean)
        return found

    def _mean_at_examples(self, some: Sides) -> Array:
        """Return the mean over all sides but `some` at each example, shape (N, C) or (C,)."""
        if not some:
            return self.mean
        if some == self.sides:
            return self.logits
        if len(some) == 1:
            place = self._place(some[0])
            return np.asarray(self.side_means[place][self.index[place]])
        return self.joint_means[some]

    def _place(self, side: str) -> int:
        if side not in self.sides:
            raise DatasetError(
                f"side {side!r} is unknown; expected one of {', '.join(map(repr, self.sides))}"
            )
        return self.sides.index(side)

    @cached_property
    def within_rounding(self) -> Index:
        """Numbers of the examples whose decision or rank may depend on rounding."""
        if not self.interaction.any():
            return np.arange(len(self.logits))
        return np.flatnonzero(may_tie(self.logits, self.noise))

    @cached_property
    def own_weight(self) -> float:
        """Weight of an example's own prediction in its plain projection, on average."""
        return self.own_weight_among(np.arange(len(self.logits)))

    def own_weight_among(self, examples: Index) -> float:
        """Return the same for a projection of only these examples, by their numbers."""
        shares = [np.bincount(index[examples]) / len(examples) for index in self.index]
        weights = [share[index[examples]] for share, index in zip(shares, self.index, strict=True)]
        return float(own_weights(weights, 1).mean())

    def own_weights(self, index: Sequence[Index], order: int = 1) -> Array:
        """Return the weight of each cell in its own plain projection of an order, shape (N,).

        Parameters
        ----------
        index : sequence of ndarray of shape (N,)
            Numbers of the cells' items, a side each.
        order : int
        """
        pairs = zip(self.shares, index, strict=True)
        return own_weights([share[numbers] for share, numbers in pairs], order)

    def settled(self, projected: Array) -> Array:
        """Return projected scores, shape (..., N, C), in which no decision depends on rounding."""
        return settle(projected, self.logits, self.noise)

    @property
    def variance(self) -> Array:
        """Variance of the logits over all recombinations, shape (C,)."""
        return np.asarray(self.sums_of_squares.sum(axis=0))

    @property
    def knows_sets(self) -> bool:
        """Whether the share of each set of several sides is known, not only their total."""
        return True

    @property
    def interaction_squares(self) -> Array:
        """Variance that the terms of all sets of several sides carry, shape (C,)."""
        return np.asarray(self.sums_of_squares[len(self.sides) :].sum(axis=0))

    @cached_property
    def variance_shares(self) -> Array:
        """Shares of the variance that each side and all interactions carry, shape (M + 1, C).

        Each column sums to 1; it is NaN for a class whose logit never varies.
        """
        return _shares(self._sums_by_side)

    @cached_property
    def pooled_shares(self) -> Array:
        """Shares of the variance summed over classes, shape (M + 1,); NaN without any variance."""
        return _shares(self._sums_by_side.sum(axis=1))

    @property
    def _sums_by_side(self) -> Array:
        m = len(self.sides)
        if m == 2:
            return self.sums_of_squares
        return np.vstack([self.sums_of_squares[:m], self.interaction_squares])

    @cached_property
    def terms(self) -> dict[Sides, Array]:
        """Shares of the variance that the term of each set of sides carries, each shape (C,)."""
        return dict(
            zip(all_sets(self.sides), _shares(self.sums_of_squares, self.variance), strict=True)
        )

    @cached_property
    def pooled_terms(self) -> dict[Sides, float]:
        """Shares of the variance summed over classes that each set of sides carries.

        NaN without any variance.
        """
        shares = _shares(self.sums_of_squares.sum(axis=1))
        return dict(zip(all_sets(self.sides), shares.tolist(), strict=True))

    @cached_property
    def order_shares(self) -> Array:
        """Shares of the variance that terms of 1, 2, …, M sides carry, shape (M, C)."""
        shares = np.zeros((len(self.sides), len(self.mean)))
        for some, share in self.terms.items():
            shares[len(some) - 1] += share
        return shares

    def in_order(self, side: str, order: Index) -> Self:
        """Return the same with item i of a side moved to row ``order[i]``."""
        k, place = self._place(side), np.argsort(order)

        def moved(values: tuple[Array, ...]) -> tuple[Array, ...]:
            return (*values[:k], values[k][place], *values[k + 1 :])

        return replace(
            self,
            side_means=moved(self.side_means),
            shares=moved(self.shares),
            index=(*self.index[:k], order[self.index[k]], *self.index[k + 1 :]),
        )

    def class_centred(self) -> Decomposition:
        """Return the decomposition of the logits minus their mean over classes.

        A number added to all classes does not change a softmax but does change variance shares; for
        softmax tasks with several classes, shares and modes are read from this one.
        """
        mean, side_means = _centre(self.mean), tuple(map(_centre, self.side_means))
        squares = [
            share @ (means - mean) ** 2
            for share, means in zip(self.shares, side_means, strict=True)
        ]
        squares += self.centred_joint_squares.values()
        means: dict[Sides, Array] = {(): mean}
        means |= {(side,): m for side, m in zip(self.sides, side_means, strict=True)}
        rest = _what_is_left(self.centred_variance, squares)
        return self.as_kind(
            Decomposition,
            logits=_centre(self.logits),
            mean=mean,
            side_means=side_means,
            sums_of_squares=_without_rounding(np.stack([*squares, rest]), means),
            joint_means={some: _centre(found) for some, found in self.joint_means.items()},
            # Centred logits carry the rounding of all classes.
            noise=np.full_like(self.noise, self.noise.max()),
        )

    # The first two sides as rows and columns of a two-way grid.

    @property
    def row_index(self) -> Index:
        """Number of each example's item of the first side, shape (N,)."""
        return self.index[0]

    @property
    def column_index(self) -> Index:
        """Number of each example's item of the second side, shape (N,)."""
        return self.index[1]

    @property
    def row_mean(self) -> Array:
        """Mean of each item of the first side (r in the formulas), shape (U_1, C)."""
        return self.side_means[0]

    @property
    def column_mean(self) -> Array:
        """Mean of each item of the second side (c in the formulas), shape (U_2, C)."""
        return self.side_means[1]

    @property
    def row_share(self) -> Array:
        """Shares of the examples that use each item of the first side (p), shape (U_1,)."""
        return self.shares[0]

    @property
    def column_share(self) -> Array:
        """Shares of the examples that use each item of the second side (q), shape (U_2,)."""
        return self.shares[1]

    # Shorthand for a text and an image, like the paper's pairs.

    @property
    def text_effect(self) -> Array:
        """What the text of each example adds to the mean, shape (N, C)."""
        return self.effects[self.sides[0]]

    @property
    def image_effect(self) -> Array:
        """What the image of each example adds to the mean, shape (N, C)."""
        return self.effects[self.sides[1]]

    @property
    def text_only(self) -> Array:
        """Mean of each example's text over all images but its own, shape (N, C)."""
        return self.one_sided[self.sides[0]]

    @property
    def image_only(self) -> Array:
        """Mean of each example's image over all texts but its own, shape (N, C)."""
        return self.one_sided[self.sides[1]]


def decompose(
    grid: ArrayLike,
    text_index: ArrayLike | None = None,
    image_index: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    *,
    index: Mapping[str, ArrayLike] | None = None,
) -> Decomposition:
    """Project a grid of logits onto sums of one function per side: a(text) + b(image).

    Parameters
    ----------
    grid : array or tensor of shape (U_1, U_2, C) or (U_1, U_2)
        The model's output for every unique text (rows) with every unique image (columns); with
        `index`, for every item of its first side with every item of the others, shape
        (U_1, …, U_M, C) or (U_1, …, U_M). Its type, such as float16, shows how much of it is
        rounding.
    text_index, image_index : array of shape (N,), optional
        The cell of each example. Without them the grid must be square and example i is cell
        (i, i).
    weights : array of shape (N,), optional
        Weight of each example, 1 by default; shares of items follow from them.
    index : mapping of str to array of shape (N,), optional
        Instead of both, for two or more sides of other names: the cell of each example, in the
        order of the grid's axes.

    Raises
    ------
    DatasetError
        If shapes do not fit together, an index is outside the grid, or a value is not finite.

    Examples
    --------
    >>> import emap_core as emap
    >>> emap.decompose([[0.0, 1.0], [1.0, 0.0]]).variance_shares.ravel().tolist()
    [0.0, 0.0, 1.0]

    Whether a sum of three bits is even depends on all three:

    >>> bits = np.indices((2, 2, 2))
    >>> names = ("one", "two", "three")
    >>> index = dict(zip(names, bits.reshape(3, -1)))
    >>> parity = emap.decompose(bits.sum(axis=0) % 2, index=index)
    >>> float(parity.terms["one", "two", "three"][0])
    1.0
    """
    cells, dtype = _numbers(grid)
    sides = TEXT_AND_IMAGE if index is None else tuple(index)
    if len(sides) < 2:
        raise DatasetError(f"index has {len(sides)} sides; give at least two, by name")
    if cells.ndim == len(sides):
        cells = cells[..., None]
    if cells.ndim != len(sides) + 1 or 0 in cells.shape:
        axes = ", ".join(_axes(sides))
        raise DatasetError(
            f"grid has shape {np.shape(grid)}; expected ({axes}, classes), none of them 0"
        )
    if not np.isfinite(cells).all():
        place = np.argwhere(~np.isfinite(cells))[0]
        where = " with ".join(f"{side} {k}" for side, k in zip(sides, place, strict=False))
        raise DatasetError(f"grid holds a value that is not finite for {where}")
    if index is None:
        found = _square_or_given(cells.shape, text_index, image_index)
    elif text_index is None and image_index is None:
        found = _checked_index(index, cells.shape)
    else:
        raise DatasetError("index replaces text_index and image_index; give only one or the other")
    shares = item_shares(tuple(found.values()), cells.shape[:-1], weights)

    means = means_of_grid(cells, sides, shares)
    logits = cells[tuple(found.values())]
    whole = {**means, sides: cells}
    centred = cells - cells.mean(axis=-1, keepdims=True)
    centred -= means[()] - means[()].mean()
    return Decomposition.from_means(
        means,
        logits=logits,
        index=found,
        shares=shares,
        rest=mean_square(term(sides, whole), shares),
        centred_variance=mean_square(centred, shares),
        noise=noise_of_logits(logits, dtype),
    )


def _numbers(grid: Any) -> tuple[Array, str]:
    """Return a grid in float64, and its original type."""
    if hasattr(grid, "detach"):
        # A torch tensor; NumPy has no bfloat16.
        grid = grid.detach().cpu()
        dtype = str(grid.dtype).removeprefix("torch.")
        grid = grid.double()
    else:
        dtype = str(getattr(grid, "dtype", "float64"))
    if np.ma.isMaskedArray(grid) or np.iscomplexobj(grid):
        raise DatasetError("grid has masked or complex values; give a real number for every cell")
    return np.asarray(grid, dtype=np.float64), dtype


def decompose_sums(
    *,
    logits: Array,
    mean: Array,
    row_mean: Array,
    column_mean: Array,
    variance: Array,
    centred_variance: Array,
    row_index: Index,
    column_index: Index,
) -> Decomposition:
    """Return the decomposition from row, column, total and matched values alone.

    The grid itself is not needed: the interaction has the variance that rows and columns leave,
    clipped at 0. `variance` and `centred_variance` have shape (C,). See `Decomposition.from_means`
    for other sides, and for more than two.
    """
    p, q = example_shares(row_index, column_index, len(row_mean), len(column_mean))
    first, second = TEXT_AND_IMAGE
    return Decomposition.from_means(
        {(): mean, (first,): row_mean, (second,): column_mean},
        logits=logits,
        index={first: row_index, second: column_index},
        shares=(p, q),
        variance=variance,
        centred_variance=centred_variance,
    )


def example_shares(
    row_index: Index,
    column_index: Index,
    n_rows: int,
    n_columns: int,
    weights: ArrayLike | None = None,
) -> tuple[Array, Array]:
    """Return the shares of the examples that use each row, shape (U_1,), and column, (U_2,)."""
    p, q = item_shares((row_index, column_index), (n_rows, n_columns), weights)
    return p, q


def item_shares(
    index: Sequence[Index], shape: Sequence[int], weights: ArrayLike | None = None
) -> tuple[Array, ...]:
    """Return the shares of the examples that use each item, of each side, shape (U_m,) each.

    Parameters
    ----------
    index : sequence of ndarray of shape (N,)
        Number of each example's item, one array per side.
    shape : sequence of int
        Number of items on each side.
    weights : array of shape (N,), optional
        Of the examples, 1 by default.

    Raises
    ------
    DatasetError
        If weights do not fit, or one is negative, or all are 0.
    """
    if weights is None:
        each = np.ones(len(index[0]))
    else:
        each = np.asarray(weights, dtype=np.float64)
        if each.shape != index[0].shape or not (each >= 0).all() or not each.sum() > 0:
            raise DatasetError(
                f"weights must be {len(index[0])} numbers, none negative, not all 0; "
                f"got shape {each.shape}"
            )
    return tuple(
        np.bincount(numbers, weights=each, minlength=size) / each.sum()
        for numbers, size in zip(index, shape, strict=True)
    )


def _square_or_given(
    shape: tuple[int, ...], text_index: ArrayLike | None, image_index: ArrayLike | None
) -> dict[str, Index]:
    if text_index is None and image_index is None:
        if shape[0] != shape[1]:
            raise DatasetError(
                f"grid has {shape[0]} texts and {shape[1]} images; without text_index and "
                "image_index it must be square"
            )
        diagonal = np.arange(shape[0])
        return dict.fromkeys(TEXT_AND_IMAGE, diagonal)
    if text_index is None or image_index is None:
        raise DatasetError("text_index and image_index belong together; give both or neither")
    given = {"text_index": text_index, "image_index": image_index}
    found = _checked_index(given, shape)
    return dict(zip(TEXT_AND_IMAGE, found.values(), strict=True))


def _checked_index(index: Mapping[str, ArrayLike], shape: tuple[int, ...]) -> dict[str, Index]:
    """Return numbers of items by side, if they fit a grid of this shape."""
    found = {name: np.asarray(numbers) for name, numbers in index.items()}
    shapes = [numbers.shape for numbers in found.values()]
    if len(shapes[0]) != 1 or len(set(shapes)) > 1 or shapes[0] == (0,):
        *most, last = found
        raise DatasetError(
            f"{', '.join(most)} and {last} must have the same length, at least 1; "
            f"got shapes {', '.join(map(str, shapes[:-1]))} and {shapes[-1]}"
        )
    for (name, numbers), size in zip(found.items(), shape, strict=False):
        if not np.issubdtype(numbers.dtype, np.integer):
            raise DatasetError(f"{name} must hold whole numbers, not {numbers.dtype}")
        if numbers.min() < 0 or numbers.max() >= size:
            raise DatasetError(
                f"{name} goes from {numbers.min()} to {numbers.max()}; the grid has 0 to {size - 1}"
            )
    return {name: numbers.astype(np.intp) for name, numbers in found.items()}


def _axes(sides: Sides) -> Sides:
    """Return the names of a grid's axes for messages."""
    return ("texts", "images") if sides == TEXT_AND_IMAGE else sides


def _centre(values: Array) -> Array:
    return np.asarray(values - values.mean(axis=-1, keepdims=True))


def _what_is_left(variance: Array, squares: Sequence[Array]) -> Array:
    """Return the variance that no term of fewer sides than all carries, 0 or more."""
    for found in squares:
        variance = variance - found
    return np.maximum(variance, 0.0)


def _without_rounding(sums: Array, means: Mapping[Sides, Array]) -> Array:
    # A constant logit leaves only rounding errors of its own size; their shares make no sense.
    size = np.max(
        [np.abs(found).reshape(-1, found.shape[-1]).max(axis=0) for found in means.values()], axis=0
    )
    return np.where(sums.sum(axis=0) > (16 * np.finfo(np.float64).eps * size) ** 2, sums, 0.0)


def _shares(sums: Array, total: Array | None = None) -> Array:
    total = sums.sum(axis=0) if total is None else total
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, sums / total, np.nan)


def _leave_out(total: Array, rest: Array) -> Array:
    # Shares are quotients, so a text used by every example may miss 1 by one rounding.
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(rest > 1e-12, total / rest, np.nan)
