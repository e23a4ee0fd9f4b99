"""The gate between "prepared" and "computing": everything that is detectably wrong is found here.

Every way to a run passes through here, plans and shards included, once the number of classes is
known and before anything is written. What is not wrong but worth knowing is returned as notes.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emap_core import inference, methods
from emap_core.datasets.base import has_answers
from emap_core.decomposition.projection import TEXT_AND_IMAGE
from emap_core.engine.measure import WarmUp
from emap_core.engine.settings import Settings
from emap_core.errors import DatasetError, LabelError, ModelError, SettingError
from emap_core.human_readable import size
from emap_core.inference.resamples.population import population_of_sides
from emap_core.modalities import plural
from emap_core.modalities.side_names import grid_of
from emap_core.models.base import OUTPUTS
from emap_core.models.torch_modules import left_in_training, rounding
from emap_core.option_names import option, option_name

if TYPE_CHECKING:
    from emap_core.engine.problem import Problem

_LIMITS = {
    "logits": (-np.inf, np.inf),
    "log_probabilities": (-np.inf, 0.0),
    "probabilities": (0.0, 1.0),
}
_PERCENT = "divide them by 100 and "
MOST_WEIGHTED_PAIRS = 20_000_000
"""Largest grid that is projected with unequal weights: half a minute, half a gigabyte."""
MOST_BYTES_OF_SUMS = 2**30
"""Limit for the sums of every set of more than two sides; a few copies are in memory."""
_MOST_LOST = 1e-3
"""Most that storing outputs in 32 bits may change them by, as a share of their differences."""
_LEAST_DIFFERENCE = 1e-100
_ENOUGH = 8
"""Pairs whose outputs all lie in [0, 1] by more than chance, where a pair has a single output."""


def check_data(dataset: Any, settings: Settings) -> None:
    """Refuse what is wrong by data and settings alone, before a model is loaded."""
    for name in settings.metrics:
        which = inference.metric(name)
        inference.check_use(which, dataset.task)
        if dataset.labels is None:
            raise SettingError(f"metric {name!r} needs labels, but the data has none")
        if (which.name == "vqa_accuracy") != has_answers(dataset):
            raise SettingError(
                f"metric {name!r} needs one label per example, but the data has answers of several "
                "annotators; choose vqa_accuracy"
                if has_answers(dataset)
                else "metric 'vqa_accuracy' needs the answers of several annotators, a list for "
                "each example; choose accuracy"
            )
    if settings.until is not None and dataset.labels is None:
        raise SettingError(
            f"{option('until', None, 'run')} waits for the interval of a gap, but the data has no "
            f"labels; choose {option('images_per_text', None, 'run')} instead"
        )


def check_sides(dataset: Any, settings: Settings, *, trains: bool) -> None:
    """Refuse what is only defined for two sides if the data has more.

    Parameters
    ----------
    dataset : Dataset
    settings : Settings
    trains : bool
        Whether there is a training split.
    """
    n = len(dataset.sides)
    names = TEXT_AND_IMAGE if n == 2 else tuple(side.name for side in dataset.sides)
    try:
        population_of_sides(dict.fromkeys(names, np.arange(2)), str(settings.cluster))
    except SettingError as error:
        said = str(error).removeprefix("cluster")
        raise SettingError(f"{option_name('cluster')}{said}") from None
    if n == 2:
        return
    has = f"the data has {n} sides ({', '.join(side.name for side in dataset.sides)})"
    if not methods.method(settings.method).any_number_of_sides:
        raise SettingError(
            f"{option('method', settings.method, 'run')} scores pairs of two sides, but {has}; "
            f"choose {option('method', methods.DEFAULT, 'run')}"
        )
    for wanted, called in (
        (settings.density != "off", option("density", of="run")),
        (trains, option_name("train")),
    ):
        if wanted:
            raise SettingError(f"{called} is for two sides, but {has}; leave it out")


def check(problem: Problem, warm_up: WarmUp | None) -> list[str]:
    """Refuse model, data and settings that do not fit together; return notes for the reader.

    Parameters
    ----------
    problem : Problem
        Whose number of classes is known.
    warm_up : WarmUp or None
        The warm-up tile; None for a resumed run, which was checked when it started.

    Returns
    -------
    list of str
        Sentences to show with the result.

    Raises
    ------
    EmapError
        If the run could not finish, or its numbers would mean nothing.
    """
    for of_problem in _OF_PROBLEM:
        of_problem(problem)
    if warm_up is not None:
        for of_warm_up in _OF_WARM_UP:
            of_warm_up(problem, warm_up)
        return [note for one in _NOTES if (note := one(problem, warm_up))]
    return []


def check_wishes(problem: Problem) -> None:
    """Refuse requests that even a finished run cannot meet."""
    for of_wish in (_wanted_metrics, _density, _metrics_for_so_many_classes):
        of_wish(problem)


def noise(problem: Problem, warm_up: WarmUp) -> dict[str, Any] | None:
    """Return how noisy single outputs are in the space that is projected, for the manifest.

    ``variance`` is summed over classes, like the variance that its share refers to; under a
    softmax, a number added to all classes is not noise.
    """
    if warm_up.noise is None:
        return None
    first, second = (
        np.asarray(problem.evaluator.convert(values), dtype=np.float64) for values in warm_up.noise
    )
    apart = first - second
    if (
        problem.task == "multiclass"
        and problem.n_classes > 1
        and problem.settings.space != "probabilities"
    ):
        apart = apart - apart.mean(axis=1, keepdims=True)
    # Two scorings of a pair differ by twice the variance of one.
    return {"n_pairs": len(apart), "variance": float((apart**2).mean(axis=0).sum() / 2)}


def _something_to_recombine(problem: Problem) -> None:
    sides = problem.dataset.sides
    for side, n in zip(sides, problem.cells.sizes, strict=True):
        if n == 1:
            several = [f"2 different {plural(one)}" for one in sides]
            raise DatasetError(
                f"all {len(problem.dataset):,} examples have the same {side.name}, so nothing can "
                f"be recombined or measured; choose data with at least {', '.join(several[:-1])} "
                f"and {several[-1]}"
            )
    for number, examples in enumerate(problem.subsamples, start=1):
        for side, unique in zip(sides, problem.cells.sides, strict=True):
            if len(np.unique(unique.index[examples])) == 1:
                raise SettingError(
                    f"sub-sample {number} has a single {side.name}: nothing can be recombined in "
                    "it; choose larger sub-samples than "
                    f"{option('subsample_size', str(problem.settings.subsample_size), 'run')}"
                )


def _wanted_metrics(problem: Problem) -> None:
    alone = problem.task in ("binary", "multilabel")
    for name in problem.settings.metrics if alone and not problem.scorer.has_threshold else ():
        if inference.metric(name).name not in inference.RANKINGS:
            raise SettingError(
                f"metric {name!r} needs a threshold above which the model says yes, but this model "
                f"only ranks pairs; choose {' or '.join(inference.RANKINGS)}"
            )
    if not problem.n_wrong:
        return
    for name in problem.settings.metrics:
        if inference.metric(name).needs_known_labels:
            raise SettingError(
                f"metric {name!r} needs the class of each label, but the labels of "
                f"{problem.n_wrong:,} examples are not classes of the model; choose accuracy, or "
                f"{option('unknown_labels', 'skip', 'run')}, which leaves these examples out"
            )


def _metrics_for_so_many_classes(problem: Problem) -> None:
    for name in problem.settings.metrics:
        inference.check_use(name, problem.task, problem.n_classes)


def _density(problem: Problem) -> None:
    if problem.settings.density == "off":
        return
    n_rows, n_columns = problem.cells.shape
    asked = option("density", of="run")
    if not problem.scorer.staged or problem.is_lookup:
        raise SettingError(f"{asked} reads encodings, so it needs a model with encoders")
    if problem.labels is None:
        raise SettingError(f"{asked} compares scores, but the data has no labels; leave it out")
    if problem.keep != "grid":
        raise SettingError(
            f"{asked} reads the grid, which would take {problem.grid_bytes:,} bytes and is not "
            f"kept; choose {option('keep', 'grid', of='run')}, or leave it out"
        )
    if n_rows * n_columns > MOST_WEIGHTED_PAIRS:
        raise SettingError(
            f"{asked} handles up to {MOST_WEIGHTED_PAIRS:,} pairs, but this grid has "
            f"{n_rows * n_columns:,}; choose a sample of the examples, or leave it out"
        )


def _sums_of_sets(problem: Problem) -> None:
    """Refuse sums of every set of sides that would not fit in memory."""
    if problem.n_sides == 2 or not problem.method.scores_all_pairs:
        return
    n_rows, n_columns = problem.cells.shape
    others = problem.targets.sizes
    joint = sum(prod(others[place] for place in some) for some in problem.targets.joint_sets)
    n_bytes = 8 * problem.n_classes * (n_columns + n_rows * joint)
    if n_bytes > MOST_BYTES_OF_SUMS:
        sides = grid_of(problem.dataset.sides, problem.cells.sizes)
        raise SettingError(
            f"the sums of every set of sides take {size(n_bytes)} ({sides}), but at most "
            f"{size(MOST_BYTES_OF_SUMS)} are allowed; choose a sample of the examples with "
            f"{option('limit', None, 'data')}"
        )


def _grids_of_sub_samples(problem: Problem) -> None:
    """Refuse sub-samples of many sides whose grids would not fit in memory."""
    if problem.n_sides == 2 or not len(problem.subsamples):
        return
    sizes = [
        [len(np.unique(one.index[examples])) for one in problem.cells.sides]
        for examples in problem.subsamples
    ]
    n_bytes = 8 * problem.n_classes * max(map(prod, sizes))
    if n_bytes > MOST_BYTES_OF_SUMS:
        raise SettingError(
            f"the grid of a sub-sample takes {size(n_bytes)} with {problem.n_sides} sides, but at "
            f"most {size(MOST_BYTES_OF_SUMS)} are allowed; choose smaller sub-samples than "
            f"{option('subsample_size', str(problem.settings.subsample_size), 'run')}"
        )


def _columns_of_labels(problem: Problem) -> None:
    """Refuse to match a few names from labels with the first of many outputs."""
    stated, named = problem.scorer.classes, len(problem.dataset.classes or [])
    if stated is not None and problem.task != "regression" and not _fit(stated, problem.n_classes):
        raise ModelError(
            f"the model names {len(stated)} classes but returns {problem.n_classes} numbers per "
            "pair; name each of them, in order"
        )
    if (
        stated is None
        and problem.task in ("multiclass", "multilabel")
        and not problem.order_is_guessed
    ):
        names = problem.dataset.classes
        if names and not _fit(names, problem.n_classes):
            raise LabelError(
                f"the data names {len(names)} classes, but the model returns {problem.n_classes} "
                "numbers per pair and names none; say which number is which: give classes to the "
                f"model, or {option('classes')} to the data, all in the model's order"
            )
    if problem.order_is_guessed and 1 < problem.n_classes != named:
        raise LabelError(
            f"the model returns {problem.n_classes} numbers per pair and names no classes, but the "
            f"data has {named} different labels; say which number is which: give classes to the "
            f"model, or {option('classes')} to the data, all in the model's order"
        )


def _numbers_as_names(problem: Problem) -> None:
    """Refuse to sort numbers alphabetically, as if they named a model's outputs."""
    if not problem.order_is_guessed:
        return
    if all(_is_number(name) for name in problem.dataset.classes):
        raise LabelError(
            f"the labels are numbers, such as {problem.dataset.classes[-1]}, but the model names "
            f"no classes; set {option('task', 'regression')}, or say which output is which: give "
            f"classes to the model, or {option('classes')} to the data, all in the model's order"
        )


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


