"""Three models of three sides: each interacts up to the order that it is built for."""

import json

import numpy as np
import pytest
import torch

import emap_core as emap
from emap_core.datasets.demo_digits import load
from emap_core.errors import ModelError
from emap_core.models.demo import FOLDER, OF_DIGITS
from emap_core.models.demo_digit_networks import ARCHITECTURES

FIGURES = json.loads((FOLDER / "figures.json").read_text())


@pytest.fixture(scope="module")
def data():
    return load("test")


@pytest.fixture(scope="module")
def results(data):
    found = {}
    for name in OF_DIGITS:
        model = emap.load_model(f"demo:{name}")
        encoded = [model.encoders[side](data.items[side]) for side in model.sides]
        # The rounding of float32 would be larger than what is asked for.
        grid = model.double().score_grid(*(one.double() for one in encoded))
        found[name] = emap.decompose(grid, index=data.index)
    return found


def right(scores, data, kind=None):
    hits = (scores[:, 0] > 0) == (np.array(data.labels) == "yes")
    return hits[np.ones(len(data), bool) if kind is None else data.columns["kind"] == kind].mean()


def test_every_architecture_is_offered():
    assert tuple(ARCHITECTURES) == OF_DIGITS


@pytest.mark.parametrize("name", OF_DIGITS)
def test_the_figures_of_the_card_are_measured_again(name, data, results):
    result, card = results[name], FIGURES[name]
    found = {
        "accuracy": right(result.logits, data),
        "emap": right(result.emap, data),
        "pairs": right(result.projection(2), data),
        "parity": right(result.logits, data, "parity"),
        "parity_pairs": right(result.projection(2), data, "parity"),
        **{f"order_{k + 1}": share for k, (share,) in enumerate(result.order_shares)},
    }
    # Another processor may turn one example of 600.
    assert found == pytest.approx({key: card[key] for key in found}, abs=0.006)


def test_the_additive_model_has_no_interactions(results):
    assert np.abs(results["digits-additive"].interaction).max() < 1e-6


def test_the_model_of_pairs_has_no_order_of_three(results):
    result = results["digits-pairs"]
    assert np.abs(result.logits - result.projection(2)).max() < 1e-6
    assert np.abs(result.interaction).max() > 1


def test_whether_a_sum_is_even_takes_all_three_sides(data, results):
    result = results["digits-joint"]
    assert right(result.logits, data) >= 0.95
    assert right(result.logits, data, "parity") >= 0.95
    # Four standard errors of 200 tosses of a coin.
    for order in (1, 2):
        assert abs(right(result.projection(order), data, "parity") - 0.5) < 0.14
    assert result.order_shares[2, 0] > 0.3
    assert right(result.projection(2), data, "order") > right(result.emap, data, "order") + 0.2


def test_all_ways_to_score_agree_and_company_makes_no_difference(data):
    for name in OF_DIGITS:
        model = emap.load_model(f"demo:{name}")
        rows = {side: items[:4] for side, items in data.sides.items()}
        encoded = [model.encoders[side](rows[side]) for side in model.sides]
        grid = model.score_grid(*encoded)
        assert grid.shape == (4, 4, 4, 1)
        own = np.arange(4)
        plain = model(*rows.values())
        np.testing.assert_allclose(grid[own, own, own], plain, atol=1e-4, rtol=1e-4)
        np.testing.assert_allclose(model.score(*encoded), plain, atol=1e-4, rtol=1e-4)
        alone = model(*([items[2]] for items in rows.values()))
        np.testing.assert_allclose(alone, plain[2:3], atol=1e-4, rtol=1e-4)


def test_each_says_what_it_reads_and_has_a_fingerprint_of_its_own(data):
    models = [emap.load_model(f"demo:{name}") for name in OF_DIGITS]
    assert len({model.fingerprint for model in models}) == 3
    for model in models:
        assert dict(zip(model.sides, model.modalities, strict=True)) == data.modalities
        assert tuple(model.encoders) == model.sides == tuple(data.items)
        assert model.classes == data.classes


def test_a_sound_of_another_rate_and_a_picture_of_another_size_are_taken(data):
    model = emap.load_model("demo:digits-joint")
    sound = data.items["spoken"][0].resampled(16_000)
    picture = data.items["written"][0].resize((100, 80)).convert("L")
    logits = model(["Is it so?", "Is the sum odd?"], [picture] * 2, [sound] * 2)
    assert logits.shape == (2, 1) and torch.isfinite(logits).all()


def test_two_sides_are_refused_in_a_line(data):
    model = emap.load_model("demo:digits-joint")
    with pytest.raises(
        ModelError, match=r"reads 3 sides \(question, written, spoken\), but was given 2"
    ):
        model(data.items["question"], data.items["written"][:6])
