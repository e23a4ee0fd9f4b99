from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from tiny_checkpoints import TEXTS
from tiny_checkpoints.lxmert import lxmert, regions

from emap_core.errors import ModelError
from emap_core.models import load_model


def test_regions_are_read_from_files_as_well(checkpoint, grid_of, tmp_path):
    loaded = load_model(f"hf:{checkpoint(lxmert)[0]}", classes="red, blue, cat")
    np.savez(tmp_path / "regions.npz", **regions()[1])
    found = [regions()[0], tmp_path / "regions.npz", regions()[2]]
    np.testing.assert_array_equal(grid_of(loaded, TEXTS, found), grid_of(loaded, TEXTS, regions()))


def test_lxmert_says_what_it_reads_in_place_of_images(checkpoint):
    loaded = load_model(f"hf:{checkpoint(lxmert)[0]}")
    with pytest.raises(ModelError, match="image_inputs"):
        loaded.encode_images([Image.new("RGB", (8, 8))])
    narrow = {"features": np.zeros((2, 5)), "boxes": np.zeros((2, 4))}
    with pytest.raises(ModelError, match=r"\(2, 5\)"):
        loaded.encode_images([narrow])


def test_texts_that_are_cut_are_counted(checkpoint):
    loaded = load_model(f"hf:{checkpoint(lxmert)[0]}")
    limit = loaded._tokens.limit
    (note,) = loaded.notes(["cat " * (limit - 2), "cat " * (limit - 1), "blue"])
    assert note.startswith(f"1 of 3 different texts is longer than the {limit} tokens")
