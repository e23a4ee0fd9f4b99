"""A model bound to the data it scores: both are loaded and the cells of the grid are known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch

from emap_core import datasets, methods, models
from emap_core.datasets.base import SideItems, fingerprint_of
from emap_core.datasets.grid_cells import Cells, find_cells, fingerprint
from emap_core.datasets.labels import label_classes
from emap_core.datasets.sample import pick, without_unknown_labels
from emap_core.datasets.sides import in_order
from emap_core.engine.encoded_items import (
    EncodedItems,
    UniqueItems,
    encoded_columns,
    encoded_side,
    encoded_texts,
    items_per_chunk,
)
from emap_core.engine.evaluate import Evaluator
from emap_core.engine.gate import check_data, check_sides
from emap_core.engine.kept_columns import kept_columns
from emap_core.engine.output_space import to_space
from emap_core.engine.pairs_to_score import sample_of
from emap_core.engine.plan import Plan, Tile, order_rows, tile_shape
from emap_core.engine.provenance import in_short, provenance, short_name
from emap_core.engine.request import Request
from emap_core.engine.settings import Settings
from emap_core.engine.sums import Targets
from emap_core.errors import DatasetError, ModelError, SettingError
from emap_core.methods.base import Method
from emap_core.modalities import modality
from emap_core.models.base import Scorer
from emap_core.models.encodings import Encodings, Product
from emap_core.option_names import option, option_name
from emap_core.types import Index, Task


@dataclass(frozen=True, eq=False)
class Binding:
    """A model, a dataset and settings; nothing has been evaluated yet.

    Attributes
    ----------
    dataset : Dataset
        The examples used.
    settings : Settings
    scorer : Scorer
    evaluator : Evaluator
        Rows in plan order (texts sorted by length), columns in order of first appearance.
    cells : Cells
        Both in order of first appearance.
    row_order : ndarray of shape (U_1,)
        Number of the item in each row of the plan.
    targets : Targets
        Where the examples are, in plan order.
    others : tuple of UniqueItems
        Of every side but the first.
    rows : UniqueItems or None
        Items of the first side in plan order; None if all of them are in memory.
    model_name, dataset_name : str
        Short names for people and run ids.
    provenance : dict
        What the model and data were made from; see `emap_core.engine.provenance`.
    fingerprints : dict
        Fingerprints of ``model`` (None if it states none), ``data`` and, if given, ``train``.
    train : Dataset or None
        What linear probes are trained on.
    device : str
        Device that the pairs are evaluated on.
    subsamples : ndarray of shape (R, n)
        Numbers of the examples in each sub-sample; shape (0, 0) if none are drawn.
    n_available : int
        Number of examples before sub-sampling.
    notes : list of str
        What readers should know about how the model reads these texts.
    columns : DataFrame or None
        Other columns of the data, as text, that the run keeps.
    n_left_out : dict
        How many examples of ``data`` and ``train`` have a label that is not a class of the model
        and were therefore left out.
    """

    dataset: Any
    settings: Settings
    scorer: Scorer
    evaluator: Evaluator
    cells: Cells
    row_order: Index
    targets: Targets
    others: tuple[UniqueItems, ...]
    rows: UniqueItems | None
    model_name: str
    dataset_name: str
    provenance: dict[str, Any]
    fingerprints: dict[str, str | None]
    train: Any
    device: str
    subsamples: Index
    n_available: int
    notes: list[str]
    columns: pd.DataFrame | None
    n_left_out: dict[str, int]

    def close(self) -> None:
        """Stop the threads that open items ahead."""
        for items in self.opened.values():
            items.close()

    @property
    def opened(self) -> dict[int, UniqueItems]:
        """The items that are opened only when needed, by the place of their side."""
        first = {} if self.rows is None else {0: self.rows}
        return first | dict(enumerate(self.others, start=1))

    @property
    def n_sides(self) -> int:
        """How many sides the data has."""
        return len(self.cells.sides)

    @property
    def task(self) -> Task:
        """The task of the dataset."""
        task: Task = self.dataset.task
        return task

    @property
    def method(self) -> Method:
        """The method used on this grid."""
        return methods.method(self.settings.method).on_grid(self.settings, self.cells.sizes)

    @property
    def tiles_of_shard(self) -> list[Tile]:
        """The tiles of the requested shard; none for a whole run."""
        if self.settings.shard is None:
            return []
        n_rows, n_columns = self.cells.shape
        shape = tile_shape(n_rows, n_columns, self.settings.batch_size or 1)
        return Plan(n_rows, n_columns, 1, *shape, 1, 1, (0, 0)).shard(*self.settings.shard)

    @property
    def wanted_columns(self) -> slice:
        """The columns that are scored: all, or those of a shard."""
        tiles = self.tiles_of_shard
        if not tiles:
            return slice(0, self.cells.shape[1])
        return slice(tiles[0].columns.start, tiles[-1].columns.stop)

    @property
    def is_lookup(self) -> bool:
        """Whether the outputs come from a grid computed elsewhere, without a model."""
        return isinstance(self.scorer.model, _GridLookup)

    @property
    def lacks_pairs(self) -> bool:
        """Whether the outputs come from a grid that holds only some of the pairs."""
        return self.is_lookup and bool(self.scorer.model.partial)

    @property
    def fingerprint(self) -> str | None:
        """Hash of everything that changes the result; None if the model states no fingerprint."""
        if self.fingerprints["model"] is None:
            return None
        return fingerprint_of(
            json.dumps(self.fingerprints, sort_keys=True),
            json.dumps(self.settings.identity(), sort_keys=True),
        )

    @property
    def run_id(self) -> str:
        """Name of the run's folder; the same work always has the same name."""
        return f"{self.model_name}-on-{self.dataset_name}-{(self.fingerprint or 'unnamed')[:8]}"


