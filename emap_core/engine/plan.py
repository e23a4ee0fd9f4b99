"""Cut the grid into tiles; the plan is fixed before the first tile and kept in the run folder."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from emap_core.errors import SettingError
from emap_core.option_names import option_name
from emap_core.runs.folder import read_json, write_json
from emap_core.types import Index

SECONDS_PER_TILE = 0.2
"""A tile is the unit of progress, cancelling and resuming; a quarter of a second is the limit."""


@dataclass(frozen=True)
class Tile:
    """A rectangle of the grid, in plan order: texts are sorted by length."""

    number: int
    rows: slice
    columns: slice

    @property
    def n_pairs(self) -> int:
        """Rows times columns."""
        n_rows, n_columns = self.rows.stop - self.rows.start, self.columns.stop - self.columns.start
        return int(n_rows * n_columns)


@dataclass(frozen=True)
class Plan:
    """How a grid of `n_rows` by `n_columns` is evaluated.

    Attributes
    ----------
    tile_rows, tile_columns : int
        Size of a tile; those at the lower and right edge are smaller.
    batch_size : int
        Pairs that go through the model at a time.
    columns_per_chunk : int
        Items of the second side that are decoded and encoded together.
    warm_up : tuple of int
        Rows and columns of the first tile whose pairs were evaluated to measure the speed.
    """

    n_rows: int
    n_columns: int
    n_classes: int
    tile_rows: int
    tile_columns: int
    batch_size: int
    columns_per_chunk: int
    warm_up: tuple[int, int]

    @property
    def n_tiles(self) -> int:
        """Number of tiles."""
        return math.ceil(self.n_rows / self.tile_rows) * math.ceil(
            self.n_columns / self.tile_columns
        )

    def tiles(self) -> Iterator[Tile]:
        """Yield the tiles: all rows for one range of columns, then the next range.

        Each range of columns is thus decoded, or brought to the device, once.
        """
        number = 0
        for column in range(0, self.n_columns, self.tile_columns):
            columns = slice(column, min(column + self.tile_columns, self.n_columns))
            for row in range(0, self.n_rows, self.tile_rows):
                yield Tile(number, slice(row, min(row + self.tile_rows, self.n_rows)), columns)
                number += 1

    def shard(self, number: int, of: int) -> list[Tile]:
        """Return the tiles of one of several shards, counted from 1.

        Raises
        ------
        SettingError
            If there are fewer tiles than shards.
        """
        tiles = list(self.tiles())
        if of > len(tiles):
            n = len(tiles)
            raise SettingError(
                f"shard {number} of {of} cannot be made: {option_name('batch_size')} cuts the "
                f"grid of {self.n_rows:,} rows × {self.n_columns:,} columns into {n:,} "
                f"tile{'' if n == 1 else 's'}, so there {'is' if n == 1 else 'are'} at most {n:,} "
                f"shard{'' if n == 1 else 's'}; "
                f"choose fewer shards or a smaller {option_name('batch_size')}"
            )
        first, last = ((n * len(tiles)) // of for n in (number - 1, number))
        return tiles[first:last]

    def cuts_like(self, other: Plan) -> bool:
        """Say whether the tiles are the same; how they were evaluated may differ."""
        return self == replace(other, batch_size=self.batch_size, warm_up=self.warm_up)

    def with_batch_size(self, batch_size: int) -> Plan:
        """Return the same tiles with another number of pairs at a time."""
        return replace(self, batch_size=batch_size)

    def save(self, path: Path) -> None:
        """Write the plan in one step."""
        write_json(path, {_IN_A_RUN.get(name, name): v for name, v in asdict(self).items()})

    @classmethod
    def load(cls, path: Path) -> Plan:
        """Return a stored plan."""
        content: dict[str, Any] = read_json(path) or {}
        given = {one.name: content[_IN_A_RUN.get(one.name, one.name)] for one in fields(cls)}
        return cls(**given | {"warm_up": tuple(given["warm_up"])})


_IN_A_RUN = {
    "n_rows": "n_texts",
    "n_columns": "n_images",
    "tile_rows": "tile_texts",
    "tile_columns": "tile_images",
    "columns_per_chunk": "images_per_chunk",
    "warm_up": "probe",
}
"""Names on disk that differ from those here: they come from earlier versions."""


def order_rows(texts: list[str]) -> Index:
    """Return the order of the rows: texts sorted by length, so that like lengths share tiles."""
    return np.argsort([len(text) for text in texts], kind="stable")


def tile_shape(
    n_rows: int, n_columns: int, n_pairs: int, at_least: tuple[int, int] = (1, 1)
) -> tuple[int, int]:
    """Return rows and columns of a tile of about `n_pairs`, near square: its sums are smallest."""
    least = min(at_least[0], n_rows), min(at_least[1], n_columns)
    side = math.isqrt(max(n_pairs, 1))
    rows = min(n_rows, max(least[0], side))
    columns = min(n_columns, max(least[1], n_pairs // rows, 1))
    rows = min(n_rows, max(least[0], n_pairs // columns, 1))
    return max(_even(n_rows, rows), least[0]), max(_even(n_columns, columns), least[1])


def _even(size: int, step: int) -> int:
    # As many tiles as before, of similar size instead of full ones and a sliver.
    return max(math.ceil(size / math.ceil(size / step)), 1)
