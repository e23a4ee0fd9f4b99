"""An invented method: what the protocol asks of it is all that the engine needs to run it."""

import numpy as np
import pytest
from samples import Staged, make_examples

import emap_core as emap
from emap_core.methods.base import CellList, CellMethod, Projected
from emap_core.methods.stored_arrays import DECOMPOSITION_FIELDS, arrays_of, decomposition_of
from emap_core.runs import Run


class ImageByImage(CellMethod):
    """Every cell of the grid: images at even places first, then those at odd ones."""

    # In place of another: names are fixed when the schema of runs is.
    name = "sampled"
    summary = "scores the images one by one"
    why_no_grid = "It keeps none."

    def n_pairs(self, settings, pairs):
        return pairs.shape[0] * pairs.shape[1]

    def plan(self, settings):
        return {"first": 0}

    def rounds(self, pairs, n_classes, plan, tell):
        n_texts, n_images = pairs.shape
        grid = np.empty((n_texts, n_images, n_classes))
        for parity in (plan["first"], 1 - plan["first"]):
            columns = range(parity, n_images, 2)
            lists = [CellList(w, n_texts, self._column(w)) for w in columns]
            read = yield lists
            for w, cells in zip(columns, lists, strict=True):
                grid[:, w] = read(cells)
            tell(round=parity)
        return Projected(emap.decompose(grid, *pairs.index))

    @staticmethod
    def _column(w):
        def cells(start, stop):
            texts = np.arange(start, stop)
            return texts, np.full(len(texts), w)

        return cells

    def arrays(self, result):
        return arrays_of(result.decomposition, DECOMPOSITION_FIELDS)

    def result(self, arrays, sides=()):
        return Projected(decomposition_of(arrays, emap.Decomposition, {}))


@pytest.fixture(autouse=True)
def invented(monkeypatch):
    monkeypatch.setattr("emap_core.methods.sampled.METHOD", ImageByImage())


def test_an_invented_method_comes_to_what_its_cells_say(tmp_path):
    data, events = make_examples(), []
    exact = emap.compute(Staged(), data, out=tmp_path / "exact")
    run = emap.compute(
        Staged(),
        data,
        out=tmp_path / "run",
        method="sampled",
        batch_size=7,
        listener=events.append,
    )
    np.testing.assert_allclose(run.decomposition.emap, exact.decomposition.emap, atol=1e-12)
    np.testing.assert_allclose(run.table(), exact.table(), atol=1e-12)
    assert run.manifest["n_pairs_evaluated"] == 11 * 23
    assert run.grid is None and run.spread is None
    assert [event["round"] for event in events if event["event"] == "sampled"] == [0, 1]
    assert Run.load(run.path).record()["metrics"]["accuracy"]["gap"] is not None


def test_it_goes_on_where_it_was_cut_off(tmp_path):
    class Fragile(Staged):
        calls = 0

        def score(self, text_encodings, image_encodings):
            Fragile.calls += 1
            if Fragile.calls == 40:
                raise ZeroDivisionError
            return super().score(text_encodings, image_encodings)

    settings = {"method": "sampled", "batch_size": 7, "out": tmp_path / "run"}
    with pytest.raises(ZeroDivisionError):
        emap.compute(Fragile(), make_examples(), **settings)
    model = Staged()
    run = emap.compute(model, make_examples(), **settings)
    assert 0 < model.pairs_scored < run.manifest["n_pairs_evaluated"] == 11 * 23
