"""A run's numbers in words: tables and sentences for page, report, terminal and notebook."""

from __future__ import annotations

from collections import Counter
from math import nan

from emap_core import inference
from emap_core.decomposition.names_of_sets import order_name, set_name
from emap_core.human_readable import capitalised
from emap_core.inference import ROWS, Interval, metric, rows_of
from emap_core.inference.number_format import (
    amount,
    bracket,
    change,
    measured,
    number,
    p_cell,
    p_value,
    percent,
    with_interval,
)
from emap_core.inference.other_measures.group_scores import ROWS_OF_ANSWERS, GroupScores
from emap_core.inference.other_measures.known_measures import MEASURES
from emap_core.inference.other_measures.measures import Measures
from emap_core.inference.other_measures.partial_information import ATOMS, PartialInformation
from emap_core.inference.predictions.scores import in_words
from emap_core.modalities.side_names import worded
from emap_core.runs import Run
from emap_core.runs.gaps_by_column import gaps_by

Table = dict[str, list[str]]
"""Cells by column heading."""

_NO_LIMITS = Interval(nan, nan, nan)

KIND_WORDS = {
    "redundant": "text alone and image alone already give the model’s answer",
    "text-led": "the model’s answer is that of the text alone",
    "image-led": "the model’s answer is that of the image alone",
    "synergistic": "neither side alone gives the model’s answer",
}


def score_table(run: Run, *, intervals: bool = True) -> Table:
    """Return the scores of the model and its baselines, one row each.

    Without `intervals`, this does not compute anything.
    """
    rows = rows_of(run.decomposition.sides)
    words: Table = {"Predictor": [worded(run.sides, rows[row].label) for row in run.rows]}
    for name, points in run.points.items():
        which = metric(name)
        limits = run.intervals().rows[name] if intervals else dict.fromkeys(points, _NO_LIMITS)
        words[f"{capitalised(which.label)} {'↑' if which.higher_is_better else '↓'}"] = [
            with_interval(value, limits[row].low, limits[row].high, which.unit)
            for row, value in points.items()
        ]
    return words


def intervals_note(run: Run) -> str:
    """Return what a run's brackets hold, whom they speak of and on how many examples."""
    population, n_examples = run.intervals().population, run.manifest["n_examples"]
    return worded(run.sides, f"95% intervals in brackets, {population}, N = {n_examples:,}.")


def score_notes(run: Run) -> list[str]:
    """Return the notes below the `score_table`, one paragraph each."""
    found = run.intervals()
    first = f"{intervals_note(run)} ↑ higher is better, ↓ lower is better."
    if run.shared_by_all is None:
        first += f" {inference.self_term_note(run.decomposition)}"
    return [worded(run.sides, note) for note in (first, *found.notes)]


def gap_sentences(run: Run) -> dict[str, str]:
    """Return each metric's leave-one-out gap with interval and test, by name."""
    found = {}
    for name in run.metrics:
        gap, which = run.gap(name), metric(name)
        if gap.difference == gap.difference:
            found[f"Gap in {which.label}"] = (
                f"{change(gap.difference, which.unit)} {bracket(gap.low, gap.high, which.unit)}, "
                f"{worded(run.sides, gap.population)}; {tested(run, name)}"
            )
    return found


def tested(run: Run, name: str) -> str:
    """Return the p-value of a metric's gap, and the one after Holm if there are several."""
    words, adjusted = p_value(run.gap(name).p_value), run.adjusted_p_values[name]
    if len(run.metrics) > 1 and adjusted == adjusted:
        words += f", {p_value(adjusted)} for {len(run.metrics)} metrics (Holm)"
    return words


