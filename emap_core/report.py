"""A run's answer as one HTML file: interactive, no network, for who has nothing installed."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from plotly.offline import get_plotlyjs

from emap_core.decomposition.modes import interaction_modes
from emap_core.figures import (
    Chart,
    column_names,
    confusion_pair,
    contributions,
    gap_dumbbell,
    mode_ends,
    mode_scree,
    variance_shares,
    waterfall,
)
from emap_core.figures.style import bracket, measured, percent
from emap_core.inference import metric
from emap_core.runs import Run
from emap_core.runs.store import replacing

MOST_POINTS = 10_000
MOST_ROWS = 200
EXAMPLES = 6
MODE_IMAGES = 6

_ROWS = {
    "full": "the model as it is",
    "emap": "without interactions (EMAP)",
    "emap_leave_one_out": "without interactions, own example left out",
    "text_only": "its text side alone",
    "image_only": "its image side alone",
    "constant": "the best constant answer",
    "linear_text": "a linear model of the encoded texts",
    "linear_image": "a linear model of the encoded images",
    "linear_both": "a linear model of both",
}
_UNITS = {"logits": "logits", "log_probabilities": "nats", "probabilities": "probability"}

# The file may run what it holds and show what it holds; it can fetch nothing.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'"
)

# The figures are drawn for a light ground, so a dark browser shows the page light, too.
_STYLE = """
:root { color-scheme: only light; }
body { font: 16px/1.5 "Source Sans 3", "Source Sans Pro", system-ui, sans-serif; color: #1F2328;
  background: #FFFFFF; max-width: 1000px; margin: 0 auto; padding: 24px 16px 64px; }
h1 { font-size: 1.9rem; margin: 0; } h2 { font-size: 1.35rem; margin: 48px 0 8px; }
.verdict { font-size: 1.3rem; margin: 16px 0 4px; } .about { color: #57606A; margin: 0 0 8px; }
figure { margin: 8px 0; } table { border-collapse: collapse; font-size: .95rem; }
td, th { border-bottom: 1px solid #D5D9DE; padding: 4px 12px 4px 0; text-align: left;
  vertical-align: top; overflow-wrap: anywhere; }
td.number, th.number { text-align: right; white-space: nowrap; }
details { margin: 4px 0 16px; } summary { cursor: pointer; } .scroll { overflow-x: auto; }
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 16px; }
.side, .example { border: 1px solid #D5D9DE; border-radius: 8px; padding: 12px; }
.example { margin: 12px 0; } .pair { display: flex; gap: 16px; align-items: flex-start; }
.images { display: flex; flex-wrap: wrap; gap: 8px; }
img { max-height: 128px; max-width: 100%; border: 1px solid #D5D9DE; border-radius: 4px; }
.side img { height: 80px; } .text { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; }
"""


def write_report(run: Run, path: Path) -> None:
    """Write a run as one HTML file that needs no network and nothing installed.

    Parameters
    ----------
    run : Run
    path : Path
        Written in one step; a file that is there is replaced.
    """
    with replacing(Path(path)) as temporary:
        temporary.write_text(report_html(run), encoding="utf-8")


def report_html(run: Run) -> str:
    """Return the report of a run as a self-contained HTML page."""
    title = f"{run.manifest['model']} on {run.manifest['dataset']}"
    verdict = run.verdict()
    sections = [
        _head(run, title),
        _performance(run),
        _decisions(run),
        _shares(run),
        _contributions(run),
        _modes(run),
        _examples(run),
        _reading(run),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="description" content="{html.escape(verdict.sentence)}">\n'
        f"<title>{html.escape(title)} · EMAP Lens</title>\n<style>{_STYLE}</style>\n"
        f"<script>{get_plotlyjs()}</script>\n</head>\n<body>\n"
        + "\n".join(section for section in sections if section)
        + "\n</body>\n</html>\n"
    )


def _head(run: Run, title: str) -> str:
    about = run.manifest
    verdict = run.verdict()
    details = "".join(f"<p>{html.escape(detail)}</p>" for detail in verdict.details)
    return (
        f"<h1>{html.escape(title)}</h1>"
        f'<p class="verdict">{html.escape(verdict.sentence)}</p>{details}'
        f'<p class="about">{about["n_examples"]:,} examples · {about["n_texts"]:,} texts × '
        f"{about['n_images']:,} images · {html.escape(about['method'])}, projected in "
        f"{html.escape(run.space.replace('_', ' '))} · {html.escape(str(about['created'])[:10])} · "
        f"run {html.escape(run.id)}</p>"
    )


def _performance(run: Run) -> str:
    if not run.metrics:
        return ""
    gaps = {metric(name).label: run.gap(name) for name in run.metrics}
    table = run.table(intervals=True)
    header = "".join(
        f'<th class="number">{html.escape(metric(name).label)}</th>' for name in run.metrics
    )
    rows = []
    for row in table.index:
        cells = "".join(
            '<td class="number">{} {}</td>'.format(
                measured(table.loc[row, name], metric(name).unit),
                bracket(
                    table.loc[row, f"{name}_low"],
                    table.loc[row, f"{name}_high"],
                    metric(name).unit,
                ),
            )
            for name in run.metrics
        )
        rows.append(f"<tr><td>{_ROWS[row]}</td>{cells}</tr>")
    return (
        "<h2>What interactions are worth</h2>"
        + _figure(gap_dumbbell(gaps), "gap")
        + f'<div class="scroll"><table><tr><th></th>{header}</tr>{"".join(rows)}</table></div>'
    )


def _decisions(run: Run) -> str:
    examples = run.examples()
    if run.labels is None or not run.decides:
        return ""
    chart = confusion_pair(examples.correct, examples.correct_emap_leave_one_out)
    return "<h2>Right and wrong, with interactions and without</h2>" + _figure(chart, "decisions")


def _shares(run: Run) -> str:
    chart = variance_shares(run.shares, run.classes)
    return "<h2>What moves the predictions</h2>" + _figure(chart, "shares")


def _contributions(run: Run) -> str:
    c = _main_class(run)
    rows = np.arange(len(run.ids))
    note = ""
    if len(rows) > MOST_POINTS:
        rows = np.sort(np.random.default_rng(0).choice(rows, MOST_POINTS, replace=False))
        note = f"<p>A seeded sample of {MOST_POINTS:,} of the {len(run.ids):,} examples.</p>"
    d, examples = run.shares, run.examples()
    chart = contributions(
        d.text_effect[rows, c],
        d.image_effect[rows, c],
        d.interaction[rows, c],
        None if not run.decides else examples.flip.to_numpy()[rows],
        [run.ids[row] for row in rows],
        quantity=_quantity(run, c),
        unit=_UNITS[run.space],
    )
    return f"<h2>Which side carries {html.escape(_quantity(run, c))}</h2>{note}" + _figure(
        chart, "contributions", table=False
    )


def _modes(run: Run) -> str:
    if not run.kept_classes:
        return ""
    c = max(run.kept_classes, key=run.shares.sums_of_squares[2].__getitem__)
    cells = run.class_grid(c, "centred" if run.softmax else "logits")
    modes = interaction_modes(cells, run.shares.text_share, run.shares.image_share, overwrite=True)
    if not len(modes):
        return ""
    sides = []
    for name, texts, images in zip(
        ("One side", "The other side"),
        modes.ends(0, 5),
        modes.image_ends(0, MODE_IMAGES),
        strict=True,
    ):
        lines = "".join(f'<li dir="auto">{html.escape(_short(run.texts[u]))}</li>' for u in texts)
        pictures = "".join(_image(run, int(w)) for w in images)
        sides.append(
            f'<div class="side"><h3>{name}</h3><ul>{lines}</ul>'
            f'<div class="images">{pictures}</div></div>'
        )
    what = html.escape(_quantity(run, c))
    return (
        f"<h2>What interacts with what in {what}</h2>"
        f"<p>Mode 1 explains {percent(modes.shares[0])} of the interaction. Texts and images of "
        f"the same side raise {what} together; from opposite sides they lower it.</p>"
        f'<div class="sides">{"".join(sides)}</div>'
        + _figure(mode_scree(modes, quantity=_quantity(run, c)), "scree")
        + _figure(mode_ends(modes, 0, run.texts), "ends")
    )


def _examples(run: Run) -> str:
    examples = run.examples()
    flips = examples.flip.ne("same") if run.decides else examples.interaction.gt(0)
    ranked = examples.assign(flips=flips).sort_values(
        ["flips", "interaction"], ascending=False, kind="stable"
    )
    # The same text or image again and again would say little.
    chosen = ranked.drop_duplicates("text_index").drop_duplicates("image_index").head(EXAMPLES)
    cards = [_example(run, int(i), row) for i, row in chosen.iterrows()]
    return "<h2>Examples with the largest interactions, flips first</h2>" + "".join(cards)


def _example(run: Run, i: int, row: object) -> str:
    facts = [
        (label, getattr(row, name))
        for label, name in (
            ("true", "label"),
            ("the model", "prediction"),
            ("without interactions", "prediction_emap_leave_one_out"),
        )
        if getattr(row, name) is not None
    ]
    words = " · ".join(f"{label}: <b>{html.escape(str(value))}</b>" for label, value in facts)
    truth = run.true_classes
    true = int(truth[i]) if truth is not None and truth[i] >= 0 and run.softmax else None
    chart = waterfall(run.shares, i, run.classes, true_class=true, unit=_UNITS[run.space])
    return (
        '<div class="example"><div class="pair">'
        + _image(run, int(run.decomposition.image_index[i]))
        + f'<div><p class="text" dir="auto">{html.escape(str(row.text))}</p><p>{words}</p>'  # type: ignore[attr-defined]
        f'<p class="about">example {html.escape(run.ids[i])}</p></div></div>'
        + _figure(chart, f"example-{i}", caption=False)
        + "</div>"
    )


def _reading(run: Run) -> str:
    softmax = (
        ", of scores minus their mean over classes, which a softmax does not see"
        if run.softmax
        else ""
    )
    return (
        "<h2>How to read this</h2><p>EMAP is the best copy of the model that adds what the text "
        "says to what the image says, with no interaction between the two: the model is asked "
        "about every text with every image, and the copy is fitted to all its answers. Where the "
        "copy does as well, interactions do not matter on this data. Intervals hold 95%; the row "
        "without the own example leaves each example’s own answer out of its copy, and the "
        f"verdict goes by it. Variance shares are over all recombinations{softmax}.</p>"
        "<p>J. Hessel and L. Lee, “Does my multimodal model learn cross-modal interactions? "
        "It’s harder to tell than you might think!”, EMNLP 2020.</p>"
    )


def _figure(chart: Chart, name: str, *, table: bool = True, caption: bool = True) -> str:
    drawn = chart.figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id=f"figure-{name}",
        config={"displaylogo": False, "responsive": True, "showTips": False},
    )
    return (
        f'<figure role="group" aria-label="{html.escape(chart.alt)}">{drawn}'
        + (f"<figcaption>{html.escape(chart.alt)}</figcaption>" if caption else "")
        + "</figure>"
        + (_table(chart) if table else "")
    )


def _table(chart: Chart) -> str:
    shown = chart.table.head(MOST_ROWS)
    header = "".join(f"<th>{html.escape(str(name))}</th>" for name in shown.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(_cell(value))}</td>" for value in row) + "</tr>"
        for row in shown.itertuples(index=False)
    )
    rest = len(chart.table) - len(shown)
    more = f"<p>{rest:,} further rows are not shown.</p>" if rest else ""
    return (
        '<details><summary>As a table</summary><div class="scroll">'
        f"<table><tr>{header}</tr>{rows}</table></div>{more}</details>"
    )


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _image(run: Run, image: int) -> str:
    data = base64.b64encode(run.thumbnail(image)).decode()
    return f'<img alt="image {image + 1}" src="data:image/jpeg;base64,{data}">'


def _main_class(run: Run) -> int:
    return int(np.argmax(run.shares.sums_of_squares[2]))


def _quantity(run: Run, c: int) -> str:
    kind = {"logits": "the logit", "log_probabilities": "the log probability"}
    names: Sequence[str] = column_names(run.classes, len(run.shares.mean))
    return f"{kind.get(run.space, 'the probability')} of {names[c]}"


def _short(text: str, width: int = 80) -> str:
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"
