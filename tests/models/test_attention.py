"""Averages of quadrants of attention, on weights written down and on models of our own."""

from __future__ import annotations

import pytest
import torch
from samples import Staged, make_examples
from torch.nn import functional

import emap_core as emap
from emap_core.errors import ModelError
from emap_core.models import load_model
from emap_core.models.attention import (
    IMPAIRMENTS,
    AttentionSite,
    ImpairedAttention,
    averaged,
)
from emap_core.models.attention_of_pairs import AttentionOfPairs
from emap_core.models.base import Scorer
from emap_core.probes.averaged_attention import _without_attention

QUESTIONS = ["what shape is in the image", "is there a red circle"]


def one_row(*weights):
    return torch.tensor([[[list(weights)]]], dtype=torch.float64)


def test_a_row_is_averaged_over_the_keys_that_it_may_see():
    weights = one_row(0.1253, 0.2028, 0.3, 0.3719, 0.0)
    visible = torch.tensor([True, True, True, True, False])
    words = torch.tensor([[False, False, True, True, False]])
    query = torch.tensor([[False]])
    found = averaged(weights, visible, query, words, frozenset({("text", "text")}))
    assert found[0, 0, 0].tolist() == pytest.approx([0.16405, 0.16405, 0.3, 0.3719, 0.0])
    # A query of the image has no such quadrant.
    same = averaged(weights, visible, ~query, words, frozenset({("text", "text")}))
    assert torch.equal(same, weights)


def test_one_key_of_a_kind_leaves_nothing_to_average():
    weights, sides = one_row(0.3, 0.7), torch.tensor([[False, True]])
    visible = torch.ones(2, dtype=torch.bool)
    for quadrants in IMPAIRMENTS.values():
        found = averaged(weights, visible, torch.tensor([[False]]), sides, quadrants)
        torch.testing.assert_close(found, weights)


@pytest.mark.parametrize("masked", ["no", "bool", "float", "causal"])
def test_fused_attention_is_computed_as_the_library_does(masked):
    torch.manual_seed(0)
    query, key, value = torch.randn(2, 4, 5, 8), torch.randn(2, 2, 5, 8), torch.randn(2, 2, 5, 8)
    kept = torch.rand(2, 1, 5, 5) > 0.4
    kept[..., 0] = True
    hidden = torch.zeros(2, 1, 5, 5).masked_fill(~kept, torch.finfo(torch.float32).min)
    settings = {
        "no": {},
        "bool": {"attn_mask": kept},
        "float": {"attn_mask": hidden},
        "causal": {"is_causal": True, "scale": 0.3},
    }[masked]

    class Fused(torch.nn.Module):
        def forward(self):
            return functional.scaled_dot_product_attention(
                query, key, value, enable_gqa=True, **settings
            )

    model = Fused()
    mode = ImpairedAttention([AttentionSite(model, 0)])
    with mode.within(lambda n_keys: torch.arange(n_keys)[None] > 1):
        found = model()
    torch.testing.assert_close(found, model())
    assert mode.seen == {0: {(q, k) for q in ("text", "image") for k in ("text", "image")}}


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("self-attention", {("text", "text"), ("text", "image"), ("image", "text")}),
        ("cross-attention", {("text", "image")}),
    ],
)
def test_our_own_models_say_where_they_attend(name, there):
    model = load_model(f"demo:{name}")
    images = [make_examples().images[i] for i in range(2)]
    pairs = AttentionOfPairs(Scorer(model, "cpu"), QUESTIONS, images)
    rows = []
    whole = pairs.scores(watch=lambda weights, *about: rows.append((weights, *about)))
    expected = model(QUESTIONS, images).numpy()
    assert whole == pytest.approx(expected, abs=1e-4)
    assert there <= pairs.quadrants and pairs.n_layers == 2 == len(pairs.seen)
    for weights, visible, queries, keys in rows:
        for quadrants in IMPAIRMENTS.values():
            once = averaged(weights, visible, queries, keys, quadrants)
            again = averaged(once, visible, queries, keys, quadrants)
            torch.testing.assert_close(once.sum(-1), weights.sum(-1), atol=1e-6, rtol=0)
            torch.testing.assert_close(again, once, atol=1e-6, rtol=0)
    assert abs(pairs.scores("crossmodal") - whole).max() > 1e-3
    crossed = pairs.scores(rows=[0, 0], columns=[0, 1])
    assert crossed[0] == pytest.approx(whole[0], abs=1e-4)


def test_attention_that_cannot_be_reached_is_refused():
    with pytest.raises(ModelError, match="attention_sites and image_positions"):
        AttentionOfPairs(Scorer(Staged(), "cpu"), ["red 1"], [make_examples().images[0]])

    class Fused(Staged):
        def attention_sites(self):
            return [AttentionSite(torch.nn.Identity(), 0)]

        def image_positions(self, texts, images):
            return torch.zeros(1, 0, dtype=torch.bool)

    pairs = AttentionOfPairs(Scorer(Fused(), "cpu"), ["red 1"], [make_examples().images[0]])
    with pytest.raises(ModelError, match="eager attention"):
        pairs.scores()


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("demo:additive", "demo:additive has no attention"),
        *((f"{prefix}:one", "run as a whole") for prefix in ("hf-any", "onnx", "torchscript")),
        ("export:one", "run as a whole"),
        ("openai:http://localhost", "a server sends only answers"),
    ],
)
def test_what_runs_as_a_whole_is_told_so_before_it_is_loaded(spec, why):
    assert why in str(_without_attention({"spec": spec, "description": None}))


@pytest.mark.slow
def test_the_probe_keeps_what_it_found(tmp_path):
    few = {"limit": 40}
    run = emap.compute("demo:cross-attention", "demo:easy-vqa", data_args=few, out=tmp_path / "run")
    found = run.probe("attention", n_examples=20, n_items=4)
    # All of its attention goes from the question to the picture.
    for one, same in (("unimodal", "text"), ("crossmodal", "image")):
        assert found.impaired[one] == found.impaired[same]
    assert found.impaired["unimodal"].value == found.whole
    assert found.impaired["unimodal"].interaction_share == pytest.approx(found.interaction_share)
    assert set(found.layers) == {0, 1} and found.n_examples == 20
    assert found.chart().table["value"].tolist()[0] == found.whole
    kept = emap.load_run(run.path).probe("attention", n_examples=20, n_items=4)
    assert kept == found and "only layer 1" in str(found)
    concat = emap.compute("demo:concat", "demo:easy-vqa", data_args=few, out=tmp_path / "concat")
    with pytest.raises(emap.EmapError, match="demo:concat has no attention"):
        concat.probe("attention")
