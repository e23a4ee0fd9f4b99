"""The figures of a run: what exists, which runs have each one, and how it is drawn.

A new figure is a file in `emap_core/figures/` and an entry of `FIGURES`. Overview, report, the
command ``figures`` and `Run.figure` all read that list.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emap_core.decomposition.modes import Modes, interaction_modes
from emap_core.errors import SettingError
from emap_core.figures import (
    Chart,
    column_names,
    confusion_pair,
    contributions,
    gap_dumbbell,
    measure_dots,
    mode_ends,
    mode_scree,
    shares_of_sets,
    variance_shares,
    waterfall,
)
from emap_core.figures.information_bars import information_bars
from emap_core.human_readable import capitalised
from emap_core.inference import metric
from emap_core.inference.other_measures.known_measures import MEASURES
from emap_core.inference.other_measures.partial_information import Target
from emap_core.inference.predictions.scores import one_score, unit_of
from emap_core.presentation.chosen_sides import (
    ChosenSides,
    chosen_sides,
    has_pairs,
    looks,
    looks_of_two,
    two_largest,
)
from emap_core.presentation.side_names_in_charts import worded_chart
from emap_core.probes.attribution import attributed_examples
from emap_core.probes.words_over_examples import words_over_examples
from emap_core.runs import Run
from emap_core.runs.slices import correct_without, prediction_without
from emap_core.runs.whole_groups import USUAL_NAMES
from emap_core.themes import LIGHT, Theme
from emap_core.types import Array, Space

MOST_POINTS = 10_000
EXAMPLES = 6

Choice = Mapping[str, Any]
_MODES: WeakKeyDictionary[Run, dict[tuple[int, tuple[int, int]], Modes]] = WeakKeyDictionary()


@dataclass(frozen=True)
class RunFigure:
    """A figure that runs can have.

    Attributes
    ----------
    name : str
        Its name for `Run.figure` and the command line.
    title : str
        The heading above it.
    draw : callable
        Takes a run, a theme and choices by keyword; returns a chart.
    had_by : callable
        Whether a run has it.
    on_overview : bool
        Whether the overview shows it; if not, another page does.
    in_report : callable
        Takes a run, returns the choices in its report by file name; by default the figure once,
        without a choice.
    """

    name: str
    title: str
    draw: Callable[..., Chart]
    had_by: Callable[[Run], bool] = lambda run: True
    on_overview: bool = True
    in_report: Callable[[Run], Mapping[str, Choice]] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "draw", _in_the_words_of_its_run(self.draw))

    def choices(self, run: Run) -> Mapping[str, Choice]:
        """Return the choices that a run's report shows, by file name."""
        return {self.name: {}} if self.in_report is None else self.in_report(run)


def _in_the_words_of_its_run(draw: Callable[..., Chart]) -> Callable[..., Chart]:
    @wraps(draw)
    def drawn(run: Run, *more: Any, **choice: Any) -> Chart:
        return worded_chart(run.sides, draw(run, *more, **choice))

    return drawn


def figures_of(run: Run) -> list[RunFigure]:
    """Return the figures that a run has, in order."""
    return [figure for figure in FIGURES if figure.had_by(run)]


def overview_figures(run: Run) -> list[RunFigure]:
    """Return the figures on the overview of a run; none of them needs its grid."""
    return [figure for figure in FIGURES if figure.on_overview and figure.had_by(run)]


def run_figure(run: Run, name: str, theme: Theme = LIGHT, **choice: Any) -> Chart:
    """Draw one of a run's figures.

    Parameters
    ----------
    run : Run
    name : str
        The name of one of `FIGURES`.
    theme : Theme
    **choice
        Choices of the figure: ``class_name`` for contributions and modes, ``mode`` for mode ends,
        ``example`` (an id) for the waterfall and the attribution.

    Raises
    ------
    SettingError
        If the run has no such figure, or the figure no such choice.
    """
    figure = {one.name: one for one in FIGURES}.get(name)
    if figure is None or not figure.had_by(run):
        had = ", ".join(one.name for one in figures_of(run))
        raise SettingError(f"run {run.id!r} has no figure {name!r}; choose one of {had}")
    allowed = list(inspect.signature(figure.draw).parameters)[2:]
    for given in choice:
        if given not in allowed:
            known = f"choose one of {', '.join(allowed)}" if allowed else "leave it out"
            raise SettingError(f"figure {name!r} has no choice {given!r}; {known}")
    return figure.draw(run, theme, **choice)