def _fit(names: list[str], n_classes: int) -> bool:
    # A single number speaks for or against the second of two classes.
    return len(names) == n_classes or (len(names) == 2 and n_classes == 1)


def _what_pairs_cost(problem: Problem) -> None:
    """Refuse more pairs than the model may be asked to score, before it scores any more."""
    problem.scorer.cost(problem.n_pairs)


def _training_labels(problem: Problem) -> None:
    if problem.train is not None and problem.labels_of(problem.train) is None:
        raise DatasetError(
            "the training data has no labels; choose a training split with labels, or leave it out"
        )


def _not_in_training(problem: Problem, _: WarmUp) -> None:
    kind = None if problem.settings.allow_noise else left_in_training(problem.scorer.model)
    if kind is not None:
        raise ModelError(
            f"the model is in training mode (at least its {kind}), so outputs may be random or "
            "depend on their batch; call .eval() on it, or set "
            f"{option('allow_noise', 'true', 'run')}"
        )


def _same_twice(problem: Problem, warm_up: WarmUp) -> None:
    again = warm_up.again
    if again is None or again.cause is None:
        return
    if problem.settings.allow_noise and again.cause != "grid":
        return
    apart = float(np.abs(again.first.astype(float) - again.second).max())
    if again.cause == "grid":
        raise ModelError(
            "the model's score and score_grid return different outputs for the same pairs, by up "
            f"to {apart:.3g}; correct one of them"
        )
    why = {
        "random": "the model's outputs differ if the same pairs are scored twice",
        "batch": "the model's outputs for a pair depend on what else is in its batch",
    }[again.cause]
    if problem.scorer.stated_speed is not None:
        raise ModelError(
            f"{why}, by up to {apart:.3g}, which would count as interaction; this happens if a "
            "server batches requests as they arrive. To go on and have it measured, set "
            f"{option('allow_noise', 'true', 'run')}"
        )
    raise ModelError(
        f"{why}, by up to {apart:.3g}, which would count as interaction; switch off whatever is "
        "random or depends on the whole batch (dropout, batch norm, padding without a mask), or "
        f"set {option('allow_noise', 'true', 'run')}"
    )


