"""Checkpoints are asked which words meet which regions, from the command line."""

import json
from dataclasses import replace

import pytest
from tiny_checkpoints import pictures
from tiny_checkpoints.two_towers import clip
from tiny_checkpoints.vilt import vilt

from emap_core.cli import main
from emap_core.probes import attribution
from emap_core.runs import Run

TEXTS = ["a red cat", "blue dog", "red"]


@pytest.fixture
def table(tmp_path):
    for k, picture in enumerate(pictures()):
        picture.save(tmp_path / f"{k}.png")
    rows = [f"{text},{k}.png" for k, text in enumerate(TEXTS)]
    path = tmp_path / "data.csv"
    path.write_text("\n".join(["text,image", *rows]))
    return str(path)


@pytest.mark.parametrize("build", [clip, vilt])
def test_a_checkpoint_in_a_folder_is_named_again_and_asked(
    build, checkpoint, table, tmp_path, capsys, monkeypatch
):
    few = replace(attribution.COARSE, side=2, image_masks=16, again=(8, 16))
    monkeypatch.setattr(attribution, "COARSE", few)
    monkeypatch.setattr(attribution, "FINE", few)
    folder, out = checkpoint(build)[0], str(tmp_path / "run")
    named = ["--model", f"hf:{folder}", "--data", f"csv:{table}", "--device", "cpu"]
    assert main(["run", *named, "--out", out]) == 0
    asked = ["probe", out, "attribution", "--example", Run.load(out).ids[0]]
    assert main(asked) == 2
    said = capsys.readouterr().err
    assert f"cannot be loaded again as 'hf:{folder.name}'" in said
    assert "name it again: --model SPEC and --data SPEC" in said
    assert main([*asked, *named, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["words"] == TEXTS[0].split() and len(found["regions"]) == 4
    assert any(value for row in found["interactions"] for value in row)
    # What was found needs the model no more.
    assert main(asked) == 0
    assert TEXTS[0] in capsys.readouterr().out
