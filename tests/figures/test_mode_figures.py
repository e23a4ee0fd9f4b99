from __future__ import annotations

import numpy as np
import pytest

from emap_core.decomposition.modes import interaction_modes
from emap_core.figures import mode_ends, mode_scree

TEXTS = ["what shape?", "what colour?", "is it red?", "is it blue?"]


def _modes(cells, count=2):
    cells = np.asarray(cells, dtype=float)
    shares = [np.full(n, 1 / n) for n in cells.shape]
    return interaction_modes(cells, *shares, count=count)


@pytest.mark.slow
def test_the_scree_adds_up_to_the_whole_interaction():
    modes = _modes(np.random.default_rng(0).normal(size=(6, 7)))
    chart = mode_scree(modes, quantity="the logit of circle")
    assert chart.table.share.sum() == pytest.approx(1)
    assert list(chart.table["mode"]) == ["mode 1", "mode 2", "all others"]
    np.testing.assert_allclose(chart.figure.data[0].x[:2], 100 * modes.shares)
    assert f"explains {100 * modes.shares[0]:.1f}% of the interaction in the logit of circle" in (
        chart.alt
    )


def test_on_a_phone_every_text_stands_whole_above_its_bar():
    texts = [f"is there a red shape in image number {n}?" for n in range(4)]
    chart = mode_ends(_modes(np.random.default_rng(1).normal(size=(4, 5))), 0, texts)
    assert chart.least_width == 0
    said = chart.figure.layout.annotations
    assert len({one.text for one in said}) == 4
    # Characters of 14 px are 7 px wide on average, and a phone leaves 290 px.
    assert all(len(one.text) <= 40 and one.xref == "paper" for one in said)
    for place, one in enumerate(said):
        assert place - 0.8 < one.y < place - 0.2, "between its own bar and the one above"


def test_no_interaction_is_said():
    modes = _modes(np.zeros((4, 5)))
    assert "no interaction" in mode_scree(modes).alt


def test_the_ends_are_the_texts_with_the_extreme_scores_the_positive_end_on_top():
    cells = np.outer([9.0, -3.0, -3.0, -3.0], [1.0, -1.0, 1.0, -1.0])
    chart = mode_ends(_modes(cells, 1), 0, TEXTS, count=2)
    assert chart.table.text[0] == "what shape?"
    assert set(chart.table.text[1:]) <= set(TEXTS[1:])
    assert list(chart.table.score > 0) == [True, False, False]
    assert list(chart.table.score) == sorted(chart.table.score, reverse=True)
    assert "at one end “what shape?”" in chart.alt
