"""The sampled method: the cells of a balanced design, in blocks that survive an interruption."""

from __future__ import annotations

import zipfile
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emap_core.decomposition.design import Design, design
from emap_core.decomposition.sampled import SampledFit, fit
from emap_core.engine.plan import SECONDS_PER_TILE
from emap_core.engine.progress import Progress
from emap_core.engine.work import Work
from emap_core.errors import RunError
from emap_core.runs.folder import RunFolder, read_json, replacing, write_json

Index = NDArray[np.intp]


@dataclass(frozen=True)
class BlockPlan:
    """How the cells of a design are cut into blocks.

    Attributes
    ----------
    n_classes : int
    images_per_text, seed : int
        Of the design.
    block_size : int
        Pairs that are evaluated, and kept, together.
    batch_size : int
        Pairs that go through the model at a time.
    """

    n_classes: int
    images_per_text: int
    seed: int
    block_size: int
    batch_size: int


class SampledEvaluation:
    """The pairs of a design, block by block.

    Parameters
    ----------
    folder : RunFolder
    work : Work
    plan : BlockPlan
    """

    def __init__(self, folder: RunFolder, work: Work, plan: BlockPlan) -> None:
        self._folder = folder
        self._work = work
        self._plan = plan
        work.evaluator.batch_size = plan.batch_size

    @classmethod
    def start(cls, folder: RunFolder, work: Work) -> SampledEvaluation:
        """Fix the plan and write it down."""
        settings = work.settings
        batch_size = settings.batch_size or work.probe.batch_size
        timed = int(work.probe.pairs_per_second * SECONDS_PER_TILE)
        plan = BlockPlan(
            n_classes=work.n_classes,
            images_per_text=settings.images_per_text or 0,
            seed=settings.seed,
            block_size=settings.batch_size or max(timed, batch_size),
            batch_size=batch_size,
        )
        evaluation = cls(folder, work, plan)
        # Checked before the plan exists, so that a wrong setting leaves nothing to resume.
        _ = evaluation.design
        write_json(folder.plan, asdict(plan))
        return evaluation

    @classmethod
    def resume(cls, folder: RunFolder, work: Work) -> SampledEvaluation:
        """Take up the plan of a run that was cut off."""
        return cls(folder, work, BlockPlan(**(read_json(folder.plan) or {})))

    @cached_property
    def design(self) -> Design:
        """The cells to evaluate; the same for the same data and settings."""
        cells, plan = self._work.cells, self._plan
        return design(
            *cells.shape, cells.text_index, cells.image_index, plan.images_per_text, plan.seed
        )

    @property
    def n_pairs(self) -> int:
        """Pairs in all."""
        return len(self.design)

    @property
    def n_tiles(self) -> int:
        """Blocks in all."""
        return -(-self.n_pairs // self._plan.block_size)

    def run(self, progress: Progress) -> SampledFit:
        """Evaluate what is not there yet, and fit the projection to it.

        Raises
        ------
        EmapError
            If the model's outputs are wrong or the run is cancelled; finished blocks are kept.
        """
        self._evaluate(progress)
        values = np.empty((self.n_pairs, self._plan.n_classes))
        for number in range(self.n_tiles):
            stored = self._load(number)
            if stored is None:
                raise RunError(
                    f"block {number} of run {self._folder.id!r} is damaged; start it again"
                )
            values[self._block(number)] = stored
        return fit(self.design, values, seed=self._plan.seed)

    @cached_property
    def _order(self) -> Index:
        """Cells by chunk of images, then by length of text: each chunk is decoded once."""
        row_of = np.argsort(self._work.text_order)
        chunk = self.design.images // self._work.images.per_chunk
        return np.lexsort((row_of[self.design.texts], chunk))

    def _block(self, number: int) -> Index:
        size = self._plan.block_size
        return self._order[number * size : (number + 1) * size]

    def _evaluate(self, progress: Progress) -> None:
        evaluator = self._work.evaluator
        row_of = np.argsort(self._work.text_order)
        there = [self._file(number).exists() for number in range(self.n_tiles)]
        size = self._plan.block_size
        progress.start_pairs(min(sum(there) * size, self.n_pairs), self.n_pairs)
        for number, finished in enumerate(there):
            progress.check()
            block = self._block(number)
            if not finished or self._load(number) is None:
                columns = np.asarray(self.design.images[block], dtype=np.intp)
                evaluator.images.forget_before(int(columns.min()))
                values = evaluator.pairs(row_of[self.design.texts[block]], columns)
                with replacing(self._file(number)) as temporary, temporary.open("wb") as file:
                    np.savez(file, values=values)
                if evaluator.batch_size < self._plan.batch_size:
                    self._plan = replace(self._plan, batch_size=evaluator.batch_size)
                    write_json(self._folder.plan, asdict(self._plan))
            progress.pairs(min((number + 1) * size, self.n_pairs), lambda: None)

    def _load(self, number: int) -> NDArray[Any] | None:
        try:
            with np.load(self._file(number), allow_pickle=False) as stored:
                return np.asarray(stored["values"])
        except (FileNotFoundError, zipfile.BadZipFile, ValueError, KeyError, EOFError):
            return None

    def _file(self, number: int) -> Path:
        return self._folder.tiles / f"{number:06d}.npz"
