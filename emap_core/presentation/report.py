"""A run's answer as one HTML file: interactive, no network, for who has nothing installed."""

from __future__ import annotations

import base64
from pathlib import Path

from plotly.offline import get_plotlyjs

from emap_core.figures import LIGHT, Chart, Theme, mode_ends
from emap_core.figures.style import bracket, measured, percent
from emap_core.figures.visible import escape
from emap_core.inference import Verdict, metric
from emap_core.presentation.charts import (
    MOST_POINTS,
    contributions_chart,
    decisions_chart,
    example_chart,
    gap_chart,
    main_class,
    main_modes,
    mode_class,
    quantity,
    scree_chart,
    shares_chart,
    telling_examples,
)
from emap_core.presentation.labels import run_title
from emap_core.presentation.questions import Aside, asides
from emap_core.runs import Run
from emap_core.runs.store import replacing

MOST_ROWS = 200
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

_QUIET = {"light": "#57606A", "dark": "#A9B2BD"}

# The file may run what it holds and show what it holds; it can fetch nothing.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'"
)

_STYLE = """
body { font: 16px/1.5 "Source Sans 3", "Source Sans Pro", system-ui, sans-serif; color: var(--ink);
  background: var(--paper); max-width: 1000px; margin: 0 auto; padding: 24px 16px 64px; }
h1 { font-size: 1.9rem; margin: 0; } h2 { font-size: 1.35rem; margin: 48px 0 8px; }
.warning { border-left: 3px solid var(--ink); padding-left: 8px; }
.verdict { font-size: 1.3rem; margin: 16px 0 4px; } .about { color: var(--quiet); margin: 0 0 8px; }
figure { margin: 8px 0; } table { border-collapse: collapse; font-size: .95rem; }
td, th { border-bottom: 1px solid var(--faint); padding: 4px 12px 4px 0; text-align: left;
  vertical-align: top; overflow-wrap: anywhere; }
td.number, th.number { text-align: right; white-space: nowrap; }
details { margin: 4px 0 16px; } summary { cursor: pointer; } .scroll { overflow-x: auto; }
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 16px; }
.side, .example { border: 1px solid var(--faint); border-radius: 8px; padding: 12px; }
.example { margin: 12px 0; } .pair { display: flex; gap: 16px; align-items: flex-start; }
.images { display: flex; flex-wrap: wrap; gap: 8px; }
img { max-height: 128px; max-width: 100%; border: 1px solid var(--faint); border-radius: 4px; }
.side img { height: 80px; } .text { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; }
"""


def write_report(
    run: Run, path: Path, theme: Theme = LIGHT, smallest_gap: float | None = None
) -> None:
    """Write a run as one HTML file that needs no network and nothing installed.

    Parameters
    ----------
    run : Run
    path : Path
        Written in one step; a file that is there is replaced.
    theme : Theme
        `LIGHT` or `DARK`; figures are drawn for one of them, so the file does not follow its
        reader's.
    smallest_gap : float, optional
        The smallest gap that matters; see `Run.verdict`.
    """
    page = report_html(run, theme, smallest_gap)
    with replacing(Path(path)) as temporary:
        temporary.write_text(page, encoding="utf-8")


def report_html(run: Run, theme: Theme = LIGHT, smallest_gap: float | None = None) -> str:
    """Return the report of a run as a self-contained HTML page, light or dark."""
    title = run_title(run.manifest)
    verdict = run.verdict(smallest_gap)
    sections = [
        _head(run, title, verdict),
        _performance(run, theme, smallest_gap),
        _decisions(run, theme),
        _shares(run, theme),
        _contributions(run, theme),
        _modes(run, theme),
        _examples(run, theme),
        _reading(run),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="description" content="{escape(verdict.sentence)}">\n'
        f"<title>{escape(title)} · EMAP Lens</title>\n"
        f"<style>{_ground(theme)}{_STYLE}</style>\n"
        f"<script>{get_plotlyjs()}</script>\n</head>\n<body>\n"
        + "\n".join(section for section in sections if section)
        + "\n</body>\n</html>\n"
    )


def _ground(theme: Theme) -> str:
    # The figures are drawn for one ground, so the page keeps to it in every browser.
    return (
        f":root {{ color-scheme: only {theme.name}; --ink: {theme.ink}; --paper: {theme.paper}; "
        f"--faint: {theme.faint}; --quiet: {_QUIET[theme.name]}; }}"
    )


def _head(run: Run, title: str, verdict: Verdict) -> str:
    about = run.manifest
    details = "".join(f"<p>{escape(detail)}</p>" for detail in verdict.details)
    details += "".join(
        f'<p class="warning"><b>Warning.</b> {escape(warning)}</p>' for warning in run.warnings
    )
    return (
        f"<h1>{escape(title)}</h1>"
        f'<p class="verdict">{escape(verdict.sentence)}</p>{details}'
        f'<p class="about">{about["n_examples"]:,} examples · {about["n_texts"]:,} texts × '
        f"{about['n_images']:,} images · {escape(about['method'])}, projected in "
        f"{escape(run.space.replace('_', ' '))} · {escape(str(about['created'])[:10])} · "
        f"run {escape(run.id)}</p>{_notes(run)}{_skipped(run)}"
    )


def _notes(run: Run) -> str:
    return "".join(f'<p class="about">{escape(note)}</p>' for note in run.notes)


