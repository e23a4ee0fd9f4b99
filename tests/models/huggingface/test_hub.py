"""Checkpoints and data of a hub, from an empty cache to a verdict."""

from __future__ import annotations

import io
import json
import shutil
import sys

import numpy as np
import openclip_stand_in
import pandas as pd
import pytest
import safetensors.torch
from hub_server import COMMIT, OTHER, Hub, serving
from tiny_checkpoints import TEXTS, pictures
from tiny_checkpoints.two_towers import clip

import emap_core as emap
from emap_core import hub as hub_module
from emap_core.datasets import load_dataset
from emap_core.downloads import listening_to_downloads
from emap_core.errors import SpecError
from emap_core.models import load_model


def content(image):
    written = io.BytesIO()
    image.save(written, "PNG")
    return {"bytes": written.getvalue(), "path": None}


@pytest.fixture(scope="module")
def folders(checkpoint, tmp_path_factory):
    """Lay a checkpoint in shards, one in a pickle, and data of two splits onto a hub."""
    root = tmp_path_factory.mktemp("hub")
    whole, model, processor = checkpoint(clip)
    model.save_pretrained(root / "clip", max_shard_size="20KB")
    processor.save_pretrained(root / "clip")
    assert len(list((root / "clip").glob("*.safetensors"))) > 2
    shutil.copytree(whole, root / "pickled")
    (root / "pickled" / "model.safetensors").rename(root / "pickled" / "pytorch_model.bin")
    (root / "data" / "data").mkdir(parents=True)
    rows = [
        {"text": text, "image": content(image), "label": ("cat", "dog")[(i + k) % 2]}
        for i, text in enumerate(TEXTS)
        for k, image in enumerate(pictures())
    ]
    for split in ("train", "test"):
        pd.DataFrame(rows).to_parquet(root / "data" / "data" / f"{split}-00000-of-00001.parquet")
    return {
        "models/org/clip": root / "clip",
        "models/org/pickled": root / "pickled",
        "datasets/org/pets": root / "data",
    }


@pytest.fixture
def hub(folders, tmp_path, monkeypatch):
    with serving(Hub(folders)) as served:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", served.url)
        # Made of the address when the library is loaded, as HF_ENDPOINT says then.
        monkeypatch.setattr(
            "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
            served.url + "/{repo_id}/resolve/{revision}/{filename}",
        )
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(hub_module, "_commits", {})
        yield served


def test_a_run_from_an_empty_cache_has_its_revisions_and_is_that_of_the_folder(
    hub, checkpoint, tmp_path, capfd
):
    settings = {"model_args": {"template": "a photo of the {label} {text}"}}
    settings["data_args"] = {"split": "test"}
    run = emap.compute("hf:org/clip@v1", "hf:org/pets", out=tmp_path / "run", **settings)
    made = run.manifest["provenance"]
    assert made["model"]["spec"] == f"hf:org/clip@{OTHER}"
    assert made["model"]["description"]["revision"] == OTHER
    assert made["data"]["spec"] == f"hf:org/pets@{COMMIT}"
    assert str(run.verdict())
    assert "100%" in capfd.readouterr().err, "how far it is"
    here = load_dataset("hf:org/pets", split="test")
    own = emap.compute(
        f"hf:{checkpoint(clip)[0]}", here, out=tmp_path / "own", model_args=settings["model_args"]
    )
    np.testing.assert_allclose(run.decomposition.logits, own.decomposition.logits, atol=1e-5)
    # What is there is not downloaded again, and is found where the hub cannot be reached.
    hub.asked.clear()
    load_model("hf:org/clip@v1", classes="cat,dog")
    assert not hub.got(".safetensors") and not hub.got("config.json")


def test_an_adapter_of_the_hub_is_pinned_in_the_run(hub, checkpoint, tmp_path):
    peft = pytest.importorskip("peft")
    whole = checkpoint(clip)[0]
    config = peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    model = peft.get_peft_model(type(checkpoint(clip)[1]).from_pretrained(whole), config)
    model.save_pretrained(tmp_path / "lora")
    hub.folders = hub.folders | {"models/org/lora": tmp_path / "lora"}
    asked = {"adapter": "org/lora@v1", "template": "a photo of the {label} {text}"}
    here = load_dataset("hf:org/pets", split="test")
    run = emap.compute("hf:org/clip", here, out=tmp_path / "run", model_args=asked)
    made = run.manifest["provenance"]["model"]
    assert made["spec"] == f"hf:org/clip@{COMMIT}"
    assert made["description"]["adapter"] == f"org/lora@{OTHER}"
    assert made["arguments"] == asked | {"adapter": f"org/lora@{OTHER}"}


