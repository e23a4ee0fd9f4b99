from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny_checkpoints import pictures
from tiny_checkpoints.blip import blip, blip_answering
from tiny_checkpoints.bridgetower import bridge_tower
from tiny_checkpoints.flava import flava
from tiny_checkpoints.two_towers import align, alt_clip, clip, dual, forward, siglip, siglip2
from tiny_checkpoints.vilt import vilt, vilt_retrieval
from tiny_checkpoints.words import SQUARE, TEXT, VISION, tokenizer

from emap_core.errors import AccessError, EmapError, ModelError, SettingError, SpecError
from emap_core.models import encodings as trees
from emap_core.models import load_model
from emap_core.models.base import Scorer

TEXTS = ["a red cat", "what is the colour of the dog in the image", "blue", "is this not two"]


def grid_of(model, texts=TEXTS):
    scorer = Scorer(model, "cpu")
    return scorer.score_tile(scorer.encode_texts(texts), scorer.encode_images(pictures()), 5)


def own_grid(model, processor, texts):
    """Return the library's own similarities, one pair at a time, shape (texts, images, 1)."""
    return np.array([[forward(model, processor, t, v).numpy() for v in pictures()] for t in texts])


def test_no_and_yes_are_the_classes_of_a_match(checkpoint):
    for build in (blip, flava, bridge_tower):
        assert load_model(f"hf:{checkpoint(build)[0]}").classes == ["no", "yes"]
    assert load_model(f"hf:{checkpoint(vilt)[0]}").classes == ["no", "yes", "two"]
    assert load_model(f"hf:{checkpoint(clip)[0]}").classes is None


@pytest.mark.parametrize(("build", "has_threshold"), [(clip, False), (siglip2, True)])
def test_prompts_of_several_classes_are_similarities_as_well(build, has_threshold, checkpoint):
    prompts = load_model(f"hf:{checkpoint(build)[0]}", template="a {label}", classes=["cat", "dog"])
    assert Scorer(prompts, "cpu").has_threshold == has_threshold
    assert prompts.similarity


def test_the_towers_of_bridge_tower_run_once_a_text_and_image(checkpoint):
    loaded = load_model(f"hf:{checkpoint(bridge_tower)[0]}")
    tower, read = loaded.model.bridgetower, []
    for layers in (tower.text_model.encoder.layer, tower.vision_model.visual.transformer.resblocks):
        layers[-1].register_forward_hook(lambda *call: read.append(call[-1].shape))
    grid_of(loaded)
    # Images come out of the vision tower with their patches first.
    assert [read[0][0], read[1][1]] == [len(TEXTS), len(pictures())]
    assert len(read) == 2


@pytest.mark.parametrize("family", [clip, siglip])
def test_a_template_makes_a_class_of_each_label(family, checkpoint):
    folder, model, processor = checkpoint(family)
    template = "{text} is a photo of {label}"
    loaded = load_model(f"hf:{folder}", template=template, classes="cat, dog, two")
    grid = grid_of(loaded)
    assert grid.shape == (4, 3, 3)
    for number, label in enumerate(["cat", "dog", "two"]):
        prompts = [template.format(text=text, label=label) for text in TEXTS]
        expected = own_grid(model, processor, prompts)
        np.testing.assert_allclose(grid[:, :, number], expected[:, :, 0], atol=1e-4)
    assert loaded.classes == ["cat", "dog", "two"]
    opened = load_model(f"hf:{folder}", template=template)
    with pytest.raises(ModelError, match="classes="):
        opened.encode_texts(TEXTS)
    before = opened.fingerprint
    np.testing.assert_array_equal(grid_of(opened.with_classes(["cat", "dog", "two"])), grid)
    assert opened.fingerprint != before


