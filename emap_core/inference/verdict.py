"""Say in a sentence what the interval of a gap allows, and nothing more."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

import numpy as np

from emap_core.decomposition import Decomposition
from emap_core.decomposition.subsample import SubsampledDecomposition
from emap_core.inference.gap import Gap
from emap_core.inference.metrics import Metric, metric
from emap_core.inference.scores import Space

Kind = Literal["relies", "small", "none", "undecided", "hurts", "variance", "undefined"]

SMALLEST_GAP = 0.01
"""Gaps below this do not matter unless the user says otherwise: 1 point."""


@dataclass(frozen=True)
class Verdict:
    """A sentence about a gap, in plain text.

    Attributes
    ----------
    kind : str
        ``relies``, ``small``, ``none``, ``undecided`` or ``hurts``; ``variance`` without labels,
        ``undefined`` where the metric is, or nothing varies.
    sentence : str
        The verdict with its numbers.
    details : tuple of str
        Further sentences: where variance and decisions disagree, and what was measured.
    """

    kind: Kind
    sentence: str
    details: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join((self.sentence, *self.details))


def verdict(
    gap: Gap | None,
    *,
    smallest_gap: float = SMALLEST_GAP,
    interaction_share: float | None = None,
    decisions_changed: int | None = None,
    space: Space = "logits",
    why_undefined: str | None = None,
) -> Verdict:
    """Return what a gap and its interval say about interactions.

    Parameters
    ----------
    gap : Gap or None
        None without labels: then the sentence speaks of variance alone.
    smallest_gap : float
        The smallest gap that matters, in units of the metric (0.01 of accuracy is 1 point).
    interaction_share : float, optional
        Share of the variance that interactions carry, pooled over classes.
    decisions_changed : int, optional
        Examples that the projection decides differently.
    space : str
        What was projected.
    why_undefined : str, optional
        Why the gap is NaN, if it is.
    """
    if gap is None:
        return _of_variance(interaction_share, space)
    if interaction_share is not None and not isfinite(interaction_share):
        return Verdict(
            "undefined",
            "No text and no image changes what the model says: there is nothing to split into "
            "parts.",
        )
    which = metric(gap.metric)
    if not isfinite(gap.difference):
        reason = why_undefined or "too little is left to compute it from"
        return Verdict("undefined", f"{_capital(which.label)} is undefined here: {reason}.")
    disagreement = _disagreement(interaction_share, decisions_changed, gap.n_examples, space)
    details = (*disagreement, _measured(gap))
    if not (isfinite(gap.low) and isfinite(gap.high)):
        sentence = (
            f"Undecided: {_amount(gap.difference, which)} of {which.label}, with no interval."
        )
        return Verdict("undecided", sentence, details)

    fall = _fall(gap, which)
    within = -smallest_gap < gap.low and gap.high < smallest_gap
    if within and (gap.low > 0 or gap.high < 0):
        return Verdict("small", f"Measurable but small: without interactions {fall}.", details)
    if within:
        sentence = (
            f"No use of interactions that would matter: {which.label} changes by "
            f"{_difference(gap.difference, gap.low, gap.high, which)}. On this data an additive "
            "model built from this one does as well."
        )
        return Verdict("none", sentence, details)
    if gap.low > 0:
        sentence = f"This model relies on interactions: without them {fall}."
        return Verdict("relies", sentence, details)
    if gap.high < 0:
        return Verdict("hurts", f"Interactions hurt here: without them {fall}.", details)
    sentence = (
        f"Undecided: {_difference(gap.difference, gap.low, gap.high, which)}. "
        f"About {_examples_needed(gap, smallest_gap):,} examples would settle it."
    )
    return Verdict("undecided", sentence, details)


def self_term_note(decomposition: Decomposition) -> str:
    """Return what to say beside a gap of the plain projection."""
    weight = _own_weight(decomposition)
    return (
        f"The plain EMAP of an example contains the model's own prediction for it, on average with "
        f"weight {_significant(weight)}, which can make its gap too small; the leave-one-out gap "
        "is free of this, and is the one to report."
    )


def _own_weight(decomposition: Decomposition) -> float:
    if isinstance(decomposition, SubsampledDecomposition):
        return float(np.mean([_weight_among(decomposition, rows) for rows in decomposition.drawn]))
    return _weight_among(decomposition, slice(None))


def _weight_among(decomposition: Decomposition, examples: Any) -> float:
    texts, images = decomposition.text_index[examples], decomposition.image_index[examples]
    p, q = (np.bincount(index)[index] / len(index) for index in (texts, images))
    return float((p + q - p * q).mean())


def _of_variance(share: float | None, space: Space) -> Verdict:
    if share is None or not isfinite(share):
        return Verdict(
            "variance", "The model's output never varies: there is nothing to split into parts."
        )
    return Verdict(
        "variance",
        f"Interactions carry {_percent(share)} of the variance of the {_words(space)}; without "
        "labels nothing can be said about performance.",
    )


def _disagreement(
    share: float | None, changed: int | None, n_examples: int, space: Space
) -> tuple[str, ...]:
    if share is None or changed is None or not isfinite(share):
        return ()
    decided = changed / n_examples
    # A factor of ten apart, and the larger of the two worth a sentence.
    if max(share, decided) < 0.1 or max(share, decided) < 10 * min(share, decided):
        return ()
    link, few = ("yet", "") if share > decided else ("and yet", "only ")
    return (
        f"Interactions carry {few}{_percent(share)} of the variance of the {_words(space)}, "
        f"{link} change {changed:,} {'decision' if changed == 1 else 'decisions'} "
        f"in {n_examples:,}.",
    )


def _measured(gap: Gap) -> str:
    name = {
        "emap_leave_one_out": "leave-one-out projection",
        "emap": "plain projection, which contains each example's own prediction",
    }[gap.projection]
    return f"Measured against the {name}, on {gap.n_examples:,} examples; 95% interval in brackets."


def _fall(gap: Gap, which: Metric) -> str:
    verb = "falls" if gap.projected < gap.full else "rises"
    size = abs(gap.difference)
    low, high = sorted((abs(gap.low), abs(gap.high)))
    return (
        f"{which.label} {verb} from {_level(gap.full, which)} to {_level(gap.projected, which)}, "
        f"by {_difference(size, low, high, which)}"
    )


def _difference(value: float, low: float, high: float, which: Metric) -> str:
    if which.unit == "points":
        limits = f"[{_fixed(100 * low)}, {_fixed(100 * high)}]"
    else:
        limits = f"[{_significant(low)}, {_significant(high)}]"
    return f"{_amount(value, which)} {limits}"


def _amount(value: float, which: Metric) -> str:
    return f"{_fixed(100 * value)} points" if which.unit == "points" else _significant(value)


def _level(value: float, which: Metric) -> str:
    return f"{_fixed(100 * value)}%" if which.unit == "points" else _significant(value)


def _examples_needed(gap: Gap, smallest_gap: float) -> int:
    half_width = (gap.high - gap.low) / 2
    size = abs(gap.difference)
    # An estimate below the smallest gap is settled when its interval leaves out either end.
    target = min(smallest_gap, max(size, smallest_gap - size))
    needed = gap.n_examples * max(half_width / target, 1.0) ** 2
    return int(float(f"{needed:.2g}"))


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%" if share >= 0.1 else f"{_significant(100 * share, 2)}%"


def _fixed(value: float) -> str:
    return f"{value:.1f}".replace("-0.0", "0.0").replace("-", "−")


def _significant(value: float, digits: int = 3) -> str:
    shown = f"{value:#.{digits}g}" if abs(value) >= 1e-3 or value == 0 else f"{value:.1g}"
    return shown.rstrip(".").replace("-", "−")


def _words(space: Space) -> str:
    return space.replace("_", "-")


def _capital(label: str) -> str:
    return label[:1].upper() + label[1:]
