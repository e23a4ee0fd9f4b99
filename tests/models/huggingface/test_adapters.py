"""LoRA adapters on a checkpoint."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_checkpoints import TEXTS, pictures
from tiny_checkpoints.decoders import ANSWERS, forward, llava
from tiny_checkpoints.two_towers import clip

from emap_core.access import Policy
from emap_core.errors import AccessError, MissingExtraError, SpecError
from emap_core.models import load_model

LORA = {
    "peft_type": "LORA",
    "base_model_name_or_path": "org/llava",
    "r": 2,
    "lora_alpha": 6,
    "target_modules": ["q_proj", "v_proj"],
    "init_lora_weights": True,
    "task_type": "CAUSAL_LM",
    "inference_mode": True,
}


def saved(folder, model, **changes):
    """Write an adapter by hand, as peft names its weights; return what it adds to each layer."""
    settings, generator = LORA | changes, torch.Generator().manual_seed(0)
    weights, added = {}, {}
    for name, layer in model.named_modules():
        if name.rpartition(".")[2] in settings["target_modules"]:
            n_out, n_in = layer.weight.shape
            a = torch.randn(settings["r"], n_in, generator=generator)
            b = torch.randn(n_out, settings["r"], generator=generator)
            weights[f"base_model.model.{name}.lora_A.weight"] = a
            weights[f"base_model.model.{name}.lora_B.weight"] = b
            added[name] = settings["lora_alpha"] / settings["r"] * b @ a
    folder.mkdir()
    save_file(weights, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    return added


def test_an_adapter_is_added_to_the_weights(checkpoint, grid_of, tmp_path):
    pytest.importorskip("peft")
    whole, _, processor = checkpoint(llava)
    model = type(checkpoint(llava)[1]).from_pretrained(whole).eval()
    added = saved(tmp_path / "adapter", model)
    assert added
    loaded = load_model(f"hf:{whole}", classes=ANSWERS, adapter=str(tmp_path / "adapter"))
    with torch.no_grad():
        for name, change in added.items():
            model.get_submodule(name).weight += change
    expected = [[forward(model, processor, t, v).numpy() for v in pictures()] for t in TEXTS]
    found = grid_of(loaded, TEXTS, pictures())
    np.testing.assert_allclose(found, expected, atol=1e-3)
    plain = load_model(f"hf:{whole}", classes=ANSWERS)
    assert np.abs(found - grid_of(plain, TEXTS, pictures())).max() > 0.1
    assert loaded.fingerprint != plain.fingerprint
    assert loaded.description["adapter"] == "adapter"
    assert loaded.description["weights"] != plain.description["weights"]


def test_an_adapter_of_another_checkpoint_is_refused(checkpoint, tmp_path):
    pytest.importorskip("peft")
    saved(tmp_path / "adapter", checkpoint(llava)[1])
    weights = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    fewer = dict(list(weights.items())[:2])
    save_file(fewer, tmp_path / "adapter" / "adapter_model.safetensors")
    with pytest.raises(SpecError, match=r"for layers that .*\(it says 'org/llava'\)"):
        load_model(f"hf:{checkpoint(llava)[0]}", adapter=str(tmp_path / "adapter"))


def test_what_an_adapter_needs_is_told_without_the_library(checkpoint, tmp_path, monkeypatch):
    whole, model, _ = checkpoint(clip)
    saved(tmp_path / "adapter", model)
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(MissingExtraError, match=r"pip install '.\[lora\]'"):
        load_model(f"hf:{whole}", adapter=str(tmp_path / "adapter"))
    with pytest.raises(SpecError, match=r"has an adapter.*hf:org/llava, with adapter='"):
        load_model(f"hf:{tmp_path / 'adapter'}")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        # What could make the library import a module by its name.
        ({"megatron_config": {"a": 1}, "megatron_core": "my_module"}, "has 'megatron_config'"),
        ({"peft_type": "IA3"}, "does not belong to a LoRA adapter"),
        ({"trainable_token_indices": [1]}, "has 'trainable_token_indices', which is not supported"),
    ],
)
def test_what_an_adapter_may_not_say_is_refused(changes, words, checkpoint, tmp_path):
    whole, model, _ = checkpoint(clip)
    saved(tmp_path / "adapter", model, **changes)
    with pytest.raises(SpecError, match=words):
        load_model(f"hf:{whole}", adapter=str(tmp_path / "adapter"))


def test_weights_in_a_pickle_and_no_adapter_at_all_are_refused(checkpoint, tmp_path):
    whole, model, _ = checkpoint(clip)
    saved(tmp_path / "adapter", model)
    file = tmp_path / "adapter" / "adapter_model.safetensors"
    file.rename(file.with_suffix(".bin"))
    with pytest.raises(
        SpecError, match=r"no adapter_model\.safetensors, and other weight files can run"
    ):
        load_model(f"hf:{whole}", adapter=str(tmp_path / "adapter"))
    shutil.rmtree(tmp_path / "adapter")
    (tmp_path / "adapter").mkdir()
    with pytest.raises(SpecError, match=r"has no adapter_config\.json"):
        load_model(f"hf:{whole}", adapter=str(tmp_path / "adapter"))


def test_a_browser_may_name_adapters_in_its_folders_alone(tmp_path):
    work = (f"hf:{tmp_path / 'model'}", "demo:easy-vqa")
    policy = Policy(roots=(tmp_path,))
    policy.check_work(*work, {"model_arg": [f"adapter={tmp_path / 'adapter'}"]})
    with pytest.raises(AccessError, match="is outside the folders"):
        policy.check_work(*work, {"model_arg": ["adapter=elsewhere"]})