def _outputs_are_what_they_are_called(problem: Problem, warm_up: WarmUp) -> None:
    values, slack = warm_up.raw.astype(np.float64), _slack(warm_up)
    output = problem.scorer.output
    if problem.scorer.states_output:
        lowest, highest = _LIMITS[output]
        if values.min() < lowest - slack or values.max() > highest + slack:
            wrong = values.max() if values.max() > highest + slack else values.min()
            raise ModelError(
                f"output is {output!r}, but the model returned {wrong:.4g}; set "
                f"{option('output', None, 'run')} to what it returns, one of {', '.join(OUTPUTS)}"
            )
        return
    if problem.task == "regression" or not problem.scorer.has_threshold:
        return
    alone = problem.n_classes == 1 or problem.task == "multilabel"
    whole = None if alone else _whole(values, slack)
    if whole is not None and abs(whole - 1) <= slack:
        seen, first = "all outputs lie in [0, 1] and those of each pair sum to 1", ""
    elif whole is not None and abs(whole / 100 - 1) <= slack:
        seen, first = "all outputs lie in [0, 100] and those of each pair sum to 100", _PERCENT
    elif alone and _within(values, slack) and values[..., 0].size >= _ENOUGH:
        seen, first = "all outputs lie in [0, 1]", ""
    else:
        return
    raise ModelError(
        f"{seen}, but the model does not say what they are: {first}set "
        f"{option('output', 'probabilities', 'run')} or, if these are logits, "
        f"{option('output', 'logits', 'run')}"
    )


