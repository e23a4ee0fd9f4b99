"""A model and a dataset made ready to be evaluated: cells found, labels matched."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from emap_core import datasets, inference, methods, models
from emap_core.datasets.base import Cells, Task, find_cells, fingerprint_of
from emap_core.datasets.labels import label_classes, labels_note, match_answers, match_labels
from emap_core.datasets.sample import pick, without_unknown_labels
from emap_core.decomposition.encodings import Encodings
from emap_core.decomposition.exact import example_shares
from emap_core.engine.evaluate import Again, Evaluator, Probe, Targets, bytes_per_pair, measure
from emap_core.engine.gate import check_data, has_answers
from emap_core.engine.noise import (
    MANY,
    pairs_to_score_again,
    score_again,
    scored_at_two_times,
)
from emap_core.engine.plan import SECONDS_PER_TILE, Plan, Tile, order_texts, tile_shape
from emap_core.engine.provenance import provenance
from emap_core.engine.settings import Settings
from emap_core.engine.space import to_space
from emap_core.engine.states import (
    EncodedItems,
    UniqueImages,
    encoded_images,
    encoded_texts,
    images_per_chunk,
)
from emap_core.errors import ModelError, SettingError
from emap_core.methods.base import Method, Pairs
from emap_core.models.base import Scorer
from emap_core.models.states import States
from emap_core.options import option, option_name
from emap_core.runs.grid import n_channels

Index = NDArray[np.intp]

MOST_WEIGHTED_PAIRS = 20_000_000
"""Largest grid that is projected with unequal weights: half a minute, half a gigabyte."""

_TILE_MEMORY = 128 * 2**20
_CORNER = 16
"""Pairs that are evaluated first, at most, where batches are of a size given by hand."""


@dataclass
class Work:
    """A model, a dataset and settings, of which nothing has been evaluated yet.

    Attributes
    ----------
    evaluator : Evaluator
        Texts in plan order (sorted by length), images in order of first appearance.
    cells : Cells
        Both in order of first appearance.
    text_order : ndarray of shape (U_t,)
        Number of the text in each row of the plan.
    targets : Targets
        Where the examples are, in plan order.
    images : UniqueImages
    model_name, dataset_name : str
        Short names for people and run ids.
    provenance : dict
        What model and data were made from, see `emap_core.engine.provenance`.
    fingerprints : dict
        Of ``model`` (None if it states none) and ``data``, and of ``train`` where it is given.
    device : str
        Where the pairs are evaluated.
    train : Dataset or None
        What linear baselines are trained on.
    probe : Probe
        The first pairs, once `measure` has evaluated them.
    n_classes : int
        Size of the model's last axis, once `measure` or `resume` was called, as for all below.
    classes : list of str
        A name for each logit; for a binary task the two labels.
    order_is_guessed : bool
        Whether the logits are taken to be in the alphabetical order of the labels.
    labels : ndarray or None
    kept_classes : list of int or None
        The classes whose grid is kept, None for all.
    subsamples : ndarray of shape (R, n)
        Numbers of the examples in each sub-sample; the dataset holds those that were drawn. Of
        shape (0, 0) for other methods.
    n_available : int
        Examples that the data had before.
    notes : list of str
        What a reader has to know about how the model reads these texts.
    n_left_out : dict
        How many examples of ``data`` and ``train`` have a label that is not a class of the model
        and were left out for it.
    """

    dataset: Any
    settings: Settings
    scorer: Scorer
    evaluator: Evaluator
    cells: Cells
    text_order: Index
    targets: Targets
    images: UniqueImages
    task: Task
    model_name: str
    dataset_name: str
    provenance: dict[str, Any]
    fingerprints: dict[str, str | None]
    train: Any
    device: str
    subsamples: Index
    n_available: int
    notes: list[str]
    n_left_out: dict[str, int]
    probe: Probe = field(init=False)
    n_classes: int = field(init=False)
    classes: list[str] = field(init=False)
    order_is_guessed: bool = field(init=False)
    labels: NDArray[Any] | None = field(init=False)
    kept_classes: list[int] | None = field(init=False)

    def measure(self, timed: bool = True) -> Probe:
        """Evaluate the first pairs: whatever is wrong with shapes, values or labels shows here.

        Parameters
        ----------
        timed : bool
            Whether the speed has to be known also where the size of batches is given.

        Returns
        -------
        Probe

        Raises
        ------
        EmapError
            If model and data do not fit together.
        """
        by_hand = self.settings.batch_size
        self.evaluator.batch_size = by_hand or 2**30
        if by_hand is None:
            probe = measure(self.evaluator, _TILE_MEMORY, self._first_area)
        else:
            seconds = 0.5 if timed else 0.0
            probe = measure(self.evaluator, _TILE_MEMORY, self._first_area, _CORNER, seconds)
        if not isinstance(self.scorer.model, _GridLookup):
            # A grid from elsewhere has no model that could say something else.
            noise = self._noise() if self.settings.allow_noise else None
            probe = replace(probe, again=self._again(probe), noise=noise)
        self.take(probe)
        return probe

    @property
    def _first_area(self) -> tuple[slice, slice]:
        """Where the first pairs are taken from: of a part, or a batch given by hand, a tile."""
        n_texts, n_images = self.cells.shape
        if self.settings.batch_size is None or not self.method.scores_all_pairs:
            return slice(0, n_texts), slice(0, n_images)
        if self.settings.part is not None:
            first = self._tiles_of_part(self.settings.part)[0]
            return first.rows, first.columns
        rows, columns = tile_shape(n_texts, n_images, self.settings.batch_size)
        # Shapes are checked with two of each at least.
        return slice(0, min(max(rows, 2), n_texts)), slice(0, min(max(columns, 2), n_images))

    def _tiles_of_part(self, part: tuple[int, int]) -> list[Tile]:
        n_texts, n_images = self.cells.shape
        shape = tile_shape(n_texts, n_images, self.settings.batch_size or 1)
        return Plan(n_texts, n_images, 1, *shape, 1, 1, (0, 0)).part(*part)

    @property
    def wanted_images(self) -> slice:
        """The unique images that are scored: all, or those of a part."""
        if self.settings.part is None:
            return slice(0, self.cells.shape[1])
        tiles = self._tiles_of_part(self.settings.part)
        return slice(tiles[0].columns.start, tiles[-1].columns.stop)

    def _again(self, probe: Probe) -> Again:
        """Score a few of the first pairs a second time."""
        rows, columns = pairs_to_score_again(probe)
        top, left = (side.start for side in self._first_area)
        return score_again(
            self.evaluator, probe, rows, columns, lambda: self._encode(rows + top, columns + left)
        )

    def _noise(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Score pairs from anywhere at two times."""
        draws = np.random.default_rng(self.settings.seed)
        wanted = self.wanted_images
        n = min(MANY, self.cells.shape[0] * (wanted.stop - wanted.start))
        rows = draws.integers(0, self.cells.shape[0], n)
        columns = draws.integers(wanted.start, wanted.stop, n)
        return scored_at_two_times(
            self.evaluator, n, lambda pairs: self._encode(rows[pairs], columns[pairs])
        )

    def _encode(self, rows: Index, columns: Index) -> tuple[States, States]:
        """Return the states of single texts and images, encoded anew."""
        if not self.scorer.staged:
            # They are their own states.
            return (
                _in_order(self.evaluator.texts.at(rows)),
                _in_order(self.evaluator.images.at(columns)),
            )
        # What was encoded before may hold noise that scoring does not show.
        texts = [self.cells.texts[self.text_order[row]] for row in rows]
        images = [self.images.seen(int(column)) for column in columns]
        return self.scorer.encode_texts(texts), self.scorer.encode_images(images)

    def take(self, probe: Probe) -> None:
        """Take the first pairs from whoever evaluated them; raises as `measure` does."""
        self.probe = probe
        self.evaluator.batch_size = self.settings.batch_size or probe.batch_size
        self._fit_labels(probe.cells.shape[2])

    def resume(self, n_classes: int) -> None:
        """Take up work whose outputs are known to have `n_classes`; nothing is measured again."""
        self._fit_labels(n_classes)

    def _fit_labels(self, n_classes: int) -> None:
        self.n_classes = n_classes
        named = self.scorer.classes is not None or self.task != "multiclass"
        self.order_is_guessed = not named and getattr(self.dataset, "classes_guessed", False)
        self.classes = _class_names(self.scorer.classes, self.dataset, n_classes)
        self.labels = self.labels_of(self.dataset)
        self._check_wanted_metrics()
        self.kept_classes = _most_used(
            self.labels, n_classes, self.settings.keep_classes, self.task
        )
        if self.settings.density != "off":
            self._check_density()

    def _check_density(self) -> None:
        n_texts, n_images = self.cells.shape
        asked = option("density", of="run")
        if not self.scorer.staged or isinstance(self.scorer.model, _GridLookup):
            raise SettingError(f"{asked} needs a model with encoders, whose encodings it reads")
        if self.labels is None:
            raise SettingError(f"{asked} compares scores, and the data has no labels; leave it out")
        if self.keep != "grid":
            raise SettingError(
                f"{asked} reads the grid, which takes {self.grid_bytes:,} bytes and is not kept; "
                f"choose {option('keep', 'grid', of='run')}, or leave it out"
            )
        if n_texts * n_images > MOST_WEIGHTED_PAIRS:
            raise SettingError(
                f"{asked} fits up to {MOST_WEIGHTED_PAIRS:,} pairs, and this grid has "
                f"{n_texts * n_images:,}; choose a sample of the examples, or leave it out"
            )

    def labels_of(self, dataset: Any) -> NDArray[Any] | None:
        """Return labels on the model's class axis as `match_labels` does.

        Of several annotators' answers, the credit of each class, shape (N, C).
        """
        rule, classes = self.settings.unknown_labels, self.scorer.classes
        if not has_answers(dataset):
            return match_labels(dataset, classes, self.n_classes, rule)
        answers = match_answers(dataset, classes, self.n_classes, rule)
        numbers = [str(number) for number in range(self.n_classes)]
        return inference.vqa_credit([[str(one) for one in each] for each in answers], numbers)

    @property
    def all_notes(self) -> list[str]:
        """What a reader has to know about the model's texts and about the labels."""
        of_labels = labels_note(self.dataset, self.scorer.classes, self.n_classes)
        return [*self.notes, *([of_labels] if of_labels else [])]

    @property
    def unknown_labels(self) -> dict[str, Any]:
        """What was done with labels that are not classes of the model, and with how many."""
        counted = self.n_left_out["data"] + self._n_wrong
        return {
            "rule": self.settings.unknown_labels,
            "n_examples": counted,
            "n_training": self.n_left_out["train"],
        }

    @property
    def _n_wrong(self) -> int:
        """How many examples count as not right because their label is not a class."""
        if self.labels is None or self.task not in ("multiclass", "binary"):
            return 0
        known = self.labels >= 0 if self.labels.ndim == 1 else self.labels.any(axis=1)
        return int((~known).sum())

    def _check_wanted_metrics(self) -> None:
        alone = self.task in ("binary", "multilabel")
        for name in self.settings.metrics if alone and not self.scorer.has_threshold else ():
            if inference.metric(name).name not in inference.RANKINGS:
                raise SettingError(
                    f"metric {name!r} needs a score above which the model says yes, and this model "
                    f"ranks pairs alone; choose {' or '.join(inference.RANKINGS)}"
                )
        if not self._n_wrong:
            return
        for name in self.settings.metrics:
            if inference.metric(name).needs_known_labels:
                raise SettingError(
                    f"metric {name!r} needs the class of each label, and the labels of "
                    f"{self._n_wrong:,} examples are not classes of the model; choose accuracy, or "
                    f"{option('unknown_labels', 'skip', 'run')}, which leaves these examples out"
                )

    @property
    def metrics(self) -> list[str]:
        """The metrics of the table, those asked for or the usual ones; none without labels."""
        if self.labels is None:
            return []
        usual = inference.default_metrics(
            self.task,
            has_threshold=self.scorer.has_threshold,
            several_answers=has_answers(self.dataset),
        )
        if self._n_wrong:
            usual = [name for name in usual if not inference.metric(name).needs_known_labels]
        return list(self.settings.metrics) or usual

    @property
    def method(self) -> Method:
        """The method that the settings come to on this grid."""
        return methods.method(self.settings.method).on_grid(self.settings, self.cells.shape)

    @property
    def pairs(self) -> Pairs:
        """What the method chooses from."""
        return Pairs(
            shape=self.cells.shape,
            text_index=self.cells.text_index,
            image_index=self.cells.image_index,
            text_rows=np.argsort(self.text_order),
            images_per_chunk=self.images.per_chunk,
            subsamples=self.subsamples,
            labels=self.labels,
            task=self.task,
            space=self.settings.space,
            metrics=self.metrics,
            encodings=self._encodings,
        )

    def _encodings(self) -> Encodings | None:
        """Return what the encoders made of texts and images; None of a model without encoders."""
        if not self.scorer.staged:
            return None
        try:
            texts, images = self.evaluator.texts.vectors(), self.evaluator.images.vectors()
        except ModelError:
            # Numbers of the rows of a grid, say, from which nothing can be learnt.
            return None
        return Encodings(texts[np.argsort(self.text_order)], images)

    @property
    def grid_bytes(self) -> int:
        """Disk that the kept grid takes."""
        n_texts, n_images = self.cells.shape
        return 4 * n_texts * n_images * n_channels(self.n_classes, self.kept_classes)

    @property
    def keep(self) -> Literal["grid", "classes", "sums"]:
        """What is written to disk: the grid of all classes, of some, or none."""
        if not self.method.scores_all_pairs or self.settings.keep == "sums":
            return "sums"
        if self.settings.keep == "auto" and self.grid_bytes > self.settings.grid_budget:
            return "sums"
        return "grid" if self.kept_classes is None else "classes"

    @property
    def fingerprint(self) -> str | None:
        """Hash of all that changes the result, None if the model states no fingerprint."""
        if self.fingerprints["model"] is None:
            return None
        return fingerprint_of(
            json.dumps(self.fingerprints, sort_keys=True),
            json.dumps(self.settings.identity(), sort_keys=True),
        )

    @property
    def run_id(self) -> str:
        """Name of the run's folder: the same work has the same one."""
        return f"{self.model_name}-on-{self.dataset_name}-{(self.fingerprint or 'unnamed')[:8]}"

    def plan(self) -> Plan:
        """Return the tiles, their size from the measured speed unless it was given by hand."""
        n_texts, n_images = self.cells.shape
        if self.settings.batch_size is not None:
            batch_size = n_pairs = self.settings.batch_size
            rows, columns = tile_shape(n_texts, n_images, n_pairs)
        else:
            batch_size = self.probe.batch_size
            n_pairs = int(
                min(
                    self.probe.pairs_per_second * SECONDS_PER_TILE,
                    _TILE_MEMORY / bytes_per_pair(self.n_classes),
                )
            )
            rows, columns = tile_shape(n_texts, n_images, n_pairs, self.probe.shape)
            if self.scorer.has_grid:
                batch_size = max(batch_size, rows * columns)
        kept = self.probe.shape
        begins = (self._first_area[0].start, self._first_area[1].start) == (0, 0)
        if not begins or kept[0] > rows or kept[1] > columns:
            kept = (0, 0)
        return Plan(
            n_texts,
            n_images,
            self.n_classes,
            rows,
            columns,
            batch_size,
            self.images.per_chunk,
            kept,
        )