def _skipped(run: Run) -> str:
    if not run.skipped:
        return ""
    rows = "".join(f"<li>{escape(row)}</li>" for row in run.skipped[:MOST_ROWS])
    more = len(run.skipped) - MOST_ROWS
    rows += f"<li>{more:,} more</li>" if more > 0 else ""
    return f"<details><summary>{escape(run.skipped_note)}</summary><ul>{rows}</ul></details>"


def _performance(run: Run, theme: Theme, smallest_gap: float | None) -> str:
    if not run.metrics or run.shared_by_all is not None:
        return ""
    table = run.table(intervals=True)
    header = "".join(
        f'<th class="number">{escape(metric(name).label)}</th>' for name in run.metrics
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
        + _figure(gap_chart(run, theme), "gap")
        + f'<div class="scroll"><table><tr><th></th>{header}</tr>{"".join(rows)}</table></div>'
        f'<p class="about">95% intervals in brackets, {escape(run.intervals().population)}.</p>'
        + "".join(f'<p class="about">{escape(note)}</p>' for note in run.intervals().notes)
        + "".join(map(_aside, asides(run, smallest_gap)))
    )


def _aside(aside: Aside) -> str:
    header = "".join(f"<th>{escape(name)}</th>" for name in aside.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
        for row in zip(*aside.columns.values(), strict=True)
    )
    return (
        f"<details><summary>{escape(aside.question)}</summary><p>{escape(aside.answer)}</p>"
        f'<div class="scroll"><table><tr>{header}</tr>{rows}</table></div>'
        f'<p class="about">{escape(aside.note)}</p></details>'
    )


def _decisions(run: Run, theme: Theme) -> str:
    if run.labels is None or not run.decides or run.shared_by_all is not None:
        return ""
    drawn = _figure(decisions_chart(run, theme), "decisions")
    return f"<h2>Right and wrong, with interactions and without</h2>{drawn}"


def _shares(run: Run, theme: Theme) -> str:
    if run.shared_by_all is not None:
        return ""
    return "<h2>What moves the predictions</h2>" + _figure(shares_chart(run, theme), "shares")


def _contributions(run: Run, theme: Theme) -> str:
    note = ""
    if len(run.ids) > MOST_POINTS:
        note = f"<p>A seeded sample of {MOST_POINTS:,} of the {len(run.ids):,} examples.</p>"
    what = escape(quantity(run, main_class(run)))
    drawn = _figure(contributions_chart(run, theme), "contributions", table=False)
    return f"<h2>Which side carries {what}</h2>{note}{drawn}"


def _modes(run: Run, theme: Theme) -> str:
    modes = main_modes(run)
    if modes is None:
        return ""
    sides = []
    for name, texts, images in zip(
        ("One side", "The other side"),
        modes.ends(0, 5),
        modes.image_ends(0, MODE_IMAGES),
        strict=True,
    ):
        lines = "".join(f'<li dir="auto">{escape(_short(run.texts[u]))}</li>' for u in texts)
        pictures = "".join(_image(run, int(w)) for w in images)
        sides.append(
            f'<div class="side"><h3>{name}</h3><ul>{lines}</ul>'
            f'<div class="images">{pictures}</div></div>'
        )
    what = escape(quantity(run, mode_class(run)))
    return (
        f"<h2>What interacts with what in {what}</h2>"
        f"<p>Mode 1 explains {percent(modes.shares[0])} of the interaction. Texts and images of "
        f"the same side raise {what} together; from opposite sides they lower it.</p>"
        f'<div class="sides">{"".join(sides)}</div>'
        + _figure(scree_chart(run, modes, theme), "scree")
        + _figure(mode_ends(modes, 0, run.texts, theme=theme), "ends")
    )


def _examples(run: Run, theme: Theme) -> str:
    cards = [_example(run, int(i), row, theme) for i, row in telling_examples(run).iterrows()]
    return "<h2>Examples with the largest interactions, flips first</h2>" + "".join(cards)


def _example(run: Run, i: int, row: object, theme: Theme) -> str:
    facts = [
        (label, getattr(row, name))
        for label, name in (
            ("true", "label"),
            ("the model", "prediction"),
            ("without interactions", "prediction_without"),
        )
        if getattr(row, name) is not None
    ]
    words = " · ".join(f"{label}: <b>{escape(value)}</b>" for label, value in facts)
    return (
        '<div class="example"><div class="pair">'
        + _image(run, int(run.decomposition.image_index[i]))
        + f'<div><p class="text" dir="auto">{escape(row.text)}</p><p>{words}</p>'  # type: ignore[attr-defined]
        f'<p class="about">example {escape(run.ids[i])}</p></div></div>'
        + _figure(example_chart(run, i, theme), f"example-{i}", caption=False)
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
        f'<figure role="group" aria-label="{escape(chart.alt)}">{drawn}'
        + (f"<figcaption>{escape(chart.alt)}</figcaption>" if caption else "")
        + "</figure>"
        + (_table(chart) if table else "")
    )


def _table(chart: Chart) -> str:
    shown = chart.table.head(MOST_ROWS)
    header = "".join(f"<th>{escape(name)}</th>" for name in shown.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(_cell(value))}</td>" for value in row) + "</tr>"
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


def _short(text: str, width: int = 80) -> str:
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"
