"""Where the images of a table are: a folder, a pattern of columns, several columns, addresses."""

from __future__ import annotations

import http.server
import io
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from local_server import answering
from PIL import Image

from emap_core.access import Policy
from emap_core.datasets import image_downloads, load_dataset
from emap_core.datasets.grid_cells import find_cells
from emap_core.downloads import listening_to_downloads
from emap_core.errors import AccessError, DatasetError, SettingError, SpecError
from emap_core.network_addresses import check_public

COLOURS = {7: "red", 42: "blue"}


def content(colour: str, size=(4, 4)) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", size, colour).save(written, "PNG")
    return written.getvalue()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMAP_CACHE", str(tmp_path / "cache"))
    images = tmp_path / "coco" / "val2014"
    images.mkdir(parents=True)
    for number, colour in COLOURS.items():
        (images / f"COCO_val2014_{number:012d}.jpg").write_bytes(content(colour))
    return tmp_path


def table(**columns):
    return pd.DataFrame({"question": ["what?", "who?"], "image_id": [7, 42]} | columns)


def colours(data):
    names = {(255, 0, 0): "red", (0, 0, 255): "blue", (255, 255, 255): "white"}
    return [names[image.getpixel((0, 0))] for image in data.images]


PATTERN = "val2014/COCO_val2014_{image_id:012d}.jpg"


@pytest.mark.parametrize("ids", [[7, 42], ["7", "42"], [7.0, 42.0], ["7.0", "42"]])
@pytest.mark.parametrize("kind", ["csv", "jsonl", "frame"])
def test_an_image_is_where_a_pattern_of_columns_says(ids, kind, folder):
    frame = table(image_id=ids)
    (folder / "data").mkdir()
    if kind == "csv":
        frame.to_csv("data/data.csv", index=False)
    elif kind == "jsonl":
        frame.to_json("data/data.jsonl", orient="records", lines=True)
    spec = frame if kind == "frame" else f"{kind}:data/data.{kind}"
    data = load_dataset(spec, image_root="coco", image_pattern=PATTERN)
    assert colours(data) == ["red", "blue"]
    assert data.reading.taken["image"] == PATTERN
    assert data.reading.columns == ("question", "image_id"), "those that the file has"
    (folder / "coco").rename(folder / "data" / "coco")
    if kind != "frame":
        beside = load_dataset(spec, image_root="coco", image_pattern=PATTERN)
        assert colours(beside) == ["red", "blue"]


def test_parts_of_cells_make_a_text(folder):
    frame = table(
        plot=[["a man", "a dog"], ["a cat"]], said=['["x", "y"]', "['z', 'z']"], o=[{"k": 1}] * 2
    )
    pattern = "{{{plot[0]}}} {said[1]} {question[:-1]} {o[k]}"
    data = load_dataset(frame, image_root="coco", image_pattern=PATTERN, text_pattern=pattern)
    assert data.texts == ["{a man} y what 1", "{a cat} z who 1"]


@pytest.mark.parametrize(
    ("pattern", "error", "words"),
    [
        ("{image_id", SettingError, "image_pattern is '{image_id': "),
        (
            "a.jpg",
            SettingError,
            r"which does not name a column; put one in braces, as in \{question\}",
        ),
        (
            "{id}.jpg",
            DatasetError,
            "names the column 'id', which does not exist; there are question",
        ),
        ("{image_id:999999999d}", SettingError, "expected a column and a number format"),
        ("{image_id.__class__}", DatasetError, "the column 'image_id.__class__', which does no"),
        ("{image_id!r}", SettingError, "expected a column and a number format"),
        ("{question:012d}", DatasetError, "row 1 of .*: question is 'what.', which cannot be wri"),
        ("{image_id[0]}", DatasetError, r"row 1 of .*image_id has no part \[0\]"),
        ("{empty}", DatasetError, "row 1 of .*'{empty}': there is no image; keep_empty='image'"),
        ("{several}", DatasetError, r"several is a list; take a part of it, as in \{several\[0\]"),
    ],
)
def test_a_pattern_that_does_not_fit_is_told(pattern, error, words, folder):
    with pytest.raises(error, match=words):
        load_dataset(table(empty=[None, "x"], several=[[1, 2]] * 2), image_pattern=pattern)


