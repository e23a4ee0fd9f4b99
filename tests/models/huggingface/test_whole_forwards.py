from __future__ import annotations

import json
import shutil
import textwrap

import numpy as np
import pytest
import torch
import transformers
from tiny_checkpoints import TEXTS, pictures
from tiny_checkpoints import without_family as tiny
from tiny_checkpoints.blip import blip
from tiny_checkpoints.decoders import ANSWERS, llava, qwen_2_plain
from tiny_checkpoints.paligemma import paligemma
from tiny_checkpoints.two_towers import siglip
from tiny_checkpoints.vilt import vilt

from emap_core.access import Policy
from emap_core.errors import AccessError, MissingExtraError, ModelError, SettingError, SpecError
from emap_core.models import load_model
from emap_core.models.base import Scorer
from emap_core.models.huggingface.family import families_by_architecture

TWO = TEXTS[:2]


def grid_of(model):
    scorer = Scorer(model, "cpu")
    return scorer.score_tile(scorer.encode_texts(TWO), scorer.encode_images(pictures()), 5)


@pytest.mark.parametrize("build", tiny.FORWARDS)
def test_a_checkpoint_without_a_family_gives_the_library_s_own_logits(build, checkpoint):
    folder, model, processor = checkpoint(build)
    assert type(model).__name__ not in families_by_architecture()
    forward = tiny.FORWARDS[build]
    expected = np.array(
        [[forward(model, processor, t, v).numpy() for v in pictures()] for t in TWO]
    )
    assert np.ptp(expected, axis=0).max() > 1e-2
    assert np.ptp(expected, axis=1).max() > 1e-2
    settings = {} if forward is tiny.compared else {"classes": ANSWERS}
    loaded = load_model(f"hf-any:{folder}", **settings)
    np.testing.assert_allclose(grid_of(loaded), expected, atol=1e-4)
    assert loaded.notes(TWO)[-1].startswith("The checkpoint has no family, so every pair goes")


@pytest.mark.parametrize("build", [llava, qwen_2_plain, siglip, vilt])
def test_a_family_and_whole_forwards_agree(build, checkpoint):
    folder = checkpoint(build)[0]
    settings = {"classes": ANSWERS} if build in (llava, qwen_2_plain) else {}
    whole = load_model(f"hf-any:{folder}", **settings)
    own = load_model(f"hf:{folder}", **settings)
    np.testing.assert_allclose(grid_of(whole), grid_of(own), atol=1e-4)
    assert whole.fingerprint != own.fingerprint
    assert whole.classes == own.classes


def test_what_a_family_would_save_is_counted(checkpoint):
    loaded = load_model(f"hf-any:{checkpoint(tiny.chinese_clip)[0]}")
    (note,) = loaded.notes(TWO)
    assert "% of a pair's operations only read the image" in note
    long = " ".join(["red"] * 60)
    assert loaded.notes([long])[0].startswith("1 of 1 different texts is longer than the 32 tokens")


def test_answers_can_be_named_later_and_divided_by_their_length(checkpoint):
    folder = checkpoint(tiny.git)[0]
    opened = load_model(f"hf-any:{folder}")
    with pytest.raises(ModelError, match="classes="):
        grid_of(opened)
    whole = grid_of(opened.with_classes(ANSWERS))
    by_length = load_model(f"hf-any:{folder}", classes=ANSWERS, normalise="length")
    np.testing.assert_allclose(grid_of(by_length), whole / [1, 3, 2], atol=1e-4)
    same = load_model(f"hf-any:{folder}", classes=["yes", "no"])
    with pytest.raises(ModelError, match="'yes' and 'no' are the same to the model's tokenizer"):
        grid_of(same)


def test_a_prompt_that_is_read_both_ways_is_refused(checkpoint):
    loaded = load_model(f"hf-any:{checkpoint(paligemma)[0]}", classes=ANSWERS)
    with pytest.raises(ModelError, match="reads its whole prompt both ways"):
        grid_of(loaded)


def named(folder, architecture):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": [architecture]}))


@pytest.mark.parametrize(
    ("architecture", "words"),
    [
        ("Blip2ForConditionalGeneration", ["for which hf: has no family", "name it hf-any:"]),
        ("OwlViTModel", ["for which hf: has no family", "write a factory", "my_model:load"]),
    ],
)
def test_a_way_out_is_named_where_there_is_one(architecture, words, checkpoint, tmp_path):
    folder = shutil.copytree(checkpoint(tiny.git)[0], tmp_path / "unknown")
    named(folder, architecture)
    with pytest.raises(SpecError) as caught:
        load_model(f"hf:{folder}")
    assert all(word in str(caught.value) for word in [architecture, *words]), caught.value


