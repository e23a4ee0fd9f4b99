import numpy as np
import pytest
from PIL import Image
from samples import picture

from emap_core.errors import ModelError
from emap_core.probes.maskable_units import Places, Regions, Words, where

TEXTS = (
    "is there a red circle?",
    "  spaces   and\ttabs ",
    "赤い円 and more",
    "one",
    "Ça va?\nOui.",
)


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_with_all_its_words_is_the_text_itself(text):
    words = Words(text, 12)
    assert words.masked(np.ones(len(words.names), dtype=bool)) == text
    assert words.masked(np.zeros(len(words.names), dtype=bool)) == ""


def test_words_that_are_left_out_leave_the_others_in_order():
    words = Words("is there a red circle?", 12)
    assert words.names == ["is", "there", "a", "red", "circle?"]
    assert words.masked(np.array([0, 1, 0, 0, 1], dtype=bool)) == "there circle?"
    assert Words("赤い円 now", 12).names == ["赤", "い", "円", "now"]


def test_neighbours_of_a_long_text_are_one_unit():
    text = " ".join(f"w{k}" for k in range(30))
    words = Words(text, 12)
    assert len(words.names) == 12
    assert " ".join(words.names) == text
    assert words.masked(np.arange(12) < 1) == "w0 w1 w2"
    assert Words("", 12).names == []


def test_a_masked_region_has_the_filling_and_the_others_their_pixels():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (30, 50, 3), dtype=np.uint8))
    places = Places(image, 3, "mean colour", np.array([10.0, 20.0, 30.4]))
    keep = np.ones(9, dtype=bool)
    assert places.masked(keep) is image
    keep[5] = False
    masked, given = np.asarray(places.masked(keep)), np.asarray(image)
    left, top, right, lower = places.boxes[5] * [50, 30, 50, 30]
    inside = np.zeros((30, 50), dtype=bool)
    inside[round(top) : round(lower), int(np.ceil(left)) : int(np.ceil(right))] = True
    assert (masked[inside] == [10, 20, 30]).all()
    assert (masked[~inside] == given[~inside]).all()
    assert places.names[5] == "row 2, column 3"


def test_every_pixel_is_in_one_region_of_a_picture_of_any_size():
    for size in ((7, 7), (64, 64), (31, 8), (3, 5)):
        image = Image.new("L", size, 255)
        places = Places(image, 7, "mean colour", np.zeros(3))
        masked = [np.asarray(places.masked(np.arange(49) != k))[..., 0] == 0 for k in range(49)]
        assert (np.sum(masked, axis=0) == 1).all()


def test_a_blurred_region_keeps_its_mean_and_loses_its_grain():
    image = picture(0).resize((64, 64), Image.Resampling.NEAREST)
    blurred = Places(image, 2, "blur", np.zeros(3)).masked(np.zeros(4, dtype=bool))
    given, found = np.asarray(image, float), np.asarray(blurred, float)
    assert abs(given.mean() - found.mean()) < 8
    assert found.std() < 0.5 * given.std()


def test_a_masked_region_of_a_detector_has_other_features_in_its_place():
    features = np.arange(8, dtype=np.float32).reshape(4, 2)
    boxes = np.array([[0, 0, 10, 20], [10, 0, 20, 20], [0, 0, 5, 5], [5, 5, 20, 20]])
    given = {"features": features, "boxes": boxes}
    regions = Regions(given, (20, 20), np.array([-1.0, -2.0]), 9, "mean features")
    masked = regions.masked(np.array([True, False, True, True]))
    assert masked["features"].tolist() == [[0, 1], [-1, -2], [4, 5], [6, 7]]
    assert (masked["boxes"] == boxes).all()
    np.testing.assert_allclose(regions.boxes[0], [0, 0, 0.5, 1])
    grouped = Regions(given, (20, 20), np.zeros(2), 2, "zeros")
    assert grouped.names == ["region 1 to 2", "region 3 to 4"]
    np.testing.assert_allclose(grouped.boxes[1], [0, 0, 1, 1])
    with pytest.raises(ModelError, match="no boxes"):
        Regions({"features": features}, (20, 20), np.zeros(2), 9, "zeros")


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ((0, 0, 0.1, 0.1), "upper left"),
        ((0.4, 0.4, 0.6, 0.6), "centre"),
        ((0.9, 0.4, 1, 0.6), "middle right"),
        ((0.4, 0.9, 0.6, 1), "lower centre"),
        ((0, 0, 1, 1), "centre"),
    ],
)
def test_places_have_names(box, words):
    assert where(box) == words
