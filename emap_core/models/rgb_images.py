"""Pictures as a model reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image

from emap_core.errors import ModelError
from emap_core.option_names import option


def in_colours(images: Sequence[Any]) -> list[Image.Image]:
    """Return images in RGB.

    Raises
    ------
    ModelError
        If one is not a PIL image, for example if the data has regions.
    """
    for image in images:
        if not isinstance(image, Image.Image):
            raise ModelError(
                f"the model reads images, but the data has a {type(image).__name__} instead; if "
                "that is a table's column of regions, leave it out with "
                f"{option('regions_column', '')}"
            )
    return [image.convert("RGB") for image in images]
