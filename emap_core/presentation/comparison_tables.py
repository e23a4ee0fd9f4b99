"""Several runs side by side: the table of a paper, and where two models differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any, Literal

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from emap_core.errors import RunError, SettingError
from emap_core.inference import Gap, GapDifference, gap_difference, holm, metric, paired_difference
from emap_core.inference.comparisons.seeds import SeedsGap, seeds_gap
from emap_core.inference.example_kinds import variance_of_mean
from emap_core.inference.gap import Projection
from emap_core.inference.number_format import bracket, change, measured, p_cell
from emap_core.inference.other_measures.known_measures import MEASURES
from emap_core.inference.predictions.scores import Scored
from emap_core.inference.resamples.population import population_of
from emap_core.modalities.side_names import cell_of, cells_of, worded
from emap_core.presentation.run_titles import run_titles
from emap_core.presentation.tables import measured_with_interval
from emap_core.runs import Run
from emap_core.types import Array

Form = Literal["markdown", "latex", "csv"]


def shared_metrics(runs: Sequence[Run]) -> list[str]:
    """Return the metrics that every one of the runs has, in the order of the first."""
    return [name for name in runs[0].metrics if all(name in run.metrics for run in runs)]


def run_names(runs: Sequence[Run]) -> list[str]:
    """Return a short name for each run: its given name, or its model if that is enough."""
    names = [str(run.manifest.get("name") or run.manifest["model"]) for run in runs]
    if len(set(names)) == len(names):
        return names
    labels = run_titles({run.id: run.manifest for run in runs})
    return [labels[run.id] for run in runs]


def same_data(runs: Sequence[Run]) -> bool:
    """Return whether the runs are about the same examples."""
    return len({run.manifest["fingerprints"]["data"] for run in runs}) == 1 and all(
        run.ids == runs[0].ids for run in runs
    )


def why_not_matched(runs: Sequence[Run]) -> str | None:
    """Return why the examples of runs cannot be matched, None where they can be."""
    if same_data(runs):
        return None
    sides = dict.fromkeys(" and ".join(side.name for side in run.sides) for run in runs)
    if len(sides) > 1:
        return f"These runs have different sides ({'; '.join(sides)})"
    return "These runs are on different examples"


def populations(runs: Sequence[Run]) -> str:
    """Return whom the intervals of runs speak of, each run in the words of its own sides."""
    return " or ".join(dict.fromkeys(worded(run.sides, run.intervals().population) for run in runs))


def missing_intervals(runs: Sequence[Run]) -> str:
    """Return why differences between gaps have no interval, in a sentence; empty if all have."""
    if all(run.method.scores_all_pairs for run in runs):
        return ""
    cells = cells_of(max(len(run.sides) for run in runs))
    return f"There is no interval and no p-value if a run scored only some {cells}."


def left_out_of(runs: Sequence[Run]) -> str:
    """Return in a sentence what the projections of runs leave out."""
    own = cell_of(max(len(run.sides) for run in runs))
    return f"EMAP leaves each example’s own {own} out."


def check_comparable(runs: Sequence[Run]) -> None:
    """Raise an error if runs cannot be compared.

    Raises
    ------
    SettingError
        If there are fewer than two, or they have no metric in common.
    """
    if len(runs) < 2:
        raise SettingError(f"{len(runs)} run is not enough; name at least two")
    if not shared_metrics(runs):
        raise SettingError("these runs have no metric in common; name labelled runs of one task")


def comparison_table(
    runs: Sequence[Run],
    metrics: Sequence[str] | None = None,
    projection: str = "emap_leave_one_out",
) -> pd.DataFrame:
    """Return a row per run with each metric's score, its projection's score and the gap.

    Parameters
    ----------
    runs : sequence of Run
    metrics : sequence of str, optional
        By default, all metrics that every run has.
    projection : {"emap_leave_one_out", "emap"}

    Returns
    -------
    DataFrame
        Columns ``model``, ``dataset``, ``run``, ``n_examples`` and, for each metric M, ``M``,
        ``M_emap``, ``M_gap``, ``M_gap_low``, ``M_gap_high``, each run's own 95% limits;
        ``M_gap_low_all`` and ``M_gap_high_all``, which hold for the gaps of all runs at once;
        ``M_p_value``, adjusted for the number of runs (Holm); ``M_verdict``, each run's own kind;
        and ``M_measurable``, whether the gap is above 0 when their number is taken into account.
    """
    chosen = shared_metrics(runs) if metrics is None else list(metrics)
    table = pd.DataFrame(
        {
            "model": [run.manifest["model"] for run in runs],
            "dataset": [run.manifest["dataset"] for run in runs],
            "run": [run.id for run in runs],
            "n_examples": [run.manifest["n_examples"] for run in runs],
        }
    )
    for name in chosen:
        gaps = [run.gap(name, projection) for run in runs]
        table[name] = [gap.full for gap in gaps]
        table[f"{name}_emap"] = [gap.projected for gap in gaps]
        table[f"{name}_gap"] = [gap.difference for gap in gaps]
        table[f"{name}_gap_low"] = [gap.low for gap in gaps]
        table[f"{name}_gap_high"] = [gap.high for gap in gaps]
        for end, limits in zip(("low", "high"), _limits_for_all(gaps), strict=True):
            table[f"{name}_gap_{end}_all"] = limits
        table[f"{name}_p_value"] = holm([gap.p_value for gap in gaps])
        table[f"{name}_verdict"] = [run.verdict(metric=name).kind for run in runs]
        table[f"{name}_measurable"] = _measurable(
            gaps, table[f"{name}_p_value"].to_numpy(), table[f"{name}_gap_low_all"].to_numpy()
        )
    return table


def _limits_for_all(gaps: Sequence[Gap]) -> tuple[list[float], list[float]]:
    """Return limits that hold for all gaps at once, however dependent they are (Bonferroni)."""
    low, high = [], []
    for gap in gaps:
        # If the degrees of freedom are unknown, use a normal distribution.
        freedom = gap.degrees_of_freedom if gap.degrees_of_freedom >= 1 else 10**9
        own, wide = (scipy.special.stdtrit(freedom, 1 - 0.025 / n) for n in (1, len(gaps)))
        low.append(gap.difference - (gap.difference - gap.low) * float(wide / own))
        high.append(gap.difference + (gap.high - gap.difference) * float(wide / own))
    return low, high


def seeds_together(
    runs: Sequence[Run], name: str, projection: Projection = "emap_leave_one_out"
) -> SeedsGap:
    """Return the mean gap of several trainings of one model on the same examples.

    Parameters
    ----------
    runs : sequence of Run
        One per seed, by the exact method.
    name : str
        A metric that is a mean over examples, such as accuracy.
    projection : {"emap_leave_one_out", "emap"}

    Raises
    ------
    RunError
        If the runs are not about the same labelled examples, or scored only some of the pairs.
    SettingError
        If the metric is not a mean over examples.
    """
    which, first = metric(name), runs[0]
    for other in runs[1:]:
        _common_labels(first, other)
    if not all(run.method.scores_all_pairs for run in runs) or first.labels is None:
        raise RunError(
            "seeds can only be combined if every run scored the whole grid; choose other runs"
        )
    sign = 1.0 if which.higher_is_better else -1.0
    population = population_of(first.decomposition, first.manifest["resampling"]["cluster"])
    gains, widenings = [], []
    for run in runs:
        sides = [
            Scored(first.labels, run.scores(row), run.task, run.space)
            for row in ("full", projection)
        ]
        full, projected = (which.values(side) for side in sides)
        if full is None or projected is None:
            raise SettingError(
                f"{which.label} is not a mean over examples, so seeds cannot be combined; "
                "choose another metric"
            )
        gains.append(sign * (full - projected))
        alone = population.variance(
            [variance_of_mean(gains[-1] - gains[-1].mean(), u) for u in population.draws]
        )
        error = run.gap(name, projection).standard_error
        widenings.append(error**2 / alone if alone > 0 and np.isfinite(error) else 1.0)
    return seeds_gap(np.array(gains), population, max(float(np.mean(widenings)), 1.0))


def _measurable(gaps: Sequence[Gap], adjusted: Array, low_for_all: Array) -> list[bool]:
    """Return which gaps are above 0, at a level of 5% for all of them together.

    Decided by the adjusted p-value, or, without a test, by the limits that hold for all gaps.
    """
    return [
        bool(gap.low > 0 and (p < 0.05 if p == p else low > 0))
        for gap, p, low in zip(gaps, adjusted, low_for_all, strict=True)
    ]


def readable_table(table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return a `comparison_table` in words: models as rows, EMAP beside each metric.

    Parameters
    ----------
    table : DataFrame
    names : sequence of str
        The name of each run.
    """
    shown = pd.DataFrame({"model": list(names), "N": [f"{n:,}" for n in table.n_examples]})
    for name in [c.removesuffix("_verdict") for c in table.columns if c.endswith("_verdict")]:
        label, unit = metric(name).label, metric(name).unit
        shown[label] = [measured(value, unit) for value in table[name]]
        shown[f"{label}, EMAP"] = [measured(value, unit) for value in table[f"{name}_emap"]]
        shown[f"{label}, difference"] = [
            # A spreadsheet takes a cell that begins with a plus for a formula.
            f"{change(gap, unit).removeprefix('+')} {bracket(low, high, unit)}"
            for gap, low, high in zip(
                table[f"{name}_gap"],
                table[f"{name}_gap_low"],
                table[f"{name}_gap_high"],
                strict=True,
            )
        ]
        if len(table) > 1:
            shown[f"{label}, limits for all runs at once"] = [
                bracket(low, high, unit)
                for low, high in zip(
                    table[f"{name}_gap_low_all"], table[f"{name}_gap_high_all"], strict=True
                )
            ]
        shown[f"{label}, p"] = [p_cell(p) for p in table[f"{name}_p_value"]]
    return shown