def spread_table(run: Run) -> Table | None:
    """Return the standard deviation of rows and gaps over repeats; None without repeats."""
    spread = run.spread
    if spread is None or not spread.deviations:
        return None
    rows = rows_of(run.decomposition.sides)
    names = {name: worded(run.sides, row.label) for name, row in rows.items()}
    names |= {"gap": "Gap, EMAP as published", "gap_leave_one_out": "Gap, EMAP leave-one-out"}
    first = next(iter(spread.deviations.values()))
    over = f"Standard deviation over {spread.n_repeats} {spread.of}"
    return {over: [words for row, words in names.items() if row in first]} | {
        capitalised(metric(name).label): [
            amount(of_rows[row], metric(name).unit) for row in names if row in of_rows
        ]
        for name, of_rows in spread.deviations.items()
    }


SPREAD_NOTE = (
    "Over random sub-samples of the same examples, as papers print it after ±. It is not "
    "the error of the average."
)


def share_sentence(run: Run) -> str:
    """Return the share of the variance that interactions carry; empty if nothing varies."""
    if not run.shares.knows_sets:
        return _share_of_several(run)
    found = run.intervals()
    share = found.pooled_shares["interaction" if len(run.sides) == 2 else set_name(_names(run))]
    if share.value != share.value or run.shared_by_all is not None:
        return ""
    has_limits = share.low == share.low
    limits = f" {bracket(share.low, share.high, 'points')}" if has_limits else ""
    speaks = f" (95% interval, {found.population})" if has_limits else ""
    if len(run.sides) > 2:
        return _share_of_all(run, f"{percent(share.value)}{limits}", speaks)
    *most, last = (
        f"the {side} {percent(found.pooled_shares[side].value)}" for side in run.decomposition.sides
    )
    return worded(
        run.sides,
        f"Interactions carry {percent(share.value)}{limits} of the variance of the "
        f"{in_words(run.space, run.task)} over all recombinations, {', '.join(most)} and "
        f"{last}{speaks}.",
    )


def _share_of_several(run: Run) -> str:
    """Return what all sets of several sides carry, where single ones are not known."""
    *single, several = run.shares.pooled_shares.tolist()
    if several != several:
        return ""
    parts = [f"{side} {percent(share)}" for side, share in zip(_names(run), single, strict=True)]
    return (
        f"Interactions carry {percent(several)} of the variance of the "
        f"{in_words(run.space, run.task)} over all recombinations, {', '.join(parts)}."
    )


def _share_of_all(run: Run, share: str, speaks: str) -> str:
    """Return what only all sides together carry, for more than two, and what fewer carry."""
    m = len(run.sides)
    orders = [0.0] * m
    for some, value in run.shares.pooled_terms.items():
        orders[len(some) - 1] += value
    fewer = [f"{order_name(k, m)} carry {percent(orders[k - 1])}" for k in range(m - 1, 0, -1)]
    return (
        f"{share} of the variance of the {in_words(run.space, run.task)} over all recombinations "
        f"needs {order_name(m, m)}; {', '.join(fewer)}{speaks}."
    )


def _names(run: Run) -> tuple[str, ...]:
    return tuple(side.name for side in run.sides)


def kind_table(run: Run) -> Table | None:
    """Return how many examples are of each kind; None if predictions are not classes."""
    shares = {} if run.shared_by_all is not None else run.proportions("kind")
    if not shares:
        return None
    counts = Counter(() if run.kinds is None else run.kinds.tolist())
    return {
        "Kind": [worded(run.sides, capitalised(kind)) for kind in shares],
        "Share": [
            f"{percent(one.value)} {bracket(one.low, one.high, 'points')}"
            for one in shares.values()
        ],
        "Examples": [f"{counts[kind]:,}" for kind in shares],
        "What it means": [worded(run.sides, KIND_WORDS[kind]) for kind in shares],
    }


def measures_table(found: Measures) -> Table:
    """Return other papers' measures with limits, one per row."""
    words: Table = {
        **{"Measure": [], "Value": [], "What it counts": [], "Counted over": []},
        "How it differs from EMAP": [],
    }
    for name, one in found.values.items():
        measure = MEASURES[name]
        words["Measure"].append(measure.title)
        words["Value"].append(measured_with_interval(one, measure.unit))
        words["What it counts"].append(measure.counts)
        words["Counted over"].append(measure.over)
        words["How it differs from EMAP"].append(measure.differs)
    return words


