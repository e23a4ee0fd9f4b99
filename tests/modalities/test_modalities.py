"""Every modality: items from files and cells, keys, previews, and what is left of a masked item."""

import io
import json
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emap_core.errors import MissingExtraError, SettingError
from emap_core.modalities import NAMES, BadItemError, guessed, modality
from emap_core.modalities.audio import Sound
from emap_core.modalities.video import Clip


def find(what, cell):
    return Path(cell)


def tone(seconds=0.5, rate=8000):
    at = np.arange(int(seconds * rate)) / rate
    return Sound((0.5 * np.sin(2 * np.pi * 440 * at)).astype(np.float32), rate)


ITEMS = {
    "text": "a small red circle",
    "image": Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)),
    "audio": tone(),
    "video": Clip(np.random.default_rng(0).integers(0, 255, (9, 20, 30, 3), dtype=np.uint8)),
    "table": {"age": 61, "pulse": 71.5, "smokes": None},
    "array": np.linspace(-1, 1, 40).reshape(20, 2),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_preview_is_a_small_jpeg(name):
    kept = modality(name).preview(ITEMS[name], 2**20)
    with Image.open(io.BytesIO(kept.poster)) as poster:
        assert poster.format == "JPEG" and max(poster.size) <= 256


@pytest.mark.parametrize("name", NAMES)
def test_units_that_are_kept_leave_the_item_as_it_is_and_others_change_it(name):
    kind, item = modality(name), ITEMS[name]
    n = len(kind.units(item, 4))
    assert 2 <= n <= 4
    whole = kind.mask(item, np.ones(n, bool))
    assert kind.key(whole) == kind.key(item)
    assert kind.key(kind.mask(item, np.arange(n) > 0)) != kind.key(item)


def test_a_masked_text_loses_its_words_and_a_masked_sound_falls_silent():
    text, audio = modality("text"), modality("audio")
    assert text.units("a small red circle", 8) == ["a", "small", "red", "circle"]
    assert text.mask("a small red circle", [True, False, True, False]) == "a red"
    sound = audio.mask(tone(), np.array([True, False]))
    assert np.array_equal(sound.samples[:2000], tone().samples[:2000])
    assert not sound.samples[2000:].any()
    assert audio.units(tone(), 2) == ["0.0–0.2 s", "0.2–0.5 s"]


def wav(samples, width, channels=1, rate=8000):
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples)
    return written.getvalue()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (wav(bytes([0, 128, 255]), 1), [-1.0, 0.0, 127 / 128]),
        (wav(struct.pack("<3h", -32768, 0, 16384), 2), [-1.0, 0.0, 0.5]),
        (wav(b"\x00\x00\x80" + b"\x00\x00\x00" + b"\x00\x00\x40", 3), [-1.0, 0.0, 0.5]),
        (wav(struct.pack("<3i", -(2**31), 0, 2**30), 4), [-1.0, 0.0, 0.5]),
        (wav(struct.pack("<4h", -32768, 0, 0, 16384), 2, channels=2), [-0.5, 0.25]),
    ],
)
def test_wav_files_of_every_width_need_no_extra(content, expected):
    sound = modality("audio").open(content)
    np.testing.assert_allclose(sound.samples, expected, atol=1e-7)
    assert sound.rate == 8000


@pytest.mark.slow
def test_a_sound_comes_back_from_its_wav_file_and_at_another_rate(tmp_path):
    (tmp_path / "tone.wav").write_bytes(tone().wav())
    audio = modality("audio")
    source = audio.source(str(tmp_path / "tone.wav"), find)
    assert audio.words(source) == "tone.wav" and audio.key(source) == str(source)
    found = audio.open(source)
    np.testing.assert_allclose(found.samples, tone().samples, atol=1e-4)
    again = found.resampled(16000)
    assert len(again.samples) == 8000
    np.testing.assert_allclose(again.samples[2000:6000:2], found.samples[1000:3000], atol=0.01)


def test_sounds_as_arrays_say_their_rate():
    audio = modality("audio")
    source = audio.source({"array": [0.0, 0.5], "sampling_rate": 16000, "path": None}, find)
    assert (source.rate, source.samples.tolist()) == (16000, [0.0, 0.5])
    with pytest.raises(BadItemError, match="2 samples at 0 per second"):
        audio.source((0, [0.0, 0.5]), find)


