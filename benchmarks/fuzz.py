"""Fuzz what reads foreign files, guided by coverage: whatever comes, it is read or refused.

``pip install atheris``, then ``python -m benchmarks.fuzz csv --seconds 60``. Anything but an
`EmapError` whose message is a line of print, a file written beside the folder of the target, 30 s
for one input and 4 GB end it with a traceback and the input in a file ``crash-…``. What is followed
is `emap_core` and the parsers in Python, not the libraries in C.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import shutil
import sys
import tarfile
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import safetensors.numpy
import torch
from PIL import Image

try:
    import atheris
except ImportError:
    sys.exit("fuzzing needs the package atheris: pip install atheris")

with atheris.instrument_imports(include=["emap_core", "tarfile"], enable_loader_override=False):
    import emap_core as emap
    from emap_core.datasets import load_dataset
    from emap_core.datasets.archive import unpack
    from emap_core.datasets.base import Examples, ImageFiles, find_cells
    from emap_core.datasets.regions import RegionFiles
    from emap_core.models import load_model
    from emap_core.runs import Run
    from emap_core.runs.check import check_run
    from emap_core.runs.folder import describe_run

    # They are loaded when first needed, which is too late to be followed.
    for late in ("table_files", "webdataset"):
        importlib.import_module(f"emap_core.datasets.{late}")
    for late in ("exported", "grid_file"):
        importlib.import_module(f"emap_core.models.{late}")

Reader = Callable[[Path, bytes], None]
Seeds = Callable[[Path], list[bytes]]


def main() -> None:
    """Fuzz what the command line names until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=int, default=60)
    wanted = parser.parse_args()
    around = Path(tempfile.mkdtemp(prefix="fuzz-"))
    folder, seeds = around / "folder", around / "seeds"
    folder.mkdir()
    seeds.mkdir()
    (folder / "good.png").write_bytes(_png())
    read, first = TARGETS[wanted.what]
    for number, seed in enumerate(first(folder)):
        (seeds / str(number)).write_bytes(seed)

    def once(content: bytes) -> None:
        read(folder, content)
        if beside := {found.name for found in around.iterdir()} - {"folder", "seeds"}:
            raise AssertionError(f"{beside} lie beside the target's folder")

    warnings.simplefilter("ignore")
    atheris.Setup(
        [
            *(sys.argv[0], str(seeds), f"-max_total_time={wanted.seconds}"),
            *("-timeout=30", "-rss_limit_mb=4096", "-max_len=65536", "-print_final_stats=1"),
        ],
        once,
    )
    atheris.Fuzz()


def _try(use: Callable[[], Any]) -> Any:
    try:
        return use()
    except emap.EmapError as error:
        if not str(error).isprintable():
            raise AssertionError(f"not one line of print: {error!r}") from error
        return None


def _look_at(images: Any) -> None:
    for image in images:
        np.asarray(image)


def _dataset(name: str) -> Reader:
    prefix = {"tar": "webdataset"}.get(name.rpartition(".")[2], name.rpartition(".")[2])

    def read(folder: Path, content: bytes) -> None:
        (folder / name).write_bytes(content)
        data = _try(lambda: load_dataset(f"{prefix}:{folder / name}"))
        if data is not None:
            _try(lambda: find_cells(data))
            _try(lambda: _look_at(data.images))

    return read


def _model(name: str, prefix: str = "logits") -> Reader:
    def read(folder: Path, content: bytes) -> None:
        (folder / name).write_bytes(content)
        path = (folder / name).with_suffix(".pt") if prefix == "torchscript" else folder / name
        _try(lambda: load_model(f"{prefix}:{path}"))

    return read


def _read_image(_: Path, content: bytes) -> None:
    _try(lambda: _look_at(ImageFiles([content])))


def _read_regions(_: Path, content: bytes) -> None:
    _try(lambda: RegionFiles([content], ["regions"])[0])


def _read_archive(folder: Path, content: bytes) -> None:
    path, target = folder / "archive", folder / "unpacked"
    path.write_bytes(content)
    shutil.rmtree(target, ignore_errors=True)
    _try(lambda: unpack(path, target))
    for found in target.rglob("*"):
        if found.is_symlink() or not found.resolve().is_relative_to(target.resolve()):
            raise AssertionError(f"{found} leads out")