def prepare(
    model: Any,
    dataset: Any,
    settings: Settings,
    model_args: dict[str, Any] | None = None,
    data_args: dict[str, Any] | None = None,
    train: Any = None,
    train_args: dict[str, Any] | None = None,
) -> Work:
    """Load a model and a dataset, and find the cells of the grid.

    Nothing is written, and nothing evaluated but one pair of a model and data that name no
    classes where bad rows are left out.

    Raises
    ------
    EmapError
        If model, data or settings do not fit together.
    """
    given = (model, dataset, train)
    dataset_name = _name(dataset, "data", datasets.LOADERS)
    dataset = datasets.load_dataset(dataset, **(data_args or {}))
    check_data(dataset, settings)
    model_name = _name(model, "model", models.LOADERS)
    if isinstance(model, str):
        model = models.load_model(model, **(model_args or {}))
    if getattr(model, "classes", None) is None and hasattr(model, "with_classes"):
        if not (named := label_classes(dataset)):
            raise ModelError("the model takes its classes from the data, which names none")
        model = model.with_classes(named)
    scorer = Scorer(model, settings.device, settings.output)
    if train is not None:
        train = datasets.load_dataset(train, **(train_args or {}))
    n_given = {"data": len(dataset), "train": 0 if train is None else len(train)}
    if settings.unknown_labels != "error":
        n_classes = _n_numbered_classes(scorer, dataset)
        if settings.unknown_labels == "skip":
            dataset = without_unknown_labels(dataset, scorer.classes, n_classes)
        if train is not None:
            # What counts as not right in a test teaches nothing.
            train = without_unknown_labels(train, scorer.classes, n_classes)
    n_left_out = {
        "data": n_given["data"] - len(dataset),
        "train": n_given["train"] - (0 if train is None else len(train)),
    }
    n_available = len(dataset)
    whole = dataset
    dataset, drawn, subsamples = _drawn(dataset, settings)
    cells = find_cells(dataset)
    order = order_texts(cells.texts)
    first_image = dataset.images[int(cells.image_examples[0])]
    images = UniqueImages(
        dataset.images,
        getattr(dataset, "image_inputs", None),
        cells.image_examples,
        images_per_chunk(first_image),
    )
    task: Task = dataset.task
    evaluator = Evaluator(
        scorer=scorer,
        texts=encoded_texts(scorer, [cells.texts[i] for i in order]),
        images=encoded_images(scorer, images),
        batch_size=1,
        precision=settings.precision,
        convert=lambda values: to_space(values, scorer.output, settings.space, task),
        name_pair=lambda row, column: (
            f"the text {_short(cells.texts[order[row]])} with the image of example "
            f"{dataset.ids[int(cells.image_examples[column])]!r}"
        ),
    )
    if hasattr(model, "grid_for"):
        _look_up(evaluator, _grid_of(model, whole, drawn, cells, data_args), order, scorer)
    if train is not None and (not scorer.staged or hasattr(model, "grid_for")):
        raise SettingError(
            f"{option_name('train')} needs a model with encoders, whose states baselines learn from"
        )
    row_of = np.argsort(order)
    p, q = example_shares(cells.text_index, cells.image_index, *cells.shape)
    work = Work(
        dataset=dataset,
        settings=settings,
        scorer=scorer,
        evaluator=evaluator,
        cells=cells,
        text_order=order,
        targets=Targets(row_of[cells.text_index], cells.image_index, p[order], q),
        images=images,
        task=task,
        model_name=model_name,
        dataset_name=dataset_name,
        provenance=provenance(
            *given,
            model_args=model_args,
            data_args=data_args,
            train_args=train_args,
            description=scorer.description,
        ),
        fingerprints={
            "model": settings.fingerprint or scorer.fingerprint,
            "data": _fingerprint(dataset, cells),
        }
        | ({} if train is None else {"train": _fingerprint(train, find_cells(train))}),
        train=train,
        device=scorer.device,
        subsamples=subsamples,
        n_available=n_available,
        notes=scorer.notes(cells.texts),
        n_left_out=n_left_out,
    )
    images.wanted = work.wanted_images
    return work


