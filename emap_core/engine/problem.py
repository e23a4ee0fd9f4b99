"""A binding whose class axis is known, with labels aligned to it: all a run needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from emap_core import inference
from emap_core.datasets.base import has_answers
from emap_core.datasets.labels import (
    labels_note,
    match_answers,
    match_labels,
    names_of_outputs,
)
from emap_core.decomposition.predicted_interactions import EncodingVectors
from emap_core.engine.binding import Binding
from emap_core.engine.measure import WarmUp, bytes_per_pair
from emap_core.engine.plan import SECONDS_PER_TILE, Plan, tile_shape
from emap_core.engine.sums import Recombine
from emap_core.engine.warm_up import TILE_MEMORY, warm_up_area
from emap_core.errors import ModelError, SettingError
from emap_core.inference.predictions import answers
from emap_core.methods.base import Pairs
from emap_core.option_names import UnknownLabels, option_name
from emap_core.runs.grid import n_channels
from emap_core.types import Task


@dataclass(frozen=True, eq=False, kw_only=True)
class Problem(Binding):
    """Everything that a run is computed from; it never changes.

    Attributes
    ----------
    n_classes : int
        Size of the model's last axis.
    classes : list of str
        A name for each output; for a binary task the two labels.
    order_is_guessed : bool
        Whether the outputs are assumed to be in the alphabetical order of the labels.
    labels : ndarray or None
        Labels on the class axis.
    kept_classes : list of int or None
        The classes whose grid is kept; None for all.
    """

    n_classes: int
    classes: list[str]
    order_is_guessed: bool
    labels: NDArray[Any] | None
    kept_classes: list[int] | None

    def labels_of(self, dataset: Any) -> NDArray[Any] | None:
        """Return the labels of another dataset on the same class axis."""
        return _labels(dataset, self.scorer.classes, self.n_classes, self.settings.unknown_labels)

    @property
    def all_notes(self) -> list[str]:
        """What readers should know about the model's texts and the labels."""
        of_labels = labels_note(self.dataset, self.scorer.classes, self.n_classes)
        return [*self.notes, *([of_labels] if of_labels else [])]

    @property
    def n_pairs(self) -> int:
        """How many pairs are scored: all those of the method, or a shard's part."""
        n_pairs = self.method.n_pairs(self.settings, self.pairs)
        return n_pairs if self.settings.shard is None else -(-n_pairs // self.settings.shard[1])

    @property
    def unknown_labels(self) -> dict[str, Any]:
        """What was done with labels that are not classes of the model, and how many there are."""
        return {
            "rule": self.settings.unknown_labels,
            "n_examples": self.n_left_out["data"] + self.n_wrong,
            "n_training": self.n_left_out["train"],
        }

    @property
    def n_wrong(self) -> int:
        """How many examples count as wrong because their label is not a class."""
        if self.labels is None or self.task not in ("multiclass", "binary"):
            return 0
        known = self.labels >= 0 if self.labels.ndim == 1 else self.labels.any(axis=1)
        return int((~known).sum())

    @property
    def metrics(self) -> list[str]:
        """The metrics of the table, the requested or the usual ones; none without labels."""
        if self.labels is None:
            return []
        usual = inference.default_metrics(
            self.task,
            has_threshold=self.scorer.has_threshold,
            several_answers=has_answers(self.dataset),
        )
        if self.n_wrong:
            usual = [name for name in usual if not inference.metric(name).needs_known_labels]
        return list(self.settings.metrics) or usual

    @property
    def may_be_closed_form(self) -> bool:
        """Whether only sums are requested, of a model that says it compares two vectors."""
        return (
            self.scorer.staged
            and self.scorer.similarity
            and self.method.scores_all_pairs
            and self.keep == "sums"
            and self.n_classes == 1
            and self.n_sides == 2
            and self.settings.space == self.scorer.output
            and self.settings.shard is None
            and self.settings.engine == "local"
        )

    @property
    def recombine(self) -> Recombine | None:
        """What reads the answers of a tile; None if the model does not decide for one class.

        Also None if the whole grid is kept, from which they can be read at any time, and with more
        than two sides.
        """
        if not self.reads_answers or self.keep == "grid" or self.n_sides > 2:
            return None
        return partial(answers.recombine, task=self.task, space=self.settings.space)

    @property
    def reads_answers(self) -> bool:
        """Whether a cell's outputs decide for one of several classes."""
        decides = self.task == "multiclass" or self.scorer.has_threshold
        return decides and answers.n_answers(self.task, self.n_classes) is not None

    @property
    def pairs(self) -> Pairs:
        """What the method chooses pairs from."""
        return Pairs(
            sides=self.targets.sides,
            sizes=self.cells.sizes,
            index=tuple(one.index for one in self.cells.sides),
            row_places=np.argsort(self.row_order),
            items_per_chunk=self.others[0].per_chunk,
            subsamples=self.subsamples,
            labels=self.labels,
            task=self.task,
            space=self.settings.space,
            metrics=self.metrics,
            reads_answers=self.reads_answers,
            encodings=self._encodings,
        )

    def _encodings(self) -> EncodingVectors | None:
        """Return the encodings of rows and columns; None for a model without encoders."""
        if not self.scorer.staged:
            return None
        try:
            rows, columns = self.evaluator.vectors()
        except ModelError:
            # For example row numbers of a grid, from which nothing can be learnt.
            return None
        return EncodingVectors(rows[np.argsort(self.row_order)], columns)

    @property
    def grid_bytes(self) -> int:
        """Disk space of the kept grid."""
        n_rows, n_columns = self.cells.shape
        return 4 * n_rows * n_columns * n_channels(self.n_classes, self.kept_classes)

    @property
    def keep(self) -> Literal["grid", "classes", "sums"]:
        """What is written to disk: the grid of all classes, of some, or none."""
        if not self.method.scores_all_pairs or self.settings.keep == "sums":
            return "sums"
        if self.settings.keep == "auto" and self.grid_bytes > self.settings.grid_budget:
            return "sums"
        return "grid" if self.kept_classes is None else "classes"

    def plan(self, warm_up: WarmUp) -> Plan:
        """Return the tiles; their size follows from the measured speed unless it was given."""
        n_rows, n_columns = self.cells.shape
        if self.settings.batch_size is not None:
            batch_size = n_pairs = self.settings.batch_size
            rows, columns = tile_shape(n_rows, n_columns, n_pairs)
        else:
            batch_size = warm_up.batch_size
            n_pairs = int(
                min(
                    warm_up.pairs_per_second * SECONDS_PER_TILE,
                    TILE_MEMORY / bytes_per_pair(self.n_classes),
                )
            )
            if self.scorer.stated_speed is not None:
                n_pairs = max(n_pairs, batch_size)
            least_rows, least_columns = warm_up.shape
            # Many items of the second side with all of the others; otherwise sums of sets take as
            # much as the tile.
            of_one = n_columns // self.cells.sizes[1]
            if of_one > 1:
                least_columns = max(least_columns, min(8 * of_one, n_pairs))
            rows, columns = tile_shape(n_rows, n_columns, n_pairs, (least_rows, least_columns))
        kept = warm_up.shape
        begins_at_first = all(side.start == 0 for side in warm_up_area(self))
        if not begins_at_first or kept[0] > rows or kept[1] > columns:
            kept = (0, 0)
        return Plan(
            n_rows,
            n_columns,
            self.n_classes,
            rows,
            columns,
            batch_size,
            self.others[0].per_chunk,
            kept,
        )


def align(binding: Binding, n_classes: int) -> Problem:
    """Return the problem, now that the model's number of outputs per pair is known.

    Raises
    ------
    LabelError
        If labels and outputs do not fit together.
    SettingError
        If classes should be chosen by labels, but there are none.
    """
    dataset, scorer, settings = binding.dataset, binding.scorer, binding.settings
    named = scorer.classes is not None or binding.task != "multiclass"
    labels = _labels(dataset, scorer.classes, n_classes, settings.unknown_labels)
    names = names_of_outputs(dataset, scorer.classes, n_classes)
    return Problem(
        **vars(binding),
        n_classes=n_classes,
        classes=names,
        order_is_guessed=not named and getattr(dataset, "classes_guessed", False),
        labels=labels,
        kept_classes=_kept(settings.keep_classes, labels, names, n_classes, binding.task),
    )


def _labels(
    dataset: Any, classes: list[str] | None, n_classes: int, rule: UnknownLabels
) -> NDArray[Any] | None:
    """Return labels on the model's class axis as `match_labels` does.

    Of several annotators' answers, the credit of each class, shape (N, C).
    """
    if not has_answers(dataset):
        return match_labels(dataset, classes, n_classes, rule)
    answers = match_answers(dataset, classes, n_classes, rule)
    numbers = [str(number) for number in range(n_classes)]
    return inference.vqa_credit([[str(one) for one in each] for each in answers], numbers)


def _kept(
    wanted: int | str | None,
    labels: NDArray[Any] | None,
    names: list[str],
    n_classes: int,
    task: Task,
) -> list[int] | None:
    """Return the classes whose grid is kept, in order; None for all."""
    if not isinstance(wanted, str):
        return _most_used(labels, n_classes, wanted, task)
    if len(names) != n_classes:
        raise SettingError(
            f"{option_name('keep_classes')} names classes, but the model has {n_classes} outputs"
        )
    found = []
    for name in wanted.split(","):
        if name not in names:
            raise SettingError(
                f"{option_name('keep_classes')} names {name!r}, which is not a class of the model; "
                f"its classes are {', '.join(names[:8])}{', …' if n_classes > 8 else ''}"
            )
        found.append(names.index(name))
    return sorted(set(found)) if len(set(found)) < n_classes else None


def _most_used(
    labels: NDArray[Any] | None, n_classes: int, wanted: int | None, task: Task
) -> list[int] | None:
    """Return the classes that most examples have as their label, in order; None for all."""
    if wanted is None or wanted >= n_classes:
        return None
    if task == "regression":
        raise SettingError(
            f"{option_name('keep_classes')} counts labels of classes, but a regression has none"
        )
    if labels is None:
        raise SettingError(
            f"{option_name('keep_classes')} keeps the most frequent classes, but the data has no "
            "labels"
        )
    if labels.ndim == 1:
        used = np.bincount(labels[labels >= 0], minlength=n_classes)
    else:
        used = labels.sum(axis=0)
    return sorted(int(c) for c in np.argsort(-used, kind="stable")[:wanted])