def test_an_image_that_is_not_there_is_told_with_what_says_where_it_is(folder):
    with pytest.raises(DatasetError, match=r"does not exist; image_root=… says in which folder"):
        load_dataset(table(), image_pattern=PATTERN)
    with pytest.raises(SpecError, match="there is no folder photos, neither here nor in"):
        load_dataset(table(), image_pattern=PATTERN, image_root="photos")
    with pytest.raises(SettingError, match="image_column and image_pattern both say where"):
        load_dataset(table(), image_pattern=PATTERN, image_column="image_id")


def test_images_of_several_columns_are_shown_beside_one_another(folder):
    for name, size in (("a", (2, 4)), ("b", (6, 2))):
        (folder / f"{name}.png").write_bytes(content("red" if name == "a" else "blue", size))
    frame = pd.DataFrame({"text": ["s", "t"], "left": ["a.png", "b.png"], "right": ["b.png"] * 2})
    data = load_dataset(frame, image_column="left,right")
    assert [image.size for image in data.images] == [(2 + 12, 4), (12, 2)]
    first = np.asarray(data.images[0])
    assert first[0, 0].tolist() == [255, 0, 0] and first[0, -1].tolist() == [0, 0, 255]
    assert find_cells(data).shape == (2, 2)
    (folder / "b.png").write_bytes(content("red", (6, 2)))
    assert load_dataset(frame, image_column="left,right").fingerprint != data.fingerprint
    frame.loc[1, "right"] = "none.png"
    with pytest.raises(DatasetError, match=r"image b\.png beside image none\.png in row 2"):
        load_dataset(frame, image_column="left,right")


def test_examples_without_text_or_image_stay_where_that_is_wanted(folder):
    frame = table(image=[str(folder / "coco/val2014/COCO_val2014_000000000007.jpg"), None])
    frame.loc[0, "question"] = ""
    for setting, words in (
        (None, "the text is empty; keep_empty='text' accepts it"),
        ("text", "there is no image; keep_empty='image' gives it a white one"),
    ):
        with pytest.raises(DatasetError, match=words):
            load_dataset(frame, keep_empty=setting)
    data = load_dataset(frame, keep_empty="both")
    assert (data.texts, colours(data)) == (["", "who?"], ["red", "white"])
    assert data.reading.told == (
        "1 of 2 examples have no text",
        "1 of 2 examples have no image and get a white one",
    )
    with pytest.raises(
        SettingError, match="keep_empty is 'all'; expected one of text, image, both"
    ):
        load_dataset(frame, keep_empty="all")


@pytest.fixture
def web():
    """Serve images, and count what is asked for."""
    asked = Counter()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked[self.path] += 1
            name = self.path.strip("/")
            if name == "moved":
                self.send_response(302)
                self.send_header("Location", "/red")
                self.end_headers()
                return
            if name == "abroad":
                self.send_response(302)
                self.send_header("Location", "file:///etc/passwd")
                self.end_headers()
                return
            answers = name in ("red", "blue", "page", "large") or asked[self.path] > 1
            self.send_response(
                200 if answers and name != "none" else 404 if name == "none" else 503
            )
            self.end_headers()
            if answers and name != "none":
                shown = {"page": b"<html>", "large": b"x" * 5_000, "busy": content("blue")}
                self.wfile.write(shown[name] if name in shown else content(name))

        def log_message(self, *_):
            pass

    with answering(Handler) as url:
        yield url, asked


def named(web, *names):
    texts = [f"product {i}" for i in range(len(names))]
    return pd.DataFrame({"title": texts, "image": [f"{web[0]}/{name}" for name in names]})


def test_images_are_fetched_once_when_that_is_asked_for(folder, web, monkeypatch):
    monkeypatch.setattr(image_downloads.time, "sleep", lambda _: None)  # type: ignore[attr-defined]
    frame = named(web, "red", "blue", "red", "busy", "moved")
    with pytest.raises(DatasetError, match=r"is the address http.*; fetch_images=True downloads"):
        load_dataset(frame)
    told = []
    with listening_to_downloads(told.append):
        data = load_dataset(frame, fetch_images=True)
    last = {"event": "download", "what": "images", "unit": "images", "done": 4, "total": 4}
    assert told[-1] == last
    assert colours(data) == ["red", "blue", "red", "blue", "red"]
    # What is busy is asked again, what is there twice is asked for once, links are followed.
    assert web[1] == {"/red": 2, "/blue": 1, "/busy": 2, "/moved": 1}
    again = load_dataset(frame, fetch_images=True)
    assert sum(web[1].values()) == 6 and again.fingerprint == data.fingerprint
    # Of a sample no more is fetched than it needs.
    names = np.array(["none"] * 9, dtype=object)
    names[np.random.default_rng(1).choice(9, 2, replace=False)] = "blue"
    assert len(load_dataset(named(web, *names), fetch_images=True, limit=2, seed=1)) == 2
    assert not web[1]["/none"]


