from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from tiny_checkpoints import TEXTS
from tiny_checkpoints.visualbert import regions, visualbert

from emap_core.errors import ModelError, SettingError, SpecError
from emap_core.models import load_model


def test_regions_are_read_from_files_as_well(checkpoint, grid_of, tmp_path):
    loaded = load_model(f"hf:{checkpoint(visualbert)[0]}")
    np.savez(tmp_path / "regions.npz", **regions()[1], boxes=np.zeros((5, 4)))
    found = [regions()[0], tmp_path / "regions.npz", regions()[2]]
    np.testing.assert_array_equal(grid_of(loaded, TEXTS, found), grid_of(loaded, TEXTS, regions()))


def save(folder, **settings):
    for part in visualbert(**settings):
        part.save_pretrained(folder)


def test_visualbert_names_its_classes_where_the_checkpoint_does(checkpoint, tmp_path):
    assert load_model(f"hf:{checkpoint(visualbert)[0]}").classes is None
    assert load_model(f"hf:{checkpoint(visualbert)[0]}", classes="a,b,c").classes == ["a", "b", "c"]
    with pytest.raises(SettingError, match="3 classes"):
        load_model(f"hf:{checkpoint(visualbert)[0]}", classes="a,b")
    save(tmp_path, id2label={0: "red", 1: "blue", 2: "cat"})
    assert load_model(f"hf:{tmp_path}").classes == ["red", "blue", "cat"]


def test_visualbert_says_what_it_reads_in_place_of_images(checkpoint, tmp_path):
    loaded = load_model(f"hf:{checkpoint(visualbert)[0]}")
    with pytest.raises(
        ModelError, match=r"VisualBERT reads regions, but the data has none.*regions_column"
    ):
        loaded.encode_images([Image.new("RGB", (8, 8))])
    with pytest.raises(ModelError, match=r"\(2, 5\).*\(regions, 6\)"):
        loaded.encode_images([{"features": np.zeros((2, 5))}])
    with pytest.raises(ModelError, match=r"nowhere\.npz does not exist"):
        loaded.encode_images([str(tmp_path / "nowhere.npz")])


def test_a_visualbert_that_the_library_cannot_run_is_refused(tmp_path):
    save(tmp_path, bypass_transformer=True)
    with pytest.raises(SpecError, match="bypass_transformer"):
        load_model(f"hf:{tmp_path}")


def test_texts_that_are_cut_are_counted(checkpoint):
    loaded = load_model(f"hf:{checkpoint(visualbert)[0]}")
    (note,) = loaded.notes(["cat " * 510, "cat " * 511, "blue"])
    assert note.startswith("1 of 3 different texts is longer than the 512 tokens")
