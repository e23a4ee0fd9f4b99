"""The warm-up tile of a run, scored before anything is written: shapes, speed and errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emap_core.engine.binding import Binding
from emap_core.engine.measure import Again, WarmUp, measure
from emap_core.engine.noise import (
    MANY,
    pairs_to_score_again,
    score_again,
    scored_at_two_times,
)
from emap_core.engine.plan import tile_shape
from emap_core.models.encodings import Encodings
from emap_core.types import Index

TILE_MEMORY = 128 * 2**20
"""Bytes that a tile may take while it is reduced."""
_LOOKED_UP = 2**16
"""Pairs at a time, and in a second, where nothing is computed."""
_CORNER = 16
"""Pairs that are evaluated first, at most, where batches are of a size given by hand."""


def score_warm_up(binding: Binding, timed: bool = True) -> WarmUp:
    """Score the warm-up tile: anything wrong with shapes or values shows here.

    From then on, batches have the size that was found to be best.

    Parameters
    ----------
    binding : Binding
    timed : bool
        Whether the speed must be known even if the batch size is given.

    Raises
    ------
    ModelError
        If the outputs are not what a model returns.
    """
    evaluator, by_hand = binding.evaluator, binding.settings.batch_size
    if binding.lacks_pairs:
        return _of_examples(binding)
    area = warm_up_area(binding)
    evaluator.batch_size = by_hand or 2**30
    if binding.scorer.stated_speed is not None:
        # There is nothing to learn about its speed, and each pair may cost money.
        warm_up = measure(evaluator, TILE_MEMORY, area, _CORNER // 2, 0.0)
    elif by_hand is None:
        warm_up = measure(evaluator, TILE_MEMORY, area)
    else:
        warm_up = measure(evaluator, TILE_MEMORY, area, _CORNER, 0.5 if timed else 0.0)
    if not binding.is_lookup:
        # A grid from elsewhere has no model that could answer differently.
        noise = _noise(binding) if binding.settings.allow_noise else None
        warm_up = replace(warm_up, again=_again(binding, warm_up), noise=noise)
    if (speed := binding.scorer.stated_speed) is not None:
        at_once, per_second = speed
        warm_up = replace(warm_up, batch_size=at_once, pairs_per_second=per_second)
    evaluator.batch_size = by_hand or warm_up.batch_size
    return warm_up


def _of_examples(binding: Binding) -> WarmUp:
    """Return the cells of the first examples, for a grid that may have no corner."""
    evaluator, targets = binding.evaluator, binding.targets
    raw = np.concatenate(
        [
            evaluator.raw(slice(row, row + 1), slice(column, column + 1))
            for row, column in zip(
                targets.row_index[:_CORNER].tolist(),
                targets.column_index[:_CORNER].tolist(),
                strict=True,
            )
        ],
        axis=1,
    )
    evaluator.batch_size = binding.settings.batch_size or _LOOKED_UP
    return WarmUp(
        evaluator.convert(raw), raw, float(_LOOKED_UP), _LOOKED_UP, raw.dtype.name, raw.dtype.name
    )


def warm_up_area(binding: Binding) -> tuple[slice, slice]:
    """Return where the warm-up tile lies; for a shard or a given batch size it is a tile."""
    n_rows, n_columns = binding.cells.shape
    settings = binding.settings
    if settings.batch_size is None or not binding.method.scores_all_pairs:
        return slice(0, n_rows), slice(0, n_columns)
    if tiles := binding.tiles_of_shard:
        return tiles[0].rows, tiles[0].columns
    rows, columns = tile_shape(n_rows, n_columns, settings.batch_size)
    # Shapes are checked with two of each at least.
    return slice(0, min(max(rows, 2), n_rows)), slice(0, min(max(columns, 2), n_columns))


def _again(binding: Binding, warm_up: WarmUp) -> Again:
    """Score a few pairs of the warm-up tile a second time."""
    rows, columns = pairs_to_score_again(warm_up)
    top, left = (side.start for side in warm_up_area(binding))
    return score_again(
        binding.evaluator,
        warm_up,
        rows,
        columns,
        lambda: encode_anew(binding, rows + top, columns + left),
    )


def _noise(binding: Binding) -> tuple[NDArray[Any], NDArray[Any]]:
    """Score pairs from anywhere twice."""
    draws = np.random.default_rng(binding.settings.seed)
    wanted = binding.wanted_columns
    n_rows = binding.cells.shape[0]
    n = min(MANY, n_rows * (wanted.stop - wanted.start))
    rows = draws.integers(0, n_rows, n)
    columns = draws.integers(wanted.start, wanted.stop, n)
    return scored_at_two_times(
        binding.evaluator, n, lambda pairs: encode_anew(binding, rows[pairs], columns[pairs])
    )


def encode_anew(binding: Binding, rows: Index, columns: Index) -> tuple[Encodings, Encodings]:
    """Return the encodings of single texts and images, encoded anew."""
    scorer, evaluator = binding.scorer, binding.evaluator
    if not scorer.staged:
        # Such items are their own encodings.
        first, groups = _in_order(evaluator.row_items.at(rows)), evaluator.column_items.at(columns)
        if binding.n_sides == 2:
            return first, _in_order(groups)
        return first, tuple(
            _in_order([(places, items[side]) for places, items in groups])
            for side in range(binding.n_sides - 1)
        )
    # Existing encodings may hold noise that scoring does not show.
    of_rows = binding.rows
    texts = (
        [binding.cells.row_words[binding.row_order[row]] for row in rows]
        if of_rows is None
        else [of_rows.seen(int(row)) for row in rows]
    )
    numbers = np.unravel_index(columns, binding.cells.sizes[1:])
    encoded = tuple(
        scorer.encode(place, [items.seen(int(number)) for number in numbers[place - 1]])
        for place, items in enumerate(binding.others, start=1)
    )
    return scorer.encode(0, texts), encoded if len(encoded) > 1 else encoded[0]


def _in_order(groups: Sequence[tuple[Index, Encodings]]) -> list[Any]:
    """Return a plain callable's items in the order requested."""
    found = {
        int(place): item
        for places, items in groups
        for place, item in zip(places, items, strict=True)
    }
    return [found[place] for place in sorted(found)]