def report_charts(run: Run, theme: Theme = LIGHT) -> dict[str, Callable[[], Chart]]:
    """Return a drawing function for each figure of a run's report, by file name."""
    return {
        file: partial(figure.draw, run, theme, **choice)
        for figure in figures_of(run)
        for file, choice in figure.choices(run).items()
    }


def gap_chart(run: Run, theme: Theme = LIGHT) -> Chart:
    """Draw the gap of each metric of a labelled run."""
    gaps = {capitalised(metric(name).label): run.gap(name) for name in run.metrics}
    return gap_dumbbell(gaps, theme=theme)


def decisions_chart(run: Run, theme: Theme = LIGHT) -> Chart:
    """Draw right and wrong with and without interactions, for a labelled run that decides."""
    examples = run.examples()
    return confusion_pair(examples.correct, correct_without(examples), theme=theme)


def shares_chart(run: Run, theme: Theme = LIGHT) -> Chart:
    """Draw each part's share of the variance, a row per class; for many sides, a bar per set."""
    if len(run.sides) > 2:
        return shares_of_sets(run.shares, looks(run), theme=theme)
    return variance_shares(run.shares, score_names(run), looks=looks(run), theme=theme)


def contributions_chart(
    run: Run, theme: Theme = LIGHT, class_name: str | None = None, sides: str | None = None
) -> Chart:
    """Draw what two sides add to a class, by default the one with the most interaction.

    `sides` names two of more than two sides, with a comma between; by default the two that carry
    the most on their own.
    """
    c, rows = main_class(run) if class_name is None else column(run, class_name), sampled_rows(run)
    d = run.shares
    first, second = d.sides if len(d.sides) == 2 else two_largest(run)
    if sides is not None:
        first, second = (side.name for side in chosen_sides(run, *_two_names(sides)).sides)
    return contributions(
        d.effects[first][rows, c],
        d.effects[second][rows, c],
        d.interaction[rows, c],
        run.examples().flip.to_numpy()[rows] if run.decides else None,
        [run.ids[row] for row in rows],
        looks=looks_of_two(run, (d.sides.index(first), d.sides.index(second))),
        quantity=quantity(run, c),
        unit=unit_of(run.space, run.task),
        theme=theme,
    )


def modes_chart(
    run: Run, theme: Theme = LIGHT, class_name: str | None = None, sides: str | None = None
) -> Chart:
    """Draw how much of a class's interaction each mode explains; see `mode_class`."""
    c = mode_class(run) if class_name is None else column(run, class_name)
    modes = class_modes(run, c, _chosen(run, sides))
    return mode_scree(modes, quantity=quantity(run, c), theme=theme)


def mode_ends_chart(
    run: Run,
    theme: Theme = LIGHT,
    mode: int = 1,
    class_name: str | None = None,
    sides: str | None = None,
) -> Chart:
    """Draw the texts at both ends of a class's mode, counted from 1; see `mode_class`."""
    two = _chosen(run, sides)
    c = mode_class(run) if class_name is None else column(run, class_name)
    modes = class_modes(run, c, two)
    if not 1 <= mode <= len(modes):
        raise SettingError(f"mode is {mode}; choose one of 1 to {len(modes)}")
    return two.worded_chart(mode_ends(modes, mode - 1, two.words(0), theme=theme))


def waterfall_chart(run: Run, theme: Theme = LIGHT, example: str | None = None) -> Chart:
    """Draw how an example's prediction builds up; by default, the most telling example's."""
    if example is None:
        i = int(telling_examples(run).index[0])
    elif str(example) in run.ids:
        i = run.ids.index(str(example))
    else:
        raise SettingError(f"example is {example!r}; choose one of the run's ids")
    truth = run.true_classes
    true = int(truth[i]) if truth is not None and truth[i] >= 0 and run.softmax else None
    return waterfall(
        run.shares,
        i,
        score_names(run),
        true_class=true,
        score=one_score(run.space, run.task),
        unit=unit_of(run.space, run.task),
        looks=looks(run),
        theme=theme,
    )


