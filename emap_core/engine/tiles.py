"""All pairs of the grid, tile by tile, their sums kept on disk and reduced in order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from emap_core import inference
from emap_core.engine.closed_form import in_closed_form
from emap_core.engine.measure import WarmUp
from emap_core.engine.plan import Plan, Tile
from emap_core.engine.problem import Problem
from emap_core.engine.progress import Progress
from emap_core.engine.sums import GridSums, TileSums
from emap_core.engine.workers import FinishedTile, Workers
from emap_core.errors import RunError
from emap_core.methods.base import Projected
from emap_core.runs.folder import RunFolder
from emap_core.runs.grid import create_grid, n_channels, open_grid
from emap_core.runs.store import replacing


class TileEvaluation:
    """All pairs of a run, tile by tile.

    Parameters
    ----------
    folder : RunFolder
    problem : Problem
    plan : Plan
        New, or that of an interrupted run.
    warm_up : ndarray of shape (a, b, C) or None
        The first cells of the first tile, if they were evaluated to measure the speed.
    """

    def __init__(self, folder: RunFolder, problem: Problem, plan: Plan, warm_up: Any) -> None:
        self._folder = folder
        self._problem = problem
        self._plan = plan
        self._warm_up = warm_up
        shard = problem.settings.shard
        self._tiles = list(plan.tiles()) if shard is None else plan.shard(*shard)
        problem.evaluator.batch_size = plan.batch_size

    @classmethod
    def start(cls, folder: RunFolder, problem: Problem, warm_up: WarmUp) -> TileEvaluation:
        """Fix the plan and write it down, with the cells that are already there."""
        plan = problem.plan(warm_up)
        corner = None
        if plan.warm_up != (0, 0):
            corner = warm_up.cells
            with replacing(folder.warm_up) as temporary, temporary.open("wb") as file:
                np.save(file, corner)
        if problem.keep != "sums":
            create_grid(
                folder.grid,
                (plan.n_rows, plan.n_columns, n_channels(plan.n_classes, problem.kept_classes)),
                (plan.tile_rows, plan.tile_columns),
            )
        plan.save(folder.plan)
        return cls(folder, problem, plan, corner)

    @classmethod
    def resume(cls, folder: RunFolder, problem: Problem) -> TileEvaluation:
        """Resume with the plan of an interrupted run."""
        plan = Plan.load(folder.plan)
        warm_up = None
        if plan.warm_up != (0, 0):
            try:
                with folder.warm_up.open("rb") as file:
                    warm_up = np.load(file, allow_pickle=False)
            except (OSError, ValueError) as error:
                raise RunError(f"probe.npy of run {folder.id!r} cannot be read: {error}") from error
        return cls(folder, problem, plan, warm_up)

    @property
    def n_pairs(self) -> int:
        """Pairs in all, or in the shard."""
        return sum(tile.n_pairs for tile in self._tiles)

    @property
    def columns(self) -> slice:
        """The columns whose encodings are needed."""
        return slice(self._tiles[0].columns.start, self._tiles[-1].columns.stop)

    @property
    def n_tiles(self) -> int:
        """Tiles in all, or in the shard."""
        return len(self._tiles)

    def run(self, progress: Progress, workers: Workers) -> Projected | None:
        """Evaluate what is missing, and return the projection; None for a shard.

        Raises
        ------
        EmapError
            If the model's outputs are wrong or the run is cancelled; finished tiles are kept.
        """
        dtype = self._folder.manifest()["computed_dtype"]
        closed = in_closed_form(self._problem, workers, progress, dtype)
        if closed is not None:
            self._folder.update_manifest(closed_form=True)
            return Projected(closed)
        sums = self._evaluate(progress, workers)
        if self._problem.settings.shard is not None:
            return None
        if sums is None:
            sums = self._read_back()
        return sums.projected(self._problem.row_order)

    def _read_back(self) -> GridSums:
        """Return the sums of all tiles from disk, those of sets of sides included."""
        sums = GridSums(self._problem.targets, self._plan.n_classes)
        for tile in self._plan.tiles():
            sums.add(tile, self._stored(tile))
        return sums

    def _stored(self, tile: Tile) -> TileSums:
        stored = TileSums.load(self._file(tile))
        if stored is None:
            raise RunError(
                f"tile {tile.number} of run {self._folder.id!r} is damaged; start it again"
            )
        return stored

    def _evaluate(self, progress: Progress, workers: Workers) -> GridSums | None:
        """Evaluate what is missing; return the sums of all tiles if they are at hand."""
        problem = self._problem
        grid = open_grid(self._folder.grid) if problem.keep != "sums" else None
        so_far = GridSums(problem.targets, self._plan.n_classes, projects=False)
        tiles = self._tiles
        there = {tile.number for tile in tiles if TileSums.load(self._file(tile)) is not None}
        before = sum(tile.n_pairs for tile in tiles if tile.number in there)
        progress.start_pairs(before, self.n_pairs)
        arrived: dict[int, TileSums] = {}
        done, in_order = before, iter(tiles)
        following = next(in_order, None)

        def finish(tile: Tile, found: FinishedTile) -> None:
            nonlocal done, following
            if grid is not None and found.kept is not None:
                grid[tile.rows, tile.columns] = found.kept
            # The sums come last: if they are there, the tile is complete.
            found.sums.save(self._file(tile))
            if found.batch_size < self._plan.batch_size:
                self._plan = self._plan.with_batch_size(found.batch_size)
                self._plan.save(self._folder.plan)
            done += tile.n_pairs
            arrived[tile.number] = found.sums
            # Always in this order, so that an interruption cannot change a bit; and the estimate
            # needs whole columns.
            while following and (following.number in there or following.number in arrived):
                sums = arrived.pop(following.number, None)
                so_far.add(following, self._stored(following) if sums is None else sums)
                following = next(in_order, None)
            progress.pairs(done, self._gap(so_far))

        missing = (tile for tile in tiles if tile.number not in there)
        workers.tiles(problem, missing, self._warm_up, finish, progress)
        # With more sides than two, the sums of their sets were left out.
        all_there = following is None and not problem.targets.joint_sets
        return so_far if all_there else None

    def _gap(self, so_far: GridSums) -> Callable[[], float | None]:
        """Return a function that estimates the gap of the first metric from the tiles so far."""
        problem = self._problem

        def estimate() -> float | None:
            found = so_far.estimate()
            if found is None or problem.labels is None:
                return None
            examples, logits, projected = found
            gap = inference.difference(
                problem.metrics[0],
                problem.labels[examples],
                logits,
                projected,
                problem.task,
                problem.settings.space,
            )
            return gap if np.isfinite(gap) else None

        return estimate

    def _file(self, tile: Tile) -> Path:
        return tile_file(self._folder, tile)


def tile_file(folder: RunFolder, tile: Tile) -> Path:
    """Return where the sums of a tile are stored; if the file exists, the tile is complete."""
    return folder.tiles / f"{tile.number:06d}.npz"
