"""The bar of a run on a terminal."""

import numpy as np
import pytest

import emap_core as emap
from emap_core.engine.progress_bar import showing_progress


@pytest.mark.parametrize(("n_sides", "called"), [(2, "pairs"), (3, "combinations")])
def test_the_bar_calls_cells_as_the_pages_do(n_sides, called, tmp_path, capsys):
    draws = np.random.default_rng(0)
    sides = {
        name: list(draws.normal(size=(4, 2))) for name in ("pulse", "skin", "breath")[:n_sides]
    }

    def model(*given):
        return np.prod([np.stack(one) for one in given], axis=0)

    data = {"sides": sides, "labels": [0, 1, 0, 1], "classes": ["calm", "alarm"]}
    with showing_progress() as bar:
        emap.compute(
            model, data, out=tmp_path / "run", fingerprint="x", n_resamples=100, listener=bar
        )
    shown = capsys.readouterr().err
    assert f"{4**n_sides} {called} in 1 tiles on" in shown
    assert f" {called}/s" in shown
    (other,) = {"pairs", "combinations"} - {called}
    assert other not in shown
