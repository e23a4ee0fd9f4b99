"""A run as a notebook shows it: the verdict, the table and the dumbbell."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from emap_core.presentation.charts import overview_figures, run_figure
from emap_core.presentation.report import table_html
from emap_core.presentation.run_titles import run_title
from emap_core.presentation.tables import score_notes, score_table, share_sentence
from emap_core.runs import Run
from emap_core.visible import escape


def figure(run: Run, name: str, **choice: Any) -> go.Figure:
    """Return one of a run's figures, see `emap_core.Run.figure`."""
    return run_figure(run, name, **choice).figure


def html(run: Run) -> str:
    """Return what a cell of a notebook shows of a run."""
    verdict = run.verdict()
    said = [*verdict.details, *run.notes, *(f"Warning: {one}" for one in run.warnings)]
    parts = [f"<h3>{escape(run_title(run.manifest))}</h3>", _paragraph(verdict.sentence, 1.15)]
    parts += map(_paragraph, said)
    if run.metrics:
        parts += [table_html(score_table(run)), *map(_paragraph, score_notes(run))]
    parts.append(_paragraph(share_sentence(run)))
    if "gap" in {one.name for one in overview_figures(run)}:
        chart = run_figure(run, "gap")
        drawn = chart.figure.to_html(full_html=False, include_plotlyjs="cdn")
        parts.append(f'<figure role="group" aria-label="{escape(chart.alt)}">{drawn}</figure>')
    return "\n".join(filter(None, parts))


def _paragraph(sentence: str, size: float = 1.0) -> str:
    return f'<p style="font-size:{size}em">{escape(sentence)}</p>' if sentence else ""
