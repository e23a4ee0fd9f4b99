"""Attention by quadrants in every family that says where its words and its picture are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_checkpoints import TEXTS, tiny_checkpoints

from emap_core.models import load_model
from emap_core.models.attention import IMPAIRMENTS, ReachableAttention, averaged
from emap_core.models.attention_of_pairs import AttentionOfPairs
from emap_core.models.base import Scorer
from emap_core.models.huggingface.family import families_by_architecture
from emap_core.probes.averaged_attention import _without_attention

FAMILIES = (
    *("blip", "bridgetower", "decoders", "flava", "lxmert", "paligemma", "vilt", "visualbert"),
)
REACHED = [tiny for name in FAMILIES for tiny in tiny_checkpoints()[name]]


@pytest.fixture(scope="module", params=REACHED, ids=str)
def reached(request, checkpoint):
    """A small checkpoint, a family's own model of it, and what looks into its attention."""
    tiny = request.param
    model = load_model(f"hf:{checkpoint(tiny.build)[0]}", **tiny.settings)
    scorer = Scorer(model, "cpu")
    return tiny, scorer, AttentionOfPairs(scorer, TEXTS, list(tiny.images()))


def test_the_algebra_of_quadrants_holds(reached):
    tiny, scorer, pairs = reached
    assert isinstance(scorer.model, ReachableAttention)
    whole = scorer.score_pairs(
        scorer.encode_texts(TEXTS), scorer.encode_images(list(tiny.images())), 3
    )
    seen = []

    def look(weights, visible, queries, keys):
        seen.append((weights.double(), visible, queries, keys))

    np.testing.assert_allclose(pairs.scores(watch=look), whole, atol=1e-4)
    assert set(pairs.seen) == set(range(pairs.n_layers))
    for weights, visible, queries, keys in seen:

        def impaired(*names, weights=weights, about=(visible, queries, keys)):
            for name in names:
                weights = averaged(weights, about[0], about[1], about[2], IMPAIRMENTS[name])
            return weights

        both = impaired("unimodal", "crossmodal")
        for name in IMPAIRMENTS:
            once = impaired(name)
            torch.testing.assert_close(once.sum(-1), weights.sum(-1), atol=1e-6, rtol=0)
            torch.testing.assert_close(impaired(name, name), once, atol=1e-6, rtol=0)
        for order in (("crossmodal", "unimodal"), ("text", "image"), ("image", "text")):
            torch.testing.assert_close(impaired(*order), both, atol=1e-6, rtol=0)


def test_what_is_averaged_changes_what_is_said(reached):
    _, _, pairs = reached
    whole = pairs.scores()
    assert {("text", "text"), ("text", "image")} <= pairs.quadrants
    for name in IMPAIRMENTS:
        assert np.abs(pairs.scores(name) - whole).max() > 1e-6, name
    # Where all layers are impaired one by one, what each does is a part of it.
    layers = [pairs.scores("crossmodal", {layer}) for layer in range(pairs.n_layers)]
    assert any(np.abs(one - whole).max() > 1e-6 for one in layers)
    np.testing.assert_allclose(pairs.scores("crossmodal", set()), whole, atol=1e-4)


def test_the_probe_knows_beforehand_which_families_have_attention_to_reach():
    refused = {}
    for architecture, family in families_by_architecture().items():
        about = {"family": family.name, "architecture": architecture}
        why = _without_attention({"spec": "hf:somewhere", "description": about})
        reached = family.name in (name.replace("_", " ") for name in FAMILIES)
        assert (why is None) == reached, architecture
        if why is not None:
            refused[family.name] = why
    assert "compares two vectors" in refused["two towers"]
    assert set(refused) == {"clap", "text pairs", "two towers", "xclip"}
