"""How much likelier a pair is among the examples than among recombinations.

A classifier that tells matched pairs from shuffled ones, as many of both, gives the ratio of the
two densities as D / (1 − D) (Sugiyama, Suzuki & Kanamori, "Density Ratio Estimation in Machine
Learning", 2012, chapter 4).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.preprocessing import StandardScaler

from emap_core.decomposition.projection import example_shares
from emap_core.errors import DatasetError
from emap_core.types import Array, Index

MOST_COMPONENTS = 32
"""Number of leading components of each side that are searched for directions."""
MOST_DIRECTIONS = 8
"""Number of directions of each side that vary together most; the classifier sees their products."""
N_FOLDS = 4
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)
"""Penalties tried, per pair; components have variance 1."""
MOST_PAIRS = 20_000
LARGEST_RATIO = 100.0
"""Ratios are clipped here, and at the inverse."""

_FEWEST_SHUFFLED = 4_000
_MOST_SHUFFLES = 10
_FARTHEST = 4.0
_FEWEST_MATCHED = 10
# In log loss, which is log 2 without any knowledge; less than this is rounding.
_LEAST_GAIN = 1e-6


@dataclass(frozen=True, eq=False)
class DensityRatio:
    """How much likelier each pair is among the examples than among recombinations.

    Attributes
    ----------
    ratio : ndarray of shape (U_1, U_2)
        Its mean over all recombinations is 1.
    auc : float
        How well a classifier that has seen neither item of a pair tells matched pairs from shuffled
        ones: 1 is perfect, .5 is not at all. In the latter case, the encodings do not show any pair
        to be unlikely, and the ratio is 1 for all.
    """

    ratio: Array
    auc: float


def density_ratio(
    first_encodings: ArrayLike,
    second_encodings: ArrayLike,
    row_index: Index,
    column_index: Index,
    *,
    seed: int = 0,
) -> DensityRatio:
    """Estimate the density ratio of matched to recombined pairs from encoded items.

    The classifier is a logistic regression on the directions in which matched items
    vary together most, their squares, and the products of those of the first with those of the
    second. Items of both sides are cut into folds; a pair is judged by the classifier that was
    trained without its fold of the first side and its fold of the second.

    Parameters
    ----------
    first_encodings : array of shape (U_1, D_1)
    second_encodings : array of shape (U_2, D_2)
    row_index, column_index : ndarray of shape (N,)
        The cell of each example.
    seed : int
        Seed of folds and shuffles.

    Raises
    ------
    DatasetError
        If encodings are not a table of finite numbers with one row per item.
    """
    first, second = _whitened(first_encodings, "text"), _whitened(second_encodings, "image")
    p, q = example_shares(row_index, column_index, len(first), len(second))
    rng = np.random.default_rng(seed)
    judges = _Judges(first, second, _Pairs.draw(row_index, column_index, rng), rng)
    penalty, loss = judges.best_penalty()
    # A classifier no better than chance has nothing to say about any pair.
    if not loss < np.log(2.0) - _LEAST_GAIN:
        return DensityRatio(np.ones((len(first), len(second))), 0.5)
    log_ratio, auc = judges.judge(penalty)
    most = np.log(LARGEST_RATIO)
    ratio = np.exp(np.clip(log_ratio, -most, most))
    return DensityRatio(ratio / (p @ ratio @ q), auc)


def _whitened(encodings: ArrayLike, side: str) -> Array:
    """Return leading principal components of variance 1, shape (U, K)."""
    values = np.asarray(encodings, dtype=np.float64)
    if values.ndim != 2 or 0 in values.shape or not np.isfinite(values).all():
        raise DatasetError(
            f"{side} encodings have shape {values.shape}; expected a row of finite numbers for "
            f"each {side}"
        )
    values = StandardScaler().fit_transform(values)
    if not values.any():
        return np.zeros((len(values), 0))
    found = PCA(min(MOST_COMPONENTS, *values.shape), random_state=0).fit(values)
    kept = found.explained_variance_ > 1e-6 * found.explained_variance_[0]
    scores = found.transform(values)[:, kept] / np.sqrt(found.explained_variance_[kept])
    # A few outliers would dominate all products and squares.
    return np.asarray(np.clip(scores, -_FARTHEST, _FARTHEST))


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Matched pairs and shuffled ones, with equal total weight."""

    rows: Index
    columns: Index
    matched: NDArray[np.bool_]
    weight: Array

    @classmethod
    def draw(cls, row_index: Index, column_index: Index, rng: np.random.Generator) -> _Pairs:
        if len(row_index) > MOST_PAIRS:
            some = rng.choice(len(row_index), MOST_PAIRS, replace=False)
            row_index, column_index = row_index[some], column_index[some]
        n = len(row_index)
        n_shuffles = int(np.clip(-(-_FEWEST_SHUFFLED // n), 1, _MOST_SHUFFLES))
        shuffled = [rng.permutation(column_index) for _ in range(n_shuffles)]
        return cls(
            np.tile(row_index, 1 + n_shuffles),
            np.concatenate([column_index, *shuffled]),
            np.arange(n * (1 + n_shuffles)) < n,
            np.repeat([1.0, 1.0 / n_shuffles], [n, n * n_shuffles]),
        )

    def loss(self, log_odds: Array) -> float:
        """Return the mean log loss on the judged pairs; infinite without both kinds."""
        judged = ~np.isnan(log_odds)
        matched, weight = self.matched[judged], self.weight[judged]
        if len(np.unique(matched)) < 2:
            return float("inf")
        return float(log_loss(matched, special.expit(log_odds[judged]), sample_weight=weight))


@dataclass(frozen=True, eq=False)
class _Judge:
    """Log odds that a pair is matched, as a bilinear form in the features of both sides."""

    of_first: Array
    of_second: Array
    form: Array

    @classmethod
    def trained(
        cls, first: Array, second: Array, matched: NDArray[np.bool_], weight: Array, penalty: float
    ) -> _Judge:
        """Return a judge of pairs from the components of both sides, each of shape (n, K)."""
        n = int(matched.sum())
        if n < _FEWEST_MATCHED or 0 in (first.shape[1], second.shape[1]):
            return cls(
                np.zeros((first.shape[1], 0)), np.zeros((second.shape[1], 0)), np.zeros((1, 1))
            )
        left, _, right = np.linalg.svd(first[matched].T @ second[matched] / n, full_matrices=False)
        of_first, of_second = left[:, :MOST_DIRECTIONS], right[:MOST_DIRECTIONS].T
        k = of_first.shape[1]
        # 1 is multiplied with all features of the other side, directions with directions.
        used = np.zeros((1 + 2 * k, 1 + 2 * k), dtype=bool)
        used[0] = used[:, 0] = used[: 1 + k, : 1 + k] = True
        used[0, 0] = False
        rows, columns = np.nonzero(used)
        features = _read(first @ of_first)[:, rows] * _read(second @ of_second)[:, columns]
        model = LogisticRegression(C=1.0 / (penalty * weight.sum()), solver="newton-cholesky")
        model.fit(features, matched, sample_weight=weight)
        form = np.zeros(used.shape)
        form[rows, columns] = model.coef_[0]
        form[0, 0] = model.intercept_[0]
        return cls(of_first, of_second, form)

    def grid(self, first: Array, second: Array) -> Array:
        """Return the log odds of all pairs."""
        return np.asarray(
            _read(first @ self.of_first) @ self.form @ _read(second @ self.of_second).T
        )


def _read(directions: Array) -> Array:
    """Return 1, the directions and their squares."""
    return np.hstack([np.ones((len(directions), 1)), directions, directions**2])


class _Judges:
    """A classifier for each fold of rows with each fold of columns, trained without either."""

    def __init__(self, first: Array, second: Array, pairs: _Pairs, rng: np.random.Generator):
        self._first, self._second, self._pairs = first, second, pairs
        self._row_fold = rng.permutation(len(first)) % N_FOLDS
        self._column_fold = rng.permutation(len(second)) % N_FOLDS

    def best_penalty(self) -> tuple[float, float]:
        """Return the penalty with the lowest loss on pairs that were left out, and that loss."""
        diagonal = [(k, k) for k in range(N_FOLDS)]
        losses = []
        for penalty in PENALTIES:
            found = self._judged(diagonal, penalty)[self._pairs.rows, self._pairs.columns]
            losses.append(self._pairs.loss(found))
        best = int(np.argmin(losses))
        return PENALTIES[best], losses[best]

    def judge(self, penalty: float) -> tuple[Array, float]:
        """Return the log ratio of all pairs, shape (U_1, U_2), and the AUC on the drawn ones."""
        folds = range(N_FOLDS)
        log_ratio = self._judged([(i, k) for i in folds for k in folds], penalty)
        pairs = self._pairs
        found = log_ratio[pairs.rows, pairs.columns]
        return log_ratio, float(roc_auc_score(pairs.matched, found, sample_weight=pairs.weight))

    def _judged(self, folds: list[tuple[int, int]], penalty: float) -> Array:
        """Return the log odds of all pairs, NaN outside the folds."""
        pairs = self._pairs
        found = np.full((len(self._first), len(self._second)), np.nan)
        for i, k in folds:
            kept = (self._row_fold[pairs.rows] != i) & (self._column_fold[pairs.columns] != k)
            judge = _Judge.trained(
                self._first[pairs.rows[kept]],
                self._second[pairs.columns[kept]],
                pairs.matched[kept],
                pairs.weight[kept],
                penalty,
            )
            rows, columns = self._row_fold == i, self._column_fold == k
            found[np.ix_(rows, columns)] = judge.grid(self._first[rows], self._second[columns])
        return found
