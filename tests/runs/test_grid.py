import numpy as np
import pytest

from emap_core.errors import RunError
from emap_core.runs.grid import Grid, channels, create_grid, n_channels

VALUES = np.random.default_rng(7).normal(size=(4, 5, 6)).astype(np.float32)
ORDER = np.array([2, 0, 3, 1])
"""Texts are stored by length, not in order of first appearance."""


def _stored(path, kept):
    store = create_grid(path, (4, 5, n_channels(6, kept)), (2, 3))
    for rows in (slice(0, 2), slice(2, 4)):
        store[rows] = channels(VALUES[ORDER[rows]], kept)
    return Grid(path, ORDER, kept)


@pytest.mark.parametrize("kept", [None, [4, 1]])
def test_a_class_is_read_as_asked_for(kept, store):
    grid = _stored(store / "grid.zarr", kept)
    probable = np.exp(VALUES) / np.exp(VALUES).sum(axis=2, keepdims=True)
    for c in kept or range(6):
        np.testing.assert_array_equal(grid.load_class(c), VALUES[:, :, c])
        centred = VALUES[:, :, c] - VALUES.mean(axis=2)
        np.testing.assert_allclose(grid.load_class(c, "centred"), centred, atol=1e-6)
        np.testing.assert_allclose(
            grid.load_class(c, "probabilities"), probable[:, :, c], atol=1e-6
        )


def test_a_class_that_was_not_kept_is_refused(store):
    with pytest.raises(RunError, match="class 3 is not among the 2 whose grid was kept"):
        _stored(store / "grid.zarr", [4, 1]).load_class(3)
