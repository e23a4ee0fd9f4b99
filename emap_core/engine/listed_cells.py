"""The single cells of the grid that a method lists, in tiles that survive an interruption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emap_core.engine.measure import WarmUp
from emap_core.engine.plan import SECONDS_PER_TILE
from emap_core.engine.problem import Problem
from emap_core.engine.progress import Progress
from emap_core.engine.workers import CellTile, FinishedCellTile, Workers, load_cell_tile
from emap_core.errors import RunError
from emap_core.methods.base import CellList, CellMethod, Result
from emap_core.runs.folder import RunFolder, read_json, write_json


@dataclass(frozen=True)
class CellPlan:
    """How lists of cells are cut into tiles.

    Attributes
    ----------
    n_classes : int
    of_method : dict
        What the method starts with; see `CellMethod.plan`.
    tile_size : int
        Pairs that are evaluated and kept together.
    batch_size : int
        Pairs that go through the model at a time.
    """

    n_classes: int
    of_method: dict[str, Any]
    tile_size: int
    batch_size: int

    def save(self, path: Path) -> None:
        """Write the plan in one step."""
        # Names on disk are older.
        sizes = {"block_size": self.tile_size, "batch_size": self.batch_size}
        write_json(path, {"n_classes": self.n_classes, **self.of_method, **sizes})

    @classmethod
    def load(cls, path: Path) -> CellPlan:
        """Return a stored plan."""
        stored = read_json(path) or {}
        n_classes, tile_size, batch_size = (
            stored.pop(name) for name in ("n_classes", "block_size", "batch_size")
        )
        return cls(n_classes, stored, tile_size, batch_size)


class CellEvaluation:
    """The pairs that a method requests, round by round, tile by tile.

    Parameters
    ----------
    folder : RunFolder
    problem : Problem
    plan : CellPlan
    method : CellMethod
    """

    def __init__(
        self, folder: RunFolder, problem: Problem, plan: CellPlan, method: CellMethod
    ) -> None:
        self._folder = folder
        self._problem = problem
        self._plan = plan
        self._row_places = problem.pairs.row_places
        self._event = method.name
        self._progress: Progress | None = None
        self._rounds = method.rounds(problem.pairs, plan.n_classes, plan.of_method, self._tell)
        self._lists = next(self._rounds)
        self.n_pairs = _size(self._lists)
        problem.evaluator.batch_size = plan.batch_size

    @classmethod
    def start(
        cls, folder: RunFolder, problem: Problem, warm_up: WarmUp, method: CellMethod
    ) -> CellEvaluation:
        """Fix the plan and write it down."""
        batch_size = problem.settings.batch_size or warm_up.batch_size
        timed = int(warm_up.pairs_per_second * SECONDS_PER_TILE)
        tile_size = problem.settings.batch_size or max(timed, batch_size)
        plan = CellPlan(problem.n_classes, method.plan(problem.settings), tile_size, batch_size)
        evaluation = cls(folder, problem, plan, method)
        plan.save(folder.plan)
        return evaluation

    @classmethod
    def resume(cls, folder: RunFolder, problem: Problem, method: CellMethod) -> CellEvaluation:
        """Resume with the plan of an interrupted run."""
        return cls(folder, problem, CellPlan.load(folder.plan), method)

    @property
    def columns(self) -> slice:
        """The columns whose encodings are needed: all."""
        return slice(0, self._problem.cells.shape[1])

    @property
    def n_tiles(self) -> int:
        """Tiles of the first round."""
        return sum(self._n_tiles(one) for one in self._lists)

    def run(self, progress: Progress, workers: Workers) -> Result:
        """Evaluate what is missing, and return what the method makes of it.

        Raises
        ------
        EmapError
            If the model's outputs are wrong or the run is cancelled; finished tiles are kept.
        """
        self._progress = progress
        while True:
            self._evaluate(progress, workers)
            try:
                self._lists = self._rounds.send(self._outputs)
            except StopIteration as ended:
                result: Result = ended.value
                return result
            self.n_pairs += _size(self._lists)

    def _tell(self, **fields: Any) -> None:
        if self._progress is not None:
            self._progress.tell(self._event, **fields)

    def _evaluate(self, progress: Progress, workers: Workers) -> None:
        places = [(one, number) for one in self._lists for number in range(self._n_tiles(one))]
        missing = [
            i for i, place in enumerate(places) if load_cell_tile(self._file(*place)) is None
        ]
        size = self._plan.tile_size

        def tile(i: int) -> CellTile:
            cells, number = places[i]
            rows, columns = cells.cells(number * size, min((number + 1) * size, cells.n_pairs))
            return CellTile(i, self._row_places[rows], columns)

        done = self.n_pairs - sum(_tile_size(*places[i], size) for i in missing)
        progress.start_pairs(done, self.n_pairs)

        def finish(tile: CellTile, found: FinishedCellTile) -> None:
            nonlocal done
            found.save(self._file(*places[tile.number]))
            if found.batch_size < self._plan.batch_size:
                self._plan = replace(self._plan, batch_size=found.batch_size)
                self._plan.save(self._folder.plan)
            done += len(tile.rows)
            progress.pairs(done, lambda: None)

        workers.cell_tiles(self._problem, map(tile, missing), finish, progress)

    def _outputs(self, cells: CellList) -> NDArray[Any]:
        """Return the outputs for a list of cells, shape (M, C), read back from disk."""
        parts = []
        for number in range(self._n_tiles(cells)):
            stored = load_cell_tile(self._file(cells, number))
            if stored is None:
                raise RunError(
                    f"tile {number}{cells.name} of run {self._folder.id!r} is damaged; start it "
                    "again"
                )
            parts.append(stored)
        return np.concatenate(parts) if parts else np.empty((0, self._plan.n_classes))

    def _n_tiles(self, cells: CellList) -> int:
        return -(-cells.n_pairs // self._plan.tile_size)

    def _file(self, cells: CellList, number: int) -> Path:
        return self._folder.tiles / f"{cells.number:06d}-{number:06d}.npz"


def _size(lists: Sequence[CellList]) -> int:
    return sum(one.n_pairs for one in lists)


def _tile_size(cells: CellList, number: int, size: int) -> int:
    return min(size, cells.n_pairs - number * size)