def bind(request: Request) -> Binding:
    """Load a model and a dataset, and find the cells of the grid.

    Nothing is written. Nothing is evaluated either, except one pair if neither the model nor the
    data name classes and bad rows are left out.

    Raises
    ------
    EmapError
        If model, data or settings do not fit together.
    """
    settings = request.settings
    dataset: Any = datasets.load_dataset(request.dataset, **(request.data_args or {}))
    check_data(dataset, settings)
    check_sides(dataset, settings, trains=request.train is not None)
    scorer = Scorer(_model_for(dataset, request), settings.device, settings.output)
    dataset = arranged(dataset, scorer)
    train: Any = None
    if request.train is not None:
        train = datasets.load_dataset(request.train, **(request.train_args or {}))
        train = arranged(train, scorer)
    n_given = {"data": len(dataset), "train": 0 if train is None else len(train)}
    if settings.unknown_labels != "error":
        n_classes = _n_numbered_classes(scorer, dataset)
        if settings.unknown_labels == "skip":
            dataset = without_unknown_labels(dataset, scorer.classes, n_classes)
        if train is not None:
            # Labels that count as wrong in a test teach nothing.
            train = without_unknown_labels(train, scorer.classes, n_classes)
    n_left_out = {
        "data": n_given["data"] - len(dataset),
        "train": n_given["train"] - (0 if train is None else len(train)),
    }
    whole = dataset
    dataset, drawn, subsamples = _drawn(whole, settings)
    cells = find_cells(dataset)
    order = order_rows(cells.row_words)
    others = unique_others(dataset, cells, settings.picture_budget)
    row_items, rows = encoded_rows(scorer, dataset, cells, order, settings.picture_budget)
    task: Task = dataset.task
    column_items = encoded_columns(scorer, others)
    evaluator = Evaluator(
        scorer=scorer,
        row_items=row_items,
        column_items=column_items,
        batch_size=1,
        precision=settings.precision,
        convert=lambda values: to_space(values, scorer.output, settings.space, task),
        name_pair=partial(_name_of_pair, dataset, cells, order),
    )
    has_encoders = scorer.staged
    if hasattr(scorer.model, "grid_for"):
        has_encoders = False
        grid = _grid_of(scorer.model, whole, drawn, cells, request).reshape(*cells.shape, -1)
        if getattr(scorer.model, "partial", False):
            _check_known(grid, cells, settings)
        _look_up(evaluator, grid, order, scorer)
    if train is not None and not has_encoders:
        raise SettingError(
            f"{option_name('train')} needs a model with encoders: linear probes are "
            "trained on the encodings"
        )
    columns, too_large = kept_columns(dataset)
    binding = Binding(
        dataset=dataset,
        settings=settings,
        scorer=scorer,
        evaluator=evaluator,
        cells=cells,
        row_order=order,
        targets=Targets.of(
            [one.index for one in cells.sides],
            cells.sizes,
            order,
            tuple(side.name for side in dataset.sides),
        ),
        others=others,
        rows=rows,
        model_name=_model_name(request.model, scorer),
        dataset_name=short_name(request.dataset, "data", datasets.LOADERS),
        provenance=provenance(
            request.model,
            request.dataset,
            request.train,
            model_args=request.model_args,
            data_args=request.data_args,
            train_args=request.train_args,
            description=scorer.description,
        ),
        fingerprints={
            "model": settings.fingerprint or scorer.fingerprint,
            "data": fingerprint(dataset, cells),
        }
        | ({} if train is None else {"train": fingerprint(train, find_cells(train))}),
        train=train,
        device=scorer.device,
        subsamples=subsamples,
        n_available=len(whole),
        notes=[*scorer.notes(cells.row_words, cells.sides[1].words), *too_large],
        columns=columns,
        n_left_out=n_left_out,
    )
    # Also where what is evaluated are numbers in a grid from elsewhere.
    needed = column_items.needed(binding.wanted_columns)
    for items, (_, wanted) in zip(others, needed, strict=True):
        items.wanted = wanted
    return binding