def _n_numbered_classes(scorer: Scorer, dataset: Any) -> int | None:
    """Return how many classes a label may number, where neither the model nor the data names any.

    A single output is none of several classes, which `match_labels` has more to say about.
    """
    if scorer.classes or dataset.classes:
        return len(scorer.classes or dataset.classes)
    if dataset.labels is None or dataset.task not in ("multiclass", "multilabel"):
        return None
    if hasattr(scorer.model, "grid_for"):
        return None
    inputs = getattr(dataset, "image_inputs", None)
    image = (dataset.images if inputs is None else inputs)[0]
    states = scorer.encode_texts([dataset.texts[0]]), scorer.encode_images([image])
    n_outputs = int(scorer.score_tile(*states, 1).shape[2])
    return n_outputs if n_outputs > 1 else None


def _drawn(dataset: Any, settings: Settings) -> tuple[Any, Index | None, Index]:
    """Return the examples that are in a sub-sample, as a dataset, and where each one is in it.

    Between them stand their numbers in the whole dataset, None where all are used.
    """
    rows = methods.method(settings.method).draw(len(dataset), settings)
    if rows.size == 0:
        return dataset, None, rows
    used, places = np.unique(rows, return_inverse=True)
    stated = getattr(dataset, "fingerprint", None)
    fingerprint = fingerprint_of(stated, used.tobytes()) if stated else None
    return pick(dataset, used, fingerprint), used, places.reshape(rows.shape)


