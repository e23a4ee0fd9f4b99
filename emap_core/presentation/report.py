"""A run's answer as one HTML file: interactive, offline, for people with nothing installed."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

from plotly.offline import get_plotlyjs

from emap_core.figures import Chart
from emap_core.human_readable import or_no_text, shortened
from emap_core.inference import Verdict
from emap_core.inference.number_format import percent
from emap_core.modalities import TEXT_AND_IMAGE
from emap_core.modalities.side_names import grid_of, worded
from emap_core.presentation.charts import (
    MOST_POINTS,
    RunFigure,
    class_modes,
    figures_of,
    main_class,
    mode_class,
    quantity,
    telling_examples,
)
from emap_core.presentation.chosen_sides import chosen_sides, seen_and_read
from emap_core.presentation.further_questions import Question, further_questions
from emap_core.presentation.run_details import PROBABILITIES_NOTE, facts
from emap_core.presentation.run_titles import file_name, title_beside_others
from emap_core.presentation.tables import (
    SPREAD_NOTE,
    Table,
    intervals_note,
    kind_table,
    score_notes,
    score_table,
    share_sentence,
    spread_table,
)
from emap_core.runs import Run
from emap_core.runs.store import replacing
from emap_core.themes import LIGHT, Theme
from emap_core.untrusted_text import escape

MOST_ROWS = 200
MODE_IMAGES = 6

_DIGIT = re.compile(r"\d|not defined|^–$|not tested")
_QUIET = {"light": "#57606A", "dark": "#A9B2BD"}

# The file may run and show only what it contains; it cannot fetch anything.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; media-src data:; base-uri 'none'; form-action 'none'"
)

_STYLE = """
body { font: 16px/1.5 "Source Sans 3", "Source Sans Pro", system-ui, sans-serif; color: var(--ink);
  background: var(--paper); max-width: 1000px; margin: 0 auto; padding: 24px 16px 64px;
  overflow-wrap: anywhere; }
h1 { font-size: 1.9rem; margin: 0; } h2 { font-size: 1.35rem; margin: 48px 0 8px; }
.warning { border-left: 3px solid var(--ink); padding-left: 8px; }
.verdict { font-size: 1.3rem; margin: 16px 0 4px; } .about { color: var(--quiet); margin: 0 0 8px; }
figure { margin: 8px 0; } table { border-collapse: collapse; font-size: .95rem; }
td, th { border-bottom: 1px solid var(--faint); padding: 4px 12px 4px 0; text-align: left;
  vertical-align: top; overflow-wrap: anywhere; }
.facts td:first-child { min-width: 12em; }
td.number, th.number { text-align: right; white-space: nowrap; }
details { margin: 4px 0 16px; } summary { cursor: pointer; } .scroll { overflow-x: auto; }
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 16px; }
.side, .example { border: 1px solid var(--faint); border-radius: 8px; padding: 12px; }
.example { margin: 12px 0; } .pair { display: flex; gap: 16px; align-items: flex-start; }
.images { display: flex; flex-wrap: wrap; gap: 8px; }
img { max-height: 128px; max-width: 100%; border: 1px solid var(--faint); border-radius: 4px; }
.save { margin: 4px 0; font-size: .9rem; } .save button { font: inherit; color: inherit;
  cursor: pointer; background: none; border: 0; padding: 0 .25rem; text-decoration: underline; }
