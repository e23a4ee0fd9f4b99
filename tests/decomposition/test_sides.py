"""Grids of three and four sides against closed forms, and against fits of spelled-out layouts."""

from itertools import combinations

import numpy as np
import pytest

from emap_core import decompose
from emap_core.decomposition import Decomposition
from emap_core.decomposition.sets_of_sides import all_sets, means_of_grid
from emap_core.errors import DatasetError

NAMES = ("text", "audio", "image", "table")
SHAPE = (3, 4, 2, 3)


def made(n_sides, n_classes=2, n=17, seed=0):
    rng = np.random.default_rng(seed)
    grid = rng.normal(size=(*SHAPE[:n_sides], n_classes)) + 3.0
    index = {NAMES[k]: rng.integers(0, SHAPE[k], n) for k in range(n_sides)}
    return grid, index, rng.integers(0, 4, n) + (np.arange(n) == 0)


def shares_of(index, shape, weights):
    each = weights / weights.sum()
    return [np.bincount(i, each, k) for i, k in zip(index.values(), shape, strict=False)]


def spelled_out(shape, order):
    """Return every cell's indicators of the items of each set of up to `order` sides."""
    cells = np.stack(np.unravel_index(np.arange(np.prod(shape)), shape))
    columns = [np.ones((cells.shape[1], 1))]
    for some in combinations(range(len(shape)), order):
        number = np.ravel_multi_index(cells[list(some)], [shape[k] for k in some])
        columns.append(np.eye(np.prod([shape[k] for k in some]))[number])
    return np.hstack(columns)


def least_squares(grid, index, shape, shares, order):
    """Return the fit of an order at each example, with and without the example's own cell."""
    flat, design = grid.reshape(-1, grid.shape[-1]), spelled_out(shape, order)
    weights = shares[0]
    for share in shares[1:]:
        weights = np.multiply.outer(weights, share)
    root = np.sqrt(weights.ravel())
    own = np.ravel_multi_index(tuple(index.values()), shape)
    fit = design @ np.linalg.pinv(root[:, None] * design) @ (root[:, None] * flat)
    left_out = []
    for cell in own:
        rest = root.copy()
        rest[cell] = 0.0
        coefficients = np.linalg.pinv(rest[:, None] * design) @ (rest[:, None] * flat)
        left_out.append(design[cell] @ coefficients)
    return fit[own], np.array(left_out)


@pytest.mark.parametrize("n_sides", [2, 3, 4])
def test_projections_of_every_order_are_least_squares_fits(n_sides):
    grid, index, weights = made(n_sides, n=7)
    shape = SHAPE[:n_sides]
    found = decompose(grid, weights=weights, index=index)
    shares = shares_of(index, shape, weights)
    # An example of weight 0 may use an item that no other does, and then has no fit.
    scored = np.flatnonzero(weights)
    for order in range(1, n_sides):
        plain, left_out = least_squares(grid, index, shape, shares, order)
        np.testing.assert_allclose(found.projection(order)[scored], plain[scored], atol=1e-10)
        own = found.own_weights(found.index, order)
        linked = scored[own[scored] < 1 - 1e-9]
        np.testing.assert_allclose(
            found.projection(order, leave_one_out=True)[linked], left_out[linked], atol=1e-9
        )
    np.testing.assert_array_equal(found.emap, found.projection(1))
    np.testing.assert_allclose(found.projection(n_sides), found.logits, atol=1e-12)


@pytest.mark.parametrize(
    ("n_sides", "order", "kept"),
    [(3, 2, (0,)), (3, 2, (1, 2)), (3, 1, (2,)), (4, 2, (0,)), (4, 3, (0, 2)), (4, 2, (1, 3))],
)
def test_own_items_are_left_out_of_some_sides_alone(n_sides, order, kept):
    grid, index, weights = made(n_sides, n=7)
    found = decompose(grid, weights=weights, index=index)
    shares = shares_of(index, SHAPE, weights)
    drawn = [k for k in range(n_sides) if k not in kept]
    names, shape = list(index), [SHAPE[k] for k in drawn]
    expected = np.zeros((7, 2))
    for size in range(order + 1):
        for some in combinations(kept, size):
            # What the kept sides of a set add together, as a function of the others.
            part = grid
            for k in kept:
                mean = np.apply_along_axis(lambda v, k=k: shares[k] @ v, k, part)
                mean = np.broadcast_to(np.expand_dims(mean, k), part.shape)
                part = part - mean if k in some else mean
            for i in range(7):
                at = tuple(index[names[k]][i] if k in kept else slice(None) for k in range(n_sides))
                own = {names[k]: index[names[k]][i : i + 1] for k in drawn}
                if order - size >= len(drawn):
                    expected[i] += part[at][tuple(v[0] for v in own.values())]
                    continue
                layout = spelled_out_fit(part[at], own, shape, [shares[k] for k in drawn])
                expected[i] += layout(order - size)
    given = found.projection(order, leave_one_out=[names[k] for k in drawn])
    linked = np.isfinite(given).all(axis=1) & (weights > 0)
    assert linked.sum() >= 4
    np.testing.assert_allclose(given[linked], expected[linked], atol=1e-9)