def unique_others(dataset: Any, cells: Cells, budget: int = 0) -> tuple[UniqueItems, ...]:
    """Return the unique items of all sides but the first; a preview takes `budget` bytes."""
    return tuple(
        _unique_items(of, unique.examples, budget)
        for of, unique in zip(dataset.items_by_side[1:], cells.sides[1:], strict=True)
    )


def _unique_items(of: SideItems, examples: Index, budget: int) -> UniqueItems:
    kind = modality(of.side.modality)
    per_chunk = items_per_chunk(kind, of.items[int(examples[0])])
    return UniqueItems(
        kind, of.items, of.inputs, examples, per_chunk, picture_bytes=budget // len(examples)
    )


def _name_of_pair(dataset: Any, cells: Cells, order: Index, row: int, column: int) -> str:
    first, *others = dataset.sides
    numbers = np.unravel_index(column, cells.sizes[1:])
    named = [f"the {first.name} {_short(cells.row_words[order[row]])}"]
    for side, unique, number in zip(others, cells.sides[1:], numbers, strict=True):
        named.append(f"the {side.name} of example {dataset.ids[int(unique.examples[number])]!r}")
    return " with ".join(named)


def encoded_rows(
    scorer: Scorer, dataset: Any, cells: Cells, order: Index, budget: int = 0
) -> tuple[EncodedItems, UniqueItems | None]:
    """Return the encodings of the unique items of the first side, in an order.

    The items themselves come with them; None for texts, which are all in memory.
    """
    if dataset.sides[0].modality == "text":
        return encoded_texts(scorer, [cells.row_words[i] for i in order]), None
    rows = _unique_items(dataset.items_by_side[0], cells.sides[0].examples[order], budget)
    return encoded_side(scorer, rows, 0), rows


