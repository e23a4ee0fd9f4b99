"""Runs, gaps and decompositions as a notebook shows them."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import plotly.graph_objects as go

from emap_core.decomposition import Decomposition
from emap_core.figures import Chart, gap_dumbbell
from emap_core.human_readable import capitalised, counted
from emap_core.inference import ROWS, Gap, metric
from emap_core.inference.number_format import bracket, change, measured, p_value, percent
from emap_core.presentation.charts import overview_figures, run_figure
from emap_core.presentation.compare_runs import Comparison
from emap_core.presentation.comparison_tables import readable_table, run_names
from emap_core.presentation.paper import table_caption
from emap_core.presentation.report import table_html
from emap_core.presentation.run_titles import run_title
from emap_core.presentation.tables import score_notes, score_table, share_sentence
from emap_core.runs import Run
from emap_core.untrusted_text import escape


def figure(run: Run, name: str, **choice: Any) -> go.Figure:
    """Return one of a run's figures, see `emap_core.Run.figure`."""
    return run_figure(run, name, **choice).figure


@singledispatch
def html(shown: Any) -> str:
    """Return what a notebook cell shows for a run, a gap or a decomposition."""
    raise NotImplementedError(type(shown).__name__)


@html.register
def _(run: Run) -> str:
    """Return the verdict of a run, its table and its dumbbell."""
    verdict = run.verdict()
    said = [*verdict.details, *run.notes, *(f"Warning: {one}" for one in run.warnings)]
    parts = [f"<h3>{escape(run_title(run.manifest))}</h3>", _paragraph(verdict.sentence, 1.15)]
    parts += map(_paragraph, said)
    if run.metrics:
        parts += [table_html(score_table(run)), *map(_paragraph, score_notes(run))]
    parts.append(_paragraph(share_sentence(run)))
    if "gap" in {one.name for one in overview_figures(run)}:
        parts.append(_drawn(run_figure(run, "gap")))
    return "\n".join(filter(None, parts))


@html.register
def _(gap: Gap) -> str:
    """Return a gap in a sentence, with how it was computed."""
    which = metric(gap.metric)
    sentence = (
        f"Gap in {which.label}: {change(gap.difference, which.unit)} "
        f"{bracket(gap.low, gap.high, which.unit)} {gap.population}, {p_value(gap.p_value)}."
    )
    scores = (
        f"{capitalised(which.label)} is {measured(gap.full, which.unit)} with and "
        f"{measured(gap.projected, which.unit)} without interactions "
        f"({ROWS[gap.projection].label}), N = {gap.n_examples:,}. 95% interval: {gap.method}."
    )
    return _paragraph(sentence, 1.15) + _paragraph(scores)


@html.register
def _(found: Decomposition) -> str:
    """Return the size of a decomposition, and its shares."""
    n_examples, n_classes = found.logits.shape
    items = " × ".join(
        f"{len(means):,} ({side})"
        for side, means in zip(found.sides, found.side_means, strict=True)
    )
    size = (
        f"{counted(n_examples, 'example')}, {items} recombined, "
        f"{counted(n_classes, 'class', 'classes')}"
    )
    shares = {
        "Part": [*found.sides, "interaction"],
        "Share of the variance": list(map(percent, found.pooled_shares)),
    }
    note = (
        "Over all recombinations, pooled over classes, as given. For scores that go through a "
        "softmax, see class_centred()."
    )
    return _paragraph(size, 1.15) + table_html(shares) + _paragraph(note)


@html.register
def _(compared: Comparison) -> str:
    """Return runs side by side: the table, its notes, and a dumbbell of the first metric."""
    runs, first = compared.runs, compared.metrics[0]
    shown = readable_table(compared.table, run_names(runs))
    gaps = {name: run.gap(first) for name, run in zip(run_names(runs), runs, strict=True)}
    return "\n".join(
        [
            table_html({str(name): list(shown[name]) for name in shown}),
            _paragraph(table_caption(runs)),
            _drawn(gap_dumbbell(gaps, title=metric(first).label)),
        ]
    )


def _drawn(chart: Chart) -> str:
    drawn = chart.figure.to_html(full_html=False, include_plotlyjs="cdn")
    return f'<figure role="group" aria-label="{escape(chart.alt)}">{drawn}</figure>'


def _paragraph(sentence: str, size: float = 1.0) -> str:
    return f'<p style="font-size:{size}em">{escape(sentence)}</p>' if sentence else ""
