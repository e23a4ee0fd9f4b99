"""Score masked texts with masked images, in the engine's usual tiles, kept once finished."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emap_core.probes.maskable_units import Units
from emap_core.probes.masks import Masks
from emap_core.types import Array

if TYPE_CHECKING:
    from emap_core.engine.encoded_items import EncodedItems
    from emap_core.engine.progress import Progress
    from emap_core.probes.probe_folder import ProbeFolder
    from emap_core.probes.probed_run import ProbedRun


_MEMORY = 128 * 2**20
_SECONDS = 0.5
"""Rough duration of a tile: this much work is lost if a probe is interrupted."""


class MaskedItems(Sequence[Any]):
    """An item under each of some masks, made on use."""

    def __init__(self, units: Units, masks: Masks) -> None:
        self._units, self._masks = units, masks

    def __len__(self) -> int:
        return len(self._masks)

    def __getitem__(self, index: Any) -> Any:
        return self._units.masked(self._masks.keep[index])


@dataclass
class MaskedGrids:
    """Scores grids of one probe, one after the other.

    Parameters
    ----------
    probed : ProbedRun
    folder : ProbeFolder
        Folder that keeps finished tiles.
    progress : Progress
        It already knows the total number of pairs.
    reduce : callable
        Turns outputs of shape (A, B, C) into the wanted number, shape (A, B).
    """

    probed: ProbedRun
    folder: ProbeFolder
    progress: Progress
    reduce: Callable[[NDArray[Any]], Array]
    _n_done: int = 0

    def score(self, name: str, texts: EncodedItems, images: EncodedItems) -> Array:
        """Return the number for each text with each image, shape (texts, images).

        Parameters
        ----------
        name : str
            Name of its files, unique among the grids of a probe.
        """
        from emap_core.engine.plan import tile_shape

        shape = texts.n_items, images.n_items
        tile = tile_shape(*shape, self._pairs_per_tile)
        evaluator = self.probed.evaluator(texts, images)
        grid = np.empty(shape)
        for column in range(0, shape[1], tile[1]):
            columns = slice(column, min(column + tile[1], shape[1]))
            for row in range(0, shape[0], tile[0]):
                self.progress.check()
                rows = slice(row, min(row + tile[0], shape[0]))
                size = rows.stop - rows.start, columns.stop - columns.start
                grid[rows, columns] = self.folder.tile(
                    f"{name}-{rows.start}-{columns.start}",
                    size,
                    lambda rows=rows, columns=columns: self.reduce(  # type: ignore[misc]
                        evaluator.cells(rows, columns)
                    ),
                )
                self._n_done += size[0] * size[1]
                self.progress.pairs(self._n_done, lambda: None)
        return grid

    @property
    def _pairs_per_tile(self) -> int:
        from emap_core.engine.measure import bytes_per_pair

        # By the run's own record, so that a resumed probe has the same tiles.
        most = _MEMORY // bytes_per_pair(self.probed.run.manifest["n_classes"])
        speed = self.probed.pairs_per_second
        return max(1, min(most, 4096 if speed is None else int(speed * _SECONDS)))