def arranged(dataset: Any, scorer: Scorer) -> Any:
    """Return the data with its sides in the order that the model reads them.

    Raises
    ------
    DatasetError
        If the model reads other sides.
    """
    names = [side.name for side in dataset.sides]
    kinds = [side.modality for side in dataset.sides]
    wanted = None if scorer.sides is None else _places(scorer.sides, names)
    if scorer.sides is not None and wanted is None and scorer.modalities is None:
        raise _other_sides(scorer.sides, names)
    if wanted is None and scorer.modalities is not None:
        wanted = _places(scorer.modalities, kinds)
        if wanted is None:
            called = [f"{name} ({kind})" for name, kind in zip(names, kinds, strict=True)]
            raise _other_sides(scorer.modalities, called)
    found = dataset if wanted is None else in_order(dataset, wanted)
    scorer.check_sides([side.name for side in found.sides])
    return found


def _places(wanted: Sequence[str], given: Sequence[str]) -> list[int] | None:
    """Return where each of some words is, those that are alike in their order; None if it isn't."""
    if sorted(wanted) != sorted(given):
        return None
    left = list(range(len(given)))
    found = []
    for word in wanted:
        place = next(place for place in left if given[place] == word)
        left.remove(place)
        found.append(place)
    return found


def _other_sides(wanted: Sequence[str], given: Sequence[str]) -> DatasetError:
    return DatasetError(
        f"the model reads {_listed(wanted)}, but the data has {_listed(given)}; name "
        f"columns that hold what it reads with {option('side', 'NAME=COLUMN')}, once for each side"
    )


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]])


def _model_for(dataset: Any, request: Request) -> Any:
    """Return the model, with the classes of the data if it accepts any classes."""
    model = request.model
    if isinstance(model, str):
        model = models.load_model(model, **(request.model_args or {}))
    if getattr(model, "classes", None) is None and hasattr(model, "with_classes"):
        if not (named := label_classes(dataset)):
            raise ModelError("the model takes its classes from the data, but the data names none")
        model = model.with_classes(named)
    return model


def _model_name(given: Any, scorer: Scorer) -> str:
    """Return the model's name for run ids: from its server, or from what was given."""
    served = scorer.description.get("served_model")
    return (served and in_short(str(served))) or short_name(given, "model", models.LOADERS)


def _n_numbered_classes(scorer: Scorer, dataset: Any) -> int | None:
    """Return how many classes numbered labels may name if neither model nor data names any.

    A single output is none of several classes, which `match_labels` has more to say about.
    """
    if scorer.classes or dataset.classes:
        return len(scorer.classes or dataset.classes)
    if dataset.labels is None or dataset.task not in ("multiclass", "multilabel"):
        return None
    if hasattr(scorer.model, "grid_for"):
        return None
    first, *others = (
        scorer.encode(place, [(of.items if of.inputs is None else of.inputs)[0]])
        for place, of in enumerate(dataset.items_by_side)
    )
    columns = others[0] if len(others) == 1 else Product(tuple(others))
    n_outputs = int(scorer.score_tile(first, columns, 1).shape[2])
    return n_outputs if n_outputs > 1 else None


def _drawn(dataset: Any, settings: Settings) -> tuple[Any, Index | None, Index]:
    """Return the examples that are in a sub-sample, as a dataset, and where each one is in it.

    Also returns their numbers in the whole dataset, None if all are used.
    """
    rows = methods.method(settings.method).draw(len(dataset), settings)
    if rows.size == 0:
        return dataset, None, rows
    used, places = np.unique(rows, return_inverse=True)
    stated = getattr(dataset, "fingerprint", None)
    fingerprint = fingerprint_of(stated, used.tobytes()) if stated else None
    return pick(dataset, used, fingerprint), used, places.reshape(rows.shape)


