"""Say in a sentence what the interval of a gap allows, and nothing more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from numbers import Real
from statistics import NormalDist
from typing import Any, Literal

import scipy

from emap_core.decomposition import Decomposition
from emap_core.decomposition.projection import TEXT_AND_IMAGE
from emap_core.decomposition.sets_of_sides import Sides
from emap_core.errors import SettingError
from emap_core.human_readable import capitalised
from emap_core.inference.gap import Gap
from emap_core.inference.metrics import Metric, metric
from emap_core.inference.number_format import (
    amount,
    bracket,
    limit,
    measured,
    number,
    p_value,
    whole,
)
from emap_core.inference.predictions.scores import in_words
from emap_core.inference.table.rows import order_rows, rows_of
from emap_core.types import Space

Kind = Literal[
    "relies",
    "helps",
    "equivalent",
    "no_gain",
    "hurts",
    "undecided",
    "not_measurable",
    "variance",
    "undefined",
]

IN_WORDS: dict[Kind, str] = {
    "relies": "relies on interactions",
    "helps": "interactions help, by how much is open",
    "equivalent": "no meaningful use of interactions",
    "no_gain": "no gain that would matter",
    "hurts": "interactions hurt",
    "undecided": "undecided",
    "not_measurable": "not measurable",
    "variance": "no labels",
    "undefined": "not defined",
}
"""Each kind of verdict in a few words, for tables."""

SHARE_THAT_MATTERS = 0.01
"""Smaller gaps do not matter unless the user says otherwise.

