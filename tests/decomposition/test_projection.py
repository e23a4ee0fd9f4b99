import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from emap_core import decompose
from emap_core.decomposition import Moments, decompose_sums, sum_tile
from emap_core.errors import DatasetError

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "closed_forms.json").read_text())
EXACT = {"rtol": 0, "atol": 1e-9}


def shares(decomposition):
    return dict(
        zip(("text", "image", "interaction"), decomposition.variance_shares[:, 0], strict=True)
    )


@pytest.mark.parametrize("name", ["appendix_g", "xor", "and", "or"])
def test_closed_form_grids(name):
    known = REFERENCE[name]
    found = decompose(known["grid"])
    np.testing.assert_allclose(found.emap[:, 0], known["emap"], **EXACT)
    if "logits" in known:
        np.testing.assert_allclose(found.logits[:, 0], known["logits"], **EXACT)
    if "mean" in known:
        np.testing.assert_allclose(found.mean, known["mean"], **EXACT)
    if "variance" in known:
        np.testing.assert_allclose(found.variance, known["variance"], **EXACT)
    if "variance_shares" in known:
        assert shares(found) == pytest.approx(known["variance_shares"], abs=1e-9)


def test_whole_projection_of_the_papers_worked_example():
    known = REFERENCE["appendix_g"]
    rows, columns = np.divmod(np.arange(9), 3)
    found = decompose(known["grid"], rows, columns)
    np.testing.assert_allclose(found.emap[:, 0].reshape(3, 3), known["projection"], **EXACT)


def test_product_of_a_text_and_an_image_number():
    rng = np.random.default_rng(0)
    a, b = rng.normal(1, 2, 40), rng.normal(-1, 1, 40)
    found = decompose(np.outer(a, b))
    expected = a * b.mean() + a.mean() * b - a.mean() * b.mean()
    np.testing.assert_allclose(found.emap[:, 0], expected, **EXACT)
    parts = np.array([b.mean() ** 2 * a.var(), a.mean() ** 2 * b.var(), a.var() * b.var()])
    np.testing.assert_allclose(found.sums_of_squares[:, 0], parts, **EXACT)


def test_ishigami_function():
    known = REFERENCE["ishigami"]["split_x1_vs_x3_at_x2_0"]
    x = (np.arange(400) + 0.5) / 400 * 2 * np.pi - np.pi
    grid = np.sin(x)[:, None] * (1 + 0.1 * x[None, :] ** 4)
    found = shares(decompose(grid))
    # The closed form is of the continuous function; a midpoint grid comes this near.
    assert found == pytest.approx(known, abs=2e-5)
    assert found["text"] == pytest.approx(0.562985, abs=1e-6)


def test_noise_splits_by_degrees_of_freedom():
    n = 30
    rng = np.random.default_rng(1)
    total = sum(decompose(rng.normal(size=(n, n))).sums_of_squares[:, 0] for _ in range(400))
    expected = np.array([1 / (n + 1), 1 / (n + 1), (n - 1) / (n + 1)])
    np.testing.assert_allclose(total / total.sum(), expected, atol=2e-3)


def test_self_term_is_there_and_leaving_one_out_removes_it():
    n, repeats = 50, 120
    rng = np.random.default_rng(2)
    plain, left_out = [], []
    for _ in range(repeats):
        found = decompose(rng.normal(size=(n, 200)) @ rng.normal(size=(n, 200)).T)
        sign = np.sign(found.logits)
        plain.append((np.sign(found.emap) == sign).mean())
        left_out.append((np.sign(found.emap_leave_one_out) == sign).mean())
    # 6,000 signs have a standard error of .0065.
    assert np.mean(plain) == pytest.approx(0.5 + np.arcsin(np.sqrt(2 / n)) / np.pi, abs=0.02)
    assert np.mean(left_out) == pytest.approx(0.5, abs=0.02)


