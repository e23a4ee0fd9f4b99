"""A run says what it was made from, and two runs of other weights or arguments differ."""

import json
import sys

import pytest
from samples import Staged, make_examples

import emap_core as emap
from emap_core.cli import main
from emap_core.engine.provenance import provenance
from emap_core.errors import SettingError
from emap_core.presentation.run_titles import made_from, run_titles

FACTORY = """
from samples import Staged
def load(size=1, head=""):
    model = Staged()
    model.fingerprint = f"staged-{size}"
    model.description = {"weights": f"abc{size}", "folder": "/home/someone/weights.pt"}
    return model
"""


@pytest.fixture
def factory(tmp_path, monkeypatch):
    (tmp_path / "my_factory.py").write_text(FACTORY)
    monkeypatch.syspath_prepend(tmp_path)
    yield "my_factory:load"
    sys.modules.pop("my_factory", None)


def test_specs_and_arguments_stay_and_folders_of_the_machine_do_not():
    made = provenance(
        "hf:/data/checkpoints/clip",
        "csv:tables/test.csv",
        model_args={"template": "a photo of {label}", "head": "/data/head.json", "layers": [1, 2]},
        data_args={"image_root": "~/photos", "limit": 5, "windows": r"C:\data\x.csv"},
    )
    assert made["model"]["spec"] == "hf:clip"
    assert made["model"]["arguments"] == {
        "template": "a photo of {label}",
        "head": "head.json",
        "layers": [1, 2],
    }
    assert made["data"]["spec"] == "csv:tables/test.csv"
    assert made["data"]["arguments"] == {"image_root": "photos", "limit": 5, "windows": "x.csv"}
    assert "/data" not in json.dumps(made)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("csv:file:///srv/secret/t.csv", "csv:file:t.csv"),
        ("csv:FILE://host/srv/secret/t.csv", "csv:FILE:t.csv"),
        ("file:///srv/secret/t.csv", "file:t.csv"),
        ("webdataset:here-*.tar::/srv/secret/{0..3}.tar", "webdataset:here-*.tar::{0..3}.tar"),
        ("hf:org/model@main", "hf:org/model@main"),
    ],
)
def test_no_way_of_writing_a_path_leaves_its_folders(given, kept):
    made = provenance(given, given, model_args={"head": given})
    assert made["model"]["spec"] == made["data"]["spec"] == kept
    assert "secret" not in json.dumps([made["model"]["spec"], made["data"]["spec"]])


def test_an_object_is_named_by_its_type():
    assert provenance(Staged(), make_examples())["model"]["spec"] == "samples.Staged, an object"


def test_two_runs_of_other_weights_can_be_told_apart(factory, tmp_path):
    runs = [
        emap.compute(
            factory, make_examples(), out=tmp_path / f"run{size}", model_args={"size": size}
        )
        for size in (1, 2)
    ]
    labels = run_titles({run.id: run.manifest for run in runs})
    title = "my_factory-load on examples"
    assert list(labels.values()) == [f"size=1 · {title}", f"size=2 · {title}"]
    made = made_from(runs[1].manifest)
    assert made["Model"] == "my_factory:load (size=2)"
    assert made["Model, weights"] == "abc2"
    assert made["Model, folder"] == "weights.pt"
    assert runs[1].record()["provenance"]["model"]["arguments"] == {"size": 2}


@pytest.mark.slow
def test_a_name_is_shown_and_can_be_given_to_a_finished_run(factory, tmp_path, capsys):
    data = "demo:easy-vqa"
    command = ["run", "--model=demo:concat", f"--data={data}", "--limit=40"]
    out = [f"--out={tmp_path / 'run'}", "--progress=none"]
    assert main([*command, *out]) == 0
    before = emap.Run.load(tmp_path / "run")
    assert before.manifest["name"] is None
    assert main([*command, *out, "--name= late fusion, seed 0 "]) == 0
    said = capsys.readouterr().out
    assert "Name: late fusion, seed 0" in said
    assert "Data: demo:easy-vqa (limit=40" in said
    after = emap.Run.load(tmp_path / "run")
    assert after.manifest["created"] == before.manifest["created"]
    # Without a name the run keeps the one that it has.
    assert main([*command, *out]) == 0
    assert emap.Run.load(tmp_path / "run").record()["name"] == "late fusion, seed 0"
    assert main(["check", str(tmp_path / "run")]) == 0


@pytest.mark.parametrize("name", ["x" * 121, "one\ntwo", "a‮b"])
def test_a_name_that_cannot_be_read_in_a_list_is_refused_before_the_run(name, tmp_path):
    with pytest.raises(SettingError, match="name has"):
        emap.compute(Staged(), make_examples(), out=tmp_path / "run", name=name)
    assert not (tmp_path / "run").exists()
