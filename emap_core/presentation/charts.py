"""The figures of a run, as its report and its exports show them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emap_core.decomposition.modes import Modes, interaction_modes
from emap_core.figures import (
    LIGHT,
    Chart,
    Theme,
    column_names,
    confusion_pair,
    contributions,
    gap_dumbbell,
    mode_ends,
    mode_scree,
    variance_shares,
    waterfall,
)
from emap_core.inference import metric
from emap_core.runs import Run
from emap_core.runs.slices import correct_without, prediction_without

MOST_POINTS = 10_000
EXAMPLES = 6
_UNITS = {"logits": "logits", "log_probabilities": "nats", "probabilities": "probability"}
_KINDS = {"logits": "the logit", "log_probabilities": "the log probability"}


def run_charts(run: Run, theme: Theme = LIGHT) -> dict[str, Callable[[], Chart]]:
    """Return what draws each figure of a run's report, by a name that can be a file's."""
    charts: dict[str, Callable[[], Chart]] = {}
    if run.metrics and run.shared_by_all is None:
        charts["gap"] = lambda: gap_chart(run, theme)
    if run.labels is not None and run.decides and run.shared_by_all is None:
        charts["decisions"] = lambda: decisions_chart(run, theme)
    if run.shared_by_all is None:
        charts["shares"] = lambda: shares_chart(run, theme)
    charts["contributions"] = lambda: contributions_chart(run, theme)
    modes = main_modes(run)
    if modes is not None:
        charts["modes"] = lambda: scree_chart(run, modes, theme)
        charts["mode-1"] = lambda: mode_ends(modes, 0, run.texts, theme=theme)
    for place, i in enumerate(telling_examples(run).index, start=1):
        charts[f"example-{place}"] = partial(example_chart, run, int(i), theme)
    return charts


def gap_chart(run: Run, theme: Theme = LIGHT) -> Chart:
    """Draw the gap of each metric of a labelled run."""
    return gap_dumbbell({metric(name).label: run.gap(name) for name in run.metrics}, theme=theme)


def decisions_chart(run: Run, theme: Theme = LIGHT) -> Chart:
    """Draw right and wrong with interactions and without, of a labelled run that decides."""
    examples = run.examples()
    return confusion_pair(examples.correct, correct_without(examples), theme=theme)


def shares_chart(run: Run, theme: Theme = LIGHT) -> Chart:
    """Draw the parts' shares of the variance, a class a row."""
    return variance_shares(run.shares, run.classes, theme=theme)


def contributions_chart(run: Run, theme: Theme = LIGHT) -> Chart:
    """Draw both sides' contributions to the class with the most interaction."""
    c, rows = main_class(run), sampled_rows(run)
    d = run.shares
    return contributions(
        d.text_effect[rows, c],
        d.image_effect[rows, c],
        d.interaction[rows, c],
        run.examples().flip.to_numpy()[rows] if run.decides else None,
        [run.ids[row] for row in rows],
        quantity=quantity(run, c),
        unit=_UNITS[run.space],
        theme=theme,
    )


def scree_chart(run: Run, modes: Modes, theme: Theme = LIGHT) -> Chart:
    """Draw how much of the interaction each of the `main_modes` explains."""
    return mode_scree(modes, quantity=quantity(run, mode_class(run)), theme=theme)


def example_chart(run: Run, i: int, theme: Theme = LIGHT) -> Chart:
    """Draw how the prediction of the example at position `i` builds up."""
    truth = run.true_classes
    true = int(truth[i]) if truth is not None and truth[i] >= 0 and run.softmax else None
    return waterfall(
        run.shares, i, run.classes, true_class=true, unit=_UNITS[run.space], theme=theme
    )


def main_class(run: Run) -> int:
    """Return the column with the most interaction."""
    return int(np.argmax(run.shares.sums_of_squares[2]))


def mode_class(run: Run) -> int:
    """Return the column with the most interaction of those whose grid was kept."""
    return int(max(run.kept_classes, key=run.shares.sums_of_squares[2].__getitem__))


def main_modes(run: Run) -> Modes | None:
    """Return the interaction modes of the `mode_class`; None where there are none."""
    if not run.kept_classes:
        return None
    c, d = mode_class(run), run.shares
    cells = run.class_grid(c, "centred" if run.softmax else "logits")
    modes = interaction_modes(
        cells, d.text_share, d.image_share, overwrite=True, noise=float(d.noise[c])
    )
    return modes if len(modes) else None


def telling_examples(run: Run) -> pd.DataFrame:
    """Return the examples with the largest interactions, flips first, no text or image twice.

    Beside the run's own columns there is ``prediction_without``, that without interactions.
    """
    examples = run.examples()
    examples["prediction_without"] = prediction_without(examples)
    flips = examples.flip.ne("same") if run.decides else examples.interaction_size.gt(0)
    ranked = examples.assign(flips=flips).sort_values(
        ["flips", "interaction_size"], ascending=False, kind="stable"
    )
    # The same text or image again and again would say little.
    return ranked.drop_duplicates("text_index").drop_duplicates("image_index").head(EXAMPLES)


def sampled_rows(run: Run) -> NDArray[np.intp]:
    """Return the positions of the examples that are drawn as points, at most `MOST_POINTS`."""
    rows = np.arange(len(run.ids))
    if len(rows) <= MOST_POINTS:
        return rows
    return np.sort(np.random.default_rng(0).choice(rows, MOST_POINTS, replace=False))


def quantity(run: Run, c: int) -> str:
    """Return what the column `c` holds, in words: the logit of a class, say."""
    names = column_names(run.classes, len(run.shares.mean))
    return f"{_KINDS.get(run.space, 'the probability')} of {names[c]}"
