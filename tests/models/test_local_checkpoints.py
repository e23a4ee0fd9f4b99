"""Folders of checkpoints close at hand."""

from __future__ import annotations

from emap_core.models.local_checkpoints import checkpoints_nearby


def checkpoint(folder, weights="model.safetensors", config="config.json"):
    folder.mkdir(parents=True)
    (folder / config).write_text("{}")
    (folder / weights).write_text("")


def test_checkpoints_are_found_two_levels_down_and_no_links_or_hidden_ones(tmp_path):
    checkpoint(tmp_path / "root" / "clip")
    checkpoint(tmp_path / "root" / "org" / "llava", "model-00001-of-00002.safetensors")
    checkpoint(tmp_path / "root" / "a" / "b" / "deep")
    checkpoint(tmp_path / "root" / ".cache" / "hidden")
    checkpoint(tmp_path / "root" / "pickled", "pytorch_model.bin")
    checkpoint(tmp_path / "elsewhere")
    (tmp_path / "root" / "link").symlink_to(tmp_path / "elsewhere")
    root = tmp_path / "root"
    checkpoint(root / "open", "open_clip_model.safetensors", "open_clip_config.json")
    found = [f"hf:{root / 'clip'}", f"hf:{root / 'org' / 'llava'}", f"openclip:{root / 'open'}"]
    assert checkpoints_nearby([root]) == found
    assert checkpoints_nearby([tmp_path / "none"]) == []
    assert checkpoints_nearby([]) == []
