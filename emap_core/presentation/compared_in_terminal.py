"""Several runs side by side, as the terminal shows them."""

from __future__ import annotations

from collections.abc import Sequence

from emap_core.presentation.comparison_tables import (
    comparison_table,
    gap_differences,
    left_out_of,
    measures_of_runs,
    missing_intervals,
    populations,
    readable_differences,
    readable_table,
    run_names,
    shared_metrics,
    why_not_matched,
)
from emap_core.presentation.run_details import annotated, changed
from emap_core.presentation.terminal import lines
from emap_core.runs import Run
from emap_core.untrusted_text import visible


def comparison(runs: Sequence[Run]) -> str:
    """Return several runs side by side, and whose gap is larger, as lines for a terminal."""
    names, metrics = run_names(runs), shared_metrics(runs)
    parts = [lines(readable_table(comparison_table(runs, metrics), names).to_dict("list"))]
    parts.append("\n".join(annotated(runs, names)))
    parts.append(
        f"{left_out_of(runs)} 95% intervals in brackets, {populations(runs)}; "
        "p of no difference is adjusted for the number of runs (Holm)."
    )
    if (why := why_not_matched(runs)) is not None:
        parts.append(f"{why}: compare each model with its own EMAP, not models with each other.")
    elif len(runs) > 1:
        by_id = {run.id: name for run, name in zip(runs, names, strict=True)}
        for name in metrics[:1]:
            found = readable_differences(gap_differences(runs, name), by_id, name)
            parts.append(lines(found.to_dict("list")))
            parts.append(missing_intervals(runs))
    if len(runs) == 2 and (sides := changed(runs[0], runs[1])):
        table = {"what changed": list(sides)}
        table |= {name: [one[i] for one in sides.values()] for i, name in enumerate(names)}
        parts.append(lines(table))
    return visible("\n\n".join(filter(None, parts)))


def compared_measures(runs: Sequence[Run]) -> str:
    """Return other papers' measures of several runs for a terminal, one run per line."""
    runs = list({run.path: run for run in runs}.values())
    table = measures_of_runs(runs, run_names(runs)).set_index("model").T
    return lines({"": list(table.index), **{str(name): list(table[name]) for name in table}})
