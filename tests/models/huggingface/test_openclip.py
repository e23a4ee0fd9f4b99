"""Folders of OpenCLIP: the library's own logits, and what is refused before it is imported."""

import importlib
import json
import sys

import numpy as np
import openclip_stand_in
import pytest
import safetensors.torch
import torch
from PIL import Image
from tiny_checkpoints.words import tokenizer

import emap_core as emap
from emap_core.errors import MissingExtraError, SettingError, SpecError
from emap_core.models import load_model
from emap_core.models.base import Scorer

TEXTS = ["a cat", "two red dogs in there", "what colour is this image of the one blue dog"]
IMAGES = [
    Image.fromarray(np.random.default_rng(i).integers(0, 255, (20, 30, 3), dtype=np.uint8))
    for i in range(4)
]
SIMPLE = {"context_length": 12, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2}
CONFIG = {
    "embed_dim": 12,
    "vision_cfg": {"image_size": 16, "layers": 2, "width": 16, "head_width": 8, "patch_size": 8},
    "text_cfg": SIMPLE,
}
WITH_BIAS = {**CONFIG, "init_logit_bias": -3.0}
OWN_WORDS = {
    **CONFIG,
    "text_cfg": {
        **SIMPLE,
        "vocab_size": 40,
        "hf_tokenizer_name": "somebody/words",
        "pool_type": "last",
        "tokenizer_kwargs": {"clean": "canonicalize"},
    },
    "custom_text": True,
}


@pytest.fixture(params=["installed", "stand-in"])
def library(request, monkeypatch):
    if request.param == "installed":
        try:
            return importlib.import_module("open_clip")
        except (ImportError, RuntimeError) as error:
            pytest.skip(f"open_clip_torch cannot be imported: {error}")
    monkeypatch.setitem(sys.modules, "open_clip", openclip_stand_in.module())
    return sys.modules["open_clip"]


def described(folder, config=CONFIG):
    folder.mkdir(exist_ok=True)
    held = {"model_cfg": config, "preprocess_cfg": {"mean": [0.4] * 3, "std": [0.3] * 3}}
    (folder / "open_clip_config.json").write_text(json.dumps(held))
    tokenizer().save_pretrained(folder)
    return folder


def written(library, folder, config=CONFIG, name="open_clip_model.safetensors"):
    torch.manual_seed(0)
    model = library.create_model(f"local-dir:{described(folder, config)}").eval()
    safetensors.torch.save_model(model, folder / name)
    return model


def own_logits(library, model, folder, texts):
    numbers = library.get_tokenizer(f"local-dir:{folder}")(texts)
    settings = library.transform.PreprocessCfg(**model.visual.preprocess_cfg)
    transform = library.transform.image_transform_v2(settings, is_train=False)
    with torch.inference_mode():
        return model.get_logits(torch.stack([transform(image) for image in IMAGES]), numbers)[1]


def grid_of(model, texts=TEXTS):
    scorer = Scorer(model, "cpu")
    return scorer.score_tile(scorer.encode_texts(texts), scorer.encode_images(IMAGES), 5)


@pytest.mark.parametrize("config", [CONFIG, WITH_BIAS, OWN_WORDS], ids=["plain", "bias", "words"])
def test_the_logits_are_those_of_the_library(library, config, tmp_path):
    own = written(library, tmp_path / "one", config)
    model = load_model(f"openclip:{tmp_path / 'one'}")
    expected = own_logits(library, own, tmp_path / "one", TEXTS)
    assert expected.std() > 1e-3
    np.testing.assert_allclose(grid_of(model)[..., 0], expected, atol=1e-5)
    assert model.has_threshold == (config is WITH_BIAS)
    assert model.description["family"] == "two towers"


def test_a_template_makes_a_logit_of_each_class(library, tmp_path):
    own = written(library, tmp_path)
    model = load_model(f"openclip:{tmp_path}", template="a photo of {label}: {text}").with_classes(
        ["cat", "dog"]
    )
    grid = grid_of(model, TEXTS[:1])
    prompts = [f"a photo of {name}: {TEXTS[0]}" for name in ("cat", "dog")]
    np.testing.assert_allclose(grid[0].T, own_logits(library, own, tmp_path, prompts), atol=1e-5)