It is 1 point, or 1% of a metric's own scale (see `Metric.spread`).
"""

_POWER = 0.8
_TAIL = 0.975
_Z = NormalDist().inv_cdf(_TAIL)
_ZP = NormalDist().inv_cdf(_POWER)


@dataclass(frozen=True)
class Verdict:
    """A sentence about a gap, in plain text.

    Attributes
    ----------
    kind : str
        ``relies`` (the interval lies above the equivalence margin), ``helps`` (above 0),
        ``equivalent`` (within the margin on both sides), ``no_gain`` (below the margin),
        ``hurts`` (below 0), ``undecided``; ``not_measurable`` if nothing can be recombined,
        ``variance`` without labels, ``undefined`` if the metric is undefined or nothing varies.
    sentence : str
        The verdict with its numbers.
    details : tuple of str
        Further sentences: whether another additive rule does better, whether variance and decisions
        disagree, what was measured, and for whom it holds.
    warnings : tuple of str
        Warnings if numbers rest on few examples; see `emap_core.inference.robustness.cautions`.
    metric : str or None
        The metric that the sentence is about.
    equivalence_margin : float or None
        The smallest gap that matters, in units of the metric.
    """

    kind: Kind
    sentence: str
    details: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    metric: str | None = None
    equivalence_margin: float | None = None

    def __str__(self) -> str:
        return " ".join((self.sentence, *self.details))

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "kind": self.kind,
            "sentence": self.sentence,
            "details": list(self.details),
            "warnings": list(self.warnings),
            "metric": self.metric,
            # The key is older than today's name, and other programs read it.
            "smallest_gap": self.equivalence_margin,
        }


@dataclass(frozen=True)
class PairError:
    """The part of an interval that comes from scoring only some of the pairs.

    Attributes
    ----------
    half_width : float
        Half the width of the 95% interval from the choice of pairs alone.
    n_pairs, n_grid : int
        Pairs that were scored, and all that could be.
    called : str
        What they are called; of more sides than two they are no pairs.
    """

    half_width: float
    n_pairs: int
    n_grid: int
    called: str = "pairs"


def default_margin(which: Metric, constant: float | None = None) -> float:
    """Return the equivalence margin of a metric, unless the user says otherwise.

    Parameters
    ----------
    which : Metric
    constant : float, optional
        The score of the best constant, the scale of metrics with units.

    Returns
    -------
    float
        0.01 for a share or a correlation; 1% of the constant's score if the metric has units; 0.01
        if that is 0 or unknown.
    """
    known = constant is not None and isfinite(constant) and constant != 0
    scale = abs(constant) if which.spread == "constant" and known and constant else 1.0
    return SHARE_THAT_MATTERS * scale


def checked_margin(given: float, which: Metric) -> float:
    """Return an equivalence margin as the user gave it.

    Raises
    ------
    SettingError
        If no gap of this metric can be this large, or it is not above 0.
    """
    lowest, highest = which.range
    largest = highest - lowest
    is_number = isinstance(given, Real)
    if not (is_number and 0 < given < largest and isfinite(given)):
        said = f"{given:g}" if is_number else repr(given)
        hint = "; 0.01 is 1 point" if which.unit == "points" else ""
        below = f" and below {largest:g}" if isfinite(largest) else ""
        raise SettingError(
            f"the equivalence margin is {said}; expected a number above 0{below}, in "
            f"units of {which.label}{hint}"
        )
    return float(given)


def verdict(
    gap: Gap | None,
    *,
    equivalence_margin: float | None = None,
    scores: Mapping[str, float] | None = None,
    interaction_share: float | None = None,
    decisions_changed: int | None = None,
    space: Space = "logits",
    pairs: PairError | None = None,
    shared_by_all: str | None = None,
    why_undefined: str | None = None,
    warnings: tuple[str, ...] = (),
    sides: Sides = TEXT_AND_IMAGE,
    steps: Mapping[str, Gap] | None = None,
) -> Verdict:
    """Return what a gap and its interval say about interactions.

    Parameters
    ----------
    gap : Gap or None
        None without labels: then the sentence is only about variance.
    equivalence_margin : float, optional
        The smallest gap that matters, in units of the metric (0.01 of accuracy is 1 point);
        `default_margin` by default.
    scores : mapping of str to float, optional
        The metric of the table's other rows, by name: ``constant``, ``text_only`` and so on.
    interaction_share : float, optional
        Share of the variance that interactions carry, pooled over classes.
    decisions_changed : int, optional
        Number of examples that the projection decides differently.
    space : str
        What was projected.
    pairs : PairError, optional
        If only some of the pairs were scored: what that adds to the interval.
    shared_by_all : str, optional
        The side on which all examples share one item, such as ``"text"``, so nothing can be
        recombined.
    why_undefined : str, optional
        Why the gap is NaN, if it is.
    warnings : tuple of str
        Passed on.
    sides : tuple of str
        Names of the sides. Two sides are text and image in sentences, whatever their names.
    steps : mapping of str to Gap, optional
        With more than two sides, what each order of projections adds to the one below, by the upper
        row; see `Intervals`.

    Raises
    ------
    SettingError
        If `equivalence_margin` is not a possible gap above 0.
    """
    if shared_by_all is not None:
        return Verdict(
            "not_measurable",
            f"Not measurable: all examples share one {shared_by_all}.",
            (
                f"Interactions only show if {_recombined(sides)} can be recombined, which takes at "
                "least two of each. That the projection equals the model here says nothing about "
                "them.",
            ),
        )
    if gap is None:
        return _of_variance(interaction_share, space)
    which = metric(gap.metric)
    given = scores or {}
    if equivalence_margin is None:
        margin = default_margin(which, given.get("constant"))
    else:
        margin = checked_margin(equivalence_margin, which)

    def said(kind: Kind, sentence: str, *details: str) -> Verdict:
        return Verdict(kind, sentence, details, warnings, which.name, margin)

    if interaction_share is not None and not isfinite(interaction_share):
        return said(
            "undefined",
            f"{_nothing(sides)} changes what the model says: there is nothing to split into parts.",
        )
    if not isfinite(gap.difference):
        reason = why_undefined or "too little is left to compute it from"
        return said("undefined", f"{capitalised(which.label)} is undefined here: {reason}.")
    about = (
        *_steps(steps or {}, which, sides),
        *_other_fits(gap, which, margin, given, sides),
        *_disagreement(interaction_share, decisions_changed, gap.n_examples, space),
    )
    measured_as = _measured(gap, which, margin, given.get("constant"))
    if not (isfinite(gap.low) and isfinite(gap.high)):
        sentence = f"Undecided: {_of(gap.difference, which)}, with no interval."
        return said("undecided", sentence, *about, measured_as)

    shown = _Shown(gap, which, margin, _without(sides, steps or {}, which))
    if -margin < gap.low and gap.high < margin:
        return said("equivalent", shown.equivalent, *about, shown.equivalence, measured_as)
    if gap.low >= margin:
        relies = "relies on interactions" if len(sides) == 2 else "needs its sides together"
        return said("relies", f"This model {relies}: {shown.fall}.", *about, measured_as)
    if gap.low > 0:
        sentence = f"Interactions help; by how much is open: {shown.difference}."
        return said("helps", sentence, *about, measured_as)
    if gap.high < 0:
        return said("hurts", f"Interactions hurt here: {shown.fall}.", *about, measured_as)
    if gap.high < margin:
        return said("no_gain", shown.no_gain, *about, measured_as)
    sentence = f"Undecided: {shown.difference}; {shown.excluded}. {_settled_by(gap, margin, pairs)}"
    return said("undecided", sentence, *about, _CHANCE, measured_as)


def _recombined(sides: Sides) -> str:
    return "texts and images" if len(sides) == 2 else "items of two sides"


def _nothing(sides: Sides) -> str:
    return "No text and no image" if len(sides) == 2 else "No item of any side"


def _without(sides: Sides, steps: Mapping[str, Gap], which: Metric) -> tuple[str, str]:
    """Return words for what the model goes without, and for the projections in between."""
    if len(sides) == 2:
        return "without them", ""
    # Highest first in the table.
    between = [
        f"; with {_several(row, sides)} it is {measured(steps[row].full, which.unit)}"
        for row in reversed(order_rows(sides))
        if row in steps
    ]
    return "with one side at a time", "".join(between)


def _several(row: str, sides: Sides) -> str:
    label = rows_of(sides)[row].label
    return label[:1].lower() + label[1:]


def _steps(steps: Mapping[str, Gap], which: Metric, sides: Sides) -> tuple[str, ...]:
    """Return what each order of projections gains over the one below, in a sentence."""
    above = [(row, gap) for row, gap in steps.items() if row != "emap_leave_one_out"]
    differences = [gap.difference for _, gap in above]
    if not any(differences) or not all(map(isfinite, differences)):
        return ()
    several = order_rows(sides)
    added: list[str] = []
    for row, gap in above:
        together = f"only all {_COUNTED.get(len(sides), len(sides))} together"
        what = _several(row, sides) if row in several else together
        much = f"{_of(gap.difference, which)} {bracket(gap.low, gap.high, which.unit)}"
        if added:
            added.append(f"{what} another {much}")
        else:
            added.append(f"{what} gain {much} over one side at a time")
    *most, last = added
    return (f"{capitalised(', '.join(most))}, and {last}.",)


_COUNTED = {3: "three", 4: "four", 5: "five"}

_CHANCE = (
    "That number would settle it with a chance of 80% if the gap is as estimated and the new "
    "examples are like these."
)


class _Shown:
    """The numbers of a gap in words, with as many digits as the verdict needs."""

    def __init__(self, gap: Gap, which: Metric, margin: float, without: tuple[str, str]) -> None:
        self._gap, self._which, self._margin = gap, which, margin
        self._without, self._between = without
        # A limit must not seem to be where another verdict begins.
        self._lines = (-margin, 0.0, margin)
        self.difference = self._interval(gap.difference, gap.low, gap.high)

    def _interval(self, value: float, low: float, high: float) -> str:
        return f"{_of(value, self._which)} {bracket(low, high, self._which.unit, self._lines)}"

    @property
    def fall(self) -> str:
        gap, which = self._gap, self._which
        verb = "falls" if gap.projected < gap.full else "rises"
        low, high = (gap.low, gap.high) if gap.difference >= 0 else (-gap.high, -gap.low)
        return (
            f"{self._without} {which.label} {verb} from {measured(gap.full, which.unit)} to "
            f"{measured(gap.projected, which.unit)}, by "
            f"{amount(abs(gap.difference), which.unit)} "
            f"{bracket(low, high, which.unit, self._lines)}{self._between}"
        )

    @property
    def equivalent(self) -> str:
        gap, which = self._gap, self._which
        limits = bracket(gap.low, gap.high, which.unit, self._lines)
        return (
            f"No meaningful use of interactions: {which.label} changes by "
            f"{amount(gap.difference, which.unit)} {limits}. An additive approximation of this "
            f"model performs as well, to within {whole(self._margin, which.unit)}."
        )

    @property
    def equivalence(self) -> str:
        gap, which = self._gap, self._which
        reach = max(abs(gap.low), abs(gap.high))
        p = p_value(equivalence_p_value(gap, self._margin))
        sentence = f"Two one-sided tests of equivalence: {p}"
        if limit(reach, which.unit) != limit(0.0, which.unit):
            sentence += (
                f"; the same would hold for any margin above {_at(reach, which, self._lines)}"
            )
        if not gap.low <= 0 <= gap.high:
            sentence = f"The difference is more than chance but less than what matters. {sentence}"
        return f"{sentence}."

    @property
    def no_gain(self) -> str:
        gap, which = self._gap, self._which
        limits = bracket(gap.low, gap.high, which.unit, self._lines)
        return (
            f"No gain that would matter: {which.label} changes by "
            f"{amount(gap.difference, which.unit)} {limits}; a gain of "
            f"{whole(self._margin, which.unit)} is excluded."
        )

    @property
    def excluded(self) -> str:
        gap, which = self._gap, self._which
        lowest, highest = which.range
        if gap.high >= highest - lowest:
            sentence = "no gain is excluded"
        else:
            sentence = f"a gain above {_at(gap.high, which, self._lines)} is excluded"
        if -self._margin < gap.low < 0:
            sentence += f", and so is a loss above {limit(-gap.low, which.unit, self._lines)}"
        return sentence


def equivalence_p_value(gap: Gap, margin: float) -> float:
    """Return the p-value of two one-sided tests that a gap is within ± the margin.

    Each side is tested with the distance of the estimate from its own limit, so the p-value is
    below 2.5% exactly when the 95% interval is within the margin (Schuirmann 1987).
    """
    freedom = gap.degrees_of_freedom
    reach = float(scipy.special.stdtrit(freedom, _TAIL)) if freedom >= 1 else _Z
    sides = (
        (gap.difference - gap.low, margin + gap.difference),
        (gap.high - gap.difference, margin - gap.difference),
    )
    p = 0.0
    for half_width, distance in sides:
        if half_width <= 0:
            p = max(p, float(distance <= 0))
            continue
        t = reach * distance / half_width
        p = max(
            p, float(scipy.special.stdtr(freedom, -t)) if freedom >= 1 else NormalDist().cdf(-t)
        )
    return p


def units_needed(difference: float, half_width: float, n_units: float, margin: float) -> float:
    """Return how many units would settle whether a gap matters, with a chance of 80%.

    It is settled when the 95% interval is above 0 or within ± the equivalence margin, whichever
    needs fewer units, if the estimate is the true gap: N (h / 1.96)² times the smaller of (2.80 /
    |g|)² and (z / (s − |g|))², never below N. z is 2.80 if one of the two ends is near, 3.24 if
    both are equally near (g = 0).

    Parameters
    ----------
    difference : float
        The gap as estimated, g.
    half_width : float
        Of its 95% interval, h.
    n_units : float
        Examples, texts or images that were drawn, N.
    margin : float
        s, in units of the metric like g and h.
    """
    g = abs(difference)
    error = half_width / _Z
    factors = [((_Z + _ZP) / g) ** 2] if g > 0 else []
    if g < margin:
        factors.append(_steepness_within(g, margin) ** 2)
    return n_units * max(error**2 * min(factors), 1.0)


def _steepness_within(g: float, margin: float) -> float:
    """Return 1 / standard error at which an interval is within ± the margin in 80% of cases."""
    near, far = margin - g, margin + g

    def excess(steepness: float) -> float:
        within = (NormalDist().cdf(side * steepness - _Z) for side in (near, far))
        return sum(within) - 1.0 - _POWER

    # Both ends at the distance of the nearer one need the most.
    highest = (_Z + NormalDist().inv_cdf((1 + _POWER) / 2)) / near
    lowest = (_Z + _ZP) / near
    return float(scipy.optimize.brentq(excess, lowest * (1 - 1e-9), highest * (1 + 1e-9)))


def self_term_note(decomposition: Decomposition) -> str:
    """Return the note for a gap of the plain projection."""
    return (
        "The plain EMAP of an example contains the model's own prediction for it, with an average "
        f"weight of {number(decomposition.own_weight)}, which can make its gap too small. The "
        "leave-one-out gap does not have this problem; report that one."
    )


def _of_variance(share: float | None, space: Space) -> Verdict:
    if share is None or not isfinite(share):
        return Verdict(
            "variance", "The model's output never varies, so there is nothing to split into parts."
        )
    return Verdict(
        "variance",
        f"Interactions carry {_percent(share)} of the variance of the {in_words(space)}; without "
        "labels, nothing can be said about performance.",
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
        f"Interactions carry {few}{_percent(share)} of the variance of the {in_words(space)}, "
        f"{link} change {changed:,} {'decision' if changed == 1 else 'decisions'} "
        f"in {n_examples:,}.",
    )


def _settled_by(gap: Gap, margin: float, pairs: PairError | None) -> str:
    half_width = (gap.high - gap.low) / 2
    needed = units_needed(gap.difference, half_width, gap.n_units, margin)
    if pairs is None or not pairs.half_width > 0:
        return f"About {_units(needed, gap)} would settle it."
    growth = needed / gap.n_units
    of_pairs = min(pairs.half_width / half_width, 1.0) ** 2
    of_examples, wanted = 1.0 - of_pairs, 1.0 / growth
    if of_pairs >= of_examples and of_examples < wanted:
        enough = pairs.n_pairs * of_pairs / (wanted - of_examples)
        return (
            f"{_pairs(enough, pairs)} would settle it: most of the interval comes from the choice "
            f"of {pairs.called}, not of examples."
        )
    if of_examples > of_pairs and of_pairs < wanted:
        enough = gap.n_units * of_examples / (wanted - of_pairs)
        return (
            f"About {_units(enough, gap)} would settle it: most of the interval comes from the "
            f"choice of examples, not of {pairs.called}."
        )
    both = _pairs(growth * pairs.n_pairs, pairs)
    return f"{both} and about {_units(needed, gap)} would settle it."


def _pairs(enough: float, pairs: PairError) -> str:
    now = pairs.n_pairs
    if enough >= pairs.n_grid:
        return f"Scoring the whole grid, {pairs.n_grid:,} {pairs.called} instead of {now:,},"
    return f"About {_about(enough, now):,} {pairs.called} instead of {now:,}"


def _units(needed: float, gap: Gap) -> str:
    count = f"{_about(needed, gap.n_units):,} {gap.unit}"
    if gap.cluster == "both":
        other = "images" if gap.unit == "texts" else "texts"
        return f"{count}, and {other} in proportion,"
    if "+" in gap.cluster:
        return f"{count}, and those of the other sides in proportion,"
    return count if gap.cluster == "none" else f"{count}, with as many examples each,"


def _about(needed: float, at_least: int) -> int:
    return max(int(float(f"{needed:.2g}")), at_least)


def _other_fits(
    gap: Gap, which: Metric, margin: float, scores: Mapping[str, float], sides: Sides
) -> tuple[str, ...]:
    """Return whether another rule without interactions does as well as the projection or better.

    The projection minimises squared distance over all recombinations. Another rule without
    interactions may decide better on the pairs of the data; then interactions are needed for only
    part of the gap. A constant is such a rule, and so is each side alone.
    """
    sign = 1.0 if which.higher_is_better else -1.0
    known = {row: score for row, score in scores.items() if isfinite(score)}
    found = []
    constant = known.get("constant")
    if constant is not None and sign * (gap.projected - constant) <= 0:
        found.append(_no_better_than_constant(gap, which, margin, constant, sides))
    rows = rows_of(sides)
    additive = [name for name, row in rows.items() if row.phrase and name in known]
    best = max(additive, key=lambda row: sign * known[row], default=None)
    if best is None or sign * (known[best] - gap.projected) < margin:
        return tuple(found)
    if constant is not None and sign * (known[best] - constant) <= 0:
        # The constant needs less and does as well; it was already mentioned.
        return tuple(found)
    left = sign * (gap.full - known[best])
    needs = (
        f"interactions are needed for only about {amount(left, which.unit)} of the gap"
        if left > 0
        else "the model itself does no better, so nothing here needs interactions"
    )
    found.append(
        f"Another rule without interactions does better than the projection: {rows[best].phrase} "
        f"reaches {measured(known[best], which.unit)}, and {needs}."
    )
    return tuple(found)


def _no_better_than_constant(
    gap: Gap, which: Metric, margin: float, constant: float, sides: Sides
) -> str:
    sign = 1.0 if which.higher_is_better else -1.0
    shown = measured(constant, which.unit)
    left = sign * (gap.full - constant)
    if left <= 0:
        return (
            f"Neither the model nor its projection does better than the best constant, {shown}: "
            "the gap says little about what the model knows."
        )
    if sign * (constant - gap.projected) < margin:
        together = "text and image" if len(sides) == 2 else "several sides"
        return (
            f"The projection does no better than the best constant, {shown}: everything that the "
            f"model knows beyond it needs {together} together."
        )
    return (
        f"The projection, {measured(gap.projected, which.unit)}, does worse than the best "
        f"constant, {shown}, which also needs no interactions. So interactions are needed for "
        f"about {amount(left, which.unit)} of the gap; the rest shows that the projection is "
        "fitted to pairs that the data does not have."
    )


def _measured(gap: Gap, which: Metric, margin: float, constant: float | None) -> str:
    name = {
        "emap_leave_one_out": "leave-one-out projection",
        "emap": "plain projection, which contains each example's own prediction",
    }[gap.projection]
    by_default = margin == default_margin(which, constant)
    share = (
        f", 1% of the best constant’s {which.label}"
        if by_default and which.spread == "constant" and constant
        else ""
    )
    return (
        f"Measured against the {name}, on {gap.n_examples:,} examples; 95% interval in brackets, "
        f"{gap.population}. The equivalence margin is {whole(margin, which.unit)}{share}."
    )


def _of(value: float, which: Metric) -> str:
    """Return a difference, with the metric's name unless it is accuracy."""
    return amount(value, which.unit) + ("" if which.name == "accuracy" else f" of {which.label}")


def _at(value: float, which: Metric, lines: tuple[float, ...]) -> str:
    shown = limit(value, which.unit, lines)
    return f"{shown} points" if which.unit == "points" else shown


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%" if share >= 0.1 else f"{number(100 * share)}%"
