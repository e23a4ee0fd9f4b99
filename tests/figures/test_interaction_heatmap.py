from __future__ import annotations

import numpy as np
import pytest

from emap_core.decomposition import decompose
from emap_core.decomposition.block_means import interaction_blocks
from emap_core.figures import interaction_heatmap, marked_window, window_within


def _run(n_texts=6, n_images=9, seed=0):
    rng = np.random.default_rng(seed)
    cells = rng.normal(size=(n_texts, n_images, 2))
    every = np.indices((n_texts, n_images)).reshape(2, -1)
    texts = [f"text {u}" for u in range(n_texts)]
    return cells, decompose(cells, *every), texts


def _residual(cells, d, c):
    return cells[:, :, c] - d.row_mean[:, None, c] - d.column_mean[None, :, c] + d.mean[c]


def _chart(
    cells, d, texts, c=1, *, text_order=None, image_order=None, window=None, most=200, **options
):
    rows = np.arange(cells.shape[0]) if text_order is None else text_order
    columns = np.arange(cells.shape[1]) if image_order is None else image_order
    blocks = interaction_blocks(cells[:, :, c], d, c, rows, columns, window=window, most=most)
    return interaction_heatmap(blocks, texts, **options)


def test_few_pairs_are_drawn_singly_in_the_order_given():
    cells, d, texts = _run()
    rows, columns = np.array([3, 0, 5, 1, 2, 4]), np.arange(9)[::-1]
    chart = _chart(cells, d, texts, text_order=rows, image_order=columns)
    heatmap, marks = chart.figure.data
    np.testing.assert_allclose(
        heatmap.z, _residual(cells, d, 1)[np.ix_(rows, columns)], rtol=1e-6, atol=1e-7
    )
    assert chart.figure.layout.yaxis.ticktext[0] == "text 3"
    assert chart.figure.layout.yaxis.range[0] > chart.figure.layout.yaxis.range[1]
    # What the mouse shows counts from 1.
    assert marks.customdata[0].tolist() == [4, 9]
    assert (marks.x[-1], marks.y[-1]) == (8, 5)
    assert marks.customdata[-1].tolist() == [5, 1]


def test_many_pairs_are_drawn_as_the_means_of_blocks():
    cells, d, texts = _run(10, 12)
    heatmap, marks = _chart(cells, d, texts, most=4).figure.data
    residual = _residual(cells, d, 1)
    assert heatmap.z.shape == (4, 4)
    for value, (a, b, e, f) in zip(heatmap.z.ravel(), marks.customdata.tolist(), strict=True):
        assert value == pytest.approx(residual[a - 1 : b, e - 1 : f].mean(), abs=1e-6)


def test_never_more_than_200_rows_and_columns_are_sent():
    cells, d, texts = _run(430, 510)
    heatmap, marks = _chart(cells, d, texts).figure.data
    assert heatmap.z.shape == (200, 200)
    assert len(marks.customdata) == 40_000


def test_a_window_shows_its_part_pair_by_pair():
    cells, d, texts = _run(30, 40)
    rows = np.arange(30)[::-1]
    heatmap, marks = _chart(
        cells, d, texts, text_order=rows, window=(5, 8, 10, 14), most=20
    ).figure.data
    expected = _residual(cells, d, 1)[np.ix_(rows[5:8], np.arange(10, 14))]
    np.testing.assert_allclose(heatmap.z, expected, rtol=1e-6, atol=1e-7)
    assert list(heatmap.y) == [5, 6, 7]
    assert marks.customdata[0].tolist() == [25, 11]


def test_colours_are_centred_at_zero():
    cells, d, texts = _run()
    scale = _chart(cells, d, texts).figure.layout.coloraxis
    assert scale.cmin == -scale.cmax < 0


