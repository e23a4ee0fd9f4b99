"""Fifty visitors at once, for five minutes: errors, memory and how long clicks take."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

import emap_core as emap
from benchmarks.tables import markdown
from emap_core.runs import Run
from pages import page_names

HOUSE = Path(__file__).parents[1]
SESSIONS = 50
SECONDS = float(os.environ.get("EMAP_SOAK_SECONDS", "300"))
PAUSE = (5.0, 15.0)
"""A visitor waits between so many seconds before a click, all equally likely."""
PATIENCE = 60.0
MODELS = ("demo:concat", "demo:additive")
PAGES = page_names(of_a_run=True)


@dataclass
class Seen:
    """What all visitors saw; times count from `warm` on."""

    warm: float
    opened: list[float] = field(default_factory=list)
    clicked: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def soak() -> str:
    """Let visitors open pages and click on them, on a server that only shows finished runs."""
    with tempfile.TemporaryDirectory() as folder:
        runs = [_run(model, Path(folder) / model.replace(":", "-")) for model in MODELS]
        with _server(folder) as (port, process):
            seen, start, end = asyncio.run(_visit(port, process, runs))
    for error in sorted(set(seen.errors)):
        print(error, file=sys.stderr)
    return markdown(
        "Many visitors at once",
        f"{SESSIONS} sessions over the app's own websocket for {SECONDS:.0f} s, from one process "
        "on the server's machine. Each opens pages of two runs of the demo (9,673 examples, 107 "
        "× 1,000 recombinations, the whole grid kept), clicks three times on each (another "
        "example, pair or mode), and waits 5 to 15 s before each click. A click is over when "
        "the server has sent its whole answer. No browser draws it, and nobody fetches the "
        "images. Memory is the server's resident set: its median over a tenth of the time after "
        "the warm-up, which is the first fifth, and over the last tenth. Times leave out the "
        "warm-up; errors do not.",
        (
            "pages opened",
            "clicks",
            "errors",
            "memory, MB",
            "at the end, MB",
            "growth",
            "click, median ms",
            "95% under, ms",
            "slowest, ms",
            "page, 95% under, ms",
        ),
        [
            (
                len(seen.opened),
                len(seen.clicked),
                len(seen.errors),
                f"{start / 1e6:.0f}",
                f"{end / 1e6:.0f}",
                f"{end / start - 1:+.1%}",
                _milliseconds(seen.clicked, 50),
                _milliseconds(seen.clicked, 95),
                _milliseconds(seen.clicked, 100),
                _milliseconds(seen.opened, 95),
            )
        ],
    )


def _milliseconds(times: list[float], percent: float) -> str:
    # A server that is overrun may answer nothing after the warm-up.
    return f"{np.percentile(times, percent) * 1e3:.0f}" if times else "none"


def _run(model: str, out: Path) -> Run:
    run = emap.compute(model, "demo:easy-vqa", out=out, keep="grid", n_resamples=200)
    run.intervals()
    return run


@contextmanager
def _server(folder: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless=true"),
            *(f"--server.port={port}", "--logger.level=error"),
        ],
        cwd=HOUSE,
        env={**os.environ, "EMAP_RUNS": folder, "EMAP_MODE": "viewer"},
        stdout=subprocess.DEVNULL,
    )
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5)
                break
            except OSError:
                time.sleep(0.2)
        yield port, process
    finally:
        process.terminate()
        process.wait(30)


async def _visit(
    port: int, process: subprocess.Popen[bytes], runs: list[Run]
) -> tuple[Seen, int, int]:
    began = time.monotonic()
    seen, until = Seen(began + SECONDS / 5), began + SECONDS
    visits = [
        asyncio.create_task(_visitor(port, runs, random.Random(number), until, seen))
        for number in range(SESSIONS)
    ]
    await asyncio.sleep(SECONDS / 5)
    start = await _usual_memory(process)
    await asyncio.sleep(max(0.0, until - SECONDS / 10 - time.monotonic()))
    end = await _usual_memory(process)
    await asyncio.gather(*visits)
    return seen, start, end


async def _usual_memory(process: subprocess.Popen[bytes]) -> int:
    """Return the median over a tenth of the time; answers under way add tens of megabytes."""
    found = []
    for _ in range(50):
        found.append(_memory(process))
        await asyncio.sleep(SECONDS / 10 / 50)
    return int(np.median(found))


async def _visitor(
    port: int, runs: list[Run], chance: random.Random, until: float, seen: Seen
) -> None:
    # People do not all arrive in the same instant.
    await asyncio.sleep(chance.uniform(0, SECONDS / 10))
    try:
        async with connect(
            f"ws://127.0.0.1:{port}/_stcore/stream", subprotocols=["streamlit"], max_size=None
        ) as line:
            while time.monotonic() < until:
                run, page = chance.choice(runs), chance.choice(PAGES)
                keys = f"run={run.id}"
                await _ask(line, page, keys, seen, seen.opened)
                for _ in range(3):
                    await asyncio.sleep(chance.uniform(*PAUSE))
                    if time.monotonic() >= until:
                        return
                    clicked = f"{keys}&{_click(run, page, chance)}"
                    await _ask(line, page, clicked, seen, seen.clicked)
    except Exception as error:
        seen.errors.append(f"{type(error).__name__}: {error}")


def _click(run: Run, page: str, chance: random.Random) -> str:
    """Return what a click on a page changes in its address."""
    n_texts, n_images = (run.manifest[name] for name in ("n_texts", "n_images"))
    if page == "recombine":
        return f"view=pair.{chance.randrange(n_texts)},{chance.randrange(n_images)}"
    if page == "modes":
        return f"view=mode.{chance.randrange(1, 4)}"
    if page == "overview":
        return f"view=smallest.{chance.choice(('0.01', '0.02', '0.05'))}"
    return f"example={chance.choice(run.ids)}"


async def _ask(
    line: ClientConnection, page: str, keys: str, seen: Seen, times: list[float]
) -> None:
    """Ask for a page and note the seconds until all of it was sent."""
    asked = BackMsg()
    asked.rerun_script.query_string = keys
    asked.rerun_script.page_name = page
    began = time.monotonic()
    await line.send(asked.SerializeToString())
    while True:
        content = await asyncio.wait_for(line.recv(), PATIENCE)
        answer = ForwardMsg()
        answer.ParseFromString(content if isinstance(content, bytes) else content.encode())
        kind = answer.WhichOneof("type")
        if kind == "page_not_found":
            seen.errors.append(f"{page}: no such page")
        if kind == "delta":
            element = answer.delta.new_element
            if element.WhichOneof("type") == "exception":
                seen.errors.append(f"{page}?{keys}: {element.exception.message}")
            elif element.WhichOneof("type") == "alert" and "error" in element.alert.icon:
                seen.errors.append(f"{page}?{keys}: {element.alert.body}")
        if kind == "script_finished" and answer.script_finished in (
            ForwardMsg.FINISHED_SUCCESSFULLY,
            ForwardMsg.FINISHED_WITH_COMPILE_ERROR,
        ):
            if answer.script_finished == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
                seen.errors.append(f"{page}: not compiled")
            if began >= seen.warm:
                times.append(time.monotonic() - began)
            return


def _memory(process: subprocess.Popen[bytes]) -> int:
    """Return the bytes that a process holds in memory."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    (size,) = (line.split()[1] for line in lines if line.startswith("VmRSS"))
    return int(size) * 1024