def test_leave_one_out_is_the_projection_without_the_example():
    rng = np.random.default_rng(3)
    grid = rng.normal(size=(9, 9, 2))
    found = decompose(grid)
    for i in range(9):
        rest = np.delete(np.arange(9), i)
        row, column = grid[i, rest].mean(0), grid[rest, i].mean(0)
        expected = row + column - grid[np.ix_(rest, rest)].mean((0, 1))
        np.testing.assert_allclose(found.emap_leave_one_out[i], expected, **EXACT)
        np.testing.assert_allclose(found.text_only[i], row, **EXACT)
        np.testing.assert_allclose(found.image_only[i], column, **EXACT)


@st.composite
def layouts(draw):
    n_texts, n_images, n = draw(st.integers(1, 5)), draw(st.integers(1, 5)), draw(st.integers(1, 9))
    numbers = st.floats(-1e3, 1e3, allow_nan=False, width=32)
    grid = draw(hnp.arrays(float, (n_texts, n_images, draw(st.integers(1, 3))), elements=numbers))
    texts = np.array(draw(st.lists(st.integers(0, n_texts - 1), min_size=n, max_size=n)))
    images = np.array(draw(st.lists(st.integers(0, n_images - 1), min_size=n, max_size=n)))
    return grid, texts, images


def scale(grid):
    return max(np.abs(grid).max(), 1.0)


@pytest.mark.slow
@given(layouts())
@settings(deadline=None)
def test_repeats_equal_the_spelled_out_grid(layout):
    grid, texts, images = layout
    spelled_out = decompose(grid[np.ix_(texts, images)])
    found = decompose(grid, texts, images)
    for name in ("logits", "mean", "emap", "interaction", "text_effect", "image_effect"):
        np.testing.assert_allclose(
            getattr(found, name), getattr(spelled_out, name), atol=1e-9 * scale(grid), rtol=0
        )
    np.testing.assert_allclose(
        found.sums_of_squares, spelled_out.sums_of_squares, atol=1e-9 * scale(grid) ** 2, rtol=0
    )


@pytest.mark.slow
@given(layouts(), st.data())
@settings(deadline=None)
def test_residual_is_orthogonal_to_every_additive_function(layout, data):
    grid, texts, images = layout
    n = len(texts)
    found = decompose(grid, texts, images)
    residual = (
        grid[np.ix_(texts, images)]
        - found.row_mean[texts][:, None]
        - found.column_mean[images][None]
        + found.mean
    )
    numbers = hnp.arrays(float, n, elements=st.floats(-10, 10))
    additive = data.draw(numbers)[:, None] + data.draw(numbers)[None, :]
    np.testing.assert_allclose(
        np.einsum("ij,ijc->c", additive, residual) / n**2, 0, atol=1e-8 * scale(grid)
    )


@pytest.mark.slow
@given(layouts())
@settings(deadline=None)
def test_additive_grid_is_its_own_projection(layout):
    grid, texts, images = layout
    additive = grid[:, :1] + grid[:1, :]
    found = decompose(additive, texts, images)
    np.testing.assert_allclose(found.emap, found.logits, atol=1e-9 * scale(grid))


@pytest.mark.slow
@given(layouts(), st.floats(-1e3, 1e3))
@settings(deadline=None)
def test_a_constant_moves_the_mean_alone(layout, constant):
    grid, texts, images = layout
    before, after = decompose(grid, texts, images), decompose(grid + constant, texts, images)
    size = scale(grid) + abs(constant)
    np.testing.assert_allclose(after.mean, before.mean + constant, atol=1e-9 * size)
    for name in ("text_effect", "image_effect", "interaction"):
        np.testing.assert_allclose(getattr(after, name), getattr(before, name), atol=1e-9 * size)


@pytest.mark.slow
@given(layouts(), st.randoms())
@settings(deadline=None)
def test_order_of_examples_does_not_matter(layout, random):
    grid, texts, images = layout
    order = list(range(len(texts)))
    random.shuffle(order)
    before, after = decompose(grid, texts, images), decompose(grid, texts[order], images[order])
    np.testing.assert_allclose(after.emap, before.emap[order], atol=1e-9 * scale(grid))
    np.testing.assert_allclose(
        after.emap_leave_one_out, before.emap_leave_one_out[order], atol=1e-6 * scale(grid)
    )
    np.testing.assert_allclose(
        after.sums_of_squares, before.sums_of_squares, atol=1e-9 * scale(grid) ** 2
    )