def measures_chart(run: Run, theme: Theme = LIGHT) -> Chart:
    """Draw other papers' measures beside EMAP's own gap in accuracy, if the run has one."""
    found = run.measures()
    rows: list[dict[str, Any]] = []
    if "accuracy" in run.metrics:
        gap = run.gap("accuracy")
        rows.append(
            {
                "measure": "EMAP: gap in accuracy",
                "counts": "accuracy lost without interactions",
                "unit": "points",
                **{"value": gap.difference, "low": gap.low, "high": gap.high, "emap": True},
            }
        )
    rows += [
        {
            "measure": MEASURES[name].title,
            "counts": MEASURES[name].counts,
            "unit": MEASURES[name].unit,
        }
        | {"value": one.value, "low": one.low, "high": one.high, "emap": False}
        for name, one in found.values.items()
        if MEASURES[name].drawn
    ]
    return measure_dots(pd.DataFrame(rows), population=found.population, theme=theme)


def groups_chart(run: Run, theme: Theme = LIGHT, by: str | None = None) -> Chart:
    """Draw how many groups are right as a whole with and without interactions and by guessing."""
    found = run.group_scores(by)
    names = {name: capitalised(metric(name).label) for name in found.gaps}
    return gap_dumbbell(
        {names[name]: gap for name, gap in found.gaps.items()},
        title="groups, %",
        chance={names[name]: found.chance[name] for name in found.gaps},
        theme=theme,
    )


def information_chart(run: Run, theme: Theme = LIGHT, target: Target = "label") -> Chart:
    """Draw what text and image tell alike, alone and only together, in bits."""
    return information_bars(run.partial_information(target), looks=looks(run), theme=theme)


def score_names(run: Run) -> list[str]:
    """Return a name for each score: its class, or "the prediction" for a regression."""
    alone = run.task == "regression" and len(run.shares.mean) == 1
    return ["the prediction"] if alone else run.classes


def attribution_chart(run: Run, theme: Theme = LIGHT, example: str | None = None) -> Chart:
    """Draw which words of an example meet which regions; by default, the first one asked about."""
    known = {one.example: one for one in attributed_examples(run)}
    name = next(iter(known)) if example is None else str(example)
    if name not in known:
        raise SettingError(
            f"example is {name!r}, about which nobody asked; run.probe('attribution', "
            "example=...) asks"
        )
    image = run.thumbnail(int(run.decomposition.column_index[run.ids.index(name)]))
    return known[name].chart(theme, picture=image)


def words_over_examples_chart(run: Run, theme: Theme = LIGHT) -> Chart:
    """Draw which words meet which places in the image, over the examples asked about."""
    return words_over_examples(attributed_examples(run)).chart(theme)


def column(run: Run, class_name: str) -> int:
    """Return the column of a class.

    Raises
    ------
    SettingError
        If the run has no such class.
    """
    if class_name not in run.classes[: len(run.shares.mean)]:
        raise SettingError(f"class_name is {class_name!r}; choose one of {', '.join(run.classes)}")
    return run.classes.index(class_name)


def main_class(run: Run) -> int:
    """Return the column with the most interaction."""
    return int(np.argmax(sums_of_interactions(run)))


def mode_class(run: Run) -> int:
    """Return the column with the most interaction among those whose grid was kept."""
    known = chosen_sides(run).classes
    return int(max(known, key=sums_of_interactions(run).__getitem__))


def sums_of_interactions(run: Run) -> Array:
    """Return the variance that all interactions carry in each column, shape (C,)."""
    return run.shares.interaction_squares


def class_modes(run: Run, c: int, two: ChosenSides | None = None) -> Modes:
    """Return the interaction modes of a class and two sides, computed once.

    Raises
    ------
    SettingError
        If the grid of this class was not kept.
    """
    two = two or chosen_sides(run)
    found = _MODES.setdefault(run, {})
    key = (c, two.places)
    if key not in found:
        if c not in two.classes:
            name = run.classes[c]
            raise SettingError(f"the grid of class {name!r} was not kept; choose another class")
        d = two.shares
        cells = two.cells(c, "centred" if run.softmax else "logits")
        found[key] = interaction_modes(
            cells, d.row_share, d.column_share, overwrite=True, noise=float(d.noise[c])
        )
    return found[key]


def _chosen(run: Run, sides: str | None) -> ChosenSides:
    return chosen_sides(run, *(() if sides is None else _two_names(sides)))


def _two_names(sides: str) -> tuple[str, str]:
    first, comma, second = sides.partition(",")
    if not comma:
        raise SettingError(f"sides is {sides!r}; give two names with a comma between them")
    return first.strip(), second.strip()


