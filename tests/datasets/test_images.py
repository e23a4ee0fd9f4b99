import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from emap_core.datasets.base import ImageFiles
from emap_core.errors import DatasetError

RAMP = np.linspace(0, 255, 64).astype(np.uint8).reshape(8, 8)


def written(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def opened(content):
    image = ImageFiles([content])[0]
    assert image.mode == "RGB"
    return np.asarray(image)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_of_16_bits_the_upper_8_count(kind):
    content = written(Image.fromarray(RAMP.astype(np.uint16) * 256 + 77), kind)
    np.testing.assert_array_equal(opened(content), np.stack([RAMP] * 3, axis=-1))


def test_what_is_transparent_is_white():
    pixels = np.zeros((2, 2, 4), dtype=np.uint8)
    pixels[0, 0] = (10, 20, 30, 255)
    pixels[0, 1] = (0, 0, 0, 127)
    with_alpha = Image.fromarray(pixels)
    assert opened(written(with_alpha)).tolist() == [
        [[10, 20, 30], [128, 128, 128]],
        [[255, 255, 255], [255, 255, 255]],
    ]
    palette = Image.new("P", (2, 1))
    palette.putpalette([200, 0, 0, 0, 0, 200])
    palette.putpixel((1, 0), 1)
    for transparency in (1, b"\xff\x00"):
        content = written(palette, transparency=transparency)
        assert opened(content).tolist() == [[[200, 0, 0], [255, 255, 255]]]


def test_a_cmyk_photograph_keeps_its_colours():
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    assert np.abs(opened(written(red, "JPEG")).mean((0, 1)) - [255, 0, 0]).max() < 3


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_it_is_the_first_frame(kind):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue", "lime")]
    options = {"lossless": True} if kind == "WEBP" else {}
    content = written(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert (opened(content) == [255, 0, 0]).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_upright_whichever_way_the_camera_was_held(orientation):
    upright = Image.fromarray(np.kron(RAMP[:, :4], np.ones((16, 16), dtype=np.uint8)))
    turned = {
        1: lambda i: i,
        2: lambda i: i.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: lambda i: i.transpose(Image.Transpose.ROTATE_180),
        4: lambda i: i.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: lambda i: i.transpose(Image.Transpose.TRANSPOSE),
        6: lambda i: i.transpose(Image.Transpose.ROTATE_90),
        7: lambda i: i.transpose(Image.Transpose.TRANSVERSE),
        8: lambda i: i.transpose(Image.Transpose.ROTATE_270),
    }[orientation](upright)
    note = Image.Exif()
    note[0x0112] = orientation
    seen = opened(written(turned, "JPEG", quality=100, exif=note))[..., 0].astype(int)
    assert np.abs(seen - np.asarray(upright)).max() < 6


def test_a_bomb_is_refused_before_it_is_decoded(monkeypatch):
    bomb = written(Image.new("1", (9000, 9000)))
    assert len(bomb) < 20_000
    with pytest.raises(DatasetError, match="is 9,000 × 9,000 pixels, more than the 80,000,000"):
        ImageFiles([bomb]).check(0)
    small = written(Image.new("L", (11, 10)))
    monkeypatch.setenv("EMAP_MAX_IMAGE_PIXELS", "109")
    with pytest.raises(DatasetError, match="is 11 × 10 pixels, more than the 109 that are allowed"):
        ImageFiles([small])[0]
    monkeypatch.setenv("EMAP_MAX_IMAGE_PIXELS", "110")
    assert opened(small).shape == (10, 11, 3)


def test_formats_that_start_programs_are_no_images():
    script = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
    with pytest.raises(DatasetError, match="it is not an image in a known format"):
        ImageFiles([script])[0]


def png_by_hand(depth, kind, samples, transparent=b""):
    """Return a PNG of one row, put together from the words of its specification."""

    def chunk(name, content):
        check = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)

    channels = {0: 1, 2: 3, 4: 2, 6: 4}[kind]
    row = np.array(samples, dtype=">u2" if depth == 16 else "u1")
    head = struct.pack(">IIBBBBB", len(row) // channels, 1, depth, kind, 0, 0, 0)
    parts = [chunk(b"IHDR", head), chunk(b"tRNS", transparent) if transparent else b""]
    parts += [chunk(b"IDAT", zlib.compress(b"\0" + row.tobytes())), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("content", "pixels"),
    [
        (png_by_hand(16, 2, [200 * 256 + 5, 100 * 256 + 250, 0]), [[200, 100, 0]]),
        (png_by_hand(16, 6, [65535, 0, 0, 32768]), [[255, 127, 127]]),
        (png_by_hand(16, 4, [0, 32768]), [[127, 127, 127]]),
        (png_by_hand(8, 0, [40, 80], b"\0\x28"), [[255, 255, 255], [80, 80, 80]]),
        (png_by_hand(16, 0, [5, 6, 999], b"\0\5"), [[255, 255, 255], [0, 0, 0], [3, 3, 3]]),
        (png_by_hand(8, 2, [1, 2, 3, 4, 5, 6], b"\0\1\0\2\0\3"), [[255, 255, 255], [4, 5, 6]]),
        (b"P5 2 1 65535\n" + bytes([40, 9, 80, 200]), [[40, 40, 40], [80, 80, 80]]),
    ],
    ids=["rgb-16", "rgba-16", "grey-alpha-16", "grey-key", "grey-key-16", "rgb-key", "pgm-16"],
)
def test_files_put_together_by_hand_have_the_pixels_of_their_specification(content, pixels):
    assert opened(content).tolist() == [pixels]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"])
def test_what_is_cut_off_is_refused_and_not_filled_with_grey(kind):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    content = written(Image.fromarray(noise), kind)
    with pytest.raises(DatasetError, match="image 0 cannot be read"):
        opened(content[: len(content) // 2])