def test_the_chosen_pair_is_framed_where_it_is_drawn():
    cells, d, texts = _run()
    rows = np.arange(6)[::-1]
    frame = _chart(cells, d, texts, text_order=rows, chosen=(1, 2)).figure.data[2]
    assert (frame.x[0], frame.y[0]) == (2, 4)
    outside = _chart(cells, d, texts, chosen=(1, 2), window=(3, 6, 0, 9))
    assert len(outside.figure.data) == 2


def test_words_name_the_texts_with_the_strongest_interaction():
    cells, d, texts = _run()
    chart = _chart(cells, d, texts)
    residual = _residual(cells, d, 1)
    u = np.unravel_index(residual.argmax(), residual.shape)[0]
    assert f"(“text {u}”)." in chart.alt
    strongest = chart.table.iloc[0]
    assert abs(strongest.interaction) == pytest.approx(np.abs(residual).max())
    additive = np.zeros((3, 4, 1))
    flat = decompose(additive, *np.indices((3, 4)).reshape(2, -1))
    assert "none anywhere" in _chart(additive, flat, texts, c=0).alt


def test_rounding_in_an_additive_model_is_not_drawn_as_interaction():
    rng = np.random.default_rng(0)
    sides = 10 * rng.normal(size=(30, 1)), 10 * rng.normal(size=40)
    cells = np.add(*sides).astype(np.float32)[:, :, None].astype(np.float64)
    d = decompose(cells, *np.indices((30, 40)).reshape(2, -1))
    chart = _chart(cells, d, [f"text {u}" for u in range(30)], c=0)
    assert not chart.figure.data[0].z.any()
    assert "none anywhere" in chart.alt


def test_chosen_marks_give_back_the_window_that_holds_them():
    cells, d, _ = _run(10, 12)
    orders = np.arange(10)[::-1], np.arange(12)
    pairs = interaction_blocks(cells[:, :, 1], d, 1, *orders)
    # Marks run along rows of 12.
    assert marked_window([0], pairs) == (0, 1, 0, 1)
    assert marked_window([14, 3 * 12 + 7], pairs) == (1, 4, 2, 8)
    assert marked_window([], pairs) is None
    assert marked_window([120], pairs) is None
    blocks = interaction_blocks(cells[:, :, 1], d, 1, *orders, most=4)
    assert marked_window(range(16), blocks) == (0, 10, 0, 12)
    part = interaction_blocks(cells[:, :, 1], d, 1, *orders, window=(2, 5, 3, 9))
    assert marked_window([0, 8], part) == (2, 4, 3, 6)


def test_an_outline_gives_the_window_of_the_cells_whose_middles_it_holds():
    cells, d, _ = _run(10, 12)
    pairs = interaction_blocks(cells[:, :, 1], d, 1, np.arange(10), np.arange(12))

    def box(left, right, top, bottom):
        return [(left, top), (right, top), (right, bottom), (left, bottom)]

    # A cell reaches half a unit to each side of its number.
    assert window_within(box(1.9, 4.6, -3, 2.4), pairs) == (0, 3, 2, 5)
    assert window_within(box(1.1, 1.9, 0, 9), pairs) is None
    coarse = interaction_blocks(cells[:, :, 1], d, 1, np.arange(10), np.arange(12), most=2)
    assert window_within(box(-1, 5, -1, 20), coarse) == (0, 10, 0, 6)


def test_the_mouse_reads_what_a_mark_stands_for():
    cells, d, texts = _run(4, 12)
    marks = _chart(cells, d, texts).figure.data[1]
    assert marks.hovertemplate.startswith("text %{customdata[0]}, image %{customdata[1]}: ")
    marks = _chart(cells, d, texts, most=4).figure.data[1]
    assert marks.hovertemplate.startswith(
        "text %{customdata[0]}, images %{customdata[2]} to %{customdata[3]} of this order: "
    )
    table = _chart(cells, d, texts, most=4).table
    assert set(table.texts) == {"1", "2", "3", "4"}
    assert set(table.images) == {"1 to 3", "4 to 6", "7 to 9", "10 to 12"}