def _numbers_can_be_kept(problem: Problem, warm_up: WarmUp) -> None:
    """Refuse outputs whose differences get lost in squares, or in the 32 bits of a kept grid."""
    values = warm_up.cells.astype(np.float64)
    differ = float(np.ptp(values.reshape(-1, values.shape[-1]), axis=0).max())
    if differ == 0.0:
        return
    with np.errstate(over="ignore"):
        lost = float(np.abs(values - values.astype(np.float32)).max())
    kept = problem.keep != "sums" and lost > _MOST_LOST * differ
    largest = float(np.abs(values).max())
    if differ < _LEAST_DIFFERENCE or (kept and largest < np.finfo(np.float32).tiny):
        raise ModelError(
            f"the model's outputs differ by {differ:.3g} only, too little for their squares to "
            "count; multiply them by a constant, or take the logarithm of probabilities"
        )
    if kept:
        raise ModelError(
            f"the model's outputs are around {largest:.3g} but differ by {differ:.3g} only, which "
            "the 32-bit numbers of a kept grid do not show; subtract a constant from them (and "
            f"from targets), or set {option('keep', 'sums', 'run')}"
        )


def _within(values: NDArray[Any], slack: float) -> bool:
    """Say whether values that are not all the same lie in [0, 1]."""
    return bool(-slack <= values.min() < values.max() <= 1 + slack)


