"""Questions that a run answers besides its table: each a sentence, a small table and a note.

The terminal, the page and the report show the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass

from emap_core.human_readable import capitalised
from emap_core.inference import Gap, Metric, metric, verdict
from emap_core.inference.number_format import amount, bracket, measured, percent
from emap_core.inference.robustness.unlikely_pairs import UnlikelyPairs
from emap_core.inference.verdict import IN_WORDS
from emap_core.presentation.tables import intervals_note
from emap_core.runs import Run

_COUNT = {0.0: "like all others", 0.5: "less", 1.0: "as little as they occur"}
# Where the density ratio is 1 for all pairs, up to rounding.
_ALL_ALIKE = 1.0 - 1e-6


@dataclass(frozen=True)
class Question:
    """A question with its answer.

    Attributes
    ----------
    question, answer, note : str
        One sentence each; the note says what was computed.
    columns : dict of list of str
        A small table, by column.
    """

    question: str
    answer: str
    columns: dict[str, list[str]]
    note: str


def further_questions(run: Run, equivalence_margin: float | None = None) -> list[Question]:
    """Return what a run can answer besides its table, computed on first use.

    Parameters
    ----------
    run : Run
    equivalence_margin : float, optional
        See `Run.verdict`.
    """
    if not run.metrics or run.shared_by_all is not None:
        return []
    pairs = run.unlikely_pairs()
    found = [] if pairs is None else [_of_unlikely_pairs(run, pairs, equivalence_margin)]
    return [*found, *([_of_scale(run)] if run.calibrated_gaps else [])]


def _of_unlikely_pairs(run: Run, found: UnlikelyPairs, margin: float | None) -> Question:
    first = run.metrics[0]
    columns = {
        "Unlikely pairs count": [_COUNT[row.power] for row in found.rows],
        "Share of pairs in effect": [percent(row.effective_share) for row in found.rows],
    }
    for name in run.metrics:
        which = metric(name)
        columns[f"{capitalised(which.label)} without interactions"] = [
            f"{measured(row.gaps[name].projected, which.unit)}; gap {_gap(row.gaps[name], which)}"
            for row in found.rows
        ]
    judged = "by the density that was given"
    if found.auc is not None:
        judged = (
            f"as judged from the model’s encodings (AUC {found.auc:.3f}; 0.5 tells no pair from "
            "another)"
        )
    return Question(
        "Does the verdict depend on unlikely pairs?",
        _dependence(run, found, first, margin),
        columns,
        "The additive fit is repeated, and each pair counts by how much likelier it is among the "
        f"examples than among recombinations, {judged}. {intervals_note(run)}",
    )


def _dependence(run: Run, found: UnlikelyPairs, name: str, margin: float | None) -> str:
    which, gaps = metric(name), [row.gaps[name] for row in found.rows]
    if found.rows[-1].effective_share > _ALL_ALIKE:
        return "No pair counts as unlikely here, so the verdict cannot depend on unlikely pairs."
    smallest = run.verdict(margin).equivalence_margin
    kinds = [verdict(gap, equivalence_margin=smallest).kind for gap in gaps]
    change = (
        f"{amount(gaps[0].difference, which.unit)} to {amount(gaps[-1].difference, which.unit)}"
    )
    if len(set(kinds)) == 1:
        return (
            f"No, it is the same if unlikely pairs count less: the gap in {which.label} goes "
            f"from {change}."
        )
    then = next(k for k in reversed(kinds) if k != kinds[0])
    return (
        f"Yes: “{IN_WORDS[kinds[0]]}” becomes “{IN_WORDS[then]}” if unlikely pairs count less; "
        f"the gap in {which.label} goes from {change}."
    )


def _of_scale(run: Run) -> Question:
    calibrated = {name: gaps["emap_leave_one_out"] for name, gaps in run.calibrated_gaps.items()}
    name, gap = next(iter(calibrated.items()))
    which = metric(name)
    return Question(
        "How much of the gap is interaction, and how much only scale?",
        f"With both on their best scale, the gap in {which.label} is {_gap(gap, which)}. Without "
        f"rescaling, it is {_gap(run.gap(name), which)}.",
        {
            "Metric": [capitalised(metric(one).label) for one in calibrated],
            "Gap": [_gap(run.gap(one), metric(one)) for one in calibrated],
            "Gap on the best scale": [_gap(of, metric(one)) for one, of in calibrated.items()],
        },
        "A projection’s scores are less spread out than the model’s, and such metrics penalise "
        "that. A temperature and offsets, fitted to other examples, put model and projection each "
        "on its best scale. The gap that remains does not come from spread. "
        f"{intervals_note(run)}",
    )


def _gap(gap: Gap, which: Metric) -> str:
    return f"{amount(gap.difference, which.unit)} {bracket(gap.low, gap.high, which.unit)}"
