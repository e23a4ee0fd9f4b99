"""What a run keeps of its images: a thumbnail of each, and a larger picture."""

from __future__ import annotations

import io
import math

from PIL import Image, ImageOps

THUMBNAIL_SIDE = 256
MOST_PIXELS = 1024**2
LONGEST_SIDE = 4096
"""Largest side of a picture: tall or wide charts and documents must stay readable."""
_BYTES_PER_PIXEL = 0.3
"""A size that few photographs exceed at `_QUALITY`; charts take less."""
_QUALITY = 85
_WORTH_IT = 1.5
"""By what factor a picture must be larger than the thumbnail."""


def make_thumbnail(image: Image.Image) -> bytes:
    """Return a JPEG of at most 256 pixels per side, with white behind transparency."""
    small = image.copy()
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    return _jpeg(small, 90)


def thumbnail_and_picture(image: Image.Image, most_bytes: int) -> tuple[bytes, bytes]:
    """Return what a run keeps of an image.

    Parameters
    ----------
    image : PIL.Image.Image
    most_bytes : int
        Size limit of the picture; every image of a run has the same.

    Returns
    -------
    thumbnail : bytes
        See `make_thumbnail`.
    picture : bytes
        A JPEG of at most about 1,024 × 1,024 pixels; empty if it would show little more than the
        thumbnail.
    """
    if image.mode == "P":
        # Palette images have no colours in between to average.
        image = image.convert("RGBA")
    width, height = image.size
    pixels = min(MOST_PIXELS, most_bytes / _BYTES_PER_PIXEL)
    scale = min(1.0, math.sqrt(pixels / (width * height)), LONGEST_SIDE / max(width, height))
    picture, shrunk = b"", image
    while scale * max(width, height) >= _WORTH_IT * THUMBNAIL_SIDE:
        size = max(1, int(scale * width)), max(1, int(scale * height))
        if size != shrunk.size:
            # Box averaging: half the time of cubic weights, and as sharp here.
            shrunk = shrunk.resize(size, Image.Resampling.BOX, reducing_gap=2.0)
        picture = _jpeg(shrunk, _QUALITY)
        if len(picture) <= most_bytes:
            # Scaling down further is faster from here.
            return make_thumbnail(shrunk), picture
        scale *= min(0.9, math.sqrt(most_bytes / len(picture)))
    return make_thumbnail(image), b""


def _jpeg(image: Image.Image, quality: int) -> bytes:
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, "white")
        ground.alpha_composite(image)
        image = ground
    written = io.BytesIO()
    ImageOps.exif_transpose(image).convert("RGB").save(written, "JPEG", quality=quality)
    return written.getvalue()
