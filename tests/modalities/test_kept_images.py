from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw
from samples import Staged, make_examples

import emap_core as emap
from emap_core.errors import RunError
from emap_core.modalities.kept_images import make_thumbnail, thumbnail_and_picture
from emap_core.runs import Run

MEGABYTE = 10**6


def noise(width: int, height: int) -> Image.Image:
    """What a JPEG cannot make small."""
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def size_of(content: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(content), formats=["JPEG"]) as image:
        return image.size


@pytest.mark.parametrize(
    ("size", "kept"),
    [
        ((2048, 2048), (1024, 1024)),
        ((3000, 2000), (1254, 836)),
        ((900, 700), (900, 700)),
        ((300, 6000), (204, 4096)),
        ((8000, 400), (4096, 204)),
    ],
)
def test_a_picture_has_the_pixels_of_1024_squared_whatever_its_shape(size, kept):
    thumbnail, picture = thumbnail_and_picture(Image.new("RGB", size, "red"), MEGABYTE)
    assert size_of(picture) == kept
    assert max(size_of(thumbnail)) == 256


@pytest.mark.parametrize("size", [(64, 64), (256, 256), (380, 100)])
def test_an_image_that_is_hardly_larger_than_its_thumbnail_has_no_picture(size):
    image = noise(*size)
    assert thumbnail_and_picture(image, MEGABYTE) == (make_thumbnail(image), b"")


@pytest.mark.parametrize("share", [0, 1_000, 30_000, 100_000, 400_000])
def test_no_picture_takes_more_than_its_share(share):
    _, picture = thumbnail_and_picture(noise(1200, 900), share)
    assert len(picture) <= share
    assert bool(picture) == (share >= 100_000)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "1"])
def test_pictures_of_every_mode_lie_on_white(mode):
    image = Image.new("RGBA", (800, 600), (255, 0, 0, 0))
    ImageDraw.Draw(image).rectangle((400, 0, 800, 600), fill=(0, 0, 0, 255))
    if mode in ("L", "1"):
        image.paste("white", (0, 0, 400, 600))
    _, picture = thumbnail_and_picture(image.convert(mode), MEGABYTE)
    with Image.open(io.BytesIO(picture)) as found:
        assert found.getpixel((600, 300)) <= (8, 8, 8)
        if mode != "P":
            assert found.getpixel((200, 300)) >= (247, 247, 247)


@pytest.fixture(scope="module")
def of_charts(tmp_path_factory):
    """A run of four large images and eight small ones, with 400 kB for pictures."""
    sizes = [(1200, 900), (300, 2000), (2000, 300), (700, 700), *[(6, 6)] * 8]
    data = make_examples(n=24, n_texts=6, n_images=12)
    images = {key: noise(*size) for key, size in enumerate(sizes)}
    data.images = [images[key] for key in data.image_keys]
    path = tmp_path_factory.mktemp("runs") / "charts"
    model = Staged()
    model.encode_images = lambda found: Staged.encode_images(
        model, [i.resize((6, 6)) for i in found]
    )
    emap.compute(model, data, out=path, picture_budget=400_000)
    return Run.load(path)


def test_a_run_keeps_pictures_within_its_budget(of_charts):
    run = of_charts
    n_images = run.manifest["n_images"]
    pictures = [run.picture(image) for image in range(n_images)]
    thumbnails = [run.thumbnail(image) for image in range(n_images)]
    larger = [p for p, t in zip(pictures, thumbnails, strict=True) if p != t]
    assert 0 < sum(map(len, larger)) <= 400_000
    assert all(max(size_of(one)) > 256 for one in larger)
    assert sum(size_of(one) == (6, 6) for one in pictures) == 8


def test_damaged_pictures_are_told_and_lost_ones_leave_the_thumbnails(of_charts):
    run = of_charts
    path = run.path / "images" / "pictures-000000.parquet"
    content = path.read_bytes()
    try:
        path.write_bytes(content[: len(content) // 2])
        with pytest.raises(RunError, match=r"pictures-000000\.parquet .* cannot be read"):
            Run.load(run.path).picture(0)
        path.unlink()
        again = Run.load(run.path)
        assert again.picture(0) == again.thumbnail(0)
    finally:
        path.write_bytes(content)
