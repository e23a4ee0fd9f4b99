"""Small whole files of each format, which fuzzing starts from."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import safetensors.numpy
import torch
import zarr
from PIL import Image

import emap_core as emap
from emap_core.datasets.base import Examples


def files_of(folder: Path) -> dict[Path, bytes]:
    """Return the files below a folder and what is in them."""
    return {file: file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def _each(folder: Path) -> list[bytes]:
    return [bytes([at]) + content for at, content in enumerate(files_of(folder).values())]


def zipped(*members: tuple[str, bytes]) -> bytes:
    """Return a zip of these members."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name, member in members:
            file.writestr(name, member)
    return content.getvalue()


def png(mode: str = "RGB", kind: str = "PNG", **how: Any) -> bytes:
    """Return a small image's file."""
    content = io.BytesIO()
    Image.new(mode, (4, 4)).save(content, kind, **how)
    return content.getvalue()


def _csv(_: Path) -> list[bytes]:
    return [
        b"id,text,image,label\n1,a,good.png,yes\n2,b,good.png,no\n",
        b'text,image\n"a ""b""\nc",good.png\nd,./good.png\n',
        "\ufefftext;image\nä;good.png\n".encode(),
    ]


def _jsonl(_: Path) -> list[bytes]:
    rows = [{"text": "a", "image": "good.png", "label": 1}, {"text": "b", "image": "good.png"}]
    return ["\n".join(json.dumps(row) for row in rows).encode()]


def _parquet(_: Path) -> list[bytes]:
    image = {"bytes": png(), "path": None}
    table = pd.DataFrame({"text": ["a", "b"], "image": [image, image], "label": ["x", "y"]})
    return [table.to_parquet(index=False, compression=None)]


def _shard(_: Path) -> list[bytes]:
    content = io.BytesIO()
    parts = {"0.png": png(), "0.txt": b"a", "0.cls": b"1", "1.png": png("L")}
    with tarfile.open(fileobj=content, mode="w") as file:
        for name, part in (parts | {"1.json": b'{"label": 1, "text": "b"}'}).items():
            member = tarfile.TarInfo(name)
            member.size = len(part)
            file.addfile(member, io.BytesIO(part))
    return [content.getvalue()]


def _saved(save: Callable[..., None], *arrays: Any, **named: Any) -> bytes:
    content = io.BytesIO()
    save(content, *arrays, **named)
    return content.getvalue()


def _npy(_: Path) -> list[bytes]:
    return [_saved(np.save, np.eye(3)), _saved(np.save, np.ones((2, 2, 3)))]


def _npz(_: Path) -> list[bytes]:
    named = _saved(np.savez, grid=np.ones((2, 2, 3)), classes=np.array(["a", "b", "c"]))
    return [_saved(np.savez, grid=np.eye(3)), named]


def _safetensors(_: Path) -> list[bytes]:
    return [safetensors.numpy.save({"grid": np.ones((2, 2, 3), np.float32)}, {"classes": '["a"]'})]


def _regions(_: Path) -> list[bytes]:
    ones = np.ones((2, 4), np.float32)
    return [_saved(np.savez, features=ones, boxes=ones)]


def _images(_: Path) -> list[bytes]:
    kinds = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000")
    odd = [png("P"), png("I;16"), png("CMYK", "JPEG"), png("LA"), png("1", "TIFF")]
    return [png(kind=kind) for kind in kinds] + odd


def _archive(folder: Path) -> list[bytes]:
    return [zipped(("data.csv", b"text,image\n"), ("images/good.png", png())), *_shard(folder)]


def _pairs(_: Path) -> list[bytes]:
    table = pd.DataFrame({"text_id": [0, 0, 1, 1], "image_id": [0, 1, 0, 1], "a": np.ones(4)})
    return [table.to_parquet(index=False, compression=None)]


def _zarr(folder: Path) -> list[bytes]:
    zarr.save_array(str(folder / "grid.zarr"), np.ones((2, 2, 3)))
    return _each(folder / "grid.zarr")


def _saved_dataset(folder: Path) -> list[bytes]:
    table = pa.table({"text": ["a", "b"], "image": [png(), png("L")], "label": ["x", "y"]})
    (folder / "saved").mkdir()
    with pa.ipc.new_stream(folder / "saved" / "data.arrow", table.schema) as file:
        file.write_table(table)
    state = {"_data_files": [{"filename": "data.arrow"}], "_split": "test"}
    (folder / "saved" / "state.json").write_text(json.dumps(state))
    return _each(folder / "saved")


def _exported(folder: Path) -> list[bytes]:
    torch.jit.save(torch.jit.script(torch.nn.Identity()), str(folder / "model.pt"))
    (folder / "model").mkdir()
    words = {"type": "WordLevel", "vocab": {"a": 0, "b": 1}, "unk_token": "a"}
    given = {"tokenizer": "model/words.json", "image_size": [4, 4], "mean": [0.5, 0.5, 0.5]}
    given |= {"length": 2, "inputs": ["input_ids"], "classes": ["a"]}
    (folder / "model" / "words.json").write_text(json.dumps({"version": "1.0", "model": words}))
    (folder / "model.json").symlink_to(folder / "model" / "model.json")
    (folder / "model" / "model.json").write_text(json.dumps(given))
    return _each(folder / "model")


def _run(folder: Path) -> list[bytes]:
    rng = np.random.default_rng(0)

    def model(texts: list[str], images: list[Image.Image]) -> np.ndarray:
        seen = [len(t) * np.asarray(v).mean() for t, v in zip(texts, images, strict=True)]
        return np.stack([seen, np.negative(seen)], axis=1)

    images = [Image.fromarray(rng.integers(0, 255, (4, 4, 3), dtype=np.uint8)) for _ in range(6)]
    data = Examples(list("abcaab"), images, labels=["x", "y"] * 3)
    emap.compute(model, data, out=folder / "run", keep="grid", n_resamples=100).intervals()
    return _each(folder / "run")


SEEDS: dict[str, Callable[[Path], list[bytes]]] = {
    "csv": _csv,
    "jsonl": _jsonl,
    "parquet": _parquet,
    "webdataset": _shard,
    "saved": _saved_dataset,
    "npy": _npy,
    "npz": _npz,
    "safetensors": _safetensors,
    "pairs": _pairs,
    "zarr": _zarr,
    "description": _exported,
    "regions": _regions,
    "image": _images,
    "archive": _archive,
    "run": _run,
}
"""For each target, what is written into its folder, and the inputs to start from."""
