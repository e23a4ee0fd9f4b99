"""Decisions that are read from many cells at once."""

import numpy as np
import pytest

from emap_core.inference.predictions.answers import read_answers


@pytest.mark.parametrize("n_classes", [2, 3, 10, 255, 256, 300, 70_000])
def test_the_first_of_several_highest_classes_wins(n_classes):
    rng = np.random.default_rng(0)
    cells = rng.integers(0, 2, (6, 5, n_classes)).astype(np.float32)
    # One winner at either end, and a tie of the two.
    cells[0, :3] = 0.0
    cells[0, 0, 0] = cells[0, 1, -1] = 3.0
    cells[0, 2, [0, -1]] = 3.0
    # No winner at all.
    cells[0, 3] = -7.0
    decisions, _, _ = read_answers(cells, "multiclass", "logits")
    np.testing.assert_array_equal(decisions, cells.argmax(axis=2))
    assert decisions[0, :4].tolist() == [0, n_classes - 1, 0, 0]