def telling_examples(run: Run) -> pd.DataFrame:
    """Return the examples with the largest interactions, flips first, each text or image once.

    The column ``prediction_without``, the prediction without interactions, is added.
    """
    examples = run.examples()
    examples["prediction_without"] = prediction_without(examples)
    flips = examples.flip.ne("same") if run.decides else examples.interaction_size.gt(0)
    ranked = examples.assign(flips=flips).sort_values(
        ["flips", "interaction_size"], ascending=False, kind="stable"
    )
    # Seeing the same text or image again and again would say little.
    return ranked.drop_duplicates("text_index").drop_duplicates("image_index").head(EXAMPLES)


def sampled_rows(run: Run) -> NDArray[np.intp]:
    """Return the positions of the examples drawn as points, at most `MOST_POINTS`."""
    rows = np.arange(len(run.ids))
    if len(rows) <= MOST_POINTS:
        return rows
    return np.sort(np.random.default_rng(0).choice(rows, MOST_POINTS, replace=False))


def quantity(run: Run, c: int, space: Space | None = None) -> str:
    """Return in words what column `c` holds: ``the logit of circle``, ``the prediction``.

    The space is the run's unless `space` names another one.
    """
    names = column_names(score_names(run), len(run.shares.mean))
    if names == ["the prediction"]:
        return names[0]
    return f"the {one_score(space or run.space, run.task)} of {names[c]}"


def _has_gaps(run: Run) -> bool:
    return bool(run.metrics) and run.shared_by_all is None


def _can_be_recombined(run: Run) -> bool:
    return run.shared_by_all is None


def _has_decisions(run: Run) -> bool:
    return run.labels is not None and run.decides and run.shared_by_all is None


def _has_modes(run: Run) -> bool:
    return has_pairs(run) and len(class_modes(run, mode_class(run))) > 0


def _has_groups(run: Run) -> bool:
    return run.why_no_groups is None and bool(run.groupings)


def _groups_of_data(run: Run) -> dict[str, Choice]:
    # Groups that share an image are shown only if somebody asks for them.
    by = next((name for name in run.groupings if name.lower() in USUAL_NAMES), None)
    return {} if by is None else {"groups": {"by": by}}


def _has_measures(run: Run) -> bool:
    return run.why_no_measures is None


def _was_asked(run: Run, n_examples: int = 1) -> bool:
    return len(attributed_examples(run)) >= n_examples


def _asked(run: Run) -> dict[str, Choice]:
    known = attributed_examples(run)[:EXAMPLES]
    return {f"attribution-{place}": {"example": one.example} for place, one in enumerate(known, 1)}


def _telling(run: Run) -> dict[str, Choice]:
    places = enumerate(telling_examples(run).id, start=1)
    return {f"example-{place}": {"example": name} for place, name in places}


FIGURES = [
    RunFigure("gap", "What interactions are worth", gap_chart, _has_gaps),
    RunFigure("shares", "What the outputs consist of", shares_chart, _can_be_recombined),
    RunFigure(
        "decisions",
        "Right and wrong, with and without interactions",
        decisions_chart,
        _has_decisions,
    ),
    RunFigure(
        "contributions",
        "Which side carries the predictions",
        contributions_chart,
        on_overview=False,
    ),
    RunFigure("modes", "What interacts with what", modes_chart, _has_modes, on_overview=False),
    RunFigure(
        "mode-ends",
        "The texts at both ends of a mode",
        mode_ends_chart,
        _has_modes,
        on_overview=False,
        in_report=lambda run: {"mode-1": {"mode": 1}},
    ),
    RunFigure(
        "measures",
        "What other measures say",
        measures_chart,
        _has_measures,
        on_overview=False,
    ),
    RunFigure(
        "groups",
        "Whether whole groups are right",
        groups_chart,
        _has_groups,
        on_overview=False,
        in_report=_groups_of_data,
    ),
    RunFigure(
        "information",
        "What text and image tell, alike, alone and together",
        information_chart,
        _has_measures,
        on_overview=False,
        # Its package is not always installed.
        in_report=lambda run: {},
    ),
    RunFigure(
        "waterfall",
        "How a prediction builds up",
        waterfall_chart,
        on_overview=False,
        in_report=_telling,
    ),
    RunFigure(
        "attribution",
        "Which words with which regions",
        attribution_chart,
        _was_asked,
        on_overview=False,
        in_report=_asked,
    ),
    RunFigure(
        "words-over-examples",
        "Which words meet which places, over examples",
        words_over_examples_chart,
        partial(_was_asked, n_examples=2),
        on_overview=False,
    ),
]
"""The figures that runs can have, in report order."""
