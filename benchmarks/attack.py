"""Attack a copy of a run on this machine, to see what one bad folder does to all other pages.

``python -m benchmarks attack`` damages copies of a good run, one at a time, and puts each beside it
as a newer run: one value of the manifest has another type or size, or one file is damaged. With
each copy it opens pages of both runs, and runs ``show`` and the report of the damaged one. The
pages of the good run must not change; those of the damaged one must say in one line what is wrong.
At the end it flips single bits in stored intervals and scores; ``check`` must find all of them. It
only touches files in temporary folders.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from streamlit.testing.v1 import AppTest

import emap_core as emap
from benchmarks.tables import markdown
from emap_core.cli import main as command_line
from emap_core.errors import EmapError
from emap_core.presentation.report import report_html
from emap_core.runs import Run
from emap_core.runs.checksums import check_run
from emap_core.runs.manifest import KEYS
from pages.shared.run_and_example import _listed as listed_runs

Damage = Callable[[Path], None]

ODD = (3, "three", None, [], {}, True, -1, 0.5, 10**9, ["\ud800"], [[1], {}], float("nan"))
FILES = (
    "run.json",
    "sums.npz",
    "labels.npy",
    "examples.parquet",
    "texts.parquet",
    "images/part-000000.parquet",
    "grid.zarr/zarr.json",
    "inference/intervals.json",
    "inference/points.json",
    "progress.json",
    "checksums.json",
)
_N_BITS = 28


def manifests() -> Iterator[tuple[str, Damage]]:
    """Yield manifests with one value of another type or size: one for each key, and more."""
    for place, name in enumerate(KEYS):
        value = ODD[place % len(ODD)]
        yield f"{name} = {value!r}", _set(name, value)
    yield "no created", _set("created", ...)
    yield "no classes", _set("classes", ...)
    for name, value in (
        ("n_classes", 10**9),
        ("n_examples", 10**12),
        ("images_per_part", 10**12),
        ("classes", ["x"] * 1000),
        ("kept_classes", [10**9]),
        ("resampling", {"cluster": "auto", "n_resamples": 10**12, "seed": 0}),
        ("resampling", {"cluster": []}),
        ("fingerprints", {"data": 3}),
        ("settings", {"seed": "x"}),
        ("metrics", ["accuracy", 3]),
        ("metrics", ["top_" + "9" * 5000 + "_accuracy"]),
        ("task", "regression"),
        ("method", "sampled"),
        ("method", "subsample"),
        ("keep", "classes"),
        ("format", 99),
    ):
        yield f"{name} = {str(value)[:40]}", _set(name, value)


def folders() -> Iterator[tuple[str, Damage]]:
    """Yield folders with one file cut, empty, gone, a pipe, a folder or with a bit flipped."""
    for name in FILES:
        yield f"{name} cut", _rewrite(name, lambda content: content[: len(content) // 2])
        yield f"{name} gone", _rewrite(name, None)
        yield f"{name} with a bit flipped", _rewrite(name, _flip)
        yield f"{name} a pipe", _replace(name, os.mkfifo)
        yield f"{name} other JSON", _rewrite(name, lambda content: b'{"a": [{}, 3, null]}')
    yield "sums.npz a folder", _replace("sums.npz", os.mkdir)
    yield "labels.npy empty", _rewrite("labels.npy", lambda content: b"")
    yield "labels.npy of the highest numbers", _labels(lambda a: a | (1 << 62))
    yield "labels.npy below zero", _labels(lambda a: -a - 5)
    yield "labels.npy of floats", _labels(lambda a: a / 3)
    yield "labels.npy of another length", _labels(lambda a: a[:-1])
    yield "labels.npy of names", _labels(lambda a: a.astype(str))
    yield "sums.npz of other shapes", _sums(lambda a: a[..., :1])
    yield "sums.npz of whole numbers", _sums(lambda a: a.astype(np.int64))
    yield "sums.npz of NaN", _sums(lambda a: a * np.nan if a.dtype.kind == "f" else a)
    yield "sums.npz with indices out of range", _sums(lambda a: a + 9 if a.dtype.kind == "i" else a)
    yield "sums.npz packed", _sums(lambda a: a, np.savez_compressed)
    part, texts = "images/part-000000.parquet", "texts.parquet"
    yield "thumbnails of numbers", _column(part, "thumbnail", lambda v: [10**9] * len(v))
    yield "thumbnails of texts", _column(part, "thumbnail", lambda v: ["x"] * len(v))
    yield "thumbnails that are none", _column(part, "thumbnail", lambda v: [b"GIF89a"] * len(v))
    yield "too few thumbnails", _column(part, "thumbnail", lambda v: v[:1])
    yield "texts of numbers", _column(texts, "text", lambda v: list(range(len(v))))
    yield "texts with gaps", _column(texts, "text", lambda v: [None, *v[1:]])
    yield "too many texts", _column(texts, "text", lambda v: v * 3)
    yield "another column of texts", _column(texts, "words", lambda v: v)
    yield "ids of lists", _column("examples.parquet", "id", lambda v: [[i] for i in v])
    yield "a grid of another shape", _grid("shape", [10**9, 10**9, 10**9])
    yield (
        "a grid in one chunk of all memory",
        _grid(
            "chunk_grid", {"name": "regular", "configuration": {"chunk_shape": [10**6, 10**6, 13]}}
        ),
    )
    yield "a grid that unpacks", _grid("codecs", [{"name": "bytes"}, {"name": "gzip"}])


def flipped_bits(run: Path) -> tuple[int, int]:
    """Return how many flipped bits in ``inference/`` are found, one at a time, and of how many."""
    rng = np.random.default_rng(0)
    names = ("intervals.json", "points.json")
    found = 0
    for number in range(_N_BITS):
        path = run / "inference" / names[number % 2]
        whole = path.read_bytes()
        changed = bytearray(whole)
        changed[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        path.write_bytes(changed)
        found += bool(check_run(run))
        path.write_bytes(whole)
    return found, _N_BITS


def attack() -> str:
    """Return the table of what the damaged folders did."""
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as home:
        root = Path(home) / "runs"
        os.environ["EMAP_RUNS"] = str(root)
        data = {"limit": 60}
        good = emap.compute(
            "demo:concat", "demo:easy-vqa", data_args=data, keep="grid", out=root / "good"
        )
        good.intervals()
        rows: list[list[object]] = []
        for what, cases in (("manifests", manifests()), ("folders", folders())):
            rows.append([what, *_tried(root, list(cases))])
        found, flipped = flipped_bits(good.path)
        rows.append(["bits in inference/ that check misses", flipped, flipped - found, "", ""])
    return markdown(
        "One bad folder",
        "Damaged copies of a run, each alone beside the good one and newer than it: how many "
        "change or break a page of another run, break a page of their own, or end a command in "
        "the terminal with a traceback.",
        ["damaged", "tried", "other pages harmed", "own pages broken", "tracebacks"],
        rows,
    )


def _tried(root: Path, cases: list[tuple[str, Damage]]) -> list[int]:
    count = [len(cases), 0, 0, 0]
    for number, (name, damage) in enumerate(cases):
        # Each has its own name, so that pages remember the good run and none of these.
        bad = root / f"bad-{len(cases)}-{number}"
        shutil.copytree(root / "good", bad)
        _set("created", "2099-01-01T00:00:00+00:00")(bad)
        damage(bad)
        others, own = harm_to_pages(bad.name)
        for place, lines in enumerate((others, own, tracebacks_of_commands(bad)), start=1):
            count[place] += bool(lines)
            for line in lines:
                print(f"{name}: {line}", flush=True)
        shutil.rmtree(bad)
    return count


def harm_to_pages(bad: str) -> tuple[list[str], list[str]]:
    """Return what is wrong with other pages, and which pages of the damaged run broke."""
    listed_runs.clear()
    app = AppTest.from_file(str(Path(__file__).parents[1] / "app.py"), default_timeout=60)
    others, own = [], []
    for page, run, words in (
        ("start", "", "60 examples"),
        ("compare", "good", "Which model uses both sides?"),
        ("overview", "good", "95% intervals in brackets"),
        ("overview", bad, ""),
        ("run", bad, ""),
    ):
        try:
            if run:
                app.query_params["run"] = run
            app = app.run() if page == "start" else app.switch_page(f"pages/{page}.py").run()
            broken = "; ".join(f"{one.message}" for one in app.exception)
        except Exception as error:
            broken = f"{type(error).__name__}: {error}"
        said = "" if broken else _words(app)
        if broken or words not in said:
            (own if run == bad else others).append(f"{page} {run}: {broken or said[-300:]}")
    return others, own


def _words(app: AppTest) -> str:
    kinds = ("title", "html", "text", "markdown", "caption", "error", "info")
    return "\n".join(
        str(getattr(one, "value", None) or getattr(one, "body", ""))
        for kind in kinds
        for one in app.get(kind)
    )


def tracebacks_of_commands(run: Path) -> list[str]:
    """Return which commands end with anything but a result or an error of one line."""
    found = []
    for command in (["show", str(run), "--json"], ["check", str(run)]):
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
                command_line(command)
        except SystemExit:
            pass
        except BaseException as error:
            found.append(f"{command[0]}: {type(error).__name__}: {error}")
        if said.getvalue().count("\n") > 1:
            found.append(f"{command[0]}: {said.getvalue()[:200]}")
    try:
        report_html(Run.load(run))
    except EmapError:
        pass
    except BaseException as error:
        found.append(f"report: {type(error).__name__}: {error}")
    return found


def _set(name: str, value: Any) -> Damage:
    def damage(run: Path) -> None:
        manifest = json.loads((run / "run.json").read_text())
        manifest.pop(name, None)
        if value is not ...:
            manifest[name] = value
        (run / "run.json").write_text(json.dumps(manifest))

    return damage


def _rewrite(name: str, change: Callable[[bytes], bytes] | None) -> Damage:
    def damage(run: Path) -> None:
        path = run / name
        content = path.read_bytes() if path.exists() else b""
        path.unlink(missing_ok=True)
        if change is not None:
            path.write_bytes(change(content))

    return damage


def _replace(name: str, make: Callable[[Path], Any]) -> Damage:
    def damage(run: Path) -> None:
        (run / name).unlink(missing_ok=True)
        make(run / name)

    return damage


def _flip(content: bytes) -> bytes:
    changed = bytearray(content)
    changed[len(changed) * 2 // 3] ^= 64
    return bytes(changed)


def _labels(change: Callable[[Any], Any]) -> Damage:
    def damage(run: Path) -> None:
        np.save(run / "labels.npy", change(np.load(run / "labels.npy")))

    return damage


def _sums(change: Callable[[Any], Any], save: Callable[..., None] = np.savez) -> Damage:
    def damage(run: Path) -> None:
        with np.load(run / "sums.npz") as stored:
            arrays = {name: change(stored[name]) for name in stored}
        save(run / "sums.npz", **arrays)

    return damage


def _column(name: str, column: str, change: Callable[[list[Any]], list[Any]]) -> Damage:
    def damage(run: Path) -> None:
        values = pq.read_table(run / name).column(0).to_pylist()
        pq.write_table(pa.table({column: change(values)}), run / name)

    return damage


def _grid(key: str, value: Any) -> Damage:
    def damage(run: Path) -> None:
        path = run / "grid.zarr" / "zarr.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))

    return damage
