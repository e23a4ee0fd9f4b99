"""Folders of checkpoints close at hand."""

from __future__ import annotations

from emap_core.models.nearby import checkpoint_folders


def checkpoint(folder, weights="model.safetensors"):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
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
    assert checkpoint_folders([root]) == [str(root / "clip"), str(root / "org" / "llava")]
    assert checkpoint_folders([tmp_path / "none"]) == []
    assert checkpoint_folders([]) == []
