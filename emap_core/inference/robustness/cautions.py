"""Numbers that rest on few examples: arrays in, sentences out.

An interval is only as good as the sample. If a handful of examples, or a class with a handful of
them, carries a number, another sample may well miss them, and an interval computed without them
would not know.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from emap_core.inference.gap import Gap
from emap_core.inference.metrics import Metric, metric
from emap_core.inference.number_format import percent
from emap_core.inference.predictions.scores import Scored
from emap_core.types import AnyArray, Space, Task

FEWEST_OF_A_CLASS = 20
"""With fewer examples, a class is called small: with a dozen, limits of an AUC held in 90%."""

FEWEST_FLIPS = 10
"""With fewer differing decisions, they are called few."""

FEWEST_UNITS = 20
"""With fewer texts or images, an interval that draws them is called rough."""

_TOP = 0.01
_MOST = 0.5
# Skewness over √N of the examples' differences. In trials with exponential, log-normal and Pareto
# differences, N from 100 to 1,600, t intervals beyond it covered less than 93%, and below it 93%
# or more.
_SKEWED = 0.2
# Excess kurtosis of errors. With 400 examples, normal errors hardly reach 1; those of a t
# distribution with 3 degrees of freedom, whose squares have no variance, hardly stay below 2.
_HEAVY = 2.0
_NAMED = 3


def cautions(
    name: str,
    labels: ArrayLike,
    full: ArrayLike,
    projected: ArrayLike,
    task: Task,
    space: Space = "logits",
    *,
    classes: Sequence[str] | None = None,
    gap: Gap | None = None,
) -> tuple[str, ...]:
    """Return a sentence for each way in which a gap rests on few examples.

    Parameters
    ----------
    name : str
        Of the metric.
    labels : array
        As for `evaluate`.
    full, projected : array of shape (N, C)
        Scores of the model and of its projection.
    task, space : str
    classes : sequence of str, optional
        Names of the classes.
    gap : Gap, optional
        The gap with its interval, to say how many texts or images it rests on.
    """
    which = metric(name)
    truth = np.asarray(labels)
    one, other = (Scored(truth, np.asarray(s), task, space) for s in (full, projected))
    found = [
        *(_few_examples(which, _lost(which, one, other)) or _heavy_errors(which, one, other)),
        *_small_classes(which, truth, task, one.scores.shape[-1], classes),
        *_few_units(gap),
    ]
    return tuple(found)


def _lost(which: Metric, full: Scored, projected: Scored) -> AnyArray | None:
    """Return what each example adds to the gap, up to a factor, shape (N,); None if unknown."""
    both = [which.values(scored) for scored in (full, projected)]
    if both[0] is None and which.goes_with is not None:
        both = [-which.goes_with(scored) for scored in (full, projected)]
        sign = 1.0
    else:
        sign = 1.0 if which.higher_is_better else -1.0
    if both[0] is None or both[1] is None:
        return None
    lost = sign * (both[0] - both[1])
    return np.asarray(lost) if np.isfinite(lost).all() else None


def _few_examples(which: Metric, lost: AnyArray | None) -> list[str]:
    if lost is None or not lost.any():
        return []
    n_differing = int(np.count_nonzero(lost))
    if _decides(which):
        # Single examples count equally: only their number matters.
        if n_differing >= FEWEST_FLIPS:
            return []
        return [
            f"Interactions decide {n_differing} of {len(lost):,} examples; {which.label} on other "
            "examples may well differ more."
        ]
    n_top = max(round(_TOP * len(lost)), 1)
    of_gap, of_variance = _shares_of_top(lost, n_top)
    uneven = abs(_skewness(lost)) / np.sqrt(len(lost)) > _SKEWED
    if of_gap <= _MOST and not uneven:
        return []
    carried = (
        f"{percent(of_gap)} of the gap"
        if of_gap > _MOST
        else f"{percent(of_variance)} of what makes the gap vary"
    )
    who = "The one example" if n_top == 1 else f"The {n_top:,} examples"
    return [
        f"{who} of {len(lost):,} with the largest differences in {which.label} "
        f"{'carries' if n_top == 1 else 'carry'} {carried}, so its interval may be too narrow on "
        "one side."
    ]


def _heavy_errors(which: Metric, full: Scored, projected: Scored) -> list[str]:
    """Return a warning if large errors, not yet seen, would decide a mean of squares."""
    if which.goes_with is None or not np.isfinite(projected.scores).all():
        return []
    errors = np.hstack([(s.scores - s.labels.reshape(s.scores.shape)) for s in (full, projected)])
    varying = errors[:, errors.std(axis=0) > 0]
    heaviest = float(_excess_kurtosis(varying).max()) if varying.size else 0.0
    if not heaviest > _HEAVY:
        return []
    return [
        f"Errors have heavy tails (an excess kurtosis of {heaviest:.1f}), and {which.label} "
        "squares them: one larger error than those seen would change it a lot, so its interval may "
        "be too narrow on one side."
    ]


def _shares_of_top(lost: AnyArray, n_top: int) -> tuple[float, float]:
    """Return the most extreme examples' share of the gap and of its variance."""
    total = float(lost.sum())
    pulling = np.sort(lost if total >= 0 else -lost)[::-1][:n_top]
    # Near 0, a share of the gap means little: the gap is what remains after much cancels.
    clear = abs(total) > 2 * np.sqrt(len(lost)) * lost.std()
    squares = np.sort((lost - lost.mean()) ** 2)[::-1]
    return (
        min(float(pulling.sum()) / abs(total), 1.0) if clear else 0.0,
        float(squares[:n_top].sum() / squares.sum()) if squares.any() else 0.0,
    )