def _grid_of(
    model: Any, whole: Any, drawn: Index | None, cells: Cells, data_args: dict[str, Any] | None
) -> Any:
    """Return the part of a grid computed elsewhere that belongs to the examples that are used."""
    of_all = cells if drawn is None else find_cells(whole)
    try:
        grid = model.grid_for(of_all)
    except ModelError as error:
        if (data_args or {}).get("limit") is None:
            raise
        raise SettingError(
            f"{error}. {option('limit')} takes a sample of the examples: leave it out where the "
            f"grid is of all of them, or choose {_methods_that_draw()}"
        ) from error
    if drawn is None:
        return grid
    first_texts = np.unique(cells.text_index, return_index=True)[1]
    rows = of_all.text_index[drawn[first_texts]]
    columns = of_all.image_index[drawn[cells.image_examples]]
    return grid[np.ix_(rows, columns)]


def _methods_that_draw() -> str:
    """Return how to ask for a method that takes samples of the examples itself."""
    found = [one.name for one in methods.methods() if one.draws_examples]
    return " or ".join(option("method", name, "run") for name in found)


def _in_order(groups: list[tuple[Index, States]]) -> list[Any]:
    """Return a plain callable's items in the order in which they were asked for."""
    found = {
        int(place): item
        for places, items in groups
        for place, item in zip(places, items, strict=True)
    }
    return [found[place] for place in sorted(found)]