def test_other_sounds_and_videos_say_how_to_install_what_reads_them(monkeypatch):
    for name in ("soundfile", "av"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(MissingExtraError, match=r"need soundfile: pip install '.*\[audio\]'"):
        modality("audio").open(b"fLaC" + bytes(40))
    with pytest.raises(MissingExtraError, match=r"need PyAV: pip install '.*\[video\]'"):
        modality("video").open(bytes(40))


def test_a_missing_or_damaged_file_is_told(tmp_path):
    with pytest.raises(BadItemError, match="does not exist"):
        modality("audio").open(tmp_path / "none.wav")
    with pytest.raises(BadItemError, match="cannot be read"):
        modality("audio").open(tone().wav()[:20])
    with pytest.raises(BadItemError, match=r"not a \.npy file of numbers"):
        modality("array").open(b"nothing")
    with pytest.raises(BadItemError, match="there is no sound"):
        modality("audio").source(None, find)


def test_rows_and_arrays_are_read_from_cells(tmp_path):
    table, array = modality("table"), modality("array")
    row = table.source(json.dumps(ITEMS["table"]), find)
    assert row == ITEMS["table"]
    assert table.words(row) == "age 61, pulse 71.5, smokes –"
    assert table.mask(row, np.array([False, True, True]))["age"] is None
    np.save(tmp_path / "a.npy", ITEMS["array"])
    found = array.open(array.source(str(tmp_path / "a.npy"), find))
    np.testing.assert_array_equal(found, ITEMS["array"])
    assert array.source("[1, 2]", find).tolist() == [1.0, 2.0]
    with pytest.raises(BadItemError, match="not an object"):
        table.source("[1]", find)
    with pytest.raises(BadItemError, match="NaN or infinity"):
        array.source([1.0, float("nan")], find)


def test_images_at_hand_and_in_files_are_told_apart_by_pixels_and_by_path(tmp_path):
    image = modality("image")
    ITEMS["image"].save(tmp_path / "a.png")
    found = image.open(tmp_path / "a.png")
    assert image.key(found) == image.key(ITEMS["image"])
    grey = image.mask(ITEMS["image"], np.array([True, False, False, False]))
    assert np.array_equal(np.asarray(grey)[:2, :2], np.asarray(ITEMS["image"])[:2, :2])


@pytest.mark.parametrize(
    ("column", "cell", "expected"),
    [
        ("premise", "A man sleeps.", "text"),
        ("left", "images/1.png", "image"),
        ("recording", "clips/1.WAV", "audio"),
        ("audio", {"bytes": b"RIFF", "path": None}, "audio"),
        ("clip", "a.mp4", "video"),
        ("patient", {"age": 1}, "table"),
        ("sensor", [0.1, 0.2], "array"),
        ("notes", "Saved as photo.png", "text"),
    ],
)
def test_the_modality_of_a_column_is_guessed(column, cell, expected):
    assert guessed(column, [None, cell]) == expected


def test_an_unknown_modality_lists_those_that_there_are():
    with pytest.raises(SettingError, match="'smell' is unknown; expected one of text, image"):
        modality("smell")


def damaged_wav(width=2, rate=8000):
    """Return the content of a WAV file that says of itself what we like."""
    header = struct.pack("<IHHIIHH", 16, 1, 1, rate, 0, width, 8 * width)
    data = bytes(width * 100)
    return b"".join(
        [
            *(b"RIFF", struct.pack("<I", 36 + len(data)), b"WAVEfmt ", header),
            *(b"data", struct.pack("<I", len(data)), data),
        ]
    )


@pytest.mark.parametrize(
    ("name", "cell", "words"),
    [
        ("audio", damaged_wav(width=5), "samples of 40 bits"),
        # At another rate it would take 640 GB.
        ("audio", damaged_wav(rate=2**32 - 1), "100 samples at 4294967295 per second"),
        ("audio", damaged_wav()[:30], "it is cut off"),
        ("audio", {"array": ["x"], "sampling_rate": 8000}, "give both as numbers"),
        ("audio", {"array": [0.5], "sampling_rate": "x"}, "give both as numbers"),
        ("audio", {"array": None, "sampling_rate": 8000}, "give channels of samples"),
        ("audio", {"array": np.zeros((2, 2, 2)), "sampling_rate": 8000}, "give channels"),
        ("array", "[" * 100_000, "not valid JSON"),
        ("array", [10**400], "does not hold numbers"),
        ("array", np.array([1 + 2j]), "does not hold numbers"),
        ("array", np.array(["2020-01-01"], dtype="M8[D]"), "does not hold numbers"),
        ("table", '{"a":' * 100_000, "not valid JSON"),
    ],
)
def test_what_is_no_item_is_one_line(name, cell, words):
    kind = modality(name)
    with pytest.raises(BadItemError, match=words):
        kind.open(kind.source(cell, find))


def clip_file(form, codec="mpeg4"):
    """Return the content of a file of five frames."""
    av = pytest.importorskip("av")
    written = io.BytesIO()
    with av.open(written, "w", format=form) as file:
        stream = file.add_stream(codec, rate=5)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for i in range(5):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 40 * i, np.uint8), "rgb24")
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return written.getvalue()


@pytest.mark.parametrize("form", ["mp4", "mov", "avi", "matroska"])
def test_a_video_is_read_by_its_content(form):
    assert modality("video").open(clip_file(form)).frames.shape == (5, 32, 32, 3)


@pytest.mark.parametrize("line", ["file secret.mp4", "file 'file:secret.mp4'"])
def test_a_video_that_is_a_list_of_other_files_opens_none_of_them(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.mp4").write_bytes(clip_file("mp4"))
    with pytest.raises(BadItemError, match="not a video in a known format"):
        modality("video").open(f"ffconcat version 1.0\n{line}\n".encode())