def test_texts_that_are_cut_are_told_and_the_template_stays(library, tmp_path):
    written(library, tmp_path)
    long = "cat " * 30
    model = load_model(f"openclip:{tmp_path}")
    assert model.notes([*TEXTS, long])[0].startswith("1 of 4 different texts is longer than the 12")
    prompts = load_model(f"openclip:{tmp_path}", template="{text} {label}", classes="cat,dog")
    grid = grid_of(prompts, [long])
    # The label stands at the end of the prompt: cut off, both classes would be the same.
    assert np.abs(grid[..., 0] - grid[..., 1]).max() > 1e-4


def test_a_run_is_made_from_a_folder(library, tmp_path):
    written(library, tmp_path / "model", WITH_BIAS)
    data = {"text": TEXTS, "image": IMAGES[:3], "label": ["yes", "no", "yes"]}
    run = emap.compute(
        f"openclip:{tmp_path / 'model'}", data, data_args={"task": "binary", "classes": "no,yes"}
    )
    assert run.manifest["provenance"]["model"]["description"]["checkpoint"] == "model"


def test_the_librarys_own_weights_come_before_others(library, tmp_path):
    own = written(library, tmp_path)
    safetensors.torch.save_file({"x": torch.zeros(1)}, tmp_path / "model.safetensors")
    (tmp_path / "open_clip_pytorch_model.bin").write_bytes(b"never read")
    grid = grid_of(load_model(f"openclip:{tmp_path}"))[..., 0]
    np.testing.assert_allclose(grid, own_logits(library, own, tmp_path, TEXTS), atol=1e-5)
    (tmp_path / "open_clip_model.safetensors").unlink()
    with pytest.raises(SpecError, match="cannot be loaded"):
        load_model(f"openclip:{tmp_path}")


def test_without_the_library_it_is_said_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    safetensors.torch.save_file({"x": torch.zeros(1)}, described(tmp_path) / "w.safetensors")
    with pytest.raises(MissingExtraError, match=r"open_clip_torch: pip install .*\[openclip\]"):
        load_model(f"openclip:{tmp_path}")


def test_a_folder_of_openclip_named_hf_is_led_here(tmp_path):
    with pytest.raises(SpecError, match=f"name it openclip:{described(tmp_path)}"):
        load_model(f"hf:{tmp_path}")


def test_pickled_weights_are_refused_with_the_command_that_writes_others(tmp_path):
    (described(tmp_path) / "open_clip_pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(SpecError, match=r"python -c .*open_clip\.create_model\('local-dir:"):
        load_model(f"openclip:{tmp_path}")


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        ("text_cfg", {"hf_model_name": "org/roberta"}, "is elsewhere; write a factory"),
        ("vision_cfg", {"timm_model_name": "hf-hub:org/vit"}, "is elsewhere; write a factory"),
        ("vision_cfg", {"timm_model_name": "local-dir:/etc"}, "is elsewhere; write a factory"),
        ("text_cfg", {"tokenizer_kwargs": {"bpe_path": "/etc/passwd"}}, "'bpe_path'"),
        ("text_cfg", {"tokenizer_kwargs": {"trust_remote_code": True}}, "'trust_remote_code'"),
    ],
)
def test_parts_that_lie_elsewhere_are_refused(part, changes, message, tmp_path):
    described(tmp_path, {**CONFIG, part: {**CONFIG[part], **changes}})
    with pytest.raises(SpecError, match=message):
        load_model(f"openclip:{tmp_path}")


@pytest.mark.parametrize("held", ["", "[]", "{}", '{"model_cfg": {"text_cfg": 3}}', "[" * 9999])
def test_a_configuration_that_cannot_be_read_is_told(held, tmp_path):
    (tmp_path / "open_clip_config.json").write_text(held)
    with pytest.raises(SpecError, match="is not a valid configuration"):
        load_model(f"openclip:{tmp_path}")


def test_other_folders_and_settings_are_told(library, tmp_path):
    with pytest.raises(SpecError, match=r"has no open_clip_config\.json"):
        load_model(f"openclip:{tmp_path}")
    described(tmp_path)
    with pytest.raises(SpecError, match=r"has no weights; expected open_clip_model\.safetensors"):
        load_model(f"openclip:{tmp_path}")
    written(library, tmp_path)
    with pytest.raises(SettingError, match="it takes template, classes, head"):
        load_model(f"openclip:{tmp_path}", prompt="x")
