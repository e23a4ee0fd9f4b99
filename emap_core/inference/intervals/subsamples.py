"""Scores of the sub-sampling protocol: averages over random sub-samples, with their spread.

The spread gives two errors. The average would change with other sub-samples: variance s² / R. It
would also change with other examples, and the differences between sub-samples of the same data show
how much: the delete-d jackknife, s² n / (N − n) (Shao & Wu, Annals of Statistics 17, 1989).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import scipy

from emap_core.decomposition import Decomposition
from emap_core.decomposition.random_subsamples import SubsampledDecomposition
from emap_core.inference.gap import Gap, Interval, Intervals
from emap_core.inference.intervals.interval_summary import parts_of, steps_of
from emap_core.inference.metrics import evaluate, metric
from emap_core.inference.resamples.limits import CONFIDENCE
from emap_core.inference.table.rows import order_rows, projections_of
from emap_core.inference.table.score_table import best_constant, projections
from emap_core.types import Array, Space, Task

_PROJECTED = ("emap", "emap_leave_one_out")

Scores = dict[str, dict[str, Array]]
"""For each metric, its value in every sub-sample, shape (R,), for each row of the table."""


def projections_of_subsamples(
    subsamples: Sequence[Decomposition], task: Task, space: Space = "logits"
) -> dict[str, list[Array]]:
    """Return the projections of every sub-sample by the rows of the table, as `combine` takes them.

    The model and the constant are left out.
    """
    each = [projections(d, None, task, space) for d in subsamples]
    return {row: [one[row] for one in each] for row in projections_of(subsamples[0].sides)[1:-1]}


def subsample_scores(
    decomposition: SubsampledDecomposition,
    labels: Array,
    task: Task,
    metrics: Sequence[str],
    space: Space = "logits",
    linear_probes: Mapping[str, Array] | None = None,
) -> Scores:
    """Return the metrics of every row of the table in each sub-sample.

    Parameters
    ----------
    decomposition : SubsampledDecomposition
    labels : ndarray of shape (N,) or (N, C)
        Labels of all drawn examples; for the rest see `emap_core.inference.score_table`.
    task : str
    metrics : sequence of str
    space : str
    linear_probes : mapping, optional
        Further rows: scores of shape (N, C).
    """
    found: dict[str, dict[str, list[float]]] = {name: {} for name in metrics}
    n_classes = decomposition.logits.shape[1]
    for repeat, examples in enumerate(decomposition.drawn):
        truth = labels[examples]
        constant = best_constant(truth, np.ones((1, len(truth))), n_classes, task, space)
        rows = decomposition.subsample(repeat) | {
            "constant": np.broadcast_to(constant, (len(truth), n_classes)),
            **{row: scores[examples] for row, scores in (linear_probes or {}).items()},
        }
        for name, values in found.items():
            for row, scores in rows.items():
                values.setdefault(row, []).append(evaluate(name, truth, scores, task, space))
    return {
        name: {row: np.array(values) for row, values in rows.items()}
        for name, rows in found.items()
    }


def gap_scores(name: str, rows: Mapping[str, Array], projection: str, upper: str = "full") -> Array:
    """Return the gap in each sub-sample, shape (R,); positive means that interactions help."""
    sign = 1.0 if metric(name).higher_is_better else -1.0
    return np.asarray(sign * (rows[upper] - rows[projection]))


def spread(scores: Scores) -> dict[str, dict[str, float]]:
    """Return the standard deviation over sub-samples, of each row and of both gaps."""
    return {
        name: {row: _deviation(values) for row, values in rows.items()}
        | {
            gap: _deviation(gap_scores(name, rows, projection))
            for gap, projection in zip(("gap", "gap_leave_one_out"), _PROJECTED, strict=True)
        }
        for name, rows in scores.items()
    }


def subsample_intervals(
    decomposition: SubsampledDecomposition,
    scores: Scores,
    *,
    n_available: int,
    centred: bool = False,
    seed: int = 0,
) -> Intervals:
    """Return averages over the sub-samples with 95% intervals; nothing is tested.

    Parameters
    ----------
    decomposition : SubsampledDecomposition
    scores : dict
        From `subsample_scores`.
    n_available : int
        Number of examples that the sub-samples were drawn from.
    centred : bool
        Whether shares are those of the logits minus their mean over classes.
    seed : int
        Of the sub-samples.
    """
    n_repeats, size = decomposition.drawn.shape
    shares = decomposition.class_centred() if centred else decomposition
    sums = shares.subsample_sums_of_squares

    # What no example showed may still be true for 3 in N; see `rule_of_three`.
    least = 3.0 / len(decomposition.logits)

    def error(values: Array) -> float:
        if n_repeats < 2 or size >= n_available:
            return float("nan")
        return _deviation(values) * float(np.sqrt(1.0 / n_repeats + size / (n_available - size)))

    def limits(values: Array, value: float | None = None, at_least: float = 0.0) -> Interval:
        middle = float(values.mean()) if value is None else value
        if n_repeats < 2 or size >= n_available:
            return Interval(middle, float("nan"), float("nan"))
        reach = float(scipy.special.stdtrit(n_repeats - 1, (1 + CONFIDENCE) / 2))
        half = max(reach * error(values), at_least)
        return Interval(middle, middle - half, middle + half)

    def row(name: str, values: Array) -> Interval:
        if metric(name).unit != "points":
            return limits(values)
        found = limits(values, at_least=least)
        return Interval(found.value, max(found.low, 0.0), min(found.high, 1.0))

    def gap(name: str, projection: str, upper: str = "full") -> Gap:
        values = gap_scores(name, scores[name], projection, upper)
        found = limits(values, at_least=least if metric(name).unit == "points" else 0.0)
        # Two scores cannot be further apart than the metric's range.
        widest = metric(name).range[1] - metric(name).range[0]
        return Gap(
            metric=name,
            projection=projection,
            full=float(scores[name][upper].mean()),
            projected=float(scores[name][projection].mean()),
            difference=found.value,
            low=float(np.maximum(found.low, -widest)),
            high=float(np.minimum(found.high, widest)),
            p_value=float("nan"),
            method=f"average over {n_repeats:,} random sub-samples of {size:,} examples, standard "
            f"deviation {_deviation(values):.2g} between them; not tested",
            n_examples=len(decomposition.logits),
            n_resamples=n_repeats,
            seed=seed,
            standard_error=error(values),
            degrees_of_freedom=max(n_repeats - 1, 0),
            cluster="none",
            n_units=len(decomposition.logits),
            unit="examples",
            population="for new examples",
        )

    orders = order_rows(decomposition.sides)
    parts = parts_of(decomposition.sides)
    all_sums = shares.sums_of_squares
    return Intervals(
        rows={
            name: {which: row(name, values) for which, values in rows.items()}
            for name, rows in scores.items()
        },
        gaps={
            name: {which: gap(name, which) for which in (*_PROJECTED, *orders)} for name in scores
        },
        steps={
            name: {upper: gap(name, lower, upper) for upper, lower in steps_of(orders).items()}
            for name in scores
            if orders
        },
        shares={
            part: [
                limits(
                    _quotient(sums[:, terms, c].sum(axis=1), sums[:, :, c].sum(axis=1)),
                    float(share),
                )
                for c, share in enumerate(_share(all_sums[terms].sum(axis=0), shares.variance))
            ]
            for part, terms in parts.items()
        },
        pooled_shares={
            part: limits(
                _quotient(sums[:, terms].sum(axis=(1, 2)), sums.sum(axis=(1, 2))),
                float(_share(all_sums[terms].sum(), shares.variance.sum())),
            )
            for part, terms in parts.items()
        },
        cluster="none",
        population="for new examples",
        n_resamples=n_repeats,
        seed=seed,
        notes=[_note(n_repeats, size, n_available)],
    )


def _note(n_repeats: int, size: int, n_available: int) -> str:
    sentences = [
        f"The protocol of published papers: EMAP on random sub-samples of {size:,} of "
        f"{n_available:,} examples, averaged over {n_repeats:,}. Each sub-sample's projection "
        "averages only over its own items, so it is noisier than that of all examples "
        "and, as published, contains more of each example's own prediction."
    ]
    if size >= n_available:
        sentences.append("Every sub-sample is the whole data, so they show no spread.")
    elif n_repeats < 2:
        sentences.append("A single sub-sample shows no spread, and has no interval.")
    else:
        sentences.append(
            "Intervals come from the spread between sub-samples: that of the average, and that of "
            "the examples (delete-d jackknife), which count as independent."
        )
    return " ".join(sentences)


def _deviation(values: Array) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else float("nan")


def _share(part: Array, whole: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(whole > 0, part / whole, np.nan)


def _quotient(part: Array, whole: Array) -> Array:
    return np.asarray(np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0))
