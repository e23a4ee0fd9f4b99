"""Cut the grid into tiles; the plan is fixed before the first tile and kept in the run folder."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from emap_core.errors import SettingError
from emap_core.options import option_name
from emap_core.runs.folder import read_json, write_json
from emap_core.types import Index

SECONDS_PER_TILE = 0.2
"""A tile is the unit of progress, cancelling and resuming; a quarter of a second is the limit."""


@dataclass(frozen=True)
class Tile:
    """A rectangle of the grid, in plan order: rows are texts sorted by length."""

    number: int
    rows: slice
    columns: slice

    @property
    def n_pairs(self) -> int:
        """Texts times images."""
        n_texts, n_images = self.rows.stop - self.rows.start, self.columns.stop - self.columns.start
        return int(n_texts * n_images)


@dataclass(frozen=True)
class Plan:
    """How a grid of `n_texts` by `n_images` is evaluated.

    Attributes
    ----------
    tile_texts, tile_images : int
        Size of a tile; those at the lower and right edge are smaller.
    batch_size : int
        Pairs that go through the model at a time.
    images_per_chunk : int
        Images that are decoded and encoded together.
    warm_up : tuple of int
        Texts and images of the first tile whose pairs were evaluated to measure the speed.
    """

    n_texts: int
    n_images: int
    n_classes: int
    tile_texts: int
    tile_images: int
    batch_size: int
    images_per_chunk: int
    warm_up: tuple[int, int]

    @property
    def n_tiles(self) -> int:
        """Number of tiles."""
        return math.ceil(self.n_texts / self.tile_texts) * math.ceil(
            self.n_images / self.tile_images
        )

    def tiles(self) -> Iterator[Tile]:
        """Yield the tiles, all texts for one range of images before the next range.

        Each range of images is thus decoded, or brought to the device, once.
        """
        number = 0
        for column in range(0, self.n_images, self.tile_images):
            columns = slice(column, min(column + self.tile_images, self.n_images))
            for row in range(0, self.n_texts, self.tile_texts):
                yield Tile(number, slice(row, min(row + self.tile_texts, self.n_texts)), columns)
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
                f"grid of {self.n_texts:,} texts × {self.n_images:,} images into {n:,} "
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
        content = asdict(self)
        # The name on disk is older.
        write_json(path, {"probe": content.pop("warm_up"), **content})

    @classmethod
    def load(cls, path: Path) -> Plan:
        """Return a stored plan."""
        content: dict[str, Any] = read_json(path) or {}
        warm_up = tuple(content.pop("probe"))
        return cls(**content, warm_up=warm_up)


def order_texts(texts: list[str]) -> Index:
    """Return the numbers of the texts sorted by length, so that like lengths share tiles."""
    return np.argsort([len(text) for text in texts], kind="stable")


def tile_shape(
    n_texts: int, n_images: int, n_pairs: int, at_least: tuple[int, int] = (1, 1)
) -> tuple[int, int]:
    """Return texts and images of a tile of about `n_pairs`, near square: its sums are smallest."""
    least = min(at_least[0], n_texts), min(at_least[1], n_images)
    side = math.isqrt(max(n_pairs, 1))
    rows = min(n_texts, max(least[0], side))
    columns = min(n_images, max(least[1], n_pairs // rows, 1))
    rows = min(n_texts, max(least[0], n_pairs // columns, 1))
    return max(_even(n_texts, rows), least[0]), max(_even(n_images, columns), least[1])


def _even(size: int, step: int) -> int:
    # As many tiles as before, of like size instead of full ones and a sliver.
    return max(math.ceil(size / math.ceil(size / step)), 1)
