from __future__ import annotations

import numpy as np
import pytest

from emap_core.figures import confusion_pair


def test_each_cell_counts_its_examples():
    full = np.array([1, 1, 1, 1, 0, 0, 0], dtype=bool)
    without = np.array([1, 1, 0, 0, 1, 0, 0], dtype=bool)
    chart = confusion_pair(full, without)
    assert dict(zip(chart.table.cell, chart.table.examples, strict=True)) == {
        "right either way": 2,
        "right only with interactions": 2,
        "right only without them": 1,
        "wrong either way": 2,
    }
    assert chart.table.share.sum() == pytest.approx(1)
    assert "2 are right only with interactions" in chart.alt


def test_the_models_answer_goes_down_the_rows_and_the_projections_across():
    chart = confusion_pair([True], [False])
    (marks,) = chart.figure.data
    places = {cell: (x, y) for cell, x, y in zip(marks.customdata, marks.x, marks.y, strict=True)}
    # Right with interactions (top row), wrong without them (right column).
    assert places["helped"] == (1, 0)
    assert places["hurt"] == (0, 1)
    notes = {(note.x, note.y): note.text for note in chart.figure.layout.annotations}
    assert "<b style='font-size:24px'>1</b>" in notes[1, 0]
    assert chart.figure.layout.yaxis.range[0] > chart.figure.layout.yaxis.range[1]


def test_no_example_draws_zeros():
    assert list(confusion_pair([], []).table.examples) == [0, 0, 0, 0]