def spelled_out_fit(part, own, shape, shares):
    def of_order(order):
        if order == 0:
            every = shares[0].copy()
            for share in shares[1:]:
                every = np.multiply.outer(every, share)
            every[tuple(v[0] for v in own.values())] = 0.0
            left = every.sum()
            return np.tensordot(every, part, every.ndim) / left if left > 0 else np.nan
        return least_squares(part, own, shape, shares, order)[1][0]

    return of_order


def test_left_out_on_all_sides_or_none_are_the_two_usual_projections():
    grid, index, weights = made(4)
    found = decompose(grid, weights=weights, index=index)
    for order in (1, 2, 3):
        for given, same in ((found.sides, True), ((), False)):
            np.testing.assert_allclose(
                found.projection(order, leave_one_out=given),
                found.projection(order, leave_one_out=same),
                atol=1e-10,
            )


@pytest.mark.parametrize("n_sides", [2, 3, 4])
def test_one_sided_rows_average_over_all_cells_but_the_own(n_sides):
    grid, index, weights = made(n_sides)
    found = decompose(grid, weights=weights, index=index)
    shares = shares_of(index, SHAPE, weights)
    for m, name in enumerate(index):
        others = [share for k, share in enumerate(shares) if k != m]
        of_others = others[0]
        for share in others[1:]:
            of_others = np.multiply.outer(of_others, share)
        for i in range(len(weights)):
            cells = np.moveaxis(grid, m, 0)[index[name][i]]
            rest = of_others.copy()
            rest[tuple(v[i] for k, v in enumerate(index.values()) if k != m)] = 0.0
            expected = np.tensordot(rest, cells, rest.ndim) / rest.sum()
            np.testing.assert_allclose(found.only(name)[i], expected, atol=1e-10)


@pytest.mark.parametrize("n_sides", [3, 4])
def test_contributions_sum_to_the_model_and_shares_to_one(n_sides):
    grid, index, weights = made(n_sides)
    found = decompose(grid, weights=weights, index=index)
    sets = all_sets(tuple(index))
    parts = {some: found.contribution(*some) for some in sets}
    np.testing.assert_allclose(found.mean + sum(parts.values()), found.logits, atol=1e-12)
    for order in range(1, n_sides + 1):
        expected = found.mean + sum(part for some, part in parts.items() if len(some) <= order)
        np.testing.assert_allclose(found.projection(order), expected, atol=1e-12)
    np.testing.assert_allclose(found.variance_shares.sum(axis=0), 1.0)
    assert found.variance_shares.shape == (n_sides + 1, 2)
    np.testing.assert_allclose(sum(found.terms.values()), 1.0)
    np.testing.assert_allclose(found.order_shares.sum(axis=0), 1.0)
    for name in index:
        np.testing.assert_array_equal(found.contribution(name), found.effects[name])


@pytest.mark.parametrize("n_sides", [2, 3, 4])
def test_terms_of_a_product_are_products_of_variances(n_sides):
    rng = np.random.default_rng(1)
    _, index, weights = made(n_sides)
    shares = shares_of(index, SHAPE, weights)
    factors = [rng.normal(size=size) for size in SHAPE[:n_sides]]
    factors = [c - share @ c for c, share in zip(factors, shares, strict=True)]
    grid = np.ones(())
    for c in factors:
        grid = np.multiply.outer(grid, 1.0 + c)
    found = decompose(grid, weights=weights, index=index)
    variances = {name: share @ c**2 for name, share, c in zip(index, shares, factors, strict=True)}
    expected = [np.prod([variances[side] for side in some]) for some in all_sets(tuple(index))]
    np.testing.assert_allclose(found.sums_of_squares[:, 0], expected, rtol=0, atol=1e-9)
    for order in range(1, n_sides):
        at = [c[i] for c, i in zip(factors, index.values(), strict=True)]
        fitted = 1.0 + sum(
            np.prod([at[k] for k in some], axis=0)
            for size in range(1, order + 1)
            for some in combinations(range(n_sides), size)
        )
        np.testing.assert_allclose(found.projection(order)[:, 0], fitted, rtol=0, atol=1e-9)


@pytest.mark.slow
def test_sobols_g_function():
    # Sobol' (1993): the product of (|4 x − 2| + a) / (1 + a), with x uniform on the unit cube.
    n, a = 200, (0.0, 1.0, 4.5)
    x = (np.arange(n) + 0.5) / n
    one, two, three = ((np.abs(4 * x - 2) + k) / (1 + k) for k in a)
    grid = one[:, None, None] * two[:, None] * three
    found = decompose(grid, index=dict.fromkeys(("one", "two", "three"), np.arange(n)))
    assert found.variance[0] == pytest.approx(0.4603611876, abs=1e-4)
    expected = (0.72407, 0.18102, 0.02394, 0.06034, 0.00798, 0.00199, 0.00066)
    sets = [("one",), ("two",), ("three",)]
    sets += [("one", "two"), ("one", "three"), ("two", "three"), ("one", "two", "three")]
    for some, share in zip(sets, expected, strict=True):
        order = tuple(name for name in found.sides if name in some)
        assert found.terms[order][0] == pytest.approx(share, abs=2e-5)
    # On the grid itself, exactly: each factor is 1 plus a centred one.
    v = [np.var(factor) for factor in (one, two, three)]
    total = np.prod(np.add(v, 1.0)) - 1.0
    exact = [v[0], v[1], v[2], v[0] * v[1], v[0] * v[2], v[1] * v[2], v[0] * v[1] * v[2]]
    np.testing.assert_allclose(
        [found.terms[some][0] for some in all_sets(found.sides)],
        np.divide(exact, total),
        rtol=0,
        atol=1e-9,
    )