def test_images_of_every_side_are_fetched(folder, web):
    frame = pd.DataFrame(
        {
            "left": [f"{web[0]}/{name}" for name in ("red", "blue", "red")],
            "right": [f"{web[0]}/{name}" for name in ("blue", "blue", "none")],
            "label": list("xyx"),
        }
    )
    sides = ["left=left:image", "right=right:image"]
    with pytest.raises(DatasetError, match=r"right in row 3 of the table cannot be fetched: .*404"):
        load_dataset(frame, side=sides, fetch_images=True)
    data = load_dataset(frame, side=sides, fetch_images=True, skip_bad=True)
    shown = [[one.getpixel((0, 0)) for one in side.items] for side in data.items_by_side]
    red, blue = (255, 0, 0), (0, 0, 255)
    assert shown == [[red, blue], [blue, blue]] and data.ids == ["1", "2"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("none", "the server answers 404"),
        ("page", "not an image in a known format"),
        ("large", r"more than the 1,000 bytes that are allowed \(EMAP_MAX_FETCHED_BYTES"),
        ("abroad", "the server answers 302|redirect"),
    ],
)
def test_what_cannot_be_fetched_is_told_or_left_out(name, words, folder, web, monkeypatch):
    monkeypatch.setenv("EMAP_MAX_FETCHED_BYTES", "1000")
    frame = named(web, "red", name, "blue")
    with pytest.raises(DatasetError, match=rf"/{name} in row 2 of .* cannot be fetched.*({words})"):
        load_dataset(frame, fetch_images=True)
    data = load_dataset(frame, fetch_images=True, skip_bad=True)
    assert (data.ids, colours(data)) == (["1", "3"], ["red", "blue"])
    assert len(data.skipped) == 1 and name in data.skipped[0]


def test_whom_may_be_asked_is_the_operators_word(folder, web, monkeypatch):
    frame = named(web, "red", "blue")
    # What a browser's jobs get; the address is one of this machine.
    for name, value in Policy().environment("csv:x.csv").items():
        monkeypatch.setenv(name, value)
    with pytest.raises(
        DatasetError, match=r"127\.0\.0\.1 is 127\.0\.0\.1, an address of this machine"
    ):
        load_dataset(frame, fetch_images=True)
    assert not web[1], "nothing was asked of it"
    monkeypatch.setenv("EMAP_FETCH", "any")
    assert Policy().environment("csv:x.csv")["EMAP_FETCH"] == "any"
    assert colours(load_dataset(frame, fetch_images=True)) == ["red", "blue"]
    viewer = Policy(viewer=True).environment("csv:x.csv")["EMAP_FETCH"]
    for value, error, words in (
        (viewer, AccessError, "fetching images from addresses is turned off here"),
        ("all", SettingError, "EMAP_FETCH is 'all'; expected any, public, none"),
    ):
        monkeypatch.setenv("EMAP_FETCH", value)
        with pytest.raises(error, match=words):
            load_dataset(frame, fetch_images=True)
    monkeypatch.setenv("EMAP_FETCH", "any")
    monkeypatch.setenv("EMAP_MAX_FETCHED_IMAGES", "1")
    with pytest.raises(
        DatasetError, match="2 image addresses, more than the 1 that may be fetched"
    ):
        load_dataset(frame, fetch_images=True)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("10.0.0.7", False),
        ("169.254.169.254", False),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
        ("fe80::1%eth0", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 - nothing listens here
        ("224.0.0.1", False),
        ("::ffff:224.0.0.1", False),
        ("::ffff:93.184.216.34", True),
        # A gateway between both kinds of networks takes these to 169.254.169.254 and 10.0.0.7.
        ("64:ff9b::a9fe:a9fe", False),
        ("64:ff9b:1::a00:7", False),
        ("2002:a00:7::1", False),
        ("::10.0.0.7", False),
        ("64:ff9b::5db8:d822", True),
        ("fec0::1", False),
    ],
)
def test_addresses_of_a_network_are_not_public(address, public):
    if public:
        check_public("x.org", address)
        return
    with pytest.raises(OSError, match=r"x.org is .*EMAP_FETCH=any allows it"):
        check_public("x.org", address)
