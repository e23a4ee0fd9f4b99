"""The sub-sampling protocol: the grids of some random sub-samples, in blocks that survive."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emap_core.decomposition import decompose
from emap_core.decomposition.exact import Decomposition
from emap_core.decomposition.subsample import SubsampledDecomposition, combine
from emap_core.engine.plan import SECONDS_PER_TILE
from emap_core.engine.progress import Progress
from emap_core.engine.work import Work
from emap_core.engine.workers import Block, FinishedBlock, Workers, load_block
from emap_core.errors import RunError
from emap_core.runs.folder import RunFolder, read_json, write_json

Index = NDArray[np.intp]


@dataclass(frozen=True)
class SubsamplePlan:
    """How the grids of the sub-samples are cut into blocks.

    Attributes
    ----------
    n_classes : int
    block_size : int
        Pairs that are evaluated, and kept, together.
    batch_size : int
        Pairs that go through the model at a time.
    """

    n_classes: int
    block_size: int
    batch_size: int


class SubsampleEvaluation:
    """All pairs of every sub-sample, one sub-sample after the other.

    Parameters
    ----------
    folder : RunFolder
    work : Work
    plan : SubsamplePlan
    """

    def __init__(self, folder: RunFolder, work: Work, plan: SubsamplePlan) -> None:
        self._folder = folder
        self._work = work
        self._plan = plan
        cells = work.cells
        row_of = np.argsort(work.text_order)
        self._drawn = work.subsamples
        self._grids = [
            _Grid(
                np.unique(cells.text_index[examples]),
                np.unique(cells.image_index[examples]),
                row_of,
            )
            for examples in self._drawn
        ]
        self.n_pairs = sum(grid.n_pairs for grid in self._grids)
        work.evaluator.batch_size = plan.batch_size

    @classmethod
    def start(cls, folder: RunFolder, work: Work) -> SubsampleEvaluation:
        """Fix the plan and write it down."""
        batch_size = work.settings.batch_size or work.probe.batch_size
        timed = int(work.probe.pairs_per_second * SECONDS_PER_TILE)
        block_size = work.settings.batch_size or max(timed, batch_size)
        plan = SubsamplePlan(work.n_classes, block_size, batch_size)
        evaluation = cls(folder, work, plan)
        write_json(folder.plan, asdict(plan))
        return evaluation

    @classmethod
    def resume(cls, folder: RunFolder, work: Work) -> SubsampleEvaluation:
        """Take up the plan of a run that was cut off."""
        return cls(folder, work, SubsamplePlan(**(read_json(folder.plan) or {})))

    @property
    def images(self) -> slice:
        """The images whose states are needed: all."""
        return slice(0, self._work.cells.shape[1])

    @property
    def n_tiles(self) -> int:
        """Blocks of all sub-samples."""
        return sum(self._n_blocks(grid) for grid in self._grids)

    def run(self, progress: Progress, workers: Workers) -> SubsampledDecomposition:
        """Evaluate what is not there yet, and project every sub-sample.

        Raises
        ------
        EmapError
            If the model's outputs are wrong or the run is cancelled; finished blocks are kept.
        """
        self._evaluate(progress, workers)
        cells = self._work.cells
        blocks = [
            (examples, self._decomposition(repeat, examples))
            for repeat, examples in enumerate(self._drawn)
        ]
        return combine(blocks, cells.text_index, cells.image_index)

    def _evaluate(self, progress: Progress, workers: Workers) -> None:
        places = [
            (repeat, number)
            for repeat, grid in enumerate(self._grids)
            for number in range(self._n_blocks(grid))
        ]
        missing = [i for i, place in enumerate(places) if self._load(*place) is None]
        size = self._plan.block_size

        def block(i: int) -> Block:
            repeat, number = places[i]
            grid = self._grids[repeat]
            return Block(i, *grid.cells(number * size, min((number + 1) * size, grid.n_pairs)))

        done = self.n_pairs - sum(len(block(i).rows) for i in missing)
        progress.start_pairs(done, self.n_pairs)

        def finish(block: Block, found: FinishedBlock) -> None:
            nonlocal done
            found.save(self._file(*places[block.number]))
            if found.batch_size < self._plan.batch_size:
                self._plan = replace(self._plan, batch_size=found.batch_size)
                write_json(self._folder.plan, asdict(self._plan))
            done += len(block.rows)
            progress.pairs(done, lambda: None)

        workers.blocks(self._work, map(block, missing), finish, progress)

    def _decomposition(self, repeat: int, examples: Index) -> Decomposition:
        grid = self._grids[repeat]
        parts = []
        for number in range(self._n_blocks(grid)):
            stored = self._load(repeat, number)
            if stored is None:
                raise RunError(
                    f"block {number} of sub-sample {repeat} of run {self._folder.id!r} is "
                    "damaged; start it again"
                )
            parts.append(stored)
        cells = self._work.cells
        values = np.concatenate(parts).reshape(len(grid.images), len(grid.texts), -1)
        return decompose(
            values.swapaxes(0, 1),
            np.searchsorted(grid.texts, cells.text_index[examples]),
            np.searchsorted(grid.images, cells.image_index[examples]),
        )

    def _n_blocks(self, grid: _Grid) -> int:
        return -(-grid.n_pairs // self._plan.block_size)

    def _load(self, repeat: int, number: int) -> NDArray[Any] | None:
        return load_block(self._file(repeat, number))

    def _file(self, repeat: int, number: int) -> Path:
        return self._folder.tiles / f"{repeat:06d}-{number:06d}.npz"


def n_subsample_pairs(work: Work) -> int:
    """Return how many pairs the sub-samples have in all."""
    cells = work.cells
    return sum(
        len(np.unique(cells.text_index[examples])) * len(np.unique(cells.image_index[examples]))
        for examples in work.subsamples
    )


class _Grid:
    """The cells of one sub-sample: all its texts for one image before the next image."""

    def __init__(self, texts: Index, images: Index, row_of: Index) -> None:
        self.texts = texts
        self.images = images
        self.n_pairs = len(texts) * len(images)
        self._rows = row_of[texts]

    def cells(self, start: int, stop: int) -> tuple[Index, Index]:
        """Return rows, in plan order, and columns of some cells."""
        numbers = np.arange(start, stop)
        return self._rows[numbers % len(self.texts)], self.images[numbers // len(self.texts)]