def _decides(which: Metric) -> bool:
    return which.of_examples is not None and which.unit == "points"


def _skewness(values: AnyArray) -> float:
    """Return the third standardised moment, 0 if nothing varies."""
    off = values - values.mean()
    spread = float(np.sqrt((off**2).mean()))
    return float((off**3).mean()) / spread**3 if spread > 0 else 0.0


def _excess_kurtosis(values: AnyArray) -> AnyArray:
    """Return the fourth standardised moment of each column, minus a normal variable's."""
    off = values - values.mean(axis=0)
    return np.asarray((off**4).mean(axis=0) / (off**2).mean(axis=0) ** 2 - 3.0)


def _small_classes(
    which: Metric, labels: AnyArray, task: Task, n_columns: int, classes: Sequence[str] | None
) -> list[str]:
    counts = _class_counts(labels, task, n_columns) if which.classes_count_alike else None
    if counts is None:
        return []
    # A class without examples may have some in the next sample.
    small = [int(c) for c in np.flatnonzero(counts < FEWEST_OF_A_CLASS)]
    if not small:
        return []
    small.sort(key=lambda c: (counts[c], c))
    named = [f"{_class_name(c, classes)} ({counts[c] or 'none'})" for c in small[:_NAMED]]
    more = f" and {len(small) - _NAMED:,} more" if len(small) > _NAMED else ""
    return [
        f"{which.label[:1].upper()}{which.label[1:]} goes class by class, but {len(small):,} of "
        f"{len(counts):,} classes {'has' if len(small) == 1 else 'have'} fewer than "
        f"{FEWEST_OF_A_CLASS} examples: {', '.join(named)}{more}. Its interval is rough."
    ]


def _class_name(c: int, classes: Sequence[str] | None) -> str:
    if classes is None or c >= len(classes):
        return f"class {c}"
    return textwrap.shorten(str(classes[c]), 40, placeholder=" …")


def _class_counts(labels: AnyArray, task: Task, n_columns: int) -> AnyArray | None:
    if task == "multilabel":
        return np.asarray(labels.sum(axis=0), dtype=int)
    if task in ("multiclass", "binary") and labels.ndim == 1:
        # A label below 0 is not a class of the model.
        known = labels[labels >= 0].astype(int)
        return np.bincount(known, minlength=2 if task == "binary" else n_columns)
    return None


def _few_units(gap: Gap | None) -> list[str]:
    if gap is None or gap.n_units >= FEWEST_UNITS or gap.n_units < 2:
        return []
    return [
        f"The interval rests on {gap.n_units} different {gap.unit}: with so few, it is rough, and "
        "its limits assume that new ones are like these."
    ]
