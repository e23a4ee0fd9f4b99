"""What a run would cost, measured on its warm-up tile."""

from __future__ import annotations

import time
from base64 import b64encode
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from emap_core import inference
from emap_core.engine.binding import bind
from emap_core.engine.measure import WarmUp
from emap_core.engine.opening import measured
from emap_core.engine.problem import Problem
from emap_core.engine.request import Request
from emap_core.engine.workers import LocalWorker, Workers


@dataclass(frozen=True)
class Estimate:
    """What a run would cost, measured on its warm-up tile.

    Attributes
    ----------
    run_id : str
        Name of the run's folder.
    n_examples, n_texts, n_images, n_classes, n_pairs : int
        Texts and images are the items of the first and of the second side.
    sides : list of dict
        The ``name``, ``modality`` and ``n_items`` of each side.
    seconds : float
        For the pairs, including the encoders as far as they were measured.
    grid_bytes : int
        Disk space of the grid, if it is kept.
    picture_bytes : int
        Disk space of pictures on top of thumbnails, judged by the first examples.
    keep : str
        ``"grid"``, ``"classes"`` (the grid of some classes) or ``"sums"``.
    device, task, space : str
        If workers elsewhere score the pairs, the device is one of theirs.
    classes : list of str
    metrics : list of str
        Metrics in the table; none without labels.
    previews : list of dict
        The first examples: id, label, prediction, and as ``items`` the words of each side and its
        image (a JPEG in base64; None for a text).
    reads : list of str
        What the model is, and the prompts it makes of the first text, as far as it tells.
    notes : list of str
        What to know before it starts, one sentence each.
    columns : list of str
        Which columns a table has and how each is used, one per line.
    """

    run_id: str
    n_examples: int
    n_texts: int
    n_images: int
    n_classes: int
    n_pairs: int
    sides: list[dict[str, Any]]
    seconds: float
    grid_bytes: int
    picture_bytes: int
    keep: str
    device: str
    task: str
    space: str
    classes: list[str]
    metrics: list[str]
    previews: list[dict[str, Any]]
    reads: list[str]
    notes: list[str]
    columns: list[str]


def estimate(model: Any, dataset: Any, *, n_previews: int = 4, **arguments: Any) -> Estimate:
    """Return what `compute` would cost with the same arguments, judged by a few pairs.

    Parameters
    ----------
    model, dataset
        As for `compute`.
    n_previews : int
        Examples to show.
    **arguments
        Those of `compute` that say what to run: ``model_args``, ``data_args``, ``train``,
        ``train_args`` and settings.
    """
    began = time.monotonic()
    binding = bind(Request.of(model, dataset, **arguments))
    try:
        workers = LocalWorker()
        problem, warm_up = measured(binding, workers)
        return estimated(problem, warm_up, workers, n_previews, time.monotonic() - began)
    finally:
        binding.close()


def estimated(
    problem: Problem, warm_up: WarmUp, workers: Workers, n_previews: int, overhead: float
) -> Estimate:
    """Return what a problem would cost, judged by its warm-up tile, with a few examples to show.

    Parameters
    ----------
    problem : Problem
    warm_up : WarmUp
        Its warm-up tile.
    workers : Workers
        Who scored them.
    n_previews : int
        Examples to show.
    overhead : float
        Seconds spent so far.
    """
    cells = problem.cells
    n_texts, n_images, *_ = sizes = cells.sizes
    columns, wanted = problem.targets.column_index, problem.wanted_columns
    # A shard decodes only its own images.
    first = np.flatnonzero((columns >= wanted.start) & (columns < wanted.stop))[:n_previews]
    scores = workers.score(
        problem, problem.targets.row_index[first], problem.targets.column_index[first]
    )
    shown = {
        side: [items.kind.preview(items.images[int(i)], items.picture_bytes) for i in first]
        for side, items in problem.opened.items()
        if items.kind.name != "text"
    }
    previews = [
        {
            "id": str(problem.dataset.ids[i]),
            "items": [
                {
                    "words": "" if unique.words is None else unique.words[unique.index[i]],
                    "image": b64encode(shown[side][place].poster).decode()
                    if side in shown
                    else None,
                }
                for side, unique in enumerate(cells.sides)
            ],
            "label": inference.label_names(problem.labels, problem.classes, problem.task, i),
            "prediction": _prediction(problem, scores[place : place + 1]),
        }
        for place, i in enumerate(map(int, first))
    ]
    n_pairs = problem.n_pairs
    return Estimate(
        run_id=problem.run_id,
        n_examples=len(problem.dataset),
        n_texts=n_texts,
        n_images=n_images,
        n_classes=problem.n_classes,
        n_pairs=n_pairs,
        sides=[
            asdict(side) | {"n_items": size}
            for side, size in zip(problem.dataset.sides, sizes, strict=True)
        ],
        seconds=n_pairs / warm_up.pairs_per_second + overhead,
        grid_bytes=problem.grid_bytes,
        picture_bytes=sum(
            sizes[side] * sum(len(one.content) for one in some) // max(len(some), 1)
            for side, some in shown.items()
        ),
        keep=problem.keep,
        device=problem.device
        if isinstance(workers, LocalWorker)
        else f"one worker ({problem.device})",
        task=problem.task,
        space=problem.settings.space,
        classes=problem.classes,
        metrics=problem.metrics,
        previews=previews,
        reads=problem.scorer.reads(cells.row_words[int(cells.row_index[first[0]])])
        if len(first)
        else [],
        notes=[*problem.all_notes, *problem.scorer.cost(n_pairs)],
        columns=_columns(problem),
    )


def _columns(problem: Problem) -> list[str]:
    """Return how the columns of a table are used, or at least that there are no labels."""
    if problem.dataset.reading is not None:
        return list(problem.dataset.reading.lines)
    return (
        [] if problem.labels is not None else ["No labels: this run says nothing about performance"]
    )


def _prediction(problem: Problem, scores: Any) -> str | None:
    if problem.task in ("binary", "multilabel") and not problem.scorer.has_threshold:
        # A similarity only ranks pairs; it decides nothing.
        return f"a score of {inference.prediction_names(scores, None, 'regression')[0]}"
    return inference.prediction_names(
        scores, problem.classes, problem.task, problem.settings.space
    )[0]