def test_two_towers_of_openclip_come_from_the_hub_too(hub, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", openclip_stand_in.module())
    config = {"embed_dim": 4, "vision_cfg": {"image_size": 8}, "text_cfg": {}}
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    towers = openclip_stand_in.Towers(config)
    safetensors.torch.save_model(towers, str(tmp_path / "open" / "open_clip_model.safetensors"))
    hub.folders = hub.folders | {"models/org/open": tmp_path / "open"}
    model = load_model("openclip:org/open@v1")
    assert model.description["checkpoint"] == "org/open"
    assert hub_module.pinned("openclip:org/open@v1", "model") == f"openclip:org/open@{OTHER}"
    with pytest.raises(SpecError, match=r"org/clip has no open_clip_config\.json.*hf:org/c"):
        load_model("openclip:org/clip")
    (tmp_path / "open" / "open_clip_model.safetensors").rename(tmp_path / "open" / "x.bin")
    hub.revisions = {"main": "c" * 40}
    with pytest.raises(SpecError, match="with hf download org/open --local-dir open, then python"):
        load_model("openclip:org/open")


def test_what_was_downloaded_is_found_without_the_hub(hub, monkeypatch):
    first = load_model("hf:org/clip", classes="cat,dog")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    hub.asked.clear()
    assert load_model("hf:org/clip", classes="cat,dog").fingerprint == first.fingerprint
    with pytest.raises(SpecError, match="has not been downloaded, and HF_HUB_OFFLINE forb"):
        load_model("hf:org/other")
    assert not hub.asked


def test_a_download_that_breaks_off_goes_on_where_it_stopped(hub, folders, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1_000)
    file = max(folders["models/org/clip"].glob("*.safetensors"), key=lambda one: one.stat().st_size)
    hub.breaks[file.name] = 5_000
    found = load_model("hf:org/clip", classes="cat,dog")
    assert hub.got(file.name) == [None, "bytes=5000-"]
    whole = load_model(f"hf:{folders['models/org/clip']}", classes="cat,dog")
    assert found.fingerprint == whole.fingerprint


def test_whoever_listens_is_told_how_many_bytes_have_come(hub, folders, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1_000)
    monkeypatch.setattr("emap_core.downloads._SECONDS_BETWEEN", 0.0)
    told = []
    with listening_to_downloads(told.append):
        load_model("hf:org/clip", classes="cat,dog")
    done = [event["done"] for event in told]
    assert len(done) > 10 and done == sorted(done)
    assert {event["what"] for event in told} == {"org/clip"}
    read = [file for file in folders["models/org/clip"].iterdir() if file.is_file()]
    assert told[-1]["done"] == told[-1]["total"] == sum(file.stat().st_size for file in read)
    with listening_to_downloads(told.append):
        load_model("hf:org/clip", classes="cat,dog")
    assert len(told) == len(done), "what is there is not downloaded again"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("org/none", "the hub has no such checkpoint, or it is private; check its name, or log in"),
        ("org/clip@v9", "the hub's checkpoint org/clip has no revision 'v9'"),
        ("a b", "the name is not a valid hub id"),
        ("org/gated", "org/gated is gated; accept its terms on its page, and log in"),
    ],
)
def test_what_the_hub_does_not_give_is_one_line(name, words, hub, folders):
    hub.folders = hub.folders | {"models/org/gated": folders["models/org/clip"]}
    hub.gated = {"models/org/gated"}
    with pytest.raises(SpecError, match=words) as caught:
        load_model(f"hf:{name}")
    assert "\n" not in str(caught.value)


def test_a_hub_that_is_not_there_is_one_line(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(SpecError, match=r"127\.0\.0\.1:9 cannot be reached; try again"):
        load_model("hf:org/clip")
    with pytest.raises(SpecError, match="cannot be reached"):
        load_dataset("hf:org/pets")


@pytest.mark.parametrize("where", ["the hub", "a folder"])
def test_weights_in_a_pickle_are_refused_with_what_to_type(where, hub, folders):
    folder = folders["models/org/pickled"]
    name = "org/pickled" if where == "the hub" else str(folder)
    with pytest.raises(SpecError, match=r"weights in pytorch_model\.bin, which can run") as caught:
        load_model(f"hf:{name}")
    command = str(caught.value).partition('python -c "')[2].removesuffix('"')
    compile(command, "command", "exec")
    assert f"t.CLIPModel.from_pretrained('{name}')" in command
    assert not hub.got("pytorch_model.bin")


def test_data_are_of_the_split_that_is_named(hub):
    with pytest.raises(emap.errors.EmapError, match="has several splits; choose split="):
        load_dataset("hf:org/pets")
    found = load_dataset("hf:org/pets@main", split="train")
    assert found.texts[:3] == [TEXTS[0]] * 3


@pytest.mark.parametrize("prefix", ["hf", "winoground", "naturalbench"])
def test_whatever_reads_a_dataset_of_the_hub_is_pinned(prefix, hub):
    load_dataset("hf:org/pets", split="test")
    assert hub_module.pinned(f"{prefix}:org/pets", "dataset") == f"{prefix}:org/pets@{COMMIT}"
    assert hub_module.pinned("csv:org/pets", "dataset") == "csv:org/pets"
