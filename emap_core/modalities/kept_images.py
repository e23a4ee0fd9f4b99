"""What a run keeps of its images: a thumbnail of each, and a picture to look at more closely."""

from __future__ import annotations

import io
import math

from PIL import Image, ImageOps

THUMBNAIL_SIDE = 256
MOST_PIXELS = 1024**2
LONGEST_SIDE = 4096
"""Of a picture: a tall or wide one, a chart or a document, has to stay readable."""
_BYTES_PER_PIXEL = 0.3
"""What few photographs exceed at `_QUALITY`; charts take less."""
_QUALITY = 85
_WORTH_IT = 1.5
"""How much larger than the thumbnail a picture is at least."""


def make_thumbnail(image: Image.Image) -> bytes:
    """Return a JPEG of at most 256 pixels per side; transparency lies on white."""
    small = image.copy()
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    return _jpeg(small, 90)


def thumbnail_and_picture(image: Image.Image, most_bytes: int) -> tuple[bytes, bytes]:
    """Return what a run keeps of an image.

    Parameters
    ----------
    image : PIL.Image.Image
    most_bytes : int
        That the picture may take; each image of a run has the same share.

    Returns
    -------
    thumbnail : bytes
        See `make_thumbnail`.
    picture : bytes
        A JPEG of about 1,024 × 1,024 pixels at most; nothing where it would show little more than
        the thumbnail.
    """
    if image.mode == "P":
        # Colours that are numbers in a list have none between them.
        image = image.convert("RGBA")
    width, height = image.size
    pixels = min(MOST_PIXELS, most_bytes / _BYTES_PER_PIXEL)
    scale = min(1.0, math.sqrt(pixels / (width * height)), LONGEST_SIDE / max(width, height))
    picture, shrunk = b"", image
    while scale * max(width, height) >= _WORTH_IT * THUMBNAIL_SIDE:
        size = max(1, int(scale * width)), max(1, int(scale * height))
        if size != shrunk.size:
            # The mean of what a pixel covers: half the time of cubic weights, and as sharp here.
            shrunk = shrunk.resize(size, Image.Resampling.BOX, reducing_gap=2.0)
        picture = _jpeg(shrunk, _QUALITY)
        if len(picture) <= most_bytes:
            # The rest of the way down is shorter from here.
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