def test_a_linear_head_reads_both_embeddings(checkpoint, tmp_path):
    folder, model, processor = checkpoint(clip)
    weight, bias = torch.randn(5, 24), torch.randn(5)
    save_file({"weight": weight, "bias": bias}, tmp_path / "head.safetensors")
    grid = grid_of(load_model(f"hf:{folder}", head=str(tmp_path / "head.safetensors")))
    for u, text in enumerate(TEXTS):
        for w, image in enumerate(pictures()):
            inputs = processor(text=text, images=image, return_tensors="pt")
            with torch.inference_mode():
                output = model(**inputs)
            both = torch.cat([output.text_embeds, output.image_embeds], dim=1)[0]
            np.testing.assert_allclose(grid[u, w], weight @ both + bias, atol=1e-4)


def test_a_hub_id_is_found_in_the_local_cache(checkpoint, tmp_path, monkeypatch):
    folder, _, _ = checkpoint(clip)
    cache = tmp_path / "models--somebody--small-clip"
    commit = "0" * 40
    shutil.copytree(folder, cache / "snapshots" / commit)
    (cache / "refs").mkdir()
    for revision in ("main", "v1"):
        (cache / "refs" / revision).write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(tmp_path))
    expected = grid_of(load_model(f"hf:{folder}"))
    for spec in ("hf:somebody/small-clip", "hf:somebody/small-clip@v1"):
        np.testing.assert_array_equal(grid_of(load_model(spec)), expected)
    description = load_model("hf:somebody/small-clip@v1").description
    assert (description["checkpoint"], description["revision"]) == ("somebody/small-clip", commit)
    # Weights lie beside the revisions that link to them.
    weights = cache / "snapshots" / commit / "model.safetensors"
    (cache / "blobs").mkdir()
    weights.rename(cache / "blobs" / "weights")
    weights.symlink_to(cache / "blobs" / "weights")
    monkeypatch.setenv("EMAP_ROOTS", str(tmp_path / "elsewhere"))
    np.testing.assert_array_equal(grid_of(load_model("hf:somebody/small-clip")), expected)
    with pytest.raises(SpecError, match="somebody/other-clip"):
        load_model("hf:somebody/other-clip")


def test_the_fingerprint_follows_weights_and_settings(checkpoint, tmp_path):
    folder, model, _ = checkpoint(clip)
    names = [
        load_model(f"hf:{folder}").fingerprint,
        load_model(f"hf:{folder}", template="a {label}", classes=["cat", "dog"]).fingerprint,
    ]
    changed = shutil.copytree(folder, tmp_path / "changed")
    with torch.no_grad():
        model.logit_scale += 1
        model.save_pretrained(changed)
        model.logit_scale -= 1
    names.append(load_model(f"hf:{changed}").fingerprint)
    assert len(set(names)) == 3
    assert load_model(f"hf:{folder}").fingerprint == names[0]


def without_processor(folder):
    for file in [*folder.glob("*processor*"), *folder.glob("tokenizer*")]:
        file.unlink()


def without_tokenizer(folder):
    for file in folder.glob("tokenizer*"):
        file.unlink()


def only_pickled(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def without_weights(folder):
    (folder / "model.safetensors").unlink()


def without_config(folder):
    (folder / "config.json").unlink()


def of_unknown_kind(folder):
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace('"CLIPModel"', '"OwlViTModel"'))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (without_processor, ["no processor", "preprocessor_config.json"]),
        (without_tokenizer, ["no tokenizer", "tokenizer.json"]),
        (only_pickled, ["pytorch_model.bin", ".safetensors"]),
        (without_weights, ["no weights", "model.safetensors"]),
        (without_config, ["not a valid checkpoint", "config.json"]),
        (of_unknown_kind, ["OwlViTModel", "has no family", "write a factory"]),
    ],
)
def test_a_folder_that_is_no_whole_checkpoint_is_refused(spoil, words, checkpoint, tmp_path):
    folder = shutil.copytree(checkpoint(clip)[0], tmp_path / "spoilt")
    spoil(folder)
    with pytest.raises(EmapError) as caught:
        load_model(f"hf:{folder}")
    message = str(caught.value)
    assert all(word in message for word in ["spoilt", *words]), message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("family", "settings", "words"),
    [
        (clip, {"template": "a photo"}, ["'a photo'", "{label}"]),
        (clip, {"head": "nowhere.safetensors"}, ["nowhere.safetensors"]),
        (clip, {"colour": "red"}, ["colour", "template, classes, head"]),
        (vilt, {"classes": "no, yes"}, ["3 classes"]),
    ],
)
def test_settings_that_do_not_fit_are_named(family, settings, words, checkpoint):
    with pytest.raises(SettingError) as caught:
        load_model(f"hf:{checkpoint(family)[0]}", **settings)
    assert all(word in str(caught.value) for word in words), caught.value