def measured_with_interval(one: Interval, unit: str) -> str:
    """Return a measure with its limits, if it has any: in points, per cent or bits."""
    if unit == "share":
        return with_interval(one.value, one.low, one.high, "points")
    value = f"{amount(one.value, unit)}{' bits' if unit == 'bits' else ''}"
    return value + (f" {bracket(one.low, one.high, unit)}" if one.low == one.low else "")


def measures_notes(found: Measures) -> list[str]:
    """Return the notes below the `measures_table`, one paragraph each."""
    missing: dict[str, list[str]] = {}
    for name, why in found.missing.items():
        missing.setdefault(why, []).append(MEASURES[name].title)
    return [
        f"95% intervals in brackets, {found.population}, N = {found.n_examples:,}.",
        *found.notes,
        *(f"Without a value: {', '.join(titles)}; {why}." for why, titles in missing.items()),
    ]


def whole_groups_table(found: GroupScores) -> Table:
    """Return how many groups are right as a whole: a row per metric, a column per predictor."""
    words: Table = {"Right as a whole": [capitalised(metric(name).label) for name in found.rows]}
    for row in ROWS_OF_ANSWERS:
        words[ROWS[row].label] = [
            with_interval(of[row].value, of[row].low, of[row].high, "points") if row in of else "–"
            for of in found.rows.values()
        ]
    words["Gap"] = [
        f"{change(gap.difference, 'points')} {bracket(gap.low, gap.high, 'points')}"
        for gap in found.gaps.values()
    ]
    words["Guessing"] = [percent(chance) for chance in found.chance.values()]
    words["Groups"] = [f"{n:,}" for n in found.n_groups.values()]
    return words


def whole_groups_notes(found: GroupScores) -> list[str]:
    """Return the notes below the `whole_groups_table`, one paragraph each."""
    first = (
        f"95% intervals in brackets, {found.population} by {found.by}, of {found.n_examples:,} "
        "examples in groups of two or more. The projection is computed on all examples. For "
        "answers, the gap is to the leave-one-out projection."
    )
    of_order = (
        "Order scores have no gap to a projection that leaves the own pair out, because "
        "that is another function for each pair."
    )
    return [first, *([of_order] if "group_score" in found.gaps else []), *found.notes]


def information_table(found: PartialInformation) -> Table:
    """Return the parts of the information, one per row."""
    return {
        "Part": [capitalised(ATOMS[name]) for name in found.values],
        "Bits": [
            f"{number(one.value)} {bracket(one.low, one.high)}" for one in found.values.values()
        ],
        "Subtracted for chance": [number(found.by_chance[name]) for name in found.values],
    }


def information_notes(found: PartialInformation) -> list[str]:
    """Return the notes below the `information_table`, one paragraph each."""
    return [
        f"95% intervals in brackets, {found.population}, N = {found.n_examples:,}. Classes: "
        f"{', '.join(found.classes)}. The value for permuted answers is subtracted, so a part "
        "can be below 0.",
        "The two sources are the one-sided predictions, text only and image only, not text and "
        "image themselves.",
        *found.notes,
    ]


def group_table(run: Run, by: str, name: str | None = None) -> Table:
    """Return the gap in each group of examples; `by` and metric as `gaps_by` takes them."""
    gaps = gaps_by(run, by, name)
    which = metric(next(iter(gaps.values())).metric)
    label = capitalised(which.label)
    return {
        capitalised(by): list(gaps),
        "N": [f"{gap.n_examples:,}" for gap in gaps.values()],
        label: [measured(gap.full, which.unit) for gap in gaps.values()],
        f"{label}, EMAP": [measured(gap.projected, which.unit) for gap in gaps.values()],
        "Gap": [
            f"{change(gap.difference, which.unit)} {bracket(gap.low, gap.high, which.unit)}"
            for gap in gaps.values()
        ],
        "p": [p_cell(gap.p_value) for gap in gaps.values()],
    }
