"""A model's answers over all recombinations: weighted sums of parts of the grid.

An answer is a decision for one of K classes and a probability for each. Both come from the outputs
of a cell; their means over the grid cannot be computed from the means of the outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emap_core.types import Array, Index


@dataclass(frozen=True, eq=False)
class Recombined:
    """A model's answers, averaged over one side of the grid or both.

    Attributes
    ----------
    row_decisions : ndarray of shape (U_1, K)
        How often a row gets each class, over columns weighted by their shares.
    column_decisions : ndarray of shape (U_2, K)
        How often a column gets each class, over rows weighted by their shares.
    row_probabilities : ndarray of shape (U_1, K)
        Mean probability of each class over all columns.
    column_probabilities : ndarray of shape (U_2, K)
        Mean probability of each class over all rows.
    entropy : ndarray of shape ()
        Mean entropy of a cell's probabilities over all recombinations, in bits.
    """

    row_decisions: Array
    column_decisions: Array
    row_probabilities: Array
    column_probabilities: Array
    entropy: Array

    @classmethod
    def zero(cls, n_rows: int, n_columns: int, n_classes: int) -> Recombined:
        """Return the sums of no cells at all, to `add` to."""
        of_rows, of_columns = (n_rows, n_classes), (n_columns, n_classes)
        return cls(
            np.zeros(of_rows),
            np.zeros(of_columns),
            np.zeros(of_rows),
            np.zeros(of_columns),
            np.zeros(()),
        )

    @classmethod
    def of_cells(
        cls,
        decisions: NDArray[np.integer],
        probabilities: NDArray[np.floating],
        entropies: NDArray[np.floating],
        row_share: Array,
        column_share: Array,
    ) -> Recombined:
        """Return the sums of A × B cells, each weighted by the shares of its row and column.

        Parameters
        ----------
        decisions : ndarray of shape (A, B)
            Numbers of classes.
        probabilities : ndarray of shape (K, A, B)
        entropies : ndarray of shape (A, B)
            In bits.
        row_share : ndarray of shape (A,)
        column_share : ndarray of shape (B,)
        """
        n_classes, n_rows, n_columns = probabilities.shape
        row_weights, column_weights = np.broadcast_arrays(row_share[:, None], column_share)
        by_row = decisions + n_classes * np.arange(n_rows)[:, None]
        by_column = decisions + n_classes * np.arange(n_columns)
        # In the type of the probabilities, which is several times faster than in float64.
        p, q = (share.astype(probabilities.dtype) for share in (row_share, column_share))
        return cls(
            _counted(by_row, column_weights, (n_rows, n_classes)),
            _counted(by_column, row_weights, (n_columns, n_classes)),
            (probabilities @ q).T.astype(np.float64),
            (p @ probabilities).T.astype(np.float64),
            np.asarray(row_share @ entropies.astype(np.float64) @ column_share),
        )

    def add(self, rows: slice | Index, columns: slice | Index, part: Recombined) -> None:
        """Add the sums of some rows with some columns."""
        self.row_decisions[rows] += part.row_decisions
        self.row_probabilities[rows] += part.row_probabilities
        self.column_decisions[columns] += part.column_decisions
        self.column_probabilities[columns] += part.column_probabilities
        self.entropy[...] += part.entropy

    def rows_in_order(self, order: Index) -> Recombined:
        """Return the same with row i moved to row ``order[i]``."""
        place = np.argsort(order)
        return Recombined(
            self.row_decisions[place],
            self.column_decisions,
            self.row_probabilities[place],
            self.column_probabilities,
            self.entropy,
        )

    def arrays(self) -> dict[str, Array]:
        """Return its arrays under the names that runs use."""
        return {name: getattr(self, field) for field, name in _IN_A_RUN.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Recombined | None:
        """Return what `arrays` gave; None if a run keeps none."""
        if not all(name in arrays for name in _IN_A_RUN.values()):
            return None
        return cls(**{field: arrays[name] for field, name in _IN_A_RUN.items()})


_IN_A_RUN = {
    "row_decisions": "recombined_text_decisions",
    "column_decisions": "recombined_image_decisions",
    "row_probabilities": "recombined_text_probabilities",
    "column_probabilities": "recombined_image_probabilities",
    "entropy": "recombined_entropy",
}
"""Names of the arrays in runs: those of the two sides that all runs once had."""


def _counted(
    decisions: NDArray[np.integer], weights: NDArray[Any], shape: tuple[int, int]
) -> Array:
    """Return the summed weights of each class in each row, shape (rows, K)."""
    counted = np.bincount(decisions.ravel(), weights.ravel(), shape[0] * shape[1])
    return np.asarray(counted.reshape(shape), dtype=np.float64)
