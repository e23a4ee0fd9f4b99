"""Build emoji.parquet from the npm package emoji-datasource-twitter 16.0.0.

npm pack emoji-datasource-twitter@16.0.0 && tar xzf emoji-datasource-twitter-16.0.0.tgz
python assets/emoji/build.py package
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

FOLDER = Path(__file__).resolve().parent
SEED = 0
TEST_SHARE = 0.3


def main(package: Path) -> None:
    """Write a row an emoji: its picture on white, its name, its group and its split."""
    rows = [
        {
            "id": entry["unified"].lower(),
            "name": entry["name"].lower(),
            "group": entry["category"],
            "subgroup": entry["subcategory"],
            "image": _on_white(package / "img" / "twitter" / "64" / entry["image"]),
        }
        for entry in sorted(json.loads((package / "emoji.json").read_text()), key=_order)
        if entry["has_img_twitter"] and entry["category"] != "Component"
    ]
    table = pd.DataFrame(rows).drop_duplicates("name").reset_index(drop=True)
    drawn = np.random.default_rng(SEED).random(len(table)) < TEST_SHARE
    table["split"] = np.where(drawn, "test", "train")
    table.to_parquet(FOLDER / "emoji.parquet", index=False, compression="zstd")
    print(table.groupby(["split", "group"]).size().unstack("split"))


def _order(entry: dict[str, int]) -> int:
    return entry["sort_order"]


def _on_white(file: Path) -> bytes:
    with Image.open(file) as opened:
        picture = opened.convert("RGBA")
    ground = Image.new("RGBA", picture.size, "white")
    ground.alpha_composite(picture)
    written = io.BytesIO()
    ground.convert("RGB").save(written, "WEBP", lossless=True, quality=100, method=6)
    return written.getvalue()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
