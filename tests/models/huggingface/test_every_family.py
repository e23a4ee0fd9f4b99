"""What holds for every family; a file in tests/tiny_checkpoints adds one to these tests."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from tiny_checkpoints import TEXTS, tiny_checkpoints

from emap_core.errors import SettingError
from emap_core.models import load_model
from emap_core.models.base import Scorer
from emap_core.models.huggingface import families
from emap_core.models.huggingface.family import families_by_architecture

EVERY = [tiny for declared in tiny_checkpoints().values() for tiny in declared]
ONE_OF_EACH = [declared[0] for declared in tiny_checkpoints().values()]


def test_every_architecture_has_a_small_checkpoint(checkpoint):
    tried = {type(checkpoint(tiny.build)[1]).__name__ for tiny in EVERY}
    assert tried == set(families_by_architecture())


@pytest.mark.parametrize("tiny", EVERY, ids=str)
def test_a_checkpoint_gives_the_library_s_own_logits(tiny, checkpoint, grid_of, own_grid):
    folder, model, processor = checkpoint(tiny.build)
    images = tiny.images()
    expected = own_grid(tiny, model, processor, TEXTS, images)
    # Without an effect of both sides, anything could be right.
    assert np.ptp(expected, axis=0).max() > 1e-3
    assert np.ptp(expected, axis=1).max() > 1e-3
    loaded = load_model(f"hf:{folder}", **tiny.settings)
    np.testing.assert_allclose(grid_of(loaded, TEXTS, images), expected, atol=1e-4)
    backwards = grid_of(loaded, TEXTS[::-1], images[::-1])
    np.testing.assert_allclose(backwards[::-1, ::-1], expected, atol=1e-4)
    assert Scorer(loaded, "cpu").has_threshold == tiny.has_threshold


@pytest.mark.parametrize("tiny", ONE_OF_EACH, ids=str)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_of_16_bits_are_computed_in_float32_unless_asked(
    tiny, dtype, checkpoint, grid_of, own_grid, tmp_path
):
    whole, model, processor = checkpoint(tiny.build)
    folder = shutil.copytree(whole, tmp_path / "small")
    type(model).from_pretrained(whole, dtype=dtype).save_pretrained(folder)
    rounded = type(model).from_pretrained(folder, dtype=torch.float32).eval()
    images = tiny.images()
    expected = own_grid(tiny, rounded, processor, TEXTS, images)
    loaded = load_model(f"hf:{folder}", **tiny.settings)
    np.testing.assert_allclose(grid_of(loaded, TEXTS, images), expected, atol=1e-4)
    assert Scorer(loaded, "cpu").dtype == "float32"
    name = str(dtype).removeprefix("torch.")
    asked = load_model(f"hf:{folder}", dtype=name, **tiny.settings)
    scorer = Scorer(asked, "cpu")
    assert scorer.dtype == name
    assert scorer.fingerprint != loaded.fingerprint
    found = grid_of(asked, TEXTS, images)
    assert found.dtype == np.float32
    assert 0 < np.abs(found - expected).max() < max(0.5, 0.1 * np.abs(expected).max())


def test_another_dtype_is_refused(checkpoint):
    with pytest.raises(SettingError, match="dtype is 'int8'; expected one of float32, bfloat16"):
        load_model(f"hf:{checkpoint(ONE_OF_EACH[0].build)[0]}", dtype="int8")


ANOTHER = """
from emap_core.models.huggingface.families.two_towers import TwoTower
from emap_core.models.huggingface.family import Family

FAMILY = Family(("ChineseCLIPModel",), TwoTower)
"""


def test_a_file_adds_a_family(checkpoint, tmp_path, monkeypatch, grid_of):
    from tiny_checkpoints.words import CROPPED, TEXT, VISION, tokenizer

    def chinese_clip():
        import transformers

        config = transformers.ChineseCLIPConfig(
            text_config=TEXT, vision_config=VISION, projection_dim=12
        )
        pixels = transformers.ChineseCLIPImageProcessorPil(**CROPPED)
        words = transformers.ChineseCLIPProcessor(pixels, tokenizer())
        return transformers.ChineseCLIPModel(config), words

    folder, model, processor = checkpoint(chinese_clip)
    (tmp_path / "chinese_clip.py").write_text(ANOTHER)
    monkeypatch.setattr(families, "__path__", [*families.__path__, str(tmp_path)])
    families_by_architecture.cache_clear()
    try:
        loaded = load_model(f"hf:{folder}")
    finally:
        families_by_architecture.cache_clear()
    images = EVERY[0].images()
    grid = grid_of(loaded, TEXTS[:1], images)
    inputs = processor(text=TEXTS[:1], images=images, return_tensors="pt")
    with torch.inference_mode():
        expected = model(**inputs).logits_per_text
    np.testing.assert_allclose(grid[:, :, 0], expected, atol=1e-4)