def measures_of_runs(runs: Sequence[Run], names: Sequence[str]) -> pd.DataFrame:
    """Return other papers' measures in words: a row per run, a column per measure.

    Parameters
    ----------
    runs : sequence of Run
    names : sequence of str
        The name of each run.
    """
    found = [None if run.why_no_measures is not None else run.measures() for run in runs]
    shown = pd.DataFrame({"model": list(names)})
    for name, one in MEASURES.items():
        values = [None if of_run is None else of_run.values.get(name) for of_run in found]
        if one.drawn and any(values):
            shown[one.title] = [
                "–" if value is None else measured_with_interval(value, one.unit)
                for value in values
            ]
    return shown


def _in_one_line(cell: object) -> str:
    """Return a cell without line feeds, which would end the table."""
    return " ".join(str(cell).split())


def as_markdown(shown: pd.DataFrame) -> str:
    """Return a table of texts as Markdown."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(_in_one_line(cell).replace("|", "\\|") for cell in cells) + " |"

    rule = ["---", *["---:"] * (len(shown.columns) - 1)]
    rows = [line(list(row)) for row in shown.itertuples(index=False)]
    return "\n".join([line(list(shown.columns)), line(rule), *rows]) + "\n"


def as_latex(shown: pd.DataFrame) -> str:
    """Return a table of texts as a LaTeX tabular; it needs the package booktabs."""

    def line(cells: Sequence[str]) -> str:
        # TeX would read a bracket or a star as part of the command that ends the previous line.
        begin = "{}" if _in_one_line(cells[0]).startswith(("[", "*")) else ""
        return begin + " & ".join(latex(_in_one_line(cell)) for cell in cells) + r" \\"

    rows = [line(list(row)) for row in shown.itertuples(index=False)]
    columns = "l" + "r" * (len(shown.columns) - 1)
    return "\n".join(
        [
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            line(list(shown.columns)),
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def paired_p_value(first: Run, second: Run, name: str) -> float:
    """Return the p-value for two models doing equally well on the same examples.

    It belongs to the 95% interval of their difference, with whole texts and images drawn as for the
    runs' own intervals.

    Raises
    ------
    RunError
        If the runs are not about the same labelled examples, with the same classes and space.
    """
    resampling = _resampling(first, second)
    return paired_difference(
        name,
        _common_labels(first, second),
        first.scores("full"),
        second.scores("full"),
        first.task,
        first.space,
        population_of(first.decomposition, resampling.pop("cluster")),
        **resampling,
    ).p_value


def paired_gap(
    first: Run, second: Run, name: str, projection: Projection = "emap_leave_one_out"
) -> GapDifference:
    """Return by how much the gap of the first run is larger than that of the second.

    Interval and test are paired by example. If both grids were kept, every resample computes both
    projections anew. If a run scored only some of the pairs, the result has the two gaps and their
    difference, without interval or test.

    Raises
    ------
    RunError
        If the runs are not about the same labelled examples, with the same classes and space.
    """
    labels = _common_labels(first, second)
    found = gap_difference(
        first.decomposition,
        second.decomposition,
        labels,
        first.task,
        name,
        space=first.space,
        projection=projection,
        grids=None if first.grid is None or second.grid is None else (first.grid, second.grid),
        **_resampling(first, second),
    )
    if first.method.scores_all_pairs and second.method.scores_all_pairs:
        return found
    gaps = [run.gap(name, projection).difference for run in (first, second)]
    return replace(
        found,
        first=gaps[0],
        second=gaps[1],
        difference=gaps[0] - gaps[1],
        low=float("nan"),
        high=float("nan"),
        p_value=float("nan"),
        method="no interval and no test, since a run scored only a part of the grid",
    )


def gap_differences(
    runs: Sequence[Run], name: str, projection: Projection = "emap_leave_one_out"
) -> pd.DataFrame:
    """Return a row for each pair of runs, with the larger gap first.

    Returns
    -------
    DataFrame
        Columns ``larger`` and ``smaller`` (run ids), ``difference``, ``low``, ``high`` and
        ``p_value``, adjusted for the number of pairs (Holm).

    Raises
    ------
    RunError
        See `paired_gap`.
    """
    order = sorted(runs, key=lambda run: -run.gap(name, projection).difference)
    pairs = list(combinations(order, 2))
    found = [paired_gap(first, second, name, projection) for first, second in pairs]
    return pd.DataFrame(
        {
            "larger": [first.id for first, _ in pairs],
            "smaller": [second.id for _, second in pairs],
            "difference": [one.difference for one in found],
            "low": [one.low for one in found],
            "high": [one.high for one in found],
            "p_value": holm([one.p_value for one in found]),
        }
    )


def readable_differences(table: pd.DataFrame, names: dict[str, str], name: str) -> pd.DataFrame:
    """Return `gap_differences` in words; `names` maps each run id to a name."""
    unit = metric(name).unit
    return pd.DataFrame(
        {
            "larger gap": [names[run] for run in table.larger],
            "smaller gap": [names[run] for run in table.smaller],
            f"larger by, {metric(name).label}": [
                change(value, unit) + (f" {bracket(low, high, unit)}" if low == low else "")
                for value, low, high in zip(table.difference, table.low, table.high, strict=True)
            ],
            "p": [p_cell(p) for p in table.p_value],
        }
    )


def differences_by_example(first: Run, second: Run) -> pd.DataFrame:
    """Return the examples of two runs, those whose interactions differ most in size first.

    Returns
    -------
    DataFrame
        Columns ``id``, ``text``, ``label``, ``prediction_first``, ``prediction_second``,
        ``interaction_size_first``, ``interaction_size_second`` and ``difference`` (second minus
        first).
    """
    columns = ["id", "text", "label", "prediction", "interaction_size"]
    joined = first.examples()[columns].merge(
        second.examples()[["id", "prediction", "interaction_size"]],
        on="id",
        suffixes=("_first", "_second"),
    )
    joined["difference"] = joined.interaction_size_second - joined.interaction_size_first
    order = np.argsort(-joined.difference.abs().to_numpy(), kind="stable")
    return joined.iloc[order].reset_index(drop=True)


def _resampling(first: Run, second: Run) -> dict[str, Any]:
    """Return how two runs are resampled together: as each on its own, or the default way."""
    settings, others = first.manifest["resampling"], second.manifest["resampling"]
    same = settings["cluster"] == others["cluster"]
    return {**settings, "cluster": settings["cluster"] if same else "auto"}


def _common_labels(first: Run, second: Run) -> NDArray[Any]:
    alike = first.classes == second.classes and first.space == second.space
    if not alike or not same_data([first, second]) or first.labels is None:
        raise RunError(
            f"runs {first.id!r} and {second.id!r} are not about the same labelled examples with "
            "the same classes and space"
        )
    return first.labels


_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "−": r"$-$",
    "<": r"$<$",
    ">": r"$>$",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def latex(text: str) -> str:
    """Return LaTeX that shows a text verbatim."""
    return "".join(_LATEX.get(character, character) for character in text)