@pytest.mark.slow
@given(layouts(), st.data())
@settings(deadline=None)
def test_whole_weights_are_copies_of_examples(layout, data):
    grid, texts, images = layout
    n = len(texts)
    weights = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)))
    if weights.sum() == 0:
        weights[0] = 1
    copies = np.repeat(np.arange(n), weights)
    weighted = decompose(grid, texts, images, weights)
    copied = decompose(grid, texts[copies], images[copies])
    for name in ("emap", "emap_leave_one_out"):
        np.testing.assert_allclose(
            getattr(weighted, name)[copies], getattr(copied, name), atol=1e-6 * scale(grid)
        )


def test_class_centred_is_the_decomposition_of_the_centred_grid():
    rng = np.random.default_rng(4)
    grid = rng.normal(size=(6, 7, 4)) + 10 * rng.normal(size=(6, 7, 1))
    texts, images = rng.integers(0, 6, 20), rng.integers(0, 7, 20)
    direct = decompose(grid - grid.mean(2, keepdims=True), texts, images)
    found = decompose(grid, texts, images).class_centred()
    for name in ("logits", "emap", "emap_leave_one_out", "sums_of_squares", "variance_shares"):
        np.testing.assert_allclose(getattr(found, name), getattr(direct, name), atol=1e-9)


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("n_classes", [1, 3])
def test_sums_of_tiles_give_the_same(offset, n_classes):
    rng = np.random.default_rng(5)
    grid = rng.normal(size=(60, 70, n_classes)) + offset
    texts, images = rng.integers(0, 60, 200), rng.integers(0, 70, 200)
    direct = decompose(grid, texts, images)
    p, q = direct.row_share, direct.column_share
    text_mean, image_mean = np.zeros((60, n_classes)), np.zeros((70, n_classes))
    moments = centred = Moments.zero(n_classes)
    for rows in (slice(0, 50), slice(50, 60)):
        for columns in (slice(0, 3), slice(3, 70)):
            tile = sum_tile(grid[rows, columns], p[rows], q[columns])
            text_mean[rows] += tile[0]
            image_mean[columns] += tile[1]
            moments, centred = moments.merge(tile[2]), centred.merge(tile[3])
    found = decompose_sums(
        logits=direct.logits,
        mean=moments.mean,
        row_mean=text_mean,
        column_mean=image_mean,
        variance=moments.squares,
        centred_variance=centred.squares,
        row_index=texts,
        column_index=images,
    )
    np.testing.assert_allclose(found.emap, direct.emap, rtol=1e-13, atol=1e-12)
    np.testing.assert_allclose(found.variance_shares, direct.variance_shares, **EXACT)
    np.testing.assert_allclose(
        found.class_centred().variance_shares, direct.class_centred().variance_shares, **EXACT
    )


def test_no_variance_has_no_shares():
    assert np.isnan(decompose(np.full((4, 4), 1e6) + 0.1).variance_shares).all()


def test_single_text_leaves_nothing_to_leave_out():
    found = decompose(np.arange(3.0).reshape(1, 3), [0, 0, 0], [0, 1, 2])
    assert np.isnan(found.emap_leave_one_out).all()
    assert np.isnan(found.image_only).all()
    assert not np.isnan(found.text_only).any()


@pytest.mark.parametrize(
    ("grid", "arguments", "message"),
    [
        (np.zeros((2, 3)), {}, "must be square"),
        (np.zeros(3), {}, "expected \\(texts, images, classes\\)"),
        ([[0.0, np.nan], [0.0, 0.0]], {}, "not finite for text 0 with image 1"),
        (np.zeros((2, 3)), {"text_index": [0], "image_index": [3]}, "image_index goes from 3"),
        (np.zeros((2, 3)), {"text_index": [0]}, "both or neither"),
        (np.zeros((2, 2)), {"weights": [1.0, -1.0]}, "none negative"),
        (np.zeros((2, 2, 1)) + 1j, {}, "masked or complex"),
        (np.ma.masked_equal(np.zeros((2, 2, 1)), 0), {}, "masked or complex"),
    ],
)
def test_bad_arrays_are_named(grid, arguments, message):
    with pytest.raises(DatasetError, match=message):
        decompose(grid, **arguments)