def _whole(values: NDArray[Any], slack: float) -> float | None:
    """Return what the outputs of every pair sum to; None if any is below 0 or sums differ."""
    sums = values.sum(axis=2)
    total = float(sums.mean())
    if values.min() < -slack * total or values.min() == values.max():
        return None
    return total if np.abs(sums - total).max() <= slack * total else None


def _slack(warm_up: WarmUp) -> float:
    """Return how far from 1 the sum of probabilities may be because of rounding."""
    return max(1e-3, 8 * (rounding(warm_up.computed_dtype) or 0.0))


def _something_to_get_wrong(problem: Problem) -> None:
    """Refuse labels with which no answer can be right or wrong."""
    if problem.labels is None:
        return
    if problem.task == "multilabel" and not problem.labels.any():
        raise LabelError(
            "no label is a class of the model, so no answer can be right; "
            f"check the labels, or leave them out with {option('label_column', '', 'data')}"
        )
    if problem.task == "multiclass" and problem.n_classes == 1 and not has_answers(problem.dataset):
        raise SettingError(
            "the model returns a single number, but with a single class every answer is right; set "
            f"{option('task', 'binary', 'data')} or {option('task', 'regression', 'data')}"
        )


def _shares(problem: Problem, warm_up: WarmUp) -> str | None:
    if problem.scorer.states_output or problem.task != "multiclass" or problem.n_classes == 1:
        return None
    whole = _whole(warm_up.raw.astype(np.float64), _slack(warm_up))
    if whole is None:
        return None
    return (
        f"All outputs are at least 0 and those of each pair sum to {whole:.4g}. The model does not "
        "say what they are, so they are treated as logits; if they are shares, divide them by "
        f"{whole:.4g} and call them probabilities."
    )


def _not_a_whole(problem: Problem, warm_up: WarmUp) -> str | None:
    """Tell of probabilities of classes that do not sum to 1."""
    called = problem.scorer.output
    if called == "logits" or problem.task != "multiclass" or problem.n_classes == 1:
        return None
    values = warm_up.raw.astype(np.float64)
    sums = (np.exp(values) if called == "log_probabilities" else values).sum(axis=2)
    if np.abs(sums - 1).max() <= _slack(warm_up):
        return None
    low, high = (f"{one:.3g}" for one in (sums.min(), sums.max()))
    return (
        f"The model's probabilities of a pair sum to {low if low == high else f'{low} to {high}'} "
        "instead of 1. Each is divided by their sum."
    )


def _guessed_order(problem: Problem, _: WarmUp) -> str | None:
    if not problem.order_is_guessed or problem.n_classes < 2:
        return None
    shown = ", ".join(problem.classes[:8]) + (", …" if len(problem.classes) > 8 else "")
    return (
        f"The model names no classes: its {problem.n_classes} outputs are assumed to be in the "
        f"alphabetical order of the labels, {shown}. If they are in another order, name the "
        "classes in the model's order, for the model or for the data."
    )


_OF_PROBLEM: tuple[Callable[[Problem], None], ...] = (
    _wanted_metrics,
    _density,
    _sums_of_sets,
    _grids_of_sub_samples,
    _something_to_recombine,
    _something_to_get_wrong,
    _metrics_for_so_many_classes,
    _numbers_as_names,
    _columns_of_labels,
    _training_labels,
    _what_pairs_cost,
)
_OF_WARM_UP: tuple[Callable[[Problem, WarmUp], None], ...] = (
    _not_in_training,
    _same_twice,
    _outputs_are_what_they_are_called,
    _numbers_can_be_kept,
)
_NOTES: tuple[Callable[[Problem, WarmUp], str | None], ...] = (
    _guessed_order,
    _shares,
    _not_a_whole,
)
