import io

import numpy as np
import pandas as pd
from PIL import Image

from emap_core.figures import attribution_map
from emap_core.themes import DARK

BOXES = np.array([[0, 0, 0.5, 0.5], [0.5, 0, 1, 0.5], [0, 0.5, 0.5, 1], [0.5, 0.5, 1, 1]])


def draw(**changes):
    choices = {
        "words": ["<b>red</b>", "circle"],
        "word_values": np.array([2.0, -1.0]),
        "boxes": BOXES,
        "region_values": np.array([0.5, 0.0, -2.0, 1.0]),
        "region_names": ["upper left", "upper right", "lower left", "lower right"],
        "table": pd.DataFrame({"region": ["a"]}),
        "chosen": (0, 2),
    }
    return attribution_map(**(choices | changes))


def test_heat_is_strongest_where_the_value_is_largest():
    shapes = [shape for shape in draw().figure.layout.shapes if shape.fillcolor]
    assert [shape.opacity for shape in shapes] == [0.2, 0.0, 0.8, 0.4]
    assert (shapes[2].x0, shapes[2].y0, shapes[2].x1, shapes[2].y1) == (0, 0.5, 0.5, 1)
    # Purple lowers, green raises.
    lowers, raises = (shapes[k].fillcolor for k in (2, 3))
    assert lowers != raises


def test_the_message_names_the_largest_of_both_sides():
    alt = draw(quantity="“yes”").alt
    assert "“yes”" in alt and "the largest, lower left, −2" in alt
    assert "the largest, “<b>red</b>”, +2" in alt


def test_names_from_data_are_no_markup():
    drawn = draw().figure.to_json()
    assert "<b>red" not in drawn.replace("\\u003c", "<")


def test_the_picture_keeps_its_proportions():
    written = io.BytesIO()
    Image.new("RGB", (200, 100)).save(written, "JPEG")
    figure = draw(picture=written.getvalue(), theme=DARK).figure
    assert figure.layout.yaxis.scaleratio == 0.5
    assert figure.layout.images[0].source.startswith("data:image/jpeg;base64,")


def test_without_words_there_are_regions_alone_and_the_other_way_round():
    regions = draw(words=(), word_values=np.empty(0), chosen=None).figure
    assert [trace.type for trace in regions.data] == ["scatter"]
    words = draw(region_values=np.zeros(4), chosen=None).figure
    assert [trace.type for trace in words.data] == ["bar"]


def test_the_same_data_give_the_same_figure():
    assert draw().figure.to_json() == draw().figure.to_json()
