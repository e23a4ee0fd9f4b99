"""Other papers' measures against truth tables, brute force and data that is resampled by hand."""

import itertools

import numpy as np
import pytest
import scipy

import emap_core as emap
from emap_core.inference.other_measures.known_measures import MEASURES
from emap_core.inference.other_measures.measures import (
    Measures,
    _Sample,
    measures,
    options_differ,
)
from emap_core.inference.predictions.answers import recombine, recombine_grid, recombine_sample
from emap_core.inference.resamples.population import population_of

SURE = 50.0


def measured(grid, labels, texts, images, task="multiclass", **choices):
    d = emap.decompose(grid, texts, images)
    sums = recombine(grid, d.row_share, d.column_share, task, "logits")
    choices = {"strips": lambda: [(np.arange(len(grid)), grid)], "n_resamples": 100} | choices
    return measures(d, labels, task, "logits", sums, population_of(d), **choices)


def gate(function):
    """Return a model that is sure of a function of two bits, on all four pairs of them."""
    texts, images = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    on = np.array([[function(t, v) for v in (0, 1)] for t in (0, 1)])
    return SURE * np.stack([1 - on, on], axis=-1), on[texts, images], texts, images


# Bits of text and image, of both together; InterSHAP, local and global; what shuffling costs.
GATES = {
    "and": (lambda t, v: t & v, (0.311278, 0.311278, 0.188722), (1 / 3, 1 / 3), (0.25, 0.25)),
    "or": (lambda t, v: t | v, (0.311278, 0.311278, 0.188722), (1 / 3, 1 / 3), (0.25, 0.25)),
    "xor": (lambda t, v: t ^ v, (0, 0, 1), (1, 1), (0.5, 0.5)),
    "copy": (lambda t, v: t, (1, 0, 0), (0, 0), (0.5, 0)),
}


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize("task", ["multiclass", "binary"])
def test_gates_have_the_values_of_their_truth_tables(name, task):
    function, bits, intershap, shuffled = GATES[name]
    grid, *of_examples = gate(function)
    found = measured(grid if task == "multiclass" else grid[..., 1:] - 25.0, *of_examples, task)  # type: ignore[call-arg]
    values = {name: one.value for name, one in found.values.items()}
    told = [values[f"bits_{side}"] for side in ("text", "image", "together")]
    assert told == pytest.approx(bits, abs=1e-4)
    assert values["bits_both"] == pytest.approx(sum(bits), abs=1e-4)
    assert [values[f"intershap_{k}"] for k in ("local", "global")] == pytest.approx(intershap)
    costs = [values["perceptual_text"], values["perceptual_image"]]
    assert costs == pytest.approx(shuffled)
    assert set(found.values) == set(MEASURES) and not found.missing


@pytest.fixture
def some():
    """A model of three classes on 80 examples of which texts and images repeat."""
    rng = np.random.default_rng(3)
    grid = rng.normal(size=(7, 12, 3))
    texts, images = rng.integers(0, 7, 80), rng.integers(0, 12, 80)
    texts[:7], images[:12] = np.arange(7), np.arange(12)
    labels = np.where(rng.random(80) < 0.8, grid[texts, images].argmax(-1), rng.integers(0, 3, 80))
    labels[5] = -1
    return grid, labels, texts, images


def test_shuffled_accuracy_is_that_of_random_permutations(some):
    grid, labels, texts, images = some
    found = measured(*some)
    rng = np.random.default_rng(0)
    decisions = grid.argmax(-1)
    order = rng.permuted(np.tile(np.arange(80), (20_000, 1)), axis=1)
    other = rng.permuted(np.tile(np.arange(80), (20_000, 1)), axis=1)
    for name, decided in (
        ("accuracy_images_shuffled", decisions[texts, images[order]]),
        ("accuracy_texts_shuffled", decisions[texts[order], images]),
        ("accuracy_both_shuffled", decisions[texts[order], images[other]]),
    ):
        right = (decided == labels).mean(axis=1)
        error = right.std() / np.sqrt(len(right))
        assert abs(found.values[name].value - right.mean()) < 2 * error
    accuracy = (decisions[texts, images] == labels).mean()
    lost = accuracy - found.values["accuracy_images_shuffled"].value
    assert found.values["perceptual_image"].value == pytest.approx(lost)
    assert found.values["perceptual_image_relative"].value == pytest.approx(lost / accuracy)


def test_replaced_images_are_never_the_own_one(some):
    grid, labels, texts, images = some
    decisions = grid.argmax(-1)
    right = [
        np.mean([decisions[texts[i], images[j]] == labels[i] for j in others])
        for i in range(80)
        if (others := np.flatnonzero(images != images[i])).size
    ]
    found = measured(*some).values["accuracy_images_replaced"].value
    assert found == pytest.approx(np.mean(right))


