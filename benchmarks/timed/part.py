"""Count the images that one of 64 parts of easy-VQA decodes, and those that it scores."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

from PIL.ImageFile import ImageFile

from emap_core.cli import main as command_line

WORK = ("run", "--model", "demo:concat", "--data", "demo:easy-vqa", "--keep", "sums")
PART = ("--part", "20/64", "--batch-size", "64", "--progress", "none")


def main() -> None:
    """Print both numbers."""
    decoded: set[Any] = set()
    load = ImageFile.load

    def counting(image: ImageFile) -> Any:
        decoded.add(image.filename)
        return load(image)

    with (
        tempfile.TemporaryDirectory() as folder,
        patch.object(ImageFile, "load", counting),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        out = Path(folder) / "part"
        command_line([*WORK, *PART, "--out", str(out)])
        scored = _images_scored(out)
    print(f"decoded: {len(decoded)}")
    print(f"scored: {len(scored)}")


def _images_scored(part: Path) -> set[int]:
    """Return the columns of the grid in which the part has tiles."""
    plan = json.loads((part / "plan.json").read_text())
    down, across = plan["tile_texts"], plan["tile_images"]
    in_a_column = -(-plan["n_texts"] // down)
    starts = {int(tile.stem) // in_a_column * across for tile in part.glob("tiles/*.npz")}
    return {
        image for start in starts for image in range(start, min(start + across, plan["n_images"]))
    }


if __name__ == "__main__":
    main()