LONG = " ".join(["the red dog is not in the image"] * 9)


@pytest.mark.parametrize("family", [clip, siglip, alt_clip])
@pytest.mark.parametrize("template", ["{text} this is {label}", "{label} in {text}"])
def test_a_label_is_never_cut(family, template, checkpoint):
    folder, model, processor = checkpoint(family)
    loaded = load_model(f"hf:{folder}", template=template, classes=["cat", "two", "not a dog"])
    texts = [TEXTS[0], LONG, LONG.replace("red", "blue")]
    grid = grid_of(loaded, texts)
    limit = loaded._tokens.limit
    for number, label in enumerate(loaded.classes):
        prompts = []
        for text in texts:
            # By hand: words leave until the prompt of the longest label can be read whole.
            words = text.split()
            while 2 + len(template.format(text=" ".join(words), label="not a dog").split()) > limit:
                words.pop()
            prompts.append(template.format(text=" ".join(words), label=label))
        expected = own_grid(model, processor, prompts)
        np.testing.assert_allclose(grid[:, :, number], expected[:, :, 0], atol=1e-4)
    assert np.ptp(grid, axis=2).min() > 1e-4
    (note,) = loaded.notes(texts)
    assert note.startswith(f"2 of 3 different texts are longer than the {limit} tokens")
    assert "{label}, is kept" in note
    assert loaded.notes(TEXTS[:1]) == []


def test_a_template_that_is_too_long_for_a_class_is_refused(checkpoint):
    loaded = load_model(f"hf:{checkpoint(clip)[0]}", template="a {label}", classes=["cat", LONG])
    for read in (loaded.encode_texts, loaded.notes):
        with pytest.raises(ModelError, match=r"75 tokens without the text, but the model reads 32"):
            read(TEXTS)


# The small tokenizer of SigLIP 2 takes any text for one word.
@pytest.mark.parametrize(
    "family",
    [clip, siglip, alt_clip, align, dual, vilt, vilt_retrieval, blip_answering, bridge_tower],
)
def test_texts_that_are_cut_are_counted(family, checkpoint):
    loaded = load_model(f"hf:{checkpoint(family)[0]}")
    limit = loaded._tokens.limit
    special = loaded._tokens.count(["dog"])[0] - 1
    fits = " ".join(["dog"] * (limit - special))
    assert loaded.notes([fits, *TEXTS]) == []
    (note,) = loaded.notes([fits, f"{fits} dog", *TEXTS])
    assert note.startswith("1 of 6 different texts is longer than")
    # The library cuts behind the last place that it has.
    same = Scorer(loaded, "cpu").encode_texts([fits, f"{fits} dog", f"{fits} cat"])
    for leaf in trees.leaves(same):
        torch.testing.assert_close(leaf[1], leaf[2])
        torch.testing.assert_close(leaf[0], leaf[1])