@media print { .save { display: none; } }
.side img { height: 80px; } .text { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; }
"""

_SCRIPT = """
addEventListener("DOMContentLoaded", () => {
  for (const figure of document.querySelectorAll(".js-plotly-plot")) {
    const camera = figure._context.toImageButtonOptions
    camera.filename = document.body.dataset.file + figure.id.replace("figure-", "")
  }
})
addEventListener("click", ({ target }) => {
  const format = target.closest(".save button")?.value
  if (!format) return
  const figure = target.closest("figure").querySelector(".js-plotly-plot")
  const camera = figure._context.toImageButtonOptions
  Plotly.downloadImage(figure, { ...camera, format, scale: format === "svg" ? 1 : camera.scale })
})
"""


def write_report(
    run: Run, path: Path, theme: Theme = LIGHT, equivalence_margin: float | None = None
) -> None:
    """Write a run as one HTML file that works offline with nothing installed.

    Parameters
    ----------
    run : Run
    path : Path
        Written in one step; an existing file is replaced.
    theme : Theme
        `LIGHT` or `DARK`; figures are drawn for one of them, so the file does not follow its
        reader's theme.
    equivalence_margin : float, optional
        The smallest gap that matters, in units of the first metric; see `Run.verdict`.
    """
    page = report_html(run, theme, equivalence_margin)
    with replacing(Path(path)) as temporary:
        temporary.write_text(page, encoding="utf-8")


def report_html(
    run: Run,
    theme: Theme = LIGHT,
    equivalence_margin: float | None = None,
    title: str | None = None,
) -> str:
    """Return the report of a run as a self-contained HTML page, light or dark.

    The default `title` is the run's title among the runs in its folder.
    """
    title = title or title_beside_others(run)
    verdict = run.verdict(equivalence_margin)
    first: list[str] = []
    overview: list[str] = []
    others: list[str] = []
    for figure in figures_of(run):
        place = first if figure.name == "gap" else overview if figure.on_overview else others
        place += [_SECTIONS.get(figure.name, _section)(run, figure, theme)]
    sections = [
        _head(run, title, verdict),
        *first,
        _scores(run, equivalence_margin),
        *overview,
        _kinds(run),
        *others,
        _facts(run),
        _reading(run),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="description" content="{escape(verdict.sentence)}">\n'
        f"<title>{escape(title)} · EMAP Lens</title>\n"
        f"<style>{_ground(theme)}{_STYLE}</style>\n"
        f"<script>{get_plotlyjs()}</script>\n<script>{_SCRIPT}</script>\n</head>\n"
        f'<body data-file="{escape(file_name(title, ""))}">\n'
        + "\n".join(section for section in sections if section)
        + "\n</body>\n</html>\n"
    )


def _ground(theme: Theme) -> str:
    # The figures are drawn for one background, so the page keeps it in every browser.
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
        f'<p class="about">{about["n_examples"]:,} examples · '
        f"{escape(grid_of(run.sides, run.sizes))}"
        f"</p>{_annotations(run)}{_quiet(*run.notes)}{_skipped(run)}"
    )


def _annotations(run: Run) -> str:
    """Show tags and comment as their authors wrote them, line breaks included."""
    tags, comment = ", ".join(run.manifest["tags"]), run.manifest["comment"]
    said = f'<p class="text">{escape(comment)}</p>' if comment else ""
    return _quiet(f"Tags: {tags}" if tags else "") + said


def _quiet(*sentences: str) -> str:
    return "".join(f'<p class="about">{escape(one)}</p>' for one in sentences if one)


def _skipped(run: Run) -> str:
    if not run.skipped:
        return ""
    rows = "".join(f"<li>{escape(row)}</li>" for row in run.skipped[:MOST_ROWS])
    more = len(run.skipped) - MOST_ROWS
    rows += f"<li>{more:,} more</li>" if more > 0 else ""
    return f"<details><summary>{escape(run.skipped_note)}</summary><ul>{rows}</ul></details>"


def _scores(run: Run, equivalence_margin: float | None) -> str:
    if not run.metrics:
        return ""
    spread = spread_table(run)
    return (
        f"<h2>The model and its baselines</h2>{table_html(score_table(run))}"
        + _quiet(*score_notes(run))
        + ("" if spread is None else _folded("How much sub-samples differ", spread, SPREAD_NOTE))
        + "".join(map(_question, further_questions(run, equivalence_margin)))
    )


def _question(question: Question) -> str:
    return _folded(question.question, question.columns, question.note, question.answer)


def _folded(title: str, table: Table, note: str, answer: str = "") -> str:
    said = f"<p>{escape(answer)}</p>" if answer else ""
    return (
        f"<details><summary>{escape(title)}</summary>{said}{table_html(table)}"
        f"{_quiet(note)}</details>"
    )


def table_html(table: Table) -> str:
    """Return a table of words as HTML; columns of numbers are aligned right."""
    kinds = [
        ' class="number"' if all(map(_DIGIT.search, cells)) else "" for cells in table.values()
    ]
    header = "".join(
        f"<th{kind}>{escape(name)}</th>" for kind, name in zip(kinds, table, strict=True)
    )
    rows = "".join(
        "<tr>"
        + "".join(f"<td{kind}>{escape(cell)}</td>" for kind, cell in zip(kinds, row, strict=True))
        + "</tr>"
        for row in zip(*table.values(), strict=True)
    )
    return f'<div class="scroll"><table><tr>{header}</tr>{rows}</table></div>'


def _section(run: Run, figure: RunFigure, theme: Theme) -> str:
    drawn = "".join(
        _figure(figure.draw(run, theme, **choice), file)
        for file, choice in figure.choices(run).items()
    )
    title = chosen_sides(run).worded(figure.title)
    return f"<h2>{escape(title)}</h2>{drawn}"


def _shares(run: Run, figure: RunFigure, theme: Theme) -> str:
    said = f"<p>{escape(share_sentence(run))}</p>"
    drawn = _figure(figure.draw(run, theme), figure.name)
    return f"<h2>{escape(figure.title)}</h2>{said}{drawn}"


def _kinds(run: Run) -> str:
    kinds = kind_table(run)
    if kinds is None:
        return ""
    return f"<h2>What kinds of examples there are</h2>{table_html(kinds)}" + _quiet(
        intervals_note(run)
    )


def _contributions(run: Run, figure: RunFigure, theme: Theme) -> str:
    note = ""
    if len(run.ids) > MOST_POINTS:
        note = f"<p>A seeded sample of {MOST_POINTS:,} of the {len(run.ids):,} examples.</p>"
    what = escape(quantity(run, main_class(run)))
    drawn = _figure(figure.draw(run, theme), figure.name, table=False)
    return f"<h2>{escape(figure.title)}: {what}</h2>{note}{drawn}"


def _modes(run: Run, figure: RunFigure, theme: Theme) -> str:
    two = chosen_sides(run)
    modes = class_modes(run, mode_class(run), two)
    texts_of_side = two.words(0)
    place = two.places[1]
    ends = []
    for name, texts, images in zip(
        ("One end", "The other end"),
        modes.row_ends(0, 5),
        modes.column_ends(0, MODE_IMAGES),
        strict=True,
    ):
        lines = "".join(
            f'<li dir="auto">{escape(shortened(or_no_text(texts_of_side[u]), 80))}</li>'
            for u in texts
        )
        pictures = "".join(_poster(run, place, int(w)) for w in images)
        ends.append(
            f'<div class="side"><h3>{name}</h3><ul>{lines}</ul>'
            f'<div class="images">{pictures}</div></div>'
        )
    what = escape(quantity(run, mode_class(run)))
    return (
        f"<h2>{escape(figure.title)}: {what}</h2>"
        f"<p>Mode 1 explains {percent(modes.shares[0])} of the interaction. "
        + escape(two.note and f"{two.note} ")
        + escape(two.worded("Texts and images at the same end raise "))
        + f"{what} together; at opposite ends they lower it.</p>"
        f'<div class="sides">{"".join(ends)}</div>' + _figure(figure.draw(run, theme), figure.name)
    )


def _examples(run: Run, figure: RunFigure, theme: Theme) -> str:
    rows = telling_examples(run).to_dict("records")
    cards = (
        _example(run, row, figure.draw(run, theme, **choice), file)
        for row, (file, choice) in zip(rows, figure.choices(run).items(), strict=True)
    )
    return "<h2>Examples with the largest interactions, flips first</h2>" + "".join(cards)


def _example(run: Run, row: dict[str, Any], chart: Chart, name: str) -> str:
    said = [
        f"{label}: <b>{escape(row[column])}</b>"
        for label, column in (
            ("true", "label"),
            ("the model", "prediction"),
            ("without interactions", "prediction_without"),
        )
        if row[column] is not None
    ]
    index = run.decomposition.index
    position = run.ids.index(row["id"])
    seen, read = seen_and_read(run.sides)
    return (
        '<div class="example"><div class="pair">'
        + "".join(_named_item(run, place, int(index[place][position])) for place in seen)
        + "<div>"
        + "".join(_named_item(run, place, int(index[place][position])) for place in read)
        + f"<p>{' · '.join(said)}</p>"
        f'<p class="about">example {escape(row["id"])}</p></div></div>'
        f"{_figure(chart, name, caption=False)}</div>"
    )


_SECTIONS = {
    "shares": _shares,
    "contributions": _contributions,
    "modes": _modes,
    "waterfall": _examples,
}
"""Figures with other things beside them in the report; every other one only has a heading."""


def _facts(run: Run) -> str:
    rows = "".join(
        f"<tr><td>{escape(what)}</td><td>{escape(value)}</td></tr>"
        for what, value in facts(run).items()
    )
    note = PROBABILITIES_NOTE if run.space != "logits" else ""
    return (
        '<h2>How this was computed</h2><div class="scroll"><table class="facts">'
        f"{rows}</table></div>" + _quiet(note)
    )


def _reading(run: Run) -> str:
    softmax = (
        " They are shares of the scores minus their mean over classes, which a softmax does not "
        "see."
        if run.softmax
        else ""
    )
    return (
        "<h2>How to read this</h2><p>"
        + escape(
            worded(
                run.sides,
                "EMAP is the best copy of the model that only adds what the text says to what the "
                "image says. The model scores every text with every image"
                if len(run.sides) == 2
                else "EMAP is the best copy of the model that only adds what each side says on its "
                "own. The model scores every combination of items",
            )
        )
        + ", and the copy is fitted to all these scores. If the copy does as well as the model, "
        "interactions do not matter on this data. Leave-one-out EMAP keeps each example’s own "
        "score out of its copy; the verdict is based on it. Intervals are at the 95% level. "
        f"Variance shares are over all recombinations.{softmax}</p>"
        "<p>J. Hessel and L. Lee, “Does my multimodal model learn cross-modal interactions? "
        "It’s harder to tell than you might think!”, EMNLP 2020.</p>"
    )


def _figure(chart: Chart, name: str, *, table: bool = True, caption: bool = True) -> str:
    drawn = chart.figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id=f"figure-{name}",
        config={
            "displaylogo": False,
            "responsive": True,
            "showTips": False,
            # The page names the figure's file once it has loaded; see `_SCRIPT`.
            "toImageButtonOptions": {"scale": 2},
        },
    )
    return (
        f'<figure role="group" aria-label="{escape(chart.alt)}">{drawn}'
        + (f"<figcaption>{escape(chart.alt)}</figcaption>" if caption else "")
        + '<p class="save">Save as <button type="button" value="png">PNG</button> '
        '<button type="button" value="svg">SVG</button></p></figure>'
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
    more = f"<p>{rest:,} more rows are not shown.</p>" if rest else ""
    return (
        '<details><summary>As a table</summary><div class="scroll">'
        f"<table><tr>{header}</tr>{rows}</table></div>{more}</details>"
    )


def _cell(value: object) -> str:
    return f"{value:.4g}".replace("-", "−") if isinstance(value, float) else str(value)


def _item(run: Run, place: int, item: int) -> str:
    """Return an item of either side to read, look at or listen to."""
    return _SHOWN.get(run.sides[place].modality, _poster_with_words)(run, place, item)


def _named_item(run: Run, place: int, item: int) -> str:
    shown = _item(run, place, item)
    if run.sides == TEXT_AND_IMAGE:
        return shown
    name = escape(run.sides[place].name)
    return f'<div class="item"><p class="about">{name}</p>{shown}</div>'


def _text(run: Run, place: int, item: int) -> str:
    words = run.words(place, item)
    return f'<p class="text" dir="auto">{escape(or_no_text(words))}</p>'


def _poster(run: Run, place: int, item: int) -> str:
    data = base64.b64encode(run.poster(place, item)).decode()
    alt = escape(f"{run.sides[place].name} {item + 1}")
    return f'<img alt="{alt}" src="data:image/jpeg;base64,{data}">'


def _poster_with_words(run: Run, place: int, item: int) -> str:
    return f"<div>{_poster(run, place, item)}{_text(run, place, item)}</div>"


def _player(run: Run, place: int, item: int) -> str:
    content = run.content(place, item)
    if not content:
        return _poster_with_words(run, place, item)
    data = base64.b64encode(content).decode()
    return (
        f"<div>{_poster_with_words(run, place, item)}"
        f'<audio controls src="data:audio/wav;base64,{data}"></audio></div>'
    )


def _moving(run: Run, place: int, item: int) -> str:
    content = run.content(place, item)
    if not content:
        return _poster_with_words(run, place, item)
    data = base64.b64encode(content).decode()
    alt = escape(run.words(place, item))
    return f'<img alt="{alt}" src="data:image/gif;base64,{data}">'


_SHOWN = {"text": _text, "image": _poster, "audio": _player, "video": _moving}
