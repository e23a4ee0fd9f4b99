from __future__ import annotations

import numpy as np
import pytest

from emap_core.decomposition import decompose
from emap_core.figures import top_classes, waterfall


@pytest.fixture
def decomposition():
    return decompose(np.random.default_rng(0).normal(size=(6, 6, 5)))


def test_the_parts_end_at_emap_and_with_the_interaction_at_the_logit(decomposition):
    chart = waterfall(decomposition, 2, list("abcde"), shown=[1, 4])
    for row, c in zip(chart.table.itertuples(index=False), (1, 4), strict=True):
        name, mean, text, image, emap, interaction, logit = row
        assert name == "abcde"[c]
        assert mean + text + image == pytest.approx(emap)
        assert emap + interaction == pytest.approx(logit)
        assert logit == pytest.approx(decomposition.logits[2, c])


def test_each_bar_starts_where_the_one_before_ended(decomposition):
    chart = waterfall(decomposition, 0, list("abcde"), shown=[3])
    (bars,) = (trace for trace in chart.figure.data if trace.type == "bar")
    starts = bars.base
    ends = [start + value for start, value in zip(starts, bars.x, strict=True)]
    assert starts[1] == ends[0]
    assert starts[2] == pytest.approx(ends[1])
    assert ends[2] == pytest.approx(ends[3])
    assert starts[4] == ends[3]
    assert ends[4] == pytest.approx(ends[5])
    assert starts[0] == starts[3] == starts[5] == 0


def test_top_classes_hold_the_prediction_the_additive_one_and_the_true_one(decomposition):
    for example in range(6):
        logits = decomposition.logits[example]
        lowest = int(np.argmin(logits))
        shown = top_classes(decomposition, example, always=[lowest])
        assert shown[0] == np.argmax(logits)
        assert int(np.argmax(decomposition.emap[example])) in shown
        assert shown[-1] == lowest
        assert shown == sorted(shown, key=lambda c: -logits[c])


def test_panels_say_which_class_is_true_and_which_is_predicted(decomposition):
    predicted = int(np.argmax(decomposition.logits[1]))
    true = (predicted + 1) % 5
    chart = waterfall(decomposition, 1, list("abcde"), true_class=true)
    titles = {note.text.split("<br>")[0]: note.text for note in chart.figure.layout.annotations}
    assert "predicted" in titles[f"<b>{'abcde'[predicted]}</b>"]
    assert "true" in titles[f"<b>{'abcde'[true]}</b>"]


def test_one_logit_for_two_labels_gives_one_panel():
    d = decompose(np.random.default_rng(1).normal(size=(4, 4)))
    chart = waterfall(d, 0, ["no", "yes"])
    assert list(chart.table["class"]) == ["yes (rather than no)"]


@pytest.mark.parametrize("seed", range(5))
def test_no_number_lies_across_the_zero_line(seed):
    d = decompose(np.random.default_rng(seed).normal(size=(6, 6, 3)))
    for example in range(6):
        chart = waterfall(d, example, list("abc"), shown=[0])
        (bars,) = (trace for trace in chart.figure.data if trace.type == "bar")
        _, numbers = (trace for trace in chart.figure.data if trace.type == "scatter")
        for x, side, start, value in zip(
            numbers.x, numbers.textposition, bars.base, bars.x, strict=True
        ):
            assert (x >= 0) if side == "middle right" else (x <= 0)
            # Beside its bar, never on it.
            reach = sorted([start, start + value])
            assert x == pytest.approx(reach[1] if side == "middle right" else reach[0])
