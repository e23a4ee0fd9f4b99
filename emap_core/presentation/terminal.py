"""A run as the terminal shows it."""

from __future__ import annotations

from collections.abc import Sequence

from emap_core.inference.other_measures.partial_information import Target
from emap_core.modalities.side_names import worded
from emap_core.presentation.further_questions import further_questions
from emap_core.presentation.run_details import PROBABILITIES_NOTE, facts
from emap_core.presentation.run_list import gap_in_words, known_gap
from emap_core.presentation.run_titles import run_titles
from emap_core.presentation.tables import (
    SPREAD_NOTE,
    Table,
    gap_sentences,
    group_table,
    information_notes,
    information_table,
    kind_table,
    measures_notes,
    measures_table,
    score_notes,
    score_table,
    share_sentence,
    spread_table,
    whole_groups_notes,
    whole_groups_table,
)
from emap_core.runs import Run, RunInfo
from emap_core.untrusted_text import visible

_MOST_SKIPPED = 20


def summary(
    run: Run,
    equivalence_margin: float | None = None,
    metric: str | None = None,
    *,
    with_questions: bool = False,
) -> str:
    """Return a run's results and how they were computed, as lines for a terminal.

    Parameters
    ----------
    run : Run
    equivalence_margin, metric
        See `Run.verdict`.
    with_questions : bool
        Whether to answer the further questions, which can take a while.
    """
    verdict = run.verdict(equivalence_margin, metric)
    parts = [
        [verdict.sentence, *verdict.details, *(f"Warning: {one}" for one in run.warnings)],
        [lines(score_table(run)), *score_notes(run)] if run.metrics else run.intervals().notes,
        [f"{what}: {sentence}" for what, sentence in gap_sentences(run).items()],
        _table_with(spread_table(run), SPREAD_NOTE),
        [share_sentence(run)],
        _table_with(kind_table(run)),
        [f"{what}: {value}" for what, value in facts(run).items()],
        [f"Folder: {run.path}", *run.notes, *_skipped(run)],
        [PROBABILITIES_NOTE] if run.space != "logits" else [],
    ]
    if with_questions:
        parts += [
            [one.question, one.answer, lines(one.columns), one.note]
            for one in further_questions(run, equivalence_margin)
        ]
    return visible("\n\n".join("\n".join(filter(None, part)) for part in parts if any(part)))


def run_list(runs: Sequence[RunInfo]) -> str:
    """Return runs as lines for a terminal: each run's name and its gap."""
    titles = run_titles({one.id: one.manifest for one in runs if one.manifest})
    table: Table = {"run": [], "what": [], "gap": [], "tags": [], "computed": []}
    for one in runs:
        gap = known_gap(one)
        cells = (
            one.id,
            titles.get(one.id, one.error or ""),
            one.status if gap is None else gap_in_words(gap),
            ", ".join(one.manifest.get("tags") or ()),
            str(one.manifest.get("created", ""))[:16].replace("T", " "),
        )
        for column, cell in zip(table.values(), cells, strict=True):
            column.append(cell)
    return lines(table)


def measures(run: Run) -> str:
    """Return other papers' measures, as lines for a terminal."""
    found = run.measures()
    table = measures_table(found)
    # Columns that repeat themselves are for the page and the docs.
    del table["Counted over"], table["How it differs from EMAP"]
    return visible("\n".join([found.sentence, "", lines(table), "", *measures_notes(found)]))


def groups(run: Run, by: str, metric: str | None = None) -> str:
    """Return the gap in each group of examples, as lines for a terminal.

    Parameters
    ----------
    run : Run
    by, metric
        See `emap_core.runs.gaps_by_column.gaps_by`.
    """
    table = group_table(run, by, metric)
    n_groups = len(table["N"])
    return visible(
        f"{lines(table)}\nLimits and p-values hold for all {n_groups:,} groups at once, "
        f"{worded(run.sides, run.intervals().population)}."
    )


def whole_groups(run: Run, by: str | None = None) -> str:
    """Return how many groups are right as a whole, as lines for a terminal."""
    found = run.group_scores(by)
    table = whole_groups_table(found)
    return visible("\n".join([found.sentence, "", lines(table), "", *whole_groups_notes(found)]))


def information(run: Run, target: Target = "label") -> str:
    """Return what text and image tell alike, alone and together, as lines for a terminal."""
    found = run.partial_information(target)
    table = information_table(found)
    return visible("\n".join([found.sentence, "", lines(table), "", *information_notes(found)]))


def lines(table: Table) -> str:
    """Return a table of words as lines with even columns."""
    columns = []
    for name, cells in table.items():
        shown = [visible(name), *map(visible, cells)]
        widest = max(map(len, shown))
        columns.append([one.ljust(widest) for one in shown])
    return "\n".join("  ".join(row).rstrip() for row in zip(*columns, strict=True))


def _table_with(table: Table | None, *notes: str) -> list[str]:
    return [] if table is None else [lines(table), *notes]


def _skipped(run: Run) -> list[str]:
    if not run.skipped:
        return []
    rows = [f"{run.skipped_note}:", *(f"  {row}" for row in run.skipped[:_MOST_SKIPPED])]
    more = len(run.skipped) - _MOST_SKIPPED
    return [*rows, f"  and {more:,} more, all of them in --json"] if more > 0 else rows
