"""How long the app takes to open a page and to answer a click, and how much it sends."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import streamlit as st
from PIL import Image
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue
from streamlit.testing.v1 import AppTest

import emap_core as emap
from benchmarks.models import BilinearGrid, distinct_examples
from benchmarks.tables import markdown
from emap_core.datasets.base import Examples
from emap_core.runs import Run
from pages import page_names

APP = Path(__file__).parents[1] / "app.py"
SIDE = 500
"""How many different texts there are, and how many images."""

CLICKS = {
    "overview": "smallest.0.02",
    "recombine": "pair.5,7",
    "modes": "mode.2",
    "compare": "metric.f1_macro",
}
"""What a click on a page shows, by page; on the other pages, another example."""


def reruns() -> str:
    """Open every page and click on it, with a run of 10,000 examples and one of 100,000."""
    rows = []
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, {"EMAP_RUNS": folder}):
        every_page = ("start", *page_names(of_a_run=True))
        for n, pages in ((10_000, every_page), (100_000, ("overview", "contributions"))):
            run = _run(n, Path(folder) / str(n))
            _run(n, Path(folder) / f"{n}-other", n_classes=9)
            rows += [_measured(page, run) for page in pages]
    return markdown(
        "Pages of a large run",
        f"A run of {SIDE:,} texts × {SIDE:,} images and 10 classes that keeps its whole grid, "
        "beside another run on the same data. Times are the server's. Opened: every cache is "
        "empty, and the intervals are computed. Clicked: another example, mode, pair or metric, "
        "median of 5. Sent: all messages of the opened page. Images are not among them; "
        "browsers fetch those afterwards.",
        ("examples", "page", "opened, s", "clicked, ms", "sent, MB"),
        rows,
    )


def _run(n: int, out: Path, n_classes: int = 10) -> Run:
    rng = np.random.default_rng(0)
    whole = distinct_examples(SIDE, n_classes)
    pictures: list[Image.Image] = list(whole.images)
    # Each text and each image is used, and then any with any.
    texts, images = (np.r_[np.arange(SIDE), rng.integers(0, SIDE, n - SIDE)] for _ in "ab")
    data = Examples(
        texts=[whole.texts[u] for u in texts],
        images=[pictures[w] for w in images],
        image_keys=images.tolist(),
        labels=[int(label) for label in rng.integers(0, 9, n)],
        fingerprint=f"repeated {n}",
    )
    # Few resamples are enough: the intervals are computed before a page is opened.
    run = emap.compute(BilinearGrid(n_classes), data, out=out, keep="grid", n_resamples=100)
    run.intervals()
    return run


def _measured(page: str, run: Run) -> tuple[object, ...]:
    st.cache_data.clear()
    st.cache_resource.clear()
    app = AppTest.from_file(str(APP), default_timeout=600)
    app.query_params["run"] = run.id
    with _counted() as sizes:
        started = time.perf_counter()
        _show(app, page)
        opened = time.perf_counter() - started
    sent = sum(sizes)
    times = []
    for i in range(5):
        if page in CLICKS:
            app.query_params["view"] = CLICKS[page] if i % 2 == 0 else ""
        app.query_params["example"] = run.ids[i + 1]
        started = time.perf_counter()
        app.run()
        times.append(time.perf_counter() - started)
        _require_no_error(app)
    clicked = 1000 * float(np.median(times))
    return f"{len(run.ids):,}", page, opened, clicked, sent / 1e6


def _show(app: Any, page: str) -> None:
    # What a link does: the page named in the address is the only one that runs.
    app.switch_page(f"pages/{page}.py")
    app.run()
    _require_no_error(app)


def _require_no_error(app: Any) -> None:
    if app.exception:
        raise RuntimeError(app.exception)


@contextmanager
def _counted() -> Iterator[list[int]]:
    sizes: list[int] = []
    enqueue = ForwardMsgQueue.enqueue

    def counting(queue: ForwardMsgQueue, message: Any) -> None:
        sizes.append(message.ByteSize())
        enqueue(queue, message)

    with patch.object(ForwardMsgQueue, "enqueue", counting):
        yield sizes