def _grid_of(model: Any, whole: Any, drawn: Index | None, cells: Cells, request: Request) -> Any:
    """Return the part of a grid computed elsewhere that belongs to the examples used."""
    of_whole = cells if drawn is None else find_cells(whole)
    try:
        grid = model.grid_for(of_whole, whole)
        places = np.arange(len(whole))
    except ModelError as error:
        # The grid may cover all examples, of which these are a sample or those with known labels.
        everything = _all_examples(request)
        places_of = {str(name): place for place, name in enumerate(everything.ids)}
        found = [places_of.get(str(name)) for name in whole.ids]
        if len(everything) == len(whole) or None in found:
            raise
        of_whole = find_cells(everything)
        try:
            grid = model.grid_for(of_whole, everything)
        except ModelError:
            raise error from None
        places = np.array(found, dtype=np.intp)
    used = places if drawn is None else places[drawn]
    if drawn is None and len(used) == len(of_whole.row_index):
        return grid
    items = (
        of_side.index[used[side.examples]]
        for of_side, side in zip(of_whole.sides, cells.sides, strict=True)
    )
    return grid[np.ix_(*items)]


def _check_known(grid: Any, cells: Cells, settings: Settings) -> None:
    """Raise a ModelError if a grid computed elsewhere lacks pairs that the method reads."""
    known = ~np.isnan(grid).any(axis=2)
    if known.all():
        return
    method = methods.method(settings.method).on_grid(settings, cells.sizes)
    n_there, how = int(known.sum()), option("method", "sampled", "run")
    if len(cells.sides) > 2:
        raise ModelError(
            f"the grid has {n_there:,} of the {known.size:,} combinations of these data; compute "
            "the others"
        )
    if method.scores_all_pairs or settings.images_per_text is None:
        raise ModelError(
            f"the grid has {n_there:,} of the {known.size:,} pairs of this data; compute the rest, "
            "which the command pairs lists (with --there and the file), or only a sample of them "
            f"(add --images-per-text), and choose {how} with {option('images_per_text', of='run')}"
        )
    wanted = sample_of(cells, settings.images_per_text, settings.seed)
    missing = np.flatnonzero(~known[wanted.rows, wanted.columns])
    if len(missing):
        text, image = int(wanted.rows[missing[0]]), int(wanted.columns[missing[0]])
        raise ModelError(
            f"the grid lacks {len(missing):,} of the {len(wanted):,} pairs of this sample, first "
            f"the text {_short(cells.row_words[text])} with image number {image}; compute those "
            "that the command pairs lists for the same data, images per text and seed (with "
            "--there and the file), and add them to the file"
        )


def _all_examples(request: Request) -> Any:
    """Return the data as it was before it was sampled or examples were left out."""
    settings = {
        name: value
        for name, value in (request.data_args or {}).items()
        if name not in ("limit", "seed")
    }
    return datasets.load_dataset(request.dataset, **settings)


class _GridLookup:
    """A grid computed elsewhere, in the form of a staged model whose encodings are numbers."""

    def __init__(self, grid: Any, partial: bool) -> None:
        self._grid = grid
        self.partial = partial

    def score_grid(self, rows: torch.Tensor, columns: torch.Tensor) -> Any:
        return np.asarray(self._grid[rows.numpy()][:, columns.numpy()])

    def score(self, rows: torch.Tensor, columns: torch.Tensor) -> Any:
        return np.asarray(self._grid[rows.numpy(), columns.numpy()])


def _look_up(evaluator: Evaluator, grid: Any, order: Index, scorer: Scorer) -> None:
    partial = bool(getattr(scorer.model, "partial", False)) and bool(np.isnan(grid).any())
    scorer.model, scorer.has_grid, scorer.staged = _GridLookup(grid, partial), True, True
    per_chunk = 4096

    def numbers(index: Index) -> Any:
        def encode(chunk: int) -> Encodings:
            return torch.as_tensor(index[chunk * per_chunk : (chunk + 1) * per_chunk].copy())

        return encode

    n_columns = evaluator.column_items.n_items
    evaluator.row_items = EncodedItems("texts", len(order), per_chunk, numbers(order), False, "cpu")
    evaluator.column_items = EncodedItems(
        "images", n_columns, per_chunk, numbers(np.arange(n_columns)), False, "cpu"
    )


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:59] + "…")
