"""Cells of images: the place of each image, or the content of its file."""

from __future__ import annotations

import base64
import functools
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from emap_core.datasets.base import Address, ImageFile
from emap_core.datasets.table_values import BadValueError, is_missing, read_path
from emap_core.errors import DatasetError
from emap_core.modalities.image import image_of_array, is_array
from emap_core.option_names import option

_PICTURES = ("iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR", "Qk", "SUkqA", "TU0AK")
"""How PNG, JPEG, GIF, WEBP, BMP and TIFF begin in base64."""
_SHORTEST_PICTURE = 80


class ImageCells:
    """Reads the cells of images of one table.

    Parameters
    ----------
    folder : Path
        Folder in which relative paths start.
    fetched : bool
        Whether to fetch images from addresses in cells.
    blank : bool
        Whether examples without an image get a white one.
    """

    def __init__(self, folder: Path, *, fetched: bool = False, blank: bool = False) -> None:
        self.folder = folder
        self.fetched = fetched
        self.blank = blank

    def read(self, value: Any) -> ImageFile:
        """Return where an image is, or the content of its file.

        It may be the only entry of a list, and its content may be base64, also in a ``data:``
        address. A tuple holds several images, shown side by side.
        """
        if isinstance(value, tuple):
            return tuple(self.read_one(one) for one in value)
        return self.read_one(value)

    def read_one(self, value: Any) -> Path | bytes | Address:
        """Return what `read` returns, for a single image."""
        if is_array(value) and value.ndim > 1:
            try:
                return _as_file(image_of_array(value))
            except DatasetError as error:
                raise BadValueError(str(error)) from error
        if isinstance(value, (list, np.ndarray)):
            if len(value) > 1:
                raise BadValueError(
                    f"there are {len(value)} images; give each example one, or choose one of them "
                    f"with {option('image_pattern')}"
                )
            value = value[0] if len(value) else None
        if isinstance(value, dict):
            value = value.get("bytes") or value.get("path")
        if isinstance(value, Path):
            value = str(value)
        if is_missing(value):
            if self.blank:
                return blank_image()
            raise BadValueError(
                f"there is no image; {option('keep_empty', 'image')} gives it a white one"
            )
        if isinstance(value, bytes):
            return value
        if isinstance(value, Image.Image):
            return _as_file(value)
        if isinstance(value, str) and (content := _written_image(value)) is not None:
            return content
        if isinstance(value, str) and value.strip().lower().startswith(("http://", "https://")):
            if self.fetched:
                return Address(value.strip())
            raise BadValueError(
                f"the image is the address {value[:60]}; {option('fetch_images', 'true')} "
                "downloads each image once"
            )
        return read_path("image", value, self.folder)


@functools.cache
def blank_image() -> bytes:
    """Return the white image for an example without an image."""
    return _as_file(Image.new("RGB", (224, 224), "white"))


def _as_file(image: Image.Image) -> bytes:
    """Return an opened picture as the content of a lossless file."""
    if 0 in image.size:
        raise BadValueError(f"the image has {image.width} × {image.height} pixels; leave it out")
    content = BytesIO()
    try:
        image.save(content, format="PNG")
    except OSError as error:
        raise BadValueError(
            f"the image has the mode {image.mode}; convert it with image.convert('RGB')"
        ) from error
    return content.getvalue()


def _written_image(value: str) -> bytes | None:
    """Return the content of an image in base64, or None for any other string."""
    head, comma, rest = value.partition(",") if value[:5].lower() == "data:" else ("", "", value)
    if comma and not head.lower().endswith(";base64"):
        raise BadValueError("the image is a data: address that is not base64; encode it in base64")
    if not comma and not (len(value) > _SHORTEST_PICTURE and value.startswith(_PICTURES)):
        return None
    try:
        return base64.b64decode("".join(rest.split()), validate=True)
    except ValueError as error:
        if not comma:
            # A long path may begin like an encoded picture.
            return None
        raise BadValueError(f"the image is not valid base64: {error}") from error
