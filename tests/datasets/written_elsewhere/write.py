"""Write the small files of this folder with the libraries that people use.

    pip install datasets==5.2.0 webdataset==1.0.2 numpy pillow && python write.py

They are kept, so that the tests need neither library.
"""

import io
import json
from pathlib import Path

import numpy as np
import webdataset
from datasets import Array2D, ClassLabel, Dataset, DatasetDict, Features, Image, Value
from PIL import Image as Pictures

FOLDER = Path(__file__).resolve().parent
TEXTS = ["what colour?", "is it red?", "is it red?", "what colour?"]
COLOURS = ["red", "green", "blue", "red"]
ANSWERS = ["red", "no", "no", "red"]


def picture(colour):
    written = io.BytesIO()
    Pictures.new("RGB", (8, 6), colour).save(written, "PNG")
    return written.getvalue()


def write_regions():
    features = Features(
        {
            "question": Value("string"),
            "image": Image(),
            "regions": {
                "features": Array2D((None, 6), "float32"),
                "boxes": Array2D((None, 4), "float32"),
            },
        }
    )
    # Of the same picture, the last example has other regions than the first.
    rng = np.random.default_rng(0)
    regions = [
        {
            "features": rng.normal(size=(n, 6)).astype(np.float32),
            "boxes": rng.uniform(size=(n, 4)).astype(np.float32),
        }
        for n in (3, 5, 2, 4)
    ]
    images = [{"bytes": picture(colour), "path": None} for colour in COLOURS]
    rows = {"question": TEXTS, "image": images, "regions": regions}
    Dataset.from_dict(rows, features).to_parquet(FOLDER / "datasets_regions.parquet")


def main():
    write_regions()
    features = Features(
        {"question": Value("string"), "image": Image(), "label": ClassLabel(names=["no", "red"])}
    )
    rows = {
        "question": TEXTS,
        "image": [{"bytes": picture(colour), "path": f"{colour}.png"} for colour in COLOURS],
        "label": [["no", "red"].index(answer) for answer in ANSWERS],
    }
    data = Dataset.from_dict(rows, features)
    data.to_parquet(FOLDER / "datasets.parquet")
    data.save_to_disk(FOLDER / "datasets_one", num_shards=2)
    DatasetDict(train=data.select([0, 1]), test=data.select([2, 3])).save_to_disk(
        FOLDER / "datasets_splits"
    )
    with webdataset.ShardWriter(str(FOLDER / "shard-%02d.tar"), maxcount=2) as shards:
        for number, (text, colour, answer) in enumerate(zip(TEXTS, COLOURS, ANSWERS, strict=True)):
            shards.write(
                {
                    "__key__": f"sample{number:03d}",
                    "png": picture(colour),
                    "txt": text,
                    "json": json.dumps({"label": answer, "source": "a"}).encode(),
                }
            )


if __name__ == "__main__":
    main()
