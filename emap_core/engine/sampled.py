"""The sampled method: the cells of a balanced design, in blocks that survive an interruption."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emap_core import inference
from emap_core.decomposition.design import Design, design
from emap_core.decomposition.encodings import Encodings
from emap_core.decomposition.sampled import SampledFit, fit
from emap_core.decomposition.sampled_gap import next_images_per_text, sampled_gap
from emap_core.engine.plan import SECONDS_PER_TILE
from emap_core.engine.progress import Progress
from emap_core.engine.work import Work
from emap_core.engine.workers import Block, FinishedBlock, Workers, load_block
from emap_core.errors import ModelError, RunError, SettingError
from emap_core.runs.folder import RunFolder, read_json, write_json

Index = NDArray[np.intp]

FIRST_IMAGES_PER_TEXT = 16
"""Where a run that samples until it knows enough begins."""


@dataclass(frozen=True)
class BlockPlan:
    """How the cells of a design are cut into blocks.

    Attributes
    ----------
    n_classes : int
    images_per_text, seed : int
        Of the first design.
    until : float or None
        More images per text are added until the gap is known this well.
    block_size : int
        Pairs that are evaluated, and kept, together.
    batch_size : int
        Pairs that go through the model at a time.
    """

    n_classes: int
    images_per_text: int
    seed: int
    until: float | None
    block_size: int
    batch_size: int


class SampledEvaluation:
    """The pairs of a design, block by block, and of larger ones until the gap is known.

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
        self._row_of = np.argsort(work.text_order)
        self._stage = _Stage(self._design(plan.images_per_text), np.empty(0, np.int64))
        self.n_pairs = len(self._stage.keys)
        work.evaluator.batch_size = plan.batch_size

    @classmethod
    def start(cls, folder: RunFolder, work: Work) -> SampledEvaluation:
        """Fix the plan and write it down."""
        settings = work.settings
        batch_size = settings.batch_size or work.probe.batch_size
        timed = int(work.probe.pairs_per_second * SECONDS_PER_TILE)
        plan = BlockPlan(
            n_classes=work.n_classes,
            images_per_text=settings.images_per_text or FIRST_IMAGES_PER_TEXT,
            seed=settings.seed,
            until=settings.until,
            block_size=settings.batch_size or max(timed, batch_size),
            batch_size=batch_size,
        )
        evaluation = cls(folder, work, plan)
        write_json(folder.plan, asdict(plan))
        return evaluation

    @classmethod
    def resume(cls, folder: RunFolder, work: Work) -> SampledEvaluation:
        """Take up the plan of a run that was cut off."""
        return cls(folder, work, BlockPlan(**(read_json(folder.plan) or {})))

    @property
    def images(self) -> slice:
        """The images whose states are needed: all."""
        return slice(0, self._work.cells.shape[1])

    @property
    def n_tiles(self) -> int:
        """Blocks of the first design."""
        return self._n_blocks(self._stage)

    def run(self, progress: Progress, workers: Workers) -> SampledFit:
        """Evaluate what is not there yet, and fit the projection to it.

        Raises
        ------
        EmapError
            If the model's outputs are wrong or the run is cancelled; finished blocks are kept.
        """
        stage = self._stage
        values = self._values(stage, progress, workers, np.empty((0, self._plan.n_classes)))
        encodings = self._encodings()
        while True:
            found = fit(stage.design, values, encodings, seed=self._plan.seed)
            more = self._more(stage.design, found, progress)
            if more is None:
                return found
            stage = _Stage(self._design(more), stage.keys)
            self.n_pairs = len(stage.keys)
            values = self._values(stage, progress, workers, values)

    def _design(self, images_per_text: int) -> Design:
        cells = self._work.cells
        return design(
            *cells.shape, cells.text_index, cells.image_index, images_per_text, self._plan.seed
        )

    def _encodings(self) -> Encodings | None:
        """Return what the encoders made of texts and images; None of a model without encoders."""
        work = self._work
        if not work.scorer.staged:
            return None
        try:
            texts, images = work.evaluator.texts.vectors(), work.evaluator.images.vectors()
        except ModelError:
            # Numbers of the rows of a grid, say, from which nothing can be learnt.
            return None
        return Encodings(texts[self._row_of], images)

    def _more(self, chosen: Design, found: SampledFit, progress: Progress) -> int | None:
        """Return how many images a text should meet next, None where the gap is known."""
        work = self._work
        if self._plan.until is None or chosen.fraction >= 1:
            return None
        if work.labels is None:
            raise SettingError("until waits for the interval of a gap, and the data has no labels")
        labels = work.labels
        name = work.metrics[0]

        def score(scores: NDArray[np.float64]) -> float:
            return inference.evaluate(name, labels, scores, work.task, work.settings.space)

        gap = sampled_gap(found, score)
        progress.tell(
            "sampled",
            images_per_text=chosen.images_per_text,
            gap=gap.difference if inference.metric(name).higher_is_better else -gap.difference,
            reach=(gap.high - gap.low) / 2,
            bias=gap.bias if inference.metric(name).higher_is_better else -gap.bias,
            bias_standard_error=gap.bias_standard_error,
            until=self._plan.until,
        )
        return next_images_per_text(chosen, gap, self._plan.until)

    def _values(
        self, stage: _Stage, progress: Progress, workers: Workers, before: NDArray[Any]
    ) -> NDArray[np.float64]:
        """Return the outputs for all cells of a stage's design, shape (M, C)."""
        self._evaluate(stage, progress, workers)
        values = np.empty((len(stage.keys), self._plan.n_classes))
        values[~stage.new] = before
        order = self._order(stage)
        for number in range(self._n_blocks(stage)):
            stored = self._load(stage, number)
            if stored is None:
                raise RunError(
                    f"block {number} of run {self._folder.id!r} is damaged; start it again"
                )
            values[self._block(order, number)] = stored
        return values

    def _evaluate(self, stage: _Stage, progress: Progress, workers: Workers) -> None:
        size = self._plan.block_size
        order = self._order(stage)
        numbers = range(self._n_blocks(stage))
        missing = [number for number in numbers if self._load(stage, number) is None]
        done = len(stage.keys) - sum(len(self._block(order, number)) for number in missing)
        progress.start_pairs(done, self.n_pairs)

        def block(number: int) -> Block:
            cells = order[number * size : (number + 1) * size]
            columns = np.asarray(stage.design.images[cells], dtype=np.intp)
            return Block(number, self._row_of[stage.design.texts[cells]], columns)

        def finish(block: Block, found: FinishedBlock) -> None:
            nonlocal done
            found.save(self._file(stage, block.number))
            if found.batch_size < self._plan.batch_size:
                self._plan = replace(self._plan, batch_size=found.batch_size)
                write_json(self._folder.plan, asdict(self._plan))
            done += len(block.rows)
            progress.pairs(done, lambda: None)

        workers.blocks(self._work, map(block, missing), finish, progress)

    def _order(self, stage: _Stage) -> Index:
        """Return the new cells by chunk of images, then by length of text.

        Each chunk of images is thus decoded once, and texts of like length meet.
        """
        new = np.flatnonzero(stage.new)
        chunk = stage.design.images[new] // self._work.images.per_chunk
        return new[np.lexsort((self._row_of[stage.design.texts[new]], chunk))]

    def _n_blocks(self, stage: _Stage) -> int:
        return -(-int(stage.new.sum()) // self._plan.block_size)

    def _block(self, order: Index, number: int) -> Index:
        return order[number * self._plan.block_size : (number + 1) * self._plan.block_size]

    def _load(self, stage: _Stage, number: int) -> NDArray[Any] | None:
        return load_block(self._file(stage, number))

    def _file(self, stage: _Stage, number: int) -> Path:
        return self._folder.tiles / f"{stage.design.images_per_text:06d}-{number:06d}.npz"


class _Stage:
    """A design and which of its cells an earlier, smaller one did not have."""

    def __init__(self, chosen: Design, before: NDArray[np.int64]) -> None:
        self.design = chosen
        self.keys = chosen.texts.astype(np.int64) * chosen.shape[1] + chosen.images
        self.new = ~np.isin(self.keys, before)