def test_parity_of_three_bits_is_of_all_three_together():
    bits = np.indices((2, 2, 2))
    index = dict(zip(("one", "two", "three"), bits.reshape(3, -1), strict=True))
    found = decompose(1.0 - 2.0 * (bits.sum(axis=0) % 2), index=index)
    assert found.order_shares[:, 0] == pytest.approx([0.0, 0.0, 1.0], abs=1e-12)
    np.testing.assert_allclose(found.projection(2), 0.0, atol=1e-12)
    np.testing.assert_allclose(found.emap, 0.0, atol=1e-12)


def test_a_side_with_one_item_leaves_the_decomposition_of_the_others():
    grid, index, weights = made(2)
    whole = decompose(grid, weights=weights, index=index)
    three = decompose(grid[:, None], weights=weights, index={
        "text": index["text"], "room": np.zeros(len(weights), int), "audio": index["audio"],
    })  # fmt: skip
    np.testing.assert_allclose(three.emap_leave_one_out, whole.emap_leave_one_out, atol=1e-12)
    np.testing.assert_allclose(three.only("text"), whole.only("text"), atol=1e-12)
    assert three.terms["room",] == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_allclose(three.terms["text", "audio"], whole.variance_shares[2])


@pytest.mark.parametrize("n_sides", [3, 4])
def test_class_centred_is_the_decomposition_of_the_centred_grid(n_sides):
    grid, index, _ = made(n_sides, n_classes=3)
    found = decompose(grid, index=index).class_centred()
    direct = decompose(grid - grid.mean(axis=-1, keepdims=True), index=index)
    np.testing.assert_allclose(found.sums_of_squares, direct.sums_of_squares, atol=1e-10)
    np.testing.assert_allclose(found.projection(2), direct.projection(2), atol=1e-10)


def test_means_alone_come_to_the_same():
    grid, index, weights = made(3)
    direct = decompose(grid, weights=weights, index=index)
    found = Decomposition.from_means(
        means_of_grid(grid, tuple(index), direct.shares),
        logits=direct.logits,
        index=index,
        shares=direct.shares,
        variance=direct.variance,
        centred_variance=direct.centred_variance,
    )
    np.testing.assert_allclose(found.sums_of_squares, direct.sums_of_squares, atol=1e-10)
    np.testing.assert_array_equal(found.projection(2), direct.projection(2))


def test_items_of_a_side_in_another_order():
    grid, index, _ = made(3)
    order = np.array([2, 0, 3, 1])
    found = decompose(grid, index=index).in_order("audio", order)
    moved = decompose(grid[:, np.argsort(order)], index=index | {"audio": order[index["audio"]]})
    np.testing.assert_allclose(found.projection(2), moved.projection(2), atol=1e-12)
    np.testing.assert_allclose(found.side_means[1], moved.side_means[1], atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"index": {"a": [0], "b": [0], "c": [2]}}, "c goes from 2 to 2; the grid has 0 to 1"),
        ({"index": {"a": [0], "b": [0], "c": [0, 1]}}, "a, b and c must have the same length"),
        ({"index": {"a": [0], "b": [0], "c": [0.5]}}, "c must hold whole numbers"),
        ({"index": {"a": [0]}}, "index has 1 sides; give at least two"),
        ({"index": {"a": [0], "b": [0], "c": [0], "d": [0]}, "grid": np.zeros((2, 2))},
         r"expected \(a, b, c, d, classes\)"),
        ({"index": {"a": [0], "b": [0], "c": [0]}, "text_index": [0]}, "only one or the other"),
        ({"index": {"a": [0], "b": [0], "c": [0]}, "grid": np.full((1, 1, 1), np.nan)},
         "not finite for a 0 with b 0 with c 0"),
    ],
)  # fmt: skip
def test_bad_arrays_are_named(arguments, message):
    with pytest.raises(DatasetError, match=message):
        decompose(arguments.pop("grid", np.zeros((2, 2, 2))), **arguments)


def test_an_unknown_side_is_named():
    grid, index, _ = made(3)
    found = decompose(grid, index=index)
    with pytest.raises(DatasetError, match="side 'smell' is unknown; expected one of 'text'"):
        found.only("smell")
    with pytest.raises(DatasetError, match="expected some of 'text', 'audio', 'image'"):
        found.contribution("text", "smell")
    with pytest.raises(DatasetError, match="order is 4; expected 1 to 3"):
        found.projection(4)