@pytest.mark.parametrize(
    "architecture",
    [
        "LayoutLMForQuestionAnswering",
        "ViltForImagesAndTextClassification",
        "BlipForQuestionAnswering",
        "NoSuchModelForAnything",
    ],
)
def test_what_cannot_be_scored_whole_is_one_line(architecture, checkpoint, tmp_path):
    folder = shutil.copytree(checkpoint(blip)[0], tmp_path / "other")
    named(folder, architecture)
    with pytest.raises(SpecError, match="does not list among models that write text") as caught:
        load_model(f"hf-any:{folder}")
    assert "\n" not in str(caught.value)


def test_a_processor_that_needs_torchvision_is_named(checkpoint, tmp_path):
    folder = shutil.copytree(checkpoint(tiny.git)[0], tmp_path / "pixtral")
    named(folder, "Mistral3ForConditionalGeneration")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "mistral3"}))
    file = folder / "processor_config.json"
    settings = json.loads(file.read_text()) | {"processor_class": "PixtralProcessor"}
    file.write_text(json.dumps(settings))
    with pytest.raises(
        MissingExtraError, match="needs another package: PixtralProcessor requires the Torch"
    ):
        load_model(f"hf-any:{folder}")


CODE = """
    from transformers import GitForCausalLM

    class Written(GitForCausalLM):
        pass
"""


def test_code_of_a_checkpoint_runs_at_somebody_s_word_alone(checkpoint, tmp_path):
    whole = checkpoint(tiny.git)[0]
    folder = shutil.copytree(whole, tmp_path / "with_code")
    (folder / "modeling_written.py").write_text(textwrap.dedent(CODE))
    named(folder, "Written")
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "modeling_written.Written"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(SpecError, match="name it hf-any:"):
        load_model(f"hf:{folder}")
    with pytest.raises(SpecError, match=r"comes with its own Python code.*custom_code"):
        load_model(f"hf-any:{folder}", classes=ANSWERS)
    loaded = load_model(f"hf-any:{folder}", classes=ANSWERS, custom_code=True)
    assert type(loaded.model).__name__ == "Written"
    expected = load_model(f"hf-any:{whole}", classes=ANSWERS)
    np.testing.assert_allclose(grid_of(loaded), grid_of(expected), atol=1e-5)
    (folder / "modeling_written.py").write_text(textwrap.dedent(CODE) + "\n# changed\n")
    again = load_model(f"hf-any:{folder}", classes=ANSWERS, custom_code=True)
    assert again.fingerprint != loaded.fingerprint


def test_a_browser_may_name_folders_and_no_code(tmp_path):
    work = (f"hf-any:{tmp_path / 'model'}", "demo:easy-vqa")
    Policy(roots=(tmp_path,)).check_work(*work, {"model_arg": ["classes=yes,no"]})
    (tmp_path / "model").mkdir()
    with pytest.raises(AccessError, match="is outside the folders"):
        Policy(roots=(tmp_path / "other",)).check_work(*work, {})
    with_code = {"model_arg": ["custom_code=true"]}
    for policy in (Policy(), Policy(roots=(tmp_path,))):
        with pytest.raises(AccessError, match="EMAP_ALLOW_CODE=1"):
            policy.check_work(*work, with_code)
    with pytest.raises(AccessError, match="only shows finished runs"):
        Policy(viewer=True, allow_code=True).check_work(*work, with_code)
    Policy(allow_code=True).check_work(*work, with_code)


def test_settings_of_whole_forwards_are_checked(checkpoint):
    folder = checkpoint(tiny.git)[0]
    with pytest.raises(SettingError, match="it takes classes, prompt, normalise"):
        load_model(f"hf-any:{folder}", template="a {label}")
    with pytest.raises(SettingError, match="'mean'"):
        load_model(f"hf-any:{folder}", normalise="mean")
    assert isinstance(load_model(f"hf-any:{folder}").model, transformers.GitForCausalLM)
    assert load_model(f"hf-any:{folder}", dtype="bfloat16").dtype == torch.bfloat16