class _GridLookup:
    """A grid computed elsewhere, in the form of a staged model whose states are numbers."""

    def __init__(self, grid: Any) -> None:
        self._grid = grid

    def score_grid(self, rows: torch.Tensor, columns: torch.Tensor) -> Any:
        return np.asarray(self._grid[rows.numpy()][:, columns.numpy()])

    def score(self, rows: torch.Tensor, columns: torch.Tensor) -> Any:
        return np.asarray(self._grid[rows.numpy(), columns.numpy()])


def _look_up(evaluator: Evaluator, grid: Any, order: Index, scorer: Scorer) -> None:
    scorer.model, scorer.has_grid, scorer.staged = _GridLookup(grid), True, True
    per_chunk = 4096

    def numbers(index: Index) -> Any:
        def encode(chunk: int) -> States:
            return torch.as_tensor(index[chunk * per_chunk : (chunk + 1) * per_chunk].copy())

        return encode

    n_images = evaluator.images.n_items
    evaluator.texts = EncodedItems("texts", len(order), per_chunk, numbers(order), False, "cpu")
    evaluator.images = EncodedItems(
        "images", n_images, per_chunk, numbers(np.arange(n_images)), False, "cpu"
    )


def _name(given: Any, otherwise: str, reserved: Iterable[str]) -> str:
    """Return a short name for run ids: of a path only the last part, without its ending."""
    if isinstance(given, str):
        prefix, _, rest = given.partition(":")
        name = re.split(r"[/\\]", rest.rstrip("/\\"))[-1].partition(".")[0]
        if prefix not in reserved:
            name = f"{prefix.split('.')[-1]}-{rest}"
    else:
        name = getattr(given, "name", None) or getattr(given, "__name__", type(given).__name__)
    return re.sub(r"[^A-Za-z0-9_-]+", "-", str(name)).strip("-").lower()[:40] or otherwise


