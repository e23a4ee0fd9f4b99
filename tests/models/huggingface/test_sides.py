"""Pairs of texts, and sounds with texts, from one command each, against the library's forward."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from tiny_checkpoints import TEXTS, clap, text_pairs, xclip

import emap_core as emap
from emap_core import cli
from emap_core.modalities import Side
from emap_core.models import load_model
from emap_core.runs import Run


@pytest.fixture
def run_of(tmp_path, monkeypatch):
    """Run one command on a table with every pair of some items, and give the run."""

    def run(folder, table, *flags):
        table.to_csv(tmp_path / "data.csv", index=False)
        asked = ["run", "--model", f"hf:{folder}", "--data", f"csv:{tmp_path / 'data.csv'}"]
        out = ["--out", str(tmp_path / "run"), "--progress", "none", "--device", "cpu"]
        code = cli.main([*asked, *flags, *out])
        return Run.load(tmp_path / "run") if code == 0 else None

    return run


def test_premises_and_hypotheses_run_with_one_command(checkpoint, run_of, own_grid):
    tiny = text_pairs.TINY[0]
    folder, model, processor = checkpoint(tiny.build)
    expected = own_grid(tiny, model, processor, TEXTS, text_pairs.SECOND)
    pairs = [(a, b) for a in range(3) for b in range(3)]
    table = pd.DataFrame(
        {
            "premise": [TEXTS[a] for a, _ in pairs],
            "hypothesis": [text_pairs.SECOND[b] for _, b in pairs],
            "label": [("entails", "neutral", "contradicts")[(a + b) % 3] for a, b in pairs],
        }
    )
    run = run_of(folder, table, "--side", "premise=premise", "--side", "hypothesis=hypothesis")
    assert run.sides == (Side("premise", "text"), Side("hypothesis", "text"))
    assert run.classes == ["entails", "neutral", "contradicts"]
    np.testing.assert_allclose(run.grid.load(), expected, atol=1e-4)
    np.testing.assert_allclose(run.decomposition.logits.reshape(3, 3, 3), expected, atol=1e-4)


def test_sounds_and_captions_run_with_one_command_in_either_order(
    checkpoint, run_of, own_grid, tmp_path
):
    tiny = clap.TINY[0]
    folder, model, processor = checkpoint(tiny.build)
    sounds = clap.sounds()
    for k, sound in enumerate(sounds):
        (tmp_path / f"{k}.wav").write_bytes(sound.wav())
    expected = own_grid(tiny, model, processor, TEXTS, sounds)[:, :, 0]
    pairs = [(a, b) for a in range(3) for b in range(3)]
    table = pd.DataFrame(
        {
            "audio": [f"{b}.wav" for _, b in pairs],
            "caption": [TEXTS[a] for a, _ in pairs],
            "label": [int(a == b) for a, b in pairs],
        }
    )
    # A table names the sound first; the model reads the text first.
    flags = ("--side", "sound=audio", "--side", "caption=caption", "--data-arg", "task=binary")
    run = run_of(folder, table, *flags)
    assert run.sides == (Side("caption", "text"), Side("sound", "audio"))
    # 16 bits of a WAV file tell a sound to four digits.
    found = run.decomposition.logits.reshape(3, 3)
    np.testing.assert_allclose(found, expected, atol=2e-2 * np.abs(expected).max())
    assert run.content(1, 0)[:4] == b"RIFF"


def test_questions_and_videos_run_on_an_x_clip_checkpoint(checkpoint, own_grid, tmp_path):
    tiny = xclip.TINY[0]
    folder, model, processor = checkpoint(tiny.build)
    clips = xclip.clips()
    expected = own_grid(tiny, model, processor, TEXTS, clips)[:, :, 0]
    pairs = [(a, b) for a in range(3) for b in range(3)]
    data = {
        "sides": {
            "video": [clips[b].frames for _, b in pairs],
            "question": [TEXTS[a] for a, _ in pairs],
        },
        "labels": [int(a == b) for a, b in pairs],
        "task": "binary",
    }
    run = emap.compute(f"hf:{folder}", data, out=tmp_path / "run", device="cpu")
    assert run.sides == (Side("question", "text"), Side("video", "video"))
    np.testing.assert_allclose(run.decomposition.logits.reshape(3, 3), expected, atol=1e-4)
    # The text is read by what the video shows: more than a dot product of two encodings.
    assert run.decomposition.variance_shares[2, 0] > 0.01
    assert run.content(1, 0)[:3] == b"GIF"


def test_pairs_that_are_cut_are_counted(checkpoint):
    folder, _, processor = checkpoint(text_pairs.TINY[0].build)
    model = load_model(f"hf:{folder}")
    first, second = ["cat " * 20, "dog"], ["red " * 20, "blue", "a " * 11]
    lengths = [[len(processor(a, b)["input_ids"]) for b in second] for a in first]
    n_cut = int((np.array(lengths) > 32).sum())
    assert 0 < n_cut < 6
    assert model.notes(first, second) == [
        f"{n_cut} of 6 pairs are longer than the 32 tokens that the model reads, and are cut."
    ]
    with torch.inference_mode():
        assert model(first, first).shape == (2, 3)


def test_a_table_without_named_sides_says_how_to_name_them(checkpoint, run_of, capsys, tmp_path):
    folder = checkpoint(text_pairs.TINY[0].build)[0]
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    table = pd.DataFrame({"text": TEXTS, "image": ["a.png"] * 3, "label": ["entails"] * 3})
    assert run_of(folder, table) is None
    said = capsys.readouterr().err
    assert "the model reads text and text, but the data has text (text) and image (image)" in said
    assert "--side NAME=COLUMN" in said