def test_places_that_are_counted_from_behind_the_padding_are_no_places(tmp_path):
    text = {**TEXT, "model_type": "roberta", "max_position_embeddings": 20, "pad_token_id": 1}
    config = transformers.VisionTextDualEncoderConfig.from_vision_text_configs(
        transformers.ViTConfig(**VISION), transformers.RobertaConfig(**text), projection_dim=12
    )
    words = tokenizer()
    words.model_max_length = 512
    transformers.VisionTextDualEncoderModel(config).save_pretrained(tmp_path)
    transformers.VisionTextDualEncoderProcessor(
        transformers.ViTImageProcessorPil(**SQUARE), words
    ).save_pretrained(tmp_path)
    loaded = load_model(f"hf:{tmp_path}")
    assert grid_of(loaded, [LONG]).shape == (1, 3, 1)
    assert loaded.notes([LONG])[0].startswith("1 of 1 different texts is longer than the 18 tokens")


def saved_in(dtype, family, checkpoint, folder):
    """Save a checkpoint in 16 bits; return the library's own model of it in float32."""
    whole, _, _ = checkpoint(family)
    shutil.copytree(whole, folder)
    kind = type(checkpoint(family)[1])
    kind.from_pretrained(whole, dtype=dtype).save_pretrained(folder)
    return kind.from_pretrained(folder, dtype=torch.float32).eval()


def test_a_gpu_keeps_the_type_of_the_weights_and_a_processor_does_not(
    checkpoint, tmp_path, monkeypatch
):
    model = saved_in(torch.bfloat16, clip, checkpoint, tmp_path / "small")
    monkeypatch.setattr("emap_core.models.huggingface.loader.best_device", lambda: "cuda")
    loaded = load_model(f"hf:{tmp_path / 'small'}")
    assert loaded.dtype == torch.bfloat16
    before = loaded.fingerprint
    expected = own_grid(model, checkpoint(clip)[2], TEXTS)
    np.testing.assert_allclose(grid_of(loaded), expected, atol=1e-4)
    assert loaded.dtype == torch.float32
    assert loaded.fingerprint != before


def test_a_checkpoint_is_described_without_its_place(checkpoint, tmp_path):
    folder, _, _ = checkpoint(clip)
    settings = {"template": "a {label}", "classes": ["cat", "dog"]}
    loaded = load_model(f"hf:{folder}", **settings)
    description = loaded.description
    assert description["checkpoint"] == folder.name
    assert description["architecture"] == "CLIPModel"
    assert description.items() >= settings.items()
    assert str(folder.parent) not in str(description)
    moved = load_model(f"hf:{shutil.copytree(folder, tmp_path / folder.name)}", **settings)
    assert moved.description == loaded.description
    other = load_model(f"hf:{checkpoint(siglip)[0]}", **settings)
    assert other.description["weights"] != loaded.description["weights"]


def test_a_head_is_part_of_the_fingerprint(checkpoint, tmp_path, monkeypatch):
    folder, file = checkpoint(clip)[0], tmp_path / "head.safetensors"
    names = set()
    for scale in (1.0, 2.0):
        save_file({"weight": scale * torch.ones(5, 24)}, file)
        names.add(load_model(f"hf:{folder}", head=str(file)).fingerprint)
    assert len(names) == 2
    monkeypatch.setenv("EMAP_ROOTS", str(tmp_path / "elsewhere"))
    for asked in (file, tmp_path / "nothing.safetensors"):
        with pytest.raises(AccessError, match=r"head .* is outside the folders"):
            load_model(f"hf:{folder}", head=str(asked))


