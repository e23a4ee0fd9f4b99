"""Images: PIL images in RGB, upright, from files or from memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from emap_core.environment import whole_number
from emap_core.errors import EmapError, reason
from emap_core.modalities.base import (
    BadItemError,
    FindFile,
    Modality,
    Preview,
    file_key,
    file_name,
    file_source,
)
from emap_core.modalities.fingerprints import fingerprint_of
from emap_core.modalities.kept_images import thumbnail_and_picture
from emap_core.types import Mask

MAX_IMAGE_PIXELS = 80_000_000
"""Larger images are refused before decoding unless ``EMAP_MAX_IMAGE_PIXELS`` is higher."""
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000")
"""Accepted formats. Other formats of Pillow start programs or follow links."""


class Picture(Modality):
    """A PIL image."""

    name: ClassVar[str] = "image"
    plural: ClassVar[str] = "images"
    usual_names: ClassVar[tuple[str, ...]] = (
        *("image", "image_path", "file_name", "filename", "image_file", "img", "img_path", "path"),
        *("images", "image_filename", "image_name", "left", "right", "picture"),
    )
    suffixes: ClassVar[tuple[str, ...]] = (
        *(".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".jp2"),
    )
    unit: ClassVar[str] = "regions"
    media_type: ClassVar[str] = "image/jpeg"

    def is_at_hand(self, cell: Any) -> bool:
        """Return whether a cell is clearly an item of this kind, by its type alone."""
        return isinstance(cell, Image.Image) or (
            is_array(cell) and str(cell.dtype).endswith("uint8") and cell.ndim in (2, 3)
        )

    def source(self, cell: Any, find: FindFile) -> Path | bytes | Image.Image:
        """Return a file, its content, or the image itself."""
        if isinstance(cell, Image.Image):
            return cell
        if is_array(cell):
            image: Image.Image = image_of_array(cell)
            return image
        return file_source("image", cell, find)

    def open(self, source: Path | bytes | Image.Image) -> Image.Image:
        """Return the image, upright and in RGB."""
        if isinstance(source, Image.Image):
            return source
        with opened(source) as image:
            return upright(image)

    def key(self, source: Path | bytes | Image.Image) -> str:
        """Return the path, or a hash of content or pixels."""
        if isinstance(source, Image.Image):
            return pixel_key(source)
        return file_key(source)

    def words(self, source: Path | bytes | Image.Image) -> str:
        """Return the name of the file."""
        return file_name(source, "an image")

    def n_bytes(self, item: Image.Image) -> int:
        """Return the memory of its pixels; features given instead have no known size."""
        width, height = getattr(item, "size", (512, 512))
        return int(3 * width * height)

    def preview(self, item: Image.Image, most_bytes: int) -> Preview:
        """Return a thumbnail, and a larger picture if that shows more."""
        return Preview(*thumbnail_and_picture(item, most_bytes))

    def units(self, item: Image.Image, most: int) -> list[str]:
        """Return the cells of a square grid."""
        side = max(1, int(most**0.5))
        return [f"row {k // side + 1}, column {k % side + 1}" for k in range(side * side)]

    def mask(self, item: Image.Image, keep: Mask) -> Image.Image:
        """Return the image with its mean colour in the cells left out."""
        side = int(len(keep) ** 0.5)
        pixels = np.array(item.convert("RGB"))
        mean = pixels.mean(axis=(0, 1)).astype(np.uint8)
        edges = [np.linspace(0, size, side + 1).round().astype(int) for size in pixels.shape[:2]]
        for k in np.flatnonzero(~np.asarray(keep)):
            (top, bottom), (left, right) = (
                edge[place : place + 2] for edge, place in zip(edges, divmod(k, side), strict=True)
            )
            pixels[top:bottom, left:right] = mean
        return Image.fromarray(pixels)


MODALITY = Picture()


@contextmanager
def opened(file: Path | bytes) -> Iterator[Image.Image]:
    """Open an image file, or its content, without reading its pixels.

    Raises
    ------
    BadItemError
        If it does not exist, is not an image in a known format, or is too large. The message
        continues after the name of the image.
    """
    try:
        with Image.open(
            BytesIO(file) if isinstance(file, bytes) else file, formats=FORMATS
        ) as image:
            check_size(image.width, image.height)
            yield image
    except EmapError:
        raise
    except FileNotFoundError as error:
        raise BadItemError("does not exist") from error
    except UnidentifiedImageError as error:
        raise BadItemError("cannot be read: it is not an image in a known format") from error
    except OSError as error:
        raise BadItemError(f"cannot be read: {error.strerror or reason(error)}") from error
    except Exception as error:
        # Malicious files raise all kinds of errors in decoders.
        raise BadItemError(f"cannot be read: {reason(error)}") from error


def upright(image: Image.Image) -> Image.Image:
    """Return an image in RGB as people see it.

    Cameras store photographs as the sensor was held, with a note on which way is up. Transparent
    areas become white, and 16 bits are cut to the upper 8.
    """
    return _in_colours(ImageOps.exif_transpose(image))


def image_of_array(image: Any) -> Any:
    """Return the image in an array or a tensor, channels first or last; keep other images.

    Raises
    ------
    BadItemError
        If an array is not an image of whole numbers from 0 to 255.
    """
    if not is_array(image):
        return image
    if not isinstance(image, np.ndarray):
        image = image.detach().cpu().numpy()
        if image.ndim == 3 and image.shape[0] in (1, 3) and image.shape[2] not in (1, 3):
            image = image.transpose(1, 2, 0)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or 0 in image.shape:
        raise BadItemError(
            f"an image is an array of {image.dtype} of shape {image.shape}; give whole numbers "
            "from 0 to 255 of type uint8, shape (height, width) or (height, width, 3)"
        )
    try:
        return Image.fromarray(image)
    except (TypeError, ValueError) as error:
        raise BadItemError(
            f"an image is an array of shape {image.shape}; give shape (height, width) or "
            "(height, width, 3)"
        ) from error


def check_size(width: int, height: int) -> None:
    """Refuse an image that is far too large, or has no pixels."""
    if width * height == 0:
        raise BadItemError(f"is {width:,} × {height:,} pixels, so there is nothing to see")
    most = whole_number("EMAP_MAX_IMAGE_PIXELS", MAX_IMAGE_PIXELS)
    if width * height > most:
        raise BadItemError(
            f"is {width:,} × {height:,} pixels, more than the {most:,} that are "
            "allowed (EMAP_MAX_IMAGE_PIXELS)"
        )


def _in_colours(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ValueError("its pixels are floats of an unknown range; save it with 8 bits")
    if image.mode == "I" or image.mode.startswith("I;16"):
        # Pillow itself would turn every value above 255 white.
        values = np.asarray(image).astype(np.int64)
        upper = np.clip(values >> 8, 0, 255)
        upper[values == image.info.get("transparency", -1)] = 255
        return Image.fromarray(upper.astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def beside(images: Sequence[Image.Image]) -> Image.Image:
    """Return images side by side as one, each scaled to the height of the tallest."""
    if len(images) == 1:
        return images[0]
    height = max(image.height for image in images)
    widths = [max(1, round(image.width * height / image.height)) for image in images]
    check_size(sum(widths), height)
    whole = Image.new("RGB", (sum(widths), height))
    left = 0
    for image, width in zip(images, widths, strict=True):
        whole.paste(image.resize((width, height), Image.Resampling.BICUBIC), (left, 0))
        left += width
    return whole


def pixel_key(image: Any) -> str:
    """Return a key that is equal for images with equal pixels."""
    if not isinstance(image, Image.Image):
        raise BadItemError(
            f"an image is a {type(image).__name__}; give PIL images, file paths, file contents or "
            "arrays of type uint8, or image_keys that say which images are the same"
        )
    pixels = image.convert("RGBA")
    return fingerprint_of(repr(pixels.size), pixels.tobytes())


def is_array(value: Any) -> bool:
    """Return whether something is a NumPy array or another library's tensor."""
    return isinstance(value, np.ndarray) or hasattr(value, "detach")
