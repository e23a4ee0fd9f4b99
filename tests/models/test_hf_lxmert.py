from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from samples import save_lxmert

from emap_core.errors import ModelError
from emap_core.models import load_model
from emap_core.models.base import Scorer

pytest.importorskip("transformers")

TEXTS = ["a red cat", "what is the colour of the dog", "blue"]
WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] a red cat what is the colour of dog blue"


def regions():
    rng = np.random.default_rng(0)
    sizes = [3, 5, 3]
    return [{"features": rng.normal(size=(n, 6)), "boxes": rng.uniform(size=(n, 4))} for n in sizes]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lxmert")
    model, words = save_lxmert(folder, WORDS.split())
    return folder, model, words


def test_lxmert_gives_the_library_s_own_logits(checkpoint, tmp_path):
    folder, model, words = checkpoint
    scorer = Scorer(load_model(f"hf:{folder}", classes="red, blue, cat"), "cpu")
    np.savez(tmp_path / "regions.npz", **regions()[1])
    images = [regions()[0], tmp_path / "regions.npz", regions()[2]]
    grid = scorer.score_tile(scorer.encode_texts(TEXTS), scorer.encode_images(images), 2)
    for u, text in enumerate(TEXTS):
        for w, found in enumerate(regions()):
            with torch.inference_mode():
                expected = model(
                    **words(text, return_tensors="pt"),
                    visual_feats=torch.tensor(found["features"]).float()[None],
                    visual_pos=torch.tensor(found["boxes"]).float()[None],
                ).question_answering_score[0]
            np.testing.assert_allclose(grid[u, w], expected, atol=1e-4)


def test_lxmert_says_what_it_reads_in_place_of_images(checkpoint):
    loaded = load_model(f"hf:{checkpoint[0]}")
    with pytest.raises(ModelError, match="image_inputs"):
        loaded.encode_images([Image.new("RGB", (8, 8))])
    narrow = {"features": np.zeros((2, 5)), "boxes": np.zeros((2, 4))}
    with pytest.raises(ModelError, match=r"\(2, 5\)"):
        loaded.encode_images([narrow])


def test_weights_of_16_bits_are_computed_in_float32_unless_asked(checkpoint, tmp_path):
    folder, model, _ = checkpoint

    def grid(name, **settings):
        scorer = Scorer(load_model(f"hf:{tmp_path / name}", **settings), "cpu")
        assert scorer.has_threshold is False
        images = scorer.encode_images(regions())
        return scorer.score_tile(scorer.encode_texts(TEXTS), images, 3), scorer.dtype

    for name, dtype in (("small", torch.float16), ("large", torch.float32)):
        shutil.copytree(folder, tmp_path / name)
        small = type(model).from_pretrained(folder, dtype=torch.float16)
        small.to(dtype).save_pretrained(tmp_path / name)
    expected, _ = grid("large")
    found, dtype = grid("small")
    np.testing.assert_array_equal(found, expected)
    assert dtype == "float32"
    rounded, dtype = grid("small", dtype="float16")
    np.testing.assert_allclose(rounded, expected, atol=0.2)
    assert dtype == "float16" and np.abs(rounded - expected).max() > 0


def test_texts_that_are_cut_are_counted(checkpoint):
    loaded = load_model(f"hf:{checkpoint[0]}")
    limit = loaded._tokens.limit
    (note,) = loaded.notes(["cat " * (limit - 2), "cat " * (limit - 1), "blue"])
    assert note.startswith(f"1 of 3 different texts is longer than the {limit} tokens")
