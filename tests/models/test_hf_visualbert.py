from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from emap_core.errors import ModelError, SettingError, SpecError
from emap_core.models import load_model
from emap_core.models.base import Scorer

transformers = pytest.importorskip("transformers")

TEXTS = ["a red cat", "what is the colour of the dog", "blue", ""]
WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] a red cat what is the colour of dog blue"
HEADS = ["VisualBertForQuestionAnswering", "VisualBertForVisualReasoning"]


def regions():
    rng = np.random.default_rng(0)
    return [{"features": rng.normal(size=(n, 6))} for n in (3, 5, 1)]


def save(folder, head, **settings):
    torch.manual_seed(0)
    config = transformers.VisualBertConfig(
        vocab_size=15,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        visual_embedding_dim=6,
        num_labels=3,
        initializer_range=0.4,
        **settings,
    )
    model = getattr(transformers, head)(config).eval()
    model.save_pretrained(folder)
    words = transformers.BertTokenizer(vocab={w: i for i, w in enumerate(WORDS.split())})
    words.save_pretrained(folder)
    return folder, model, words


@pytest.fixture(scope="module", params=HEADS)
def checkpoint(request, tmp_path_factory):
    return save(tmp_path_factory.mktemp("visualbert"), request.param)


def test_visualbert_gives_the_library_s_own_logits(checkpoint, tmp_path):
    folder, model, words = checkpoint
    scorer = Scorer(load_model(f"hf:{folder}", classes="red, blue, cat"), "cpu")
    boxes = np.zeros((5, 4))
    np.savez(tmp_path / "regions.npz", **regions()[1], boxes=boxes)
    images = [regions()[0], tmp_path / "regions.npz", regions()[2]]
    expected = np.empty((len(TEXTS), 3, 3))
    for u, text in enumerate(TEXTS):
        for w, found in enumerate(regions()):
            with torch.inference_mode():
                expected[u, w] = model(
                    **words(text, return_tensors="pt"),
                    visual_embeds=torch.tensor(found["features"]).float()[None],
                ).logits[0]
    assert expected.std(axis=(0, 1)).min() > 0.05
    for order in (slice(None), slice(None, None, -1)):
        texts, shown = scorer.encode_texts(TEXTS[order]), scorer.encode_images(images[order])
        grid = scorer.score_tile(texts, shown, 5)
        np.testing.assert_allclose(grid[order, order], expected, atol=1e-4)


def test_visualbert_names_its_classes_where_the_checkpoint_does(checkpoint, tmp_path):
    assert load_model(f"hf:{checkpoint[0]}").classes is None
    assert load_model(f"hf:{checkpoint[0]}", classes="a,b,c").classes == ["a", "b", "c"]
    with pytest.raises(SettingError, match="3 classes"):
        load_model(f"hf:{checkpoint[0]}", classes="a,b")
    named, _, _ = save(tmp_path, HEADS[0], id2label={0: "red", 1: "blue", 2: "cat"})
    assert load_model(f"hf:{named}").classes == ["red", "blue", "cat"]


def test_visualbert_says_what_it_reads_in_place_of_images(checkpoint, tmp_path):
    loaded = load_model(f"hf:{checkpoint[0]}")
    with pytest.raises(
        ModelError, match=r"VisualBERT reads regions, and the data has none.*regions_column"
    ):
        loaded.encode_images([Image.new("RGB", (8, 8))])
    with pytest.raises(ModelError, match=r"\(2, 5\).*\(regions, 6\)"):
        loaded.encode_images([{"features": np.zeros((2, 5))}])
    with pytest.raises(ModelError, match=r"nowhere\.npz does not exist"):
        loaded.encode_images([str(tmp_path / "nowhere.npz")])


def test_a_visualbert_that_the_library_cannot_run_is_refused(tmp_path):
    folder, _, _ = save(tmp_path, HEADS[0], bypass_transformer=True)
    with pytest.raises(SpecError, match="bypass_transformer"):
        load_model(f"hf:{folder}")


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
    np.testing.assert_allclose(rounded, expected, atol=0.05)
    assert dtype == "float16" and np.abs(rounded - expected).max() > 0


def test_texts_that_are_cut_are_counted(checkpoint):
    loaded = load_model(f"hf:{checkpoint[0]}")
    (note,) = loaded.notes(["cat " * 510, "cat " * 511, "blue"])
    assert note.startswith("1 of 3 different texts is longer than the 512 tokens")
