"""Who evaluates: this process here, others in `ray_workers`. Plan and sums are the same."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from emap_core.engine.binding import Binding
from emap_core.engine.evaluate import Started
from emap_core.engine.measure import WarmUp
from emap_core.engine.plan import Tile
from emap_core.engine.problem import Problem
from emap_core.engine.progress import Progress
from emap_core.engine.sums import TileSums
from emap_core.engine.warm_up import score_warm_up
from emap_core.runs.folder import RunFolder
from emap_core.runs.grid import Cells, channels
from emap_core.runs.store import replacing
from emap_core.types import Index

Corner = NDArray[Any] | None


@dataclass(frozen=True, eq=False)
class FinishedTile:
    """What is kept of a tile once it is evaluated.

    Attributes
    ----------
    sums : TileSums
    kept : ndarray or None
        What is stored of its cells, if a grid is kept.
    batch_size : int
        Pairs at a time, smaller than before if memory ran out.
    """

    sums: TileSums
    kept: Cells | None
    batch_size: int

    @classmethod
    def of(cls, problem: Problem, tile: Tile, cells: NDArray[Any]) -> FinishedTile:
        """Reduce a tile's cells, shape (A, B, C)."""
        kept = None if problem.keep == "sums" else channels(cells, problem.kept_classes)
        sums = TileSums.of(cells, tile, problem.targets, problem.recombine)
        return cls(sums, kept, problem.evaluator.batch_size)


@dataclass(frozen=True, eq=False)
class CellTile:
    """Single cells of the grid, in plan order."""

    number: int
    rows: Index
    columns: Index


@dataclass(frozen=True, eq=False)
class FinishedCellTile:
    """The outputs for a tile, shape (B, C), and the number of pairs at a time since."""

    values: NDArray[Any]
    batch_size: int

    @classmethod
    def of(cls, problem: Problem, tile: CellTile) -> FinishedCellTile:
        """Evaluate a tile's cells."""
        problem.evaluator.column_items.forget_before(int(tile.columns.min()))
        values = problem.evaluator.pairs(tile.rows, tile.columns)
        return cls(values, problem.evaluator.batch_size)

    def save(self, path: Path) -> None:
        """Write the outputs in one step, with checksums."""
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, values=self.values)


def load_cell_tile(path: Path) -> NDArray[Any] | None:
    """Return a tile's stored outputs; None if there are none or the file is damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return np.asarray(stored["values"])
    except (FileNotFoundError, zipfile.BadZipFile, ValueError, KeyError, EOFError):
        return None


class Workers(Protocol):
    """What holds the model and evaluates what the plan says."""

    def measure(self, binding: Binding, timed: bool = True) -> tuple[WarmUp, str]:
        """Score the warm-up tile with `score_warm_up`; return it and the device that scored it."""

    def score(self, problem: Problem, rows: Index, columns: Index) -> NDArray[Any]:
        """Return the outputs for a few single cells, shape (B, C), once pairs were measured."""

    def encode(
        self, problem: Problem, images: slice, folder: RunFolder, progress: Progress
    ) -> None:
        """Encode the texts and some images of a staged model, each once, and keep the encodings."""

    def tiles(
        self,
        problem: Problem,
        tiles: Iterable[Tile],
        corner: Corner,
        finish: Callable[[Tile, FinishedTile], None],
        progress: Progress,
    ) -> None:
        """Evaluate tiles and call `finish` for each, in any order; `corner` is of tile 0."""

    def cell_tiles(
        self,
        problem: Problem,
        tiles: Iterable[CellTile],
        finish: Callable[[CellTile, FinishedCellTile], None],
        progress: Progress,
    ) -> None:
        """Evaluate tiles of single cells and call `finish` for each, in any order."""


class LocalWorker:
    """The process itself, on one device."""

    def measure(self, binding: Binding, timed: bool = True) -> tuple[WarmUp, str]:
        """Score the warm-up tile here."""
        return score_warm_up(binding, timed), binding.device

    def score(self, problem: Problem, rows: Index, columns: Index) -> NDArray[Any]:
        """Return the outputs for a few single cells."""
        return problem.evaluator.pairs(rows, columns)

    def encode(
        self, problem: Problem, images: slice, folder: RunFolder, progress: Progress
    ) -> None:
        """Encode chunk by chunk."""
        for items, wanted in problem.evaluator.needed(images):
            items.keep_in(folder.encodings)
            chunks = items.chunks(wanted)
            for done, number in enumerate(chunks, start=1):
                progress.check()
                items.prepare(number)
                progress.encoding(items.name, done, len(chunks))

    def tiles(
        self,
        problem: Problem,
        tiles: Iterable[Tile],
        corner: Corner,
        finish: Callable[[Tile, FinishedTile], None],
        progress: Progress,
    ) -> None:
        """Evaluate tiles one after the other, in order."""
        evaluator = problem.evaluator

        def gather(tile: Tile, found: NDArray[Any] | Started) -> None:
            cells = found if isinstance(found, np.ndarray) else evaluator.collect(found)
            finish(tile, FinishedTile.of(problem, tile, cells))

        # One tile behind: a device computes the next while the last one is gathered. The
        # processor itself gains nothing by that, and a kill would cost two tiles.
        behind = 0 if problem.device == "cpu" else 1
        waiting: list[tuple[Tile, NDArray[Any] | Started]] = []
        try:
            for tile in tiles:
                progress.check()
                if tile.number == 0 and corner is not None:
                    waiting.append((tile, evaluator.cells(tile.rows, tile.columns, corner)))
                else:
                    waiting.append((tile, evaluator.start(tile.rows, tile.columns)))
                if len(waiting) > behind:
                    gather(*waiting.pop(0))
        finally:
            # However the loop ends, a computed tile is kept.
            while waiting:
                gather(*waiting.pop(0))

    def cell_tiles(
        self,
        problem: Problem,
        tiles: Iterable[CellTile],
        finish: Callable[[CellTile, FinishedCellTile], None],
        progress: Progress,
    ) -> None:
        """Evaluate tiles one after the other, in order."""
        for tile in tiles:
            progress.check()
            finish(tile, FinishedCellTile.of(problem, tile))
