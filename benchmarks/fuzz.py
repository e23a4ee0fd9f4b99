"""Fuzz the readers of files from elsewhere, guided by coverage: each file is read or refused.

``pip install atheris``, then ``python -m benchmarks.fuzz csv --seconds 60``. It stops with
a traceback, and keeps the input in a file ``crash-…``, at any error but an `EmapError` of one line,
at a file written outside the target's folder, at an input that takes 30 s, and at 4 GB of memory.
Only `emap_core` is watched for coverage, not the libraries that it reads with. Half of the changes
are of bytes. The others are of values in JSON and of members of archives, because an archive's
checksum would give a changed byte away.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import random
import shutil
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

try:
    import atheris
except ImportError:
    sys.exit("fuzzing needs the package atheris: pip install atheris")

with atheris.instrument_imports(include=["emap_core"], enable_loader_override=False):
    import emap_core as emap
    from emap_core.datasets import load_dataset
    from emap_core.datasets.archive import unpack
    from emap_core.datasets.base import ImageFiles
    from emap_core.datasets.grid_cells import Cells, find_cells
    from emap_core.datasets.regions import RegionFiles
    from emap_core.models import load_model
    from emap_core.runs import Run
    from emap_core.runs.checksums import check_run
    from emap_core.runs.folder import describe_run

    # Specs load these when they are first named, which is too late to be followed.
    for late in ("datasets.table_files", "datasets.webdataset", "datasets.hf"):
        importlib.import_module(f"emap_core.{late}")
    for late in ("models.exported", "models.grid_file"):
        importlib.import_module(f"emap_core.{late}")

from benchmarks.fuzz_seeds import SEEDS, files_of, png, zipped

Reader = Callable[[Path, bytes], None]

ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 2**31, 2**64, 0.5, 1e308, float("nan"), "", "a\0\n", "\ud800", "../x"),
    *([], {}, [[1], [2, 3]], {"a": {}}, "x" * 5000),
)
LONGEST_MESSAGE = 1100
TWO = Cells(["a", "b"], *(np.arange(2) for _ in range(3)))


def main() -> None:
    """Fuzz the reader that the command line names until the time is up."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=sorted(READERS))
    parser.add_argument("--seconds", type=int, default=60)
    wanted = parser.parse_args()
    around = Path(tempfile.mkdtemp(prefix="fuzz-"))
    folder, start = around / "folder", around / "start"
    folder.mkdir()
    start.mkdir()
    read = READERS[wanted.what]
    for number, seed in enumerate(SEEDS[wanted.what](folder)):
        (start / str(number)).write_bytes(seed)
    (folder / "good.png").write_bytes(png())
    (folder / "own").mkdir()
    before = _beside(around)

    def once(content: bytes) -> None:
        read(folder, content)
        if (after := _beside(around)) != before:
            raise AssertionError(f"outside of the target's files: {set(before) ^ set(after)}")

    warnings.simplefilter("ignore")
    atheris.Setup(
        [
            *(sys.argv[0], str(start), f"-max_total_time={wanted.seconds}"),
            *("-timeout=30", "-rss_limit_mb=4096", "-max_len=65536", "-print_final_stats=1"),
            # Half of a whole file reaches more than what is left of it once it was made short.
            "-keep_seed=1",
        ],
        once,
        custom_mutator=_mutated,
    )
    atheris.Fuzz()


def _beside(around: Path) -> dict[Path, bytes]:
    """Return the files beside those that a reader may write."""
    seen = [*around.iterdir(), *(around / "folder").iterdir()]
    return {one: one.read_bytes() if one.is_file() else b"" for one in seen}


def _mutated(content: bytes, longest: int, seed: int) -> bytes:
    """Change bytes, or what is in them; of folders, the first byte says which file it is."""
    rng = random.Random(seed)
    for start in (0, 1):
        change = _odd_zip if content[start : start + 2] == b"PK" else _odd_json
        if rng.random() < 0.6:
            try:
                changed = content[:start] + change(content[start:], rng)
            except Exception:  # noqa: S112 - what cannot be taken apart is changed byte by byte
                continue
            if len(changed) <= longest:
                return changed
    return bytes(atheris.Mutate(content, longest))


def _odd_json(content: bytes, rng: random.Random) -> bytes:
    """Take a value out, or put an odd value or another one in its place."""
    lines = content.splitlines() if b"}\n{" in content else [content]
    at = rng.randrange(len(lines))
    whole = [json.loads(lines[at])]
    places = list(_places(whole))
    holder, key = rng.choice(places)
    if rng.random() < 0.2:
        del holder[key]
    else:
        other, name = rng.choice(places)
        holder[key] = rng.choice(ODD) if rng.random() < 0.7 else json.loads(json.dumps(other[name]))
    lines[at] = json.dumps(whole[0]).encode() if whole else b""
    return b"\n".join(lines)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