def in_shards(folder):
    """Split the weights into two files; return the list of which is where."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(weights)
    halves = {"one.safetensors": names[::2], "two.safetensors": names[1::2]}
    for file, keys in halves.items():
        save_file({key: weights[key] for key in keys}, folder / file, {"format": "pt"})
    where = {key: file for file, keys in halves.items() for key in keys}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": where}))
    return index, where


def test_weights_in_shards_are_read_and_each_is_in_the_fingerprint(checkpoint, tmp_path):
    whole, _, _ = checkpoint(clip)
    folder = shutil.copytree(whole, tmp_path / "shards")
    in_shards(folder)
    loaded = load_model(f"hf:{folder}")
    np.testing.assert_array_equal(grid_of(loaded), grid_of(load_model(f"hf:{whole}")))
    weights = load_file(folder / "two.safetensors")
    save_file({key: 2 * w for key, w in weights.items()}, folder / "two.safetensors")
    assert load_model(f"hf:{folder}").fingerprint != loaded.fingerprint


@pytest.mark.parametrize("place", ["{outside}/two.safetensors", "../two.safetensors", "two.bin"])
@pytest.mark.parametrize("there", [True, False])
def test_weights_that_a_list_names_elsewhere_or_as_pickles_are_refused(
    place, there, checkpoint, tmp_path
):
    folder = shutil.copytree(checkpoint(clip)[0], tmp_path / "shards")
    index, where = in_shards(folder)
    name = place.format(outside=tmp_path)
    if there:
        shutil.copy(folder / "two.safetensors", folder / name)
    weight_map = {key: name if file == "two.safetensors" else file for key, file in where.items()}
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    with pytest.raises(SpecError) as caught:
        load_model(f"hf:{folder}")
    assert "model.safetensors.index.json names the file of weights" in str(caught.value)


@pytest.mark.parametrize("name", ["two.safetensors", "tokenizer.json", "config.json"])
def test_a_link_out_of_a_checkpoint_is_followed_only_where_files_may_be_opened(
    name, checkpoint, tmp_path, monkeypatch
):
    folder = shutil.copytree(checkpoint(clip)[0], tmp_path / "models" / "shards")
    in_shards(folder)
    outside = (folder / name).rename(tmp_path / name)
    (folder / name).symlink_to(outside)
    load_model(f"hf:{folder}")
    monkeypatch.setenv("EMAP_ROOTS", str(tmp_path / "models"))
    with pytest.raises(AccessError, match="is outside the folders"):
        load_model(f"hf:{folder}")
    outside.rename(tmp_path / "models" / name)
    (folder / name).unlink()
    (folder / name).symlink_to(tmp_path / "models" / name)
    load_model(f"hf:{folder}")


def edit_tokenizer(folder, **parts):
    file = folder / "tokenizer.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | parts))


def test_a_tokenizer_that_panics_is_one_line(checkpoint, tmp_path):
    folder = shutil.copytree(checkpoint(clip)[0], tmp_path / "when-read")
    edit_tokenizer(folder, normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA"})
    with pytest.raises(SpecError, match=r"the processor of .* cannot be loaded: Precompiled"):
        load_model(f"hf:{folder}")
    folder = shutil.copytree(checkpoint(clip)[0], tmp_path / "when-used")
    edit_tokenizer(folder, pre_tokenizer={"type": "FixedLength", "length": 0})
    loaded = load_model(f"hf:{folder}")
    for read in (loaded.encode_texts, loaded.notes):
        with pytest.raises(ModelError, match="tokenizer cannot read these texts: chunk size"):
            read(TEXTS)


def test_weights_that_are_cut_off_are_one_line(checkpoint, tmp_path):
    folder = shutil.copytree(checkpoint(clip)[0], tmp_path / "torn")
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(SpecError, match=r"the weights of .*torn cannot be loaded: "):
        load_model(f"hf:{folder}")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("adapter_config.json", ["has an adapter", "hf:path/to/checkpoint", "adapter="]),
        ("open_clip_config.json", ["OpenCLIP", "name it openclip:"]),
    ],
)
def test_folders_of_other_libraries_are_told_what_to_do(name, words, tmp_path):
    (tmp_path / name).write_text("{}")
    with pytest.raises(SpecError) as caught:
        load_model(f"hf:{tmp_path}")
    assert all(word in str(caught.value) for word in words), caught.value


def test_classes_that_are_the_same_to_the_tokenizer_are_refused(checkpoint):
    settings = {"template": "a {label}", "classes": ["cat", "dog", "cat "]}
    with pytest.raises(ModelError, match="'cat' and 'cat ' are the same to the model's tokenizer"):
        load_model(f"hf:{checkpoint(clip)[0]}", **settings)
