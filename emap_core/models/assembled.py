"""Scores of a rectangle of the grid, put together as its parts are scored."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from emap_core.errors import ModelError


class Assembled:
    """Scores of A × B pairs, which arrive part by part.

    Each part is copied while it is in the cache, and its memory serves the next one. To keep all
    parts and join them at the end takes longer than a cheap head takes to score them.

    Parameters
    ----------
    n_rows, n_columns : int
    """

    def __init__(self, n_rows: int, n_columns: int) -> None:
        self._shape = n_rows, n_columns
        self._values: torch.Tensor | NDArray[Any] | None = None

    def put(self, row: int, column: int, part: torch.Tensor | NDArray[Any]) -> None:
        """Add the scores of a part, shape (a, b, C), whose first cell is at `row` and `column`.

        Raises
        ------
        ModelError
            If C is not that of the parts before.
        """
        if isinstance(part, torch.Tensor) and part.dtype in (torch.bfloat16, torch.float16):
            part = part.float()
        if self._values is None and tuple(part.shape[:2]) == self._shape:
            self._values = part
            return
        there = self._with_room_for(part)
        if part.shape[2] != there.shape[2]:
            raise ModelError(
                f"the model returned {part.shape[2]} classes, but {there.shape[2]} for earlier "
                "pairs"
            )
        there[row : row + part.shape[0], column : column + part.shape[1]] = part

    def values(self) -> torch.Tensor | NDArray[Any]:
        """Return the scores, shape (A, B, C), once every part is there."""
        assert self._values is not None  # noqa: S101 - no rectangle is empty
        return self._values

    def _with_room_for(self, part: Any) -> Any:
        """Return the array for all parts, of a type that holds the numbers of each."""
        there: Any = self._values
        if there is None:
            shape = (*self._shape, part.shape[2])
            there = (
                part.new_empty(shape)
                if isinstance(part, torch.Tensor)
                else np.empty(shape, part.dtype)
            )
        elif there.dtype != part.dtype:
            if isinstance(part, torch.Tensor):
                there = there.to(torch.promote_types(there.dtype, part.dtype))
            else:
                there = there.astype(np.promote_types(there.dtype, part.dtype))
        self._values = there
        return there