def _run_files(folder: Path) -> list[Path]:
    return [f for f in sorted((folder / "run").rglob("*")) if f.is_file() and f.stat().st_size]


def _read_run(folder: Path, content: bytes) -> None:
    """Put the content in the place of one file of a run; its first byte says which."""
    files = _run_files(folder)
    file = files[content[0] % len(files)] if content else files[0]
    whole = file.read_bytes()
    # An empty file would be left out of the list from then on.
    file.write_bytes(content[1:] or b"\n")
    path = folder / "run"
    try:
        _try(lambda: describe_run(path))
        _try(lambda: check_run(path))
        run = _try(lambda: Run.load(path))
        if run is not None:
            for use in (run.record, run.examples, run.intervals, lambda: run.grid.load()):
                _try(use)
            _try(lambda: _look_at(run.thumbnail(i) for i in range(3)))
    finally:
        file.write_bytes(whole)


def _png(mode: str = "RGB", kind: str = "PNG", **how: Any) -> bytes:
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
    return ["\n".join(json.dumps(row) for row in rows).encode(), b'{"text": "\\ud83d"}']


def _parquet(_: Path) -> list[bytes]:
    image = {"bytes": _png(), "path": None}
    table = pd.DataFrame({"text": ["a", "b"], "image": [image, image], "label": ["x", "y"]})
    return [table.to_parquet(index=False, compression=None)]


def _shard(_: Path) -> list[bytes]:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as file:
        for name, part in {"0.png": _png(), "0.txt": b"a", "0.json": b'{"label": 1}'}.items():
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
    odd = [_png("P"), _png("I;16"), _png("CMYK", "JPEG"), _png("LA"), _png("1", "TIFF")]
    return [_png(kind=kind) for kind in kinds] + odd


def _archive(folder: Path) -> list[bytes]:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("data.csv", "text,image\n")
        file.writestr("images/good.png", _png())
    return [content.getvalue(), *_shard(folder)]


def _description(folder: Path) -> list[bytes]:
    torch.jit.save(torch.jit.script(torch.nn.Identity()), str(folder / "model.pt"))
    words = {"type": "WordLevel", "vocab": {"a": 0, "b": 1}, "unk_token": "a"}
    (folder / "words.json").write_text(json.dumps({"version": "1.0", "model": words}))
    given = {"tokenizer": "words.json", "image_size": [4, 4], "mean": [0.5, 0.5, 0.5], "length": 2}
    return [json.dumps(given | {"inputs": ["input_ids"], "classes": ["a"]}).encode()]


def _run(folder: Path) -> list[bytes]:
    rng = np.random.default_rng(0)

    def model(texts: list[str], images: list[Image.Image]) -> np.ndarray:
        seen = [len(t) * np.asarray(v).mean() for t, v in zip(texts, images, strict=True)]
        return np.stack([seen, np.negative(seen)], axis=1)

    images = [Image.fromarray(rng.integers(0, 255, (4, 4, 3), dtype=np.uint8)) for _ in range(6)]
    data = Examples(list("abcaab"), images, labels=["x", "y"] * 3)
    emap.compute(model, data, out=folder / "run", keep="grid", n_resamples=20).intervals()
    return [bytes([at]) + file.read_bytes() for at, file in enumerate(_run_files(folder))]


TARGETS: dict[str, tuple[Reader, Seeds]] = {
    "csv": (_dataset("data.csv"), _csv),
    "jsonl": (_dataset("data.jsonl"), _jsonl),
    "parquet": (_dataset("data.parquet"), _parquet),
    "webdataset": (_dataset("data.tar"), _shard),
    "npy": (_model("grid.npy"), _npy),
    "npz": (_model("grid.npz"), _npz),
    "safetensors": (_model("grid.safetensors"), _safetensors),
    "description": (_model("model.json", "torchscript"), _description),
    "regions": (_read_regions, _regions),
    "image": (_read_image, _images),
    "archive": (_read_archive, _archive),
    "run": (_read_run, _run),
}


if __name__ == "__main__":
    main()