def test_intershap_and_bits_are_those_of_all_recombined_pairs(some):
    grid, _, texts, images = some
    probability = scipy.special.softmax(grid, axis=-1)
    pairs = probability[texts[:, None], images]  # every example's text with every other's image
    chosen = grid[texts, images].argmax(-1)
    each = np.arange(80)
    whole, text = pairs[each, each, chosen], pairs.mean(axis=1)[each, chosen]
    image, nothing = pairs.mean(axis=0)[each, chosen], pairs.mean(axis=(0, 1))[chosen]
    effects = np.abs([whole - text - image + nothing, text - nothing, image - nothing])
    signed = np.array([whole - text - image + nothing, text - nothing, image - nothing])
    found = {name: one.value for name, one in measured(*some).values.items()}
    assert found["intershap_local"] == pytest.approx((effects[0] / effects.sum(0)).mean(), abs=1e-5)
    means = np.abs(signed.mean(axis=1))
    assert found["intershap_global"] == pytest.approx(means[0] / means.sum(), abs=1e-5)
    answers, of_text, of_image, of_both = (
        scipy.stats.entropy(p, base=2, axis=-1).mean()
        for p in (pairs.mean(axis=(0, 1)), pairs.mean(axis=1), pairs.mean(axis=0), pairs)
    )
    assert found["bits_answers"] == pytest.approx(answers, abs=1e-5)
    assert found["bits_text"] == pytest.approx(answers - of_text, abs=1e-5)
    assert found["bits_image"] == pytest.approx(answers - of_image, abs=1e-5)
    together = of_text + of_image - answers - of_both
    assert found["bits_together"] == pytest.approx(together, abs=1e-5)


def test_shape_shares_out_the_accuracy_above_the_constant(some):
    grid, labels, texts, images = some
    d = emap.decompose(grid, texts, images)
    right = [(row.argmax(-1) == labels).mean() for row in (d.logits, d.text_only, d.image_only)]
    constant = max((labels == c).mean() for c in range(3))
    found = {name: one.value for name, one in measured(*some).values.items()}
    assert found["shape_text"] + found["shape_image"] == pytest.approx(right[0] - constant)
    expected = right[0] + constant - right[1] - right[2]
    assert found["shape_cooperation"] == pytest.approx(expected)


def test_types_share_out_the_examples(some):
    grid, labels, texts, images = some
    d = emap.decompose(grid, texts, images)
    text, image = d.text_only.argmax(-1), d.image_only.argmax(-1)
    found = {name: one.value for name, one in measured(*some).values.items()}
    assert found["mmoe_unique"] == pytest.approx((text != image).mean())
    assert found["mmoe_redundant"] == pytest.approx(((text == image) & (text == labels)).mean())
    types = ("redundant", "unique", "synergistic")
    assert sum(found[f"mmoe_{one}"] for one in types) == pytest.approx(1)


def test_a_resample_is_worth_what_its_examples_are_when_they_are_written_out(some):
    grid, labels, texts, images = some
    rng = np.random.default_rng(1)
    drawn = rng.integers(0, 80, 80)
    sample = _Sample(emap.decompose(grid, texts, images), labels, "multiclass", "logits")
    weights = np.bincount(drawn, minlength=80).astype(float)
    (again,) = sample._reweighted(lambda: [(np.arange(7), grid)], weights[None])
    found = sample.values(again, weights)
    expected = measured(grid, labels[drawn], texts[drawn], images[drawn]).values
    # One-sided answers are read anew from the grid.
    ((_, values),) = sample.one_sided(lambda: [(np.arange(7), grid)], weights[None])
    found |= {name: float(weights @ one[0] / 80) for name, one in values.items()}
    assert found.keys() >= {"shape_text", "mmoe_unique"}
    for name in expected.keys() & found.keys():
        assert found[name] == pytest.approx(expected[name].value, abs=1e-5), name


def test_strips_and_cells_come_to_the_same_as_the_whole_grid(some):
    grid, _, texts, images = some
    d = emap.decompose(grid, texts, images)
    whole = recombine(grid, d.row_share, d.column_share, "multiclass", "logits")
    strips = recombine_grid(
        ((rows, grid[rows]) for rows in (np.array([3, 0]), np.array([1, 2, 6, 5, 4]))),
        *(d.row_share, d.column_share, "multiclass", "logits", 3),
    )
    rows, columns = (side.ravel() for side in np.indices((7, 12)))
    weights = d.row_share[rows] * d.column_share[columns]
    cells = recombine_sample(
        grid[rows, columns], rows, columns, weights, (7, 12), "multiclass", "logits"
    )
    for name, expected in whole.arrays().items():
        np.testing.assert_allclose(strips.arrays()[name], expected, atol=1e-6)
        np.testing.assert_allclose(cells.arrays()[name], expected, atol=1e-6)