def _class_names(classes: list[str] | None, dataset: Any, n_classes: int) -> list[str]:
    if dataset.task == "binary":
        pairs = [list(names) for names in (classes, dataset.classes) if names and len(names) == 2]
        return [*pairs, ["no", "yes"]][0]
    names = classes or dataset.classes or []
    if len(names) == n_classes or (n_classes == 1 and len(names) == 2):
        return list(names)
    return [f"class {i}" for i in range(n_classes)]


def _most_used(
    labels: NDArray[Any] | None, n_classes: int, wanted: int | None, task: Task
) -> list[int] | None:
    """Return the classes that most examples are labelled with, in their order; None for all."""
    if wanted is None or wanted >= n_classes:
        return None
    if task == "regression":
        raise SettingError(
            f"{option_name('keep_classes')} counts labels of classes, and a regression has none"
        )
    if labels is None:
        raise SettingError(
            f"{option_name('keep_classes')} keeps the classes that most examples are labelled "
            "with, and the data has no labels"
        )
    if labels.ndim == 1:
        used = np.bincount(labels[labels >= 0], minlength=n_classes)
    else:
        used = labels.sum(axis=0)
    return sorted(int(c) for c in np.argsort(-used, kind="stable")[:wanted])


def _fingerprint(dataset: Any, cells: Cells) -> str:
    stated = getattr(dataset, "fingerprint", None)
    if stated:
        return str(stated)
    keys = getattr(dataset, "image_keys", None)
    labels = None if dataset.labels is None else [str(label) for label in dataset.labels]
    images = (
        [str(key) for key in keys]
        if keys is not None
        else [
            fingerprint_of(np.asarray(dataset.images[int(i)]).tobytes())
            for i in cells.image_examples
        ]
    )
    return fingerprint_of(
        json.dumps([cells.texts, labels, list(dataset.ids), images]),
        cells.text_index.tobytes(),
        cells.image_index.tobytes(),
    )


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:59] + "…")