def _odd_zip(content: bytes, rng: random.Random) -> bytes:
    """Change a member and leave the archive whole."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(one.filename, archive.read(one)) for one in archive.infolist()]
    at = rng.randrange(len(members))
    name, member = members[at]
    if rng.random() < 0.8:
        member = bytes(atheris.Mutate(member, len(member) + 64))
    else:
        name = rng.choice([members[rng.randrange(len(members))][0], f"../{name}", f"{name}/x", "x"])
    members[at] = name, member
    return zipped(*members)


def _try(use: Callable[[], Any]) -> Any:
    try:
        return use()
    except emap.EmapError as error:
        words = str(error)
        if not (words.isprintable() and 0 < len(words) <= LONGEST_MESSAGE):
            raise AssertionError(f"not one line of print: {words!r}") from error
        return None


def _look_at(images: Any) -> None:
    for image in images:
        np.asarray(image)


def _use_dataset(spec: str, **settings: Any) -> None:
    data = _try(lambda: load_dataset(spec, **settings))
    if data is not None:
        _try(lambda: find_cells(data))
        _try(lambda: _look_at(data.images))
        if not all(words.isprintable() for words in data.skipped):
            raise AssertionError(f"not lines of print: {data.skipped}")


def _use_model(spec: str) -> None:
    model = _try(lambda: load_model(spec))
    if hasattr(model, "grid_for"):
        _try(lambda: np.array(model.grid_for(TWO)))


def _dataset(prefix: str, name: str) -> Reader:
    def read(folder: Path, content: bytes) -> None:
        (folder / "own" / name).write_bytes(content)
        (folder / "own" / "good.png").write_bytes((folder / "good.png").read_bytes())
        for skip_bad in (False, True):
            _use_dataset(f"{prefix}:{folder / 'own' / name}", skip_bad=skip_bad)

    return read


def _model(name: str) -> Reader:
    def read(folder: Path, content: bytes) -> None:
        (folder / "own" / name).write_bytes(content)
        _use_model(f"logits:{folder / 'own' / name}")

    return read


def _read_image(_: Path, content: bytes) -> None:
    _try(lambda: _look_at(ImageFiles([content])))


def _read_regions(_: Path, content: bytes) -> None:
    _try(lambda: RegionFiles([content], ["regions"])[0])


def _read_archive(folder: Path, content: bytes) -> None:
    path, target = folder / "own" / "archive", folder / "own" / "unpacked"
    path.write_bytes(content)
    shutil.rmtree(target, ignore_errors=True)
    _try(lambda: unpack(path, target))
    if {one.name for one in path.parent.iterdir()} - {"archive", "unpacked"}:
        raise AssertionError("something was unpacked elsewhere")
    for found in target.rglob("*"):
        if found.is_symlink() or not found.resolve().is_relative_to(target.resolve()):
            raise AssertionError(f"{found} leads out")


def _one_of(name: str, use: Callable[[Path], Any]) -> Reader:
    """Put the content in the place of one file of a folder; its first byte says which."""
    first: dict[Path, bytes] = {}

    def read(folder: Path, content: bytes) -> None:
        if not first:
            first.update(files_of(folder / name))
        file = sorted(first)[(content[0] if content else 0) % len(first)]
        file.write_bytes(content[1:])
        use(folder / name)
        for one in files_of(folder / name).keys() - first.keys():
            one.unlink()
        for one, whole in first.items():
            one.write_bytes(whole)

    return read


def _use_run(path: Path) -> None:
    _try(lambda: describe_run(path))
    _try(lambda: check_run(path))
    run = _try(lambda: Run.load(path))
    if run is not None:
        for use in (run.record, run.examples, run.intervals, lambda: run.grid.load()):
            _try(use)
        _try(lambda: _look_at(run.thumbnail(i) for i in range(3)))


def _use_exported(path: Path) -> None:
    model = _try(lambda: load_model(f"torchscript:{path.parent / 'model.pt'}"))
    if model is not None:
        _try(lambda: model.encode_texts(["a", "b a"]))


READERS: dict[str, Reader] = {
    "csv": _dataset("csv", "data.csv"),
    "jsonl": _dataset("jsonl", "data.jsonl"),
    "parquet": _dataset("parquet", "data.parquet"),
    "webdataset": _dataset("webdataset", "data.tar"),
    "saved": _one_of("saved", lambda path: _use_dataset(f"hf:{path}")),
    "npy": _model("grid.npy"),
    "npz": _model("grid.npz"),
    "safetensors": _model("grid.safetensors"),
    "pairs": _model("grid.parquet"),
    "zarr": _one_of("grid.zarr", lambda path: _use_model(f"logits:{path}")),
    "description": _one_of("model", _use_exported),
    "regions": _read_regions,
    "image": _read_image,
    "archive": _read_archive,
    "run": _one_of("run", _use_run),
}


if __name__ == "__main__":
    main()