def test_probabilities_are_read_as_logits_are(some):
    grid, _, texts, images = some
    d = emap.decompose(grid, texts, images)
    shares = d.row_share, d.column_share, "multiclass"
    expected = recombine(grid, *shares, "logits").arrays()
    logs = scipy.special.log_softmax(grid, axis=-1)
    for space, cells in (("log_probabilities", logs), ("probabilities", np.exp(logs))):
        for name, found in recombine(cells, *shares, space).arrays().items():
            np.testing.assert_allclose(found, expected[name], atol=1e-5)


@pytest.mark.slow
def test_limits_hold_what_shuffling_costs_in_the_population():
    # The image tells the answer of a quarter of the texts: shuffling costs 3/16 of four classes.
    covered, n = 0, 60
    rng = np.random.default_rng(5)
    for _ in range(40):
        asks, shown = rng.random(n) < 0.25, rng.integers(0, 4, n)
        grid = np.zeros((n, n, 4))
        grid[np.arange(n)[:, None], np.arange(n), np.where(asks[:, None], shown, 0)] = 1.0
        found = measured(
            grid, np.where(asks, shown, 0), np.arange(n), np.arange(n), n_resamples=100, seed=n
        ).values["perceptual_image"]
        covered += found.low <= 3 / 16 <= found.high
    assert 34 <= covered <= 40


def _drawn(seed, n=60):
    """Examples of new texts and new images, whose answers need both in part."""
    rng, fixed = np.random.default_rng(seed), np.random.default_rng(99)
    text, image = rng.normal(size=(2, n, 2))
    together, of_text, of_image = fixed.normal(size=(2, 2, 3)), *fixed.normal(size=(2, 2, 3))
    grid = np.einsum("ua,abc,wb->uwc", text, together, image)
    grid += (text @ of_text)[:, None] + image @ of_image
    each = np.arange(n)
    labels = np.where(rng.random(n) < 0.8, grid[each, each].argmax(-1), rng.integers(0, 3, n))
    return grid, labels, each, each


@pytest.mark.slow
def test_limits_hold_what_one_sided_answers_come_to_in_the_population():
    names = ("shape_cooperation", "shape_text", "mmoe_unique")
    samples = []
    for seed in range(1_000, 1_250):
        grid, labels, *indices = _drawn(seed)
        sample = _Sample(emap.decompose(grid, *indices), labels, "multiclass", "logits")
        samples.append([sample.as_they_are[name].mean() for name in names])
    covered = np.zeros(len(names))
    for seed in range(40):
        found = measured(*_drawn(seed)).values
        covered += [
            found[name].low <= truth <= found[name].high
            for name, truth in zip(names, np.mean(samples, axis=0), strict=True)
        ]
    assert (covered >= 35).all(), covered


def test_what_is_missing_is_said(some):
    grid, _, texts, images = some
    without = measured(grid, None, texts, images)
    assert without.missing["shape_text"] == "the data has no labels"
    assert {"intershap_local", "bits_both"} <= set(without.values)
    d = emap.decompose(grid, texts, images)
    old = measures(
        d, some[1], "multiclass", "logits", None, population_of(d), why_not="old", n_resamples=100
    )
    assert old.missing["perceptual_text"] == old.missing["bits_text"] == "old"
    assert {name.split("_")[0] for name in old.values} == {"shape", "mmoe"}
    letters = measured(*some, options_differ=True)
    assert "letters of options" in letters.missing["perceptual_text"]
    assert Measures.from_json(letters.to_json()) == letters


def test_without_the_grid_limits_are_of_the_examples_and_bits_have_none(some):
    whole, alone = measured(*some), measured(*some, strips=None)
    assert np.isnan(alone.values["bits_text"].low) and np.isfinite(whole.values["bits_text"].low)
    assert np.isfinite(alone.values["perceptual_text"].low)
    assert "The grid was not kept" in alone.notes[0] and not whole.notes


def test_a_model_that_ignores_images_is_not_certain_to_lose_nothing_by_shuffling_them():
    grid, *of_examples = gate(lambda t, v: t)
    found = measured(grid, *of_examples).values["perceptual_image"]
    assert found.value == 0 and found.low < 0 < found.high


def test_letters_are_options_where_texts_list_them():
    texts = [f"Which colour? A) {a} B) {b}" for a, b in itertools.permutations(["red", "blue"])]
    assert options_differ(["A", "B"], texts) and options_differ(["(A)", "(B)"], texts)
    assert not options_differ(["A", "B"], ["what is it?"] * 3)
    assert not options_differ(["red", "blue"], texts)
