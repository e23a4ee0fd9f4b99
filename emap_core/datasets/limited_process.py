"""Read files from somebody else in a separate process, with limits on memory and time.

A file of a few kilobytes can unpack to gigabytes, and decoders are written in C. In a separate
process, neither can take the server down: memory and time are limited, and only JSON comes back.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emap_core.environment import whole_number
from emap_core.errors import DatasetError, EmapError
from emap_core.option_names import for_a_child

_HOUSE = Path(__file__).resolve().parents[2]
_SECONDS = 60
_BYTES = 2 << 30
_LARGEST_ANSWER = 8 << 20


def limited(
    function: str, *arguments: Any, doing: str, environment: Mapping[str, str] | None = None
) -> Any:
    """Call a function of this package in a process with limits, and return its result.

    ``EMAP_MAX_UPLOAD_SECONDS`` (60) and ``EMAP_MAX_UPLOAD_MEMORY`` (2 GiB) are the limits.

    Parameters
    ----------
    function : str
        ``module:name`` of a function that takes and returns JSON values.
    *arguments
    doing : str
        What went wrong if it fails, for messages, such as "data.zip cannot be unpacked".
    environment : mapping, optional
        Variables for the process on top of this process's environment.

    Raises
    ------
    DatasetError
        If the function raises an EmapError (with its message), exceeds a limit or crashes.
    """
    seconds = whole_number("EMAP_MAX_UPLOAD_SECONDS", _SECONDS)
    n_bytes = whole_number("EMAP_MAX_UPLOAD_MEMORY", _BYTES)
    asked = {"function": function, "arguments": arguments, "seconds": seconds, "bytes": n_bytes}
    paths = [str(_HOUSE), *filter(None, [os.environ.get("PYTHONPATH")])]
    try:
        done = subprocess.run(  # noqa: S603 - our own module; arguments go through its input
            [sys.executable, "-m", __spec__.name],
            input=json.dumps(asked).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
            env={
                **os.environ,
                **(environment or {}),
                "PYTHONPATH": os.pathsep.join(paths),
                "OMP_NUM_THREADS": "1",
                **for_a_child(),
                # Other systems reserve far more than they use.
                "ARROW_DEFAULT_MEMORY_POOL": "system",
                "MALLOC_ARENA_MAX": "2",
            },
        )
    except subprocess.TimeoutExpired:
        raise DatasetError(
            f"{doing}: it takes more than {seconds} seconds; give a smaller file, or start the "
            "server with a higher EMAP_MAX_UPLOAD_SECONDS"
        ) from None
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        # It was killed, or a library ended it, usually because memory ran out.
        answer = {"memory": True}
    if "memory" in answer:
        raise DatasetError(
            f"{doing}: it takes more than {n_bytes >> 20:,} MiB of memory, or is damaged; give a "
            "smaller file, or start the server with a higher EMAP_MAX_UPLOAD_MEMORY"
        )
    if "error" in answer:
        raise DatasetError(answer["error"])
    return answer["result"]


def _child() -> None:
    asked = json.load(sys.stdin)
    resource.setrlimit(resource.RLIMIT_AS, (asked["bytes"], asked["bytes"]))
    resource.setrlimit(resource.RLIMIT_CPU, (asked["seconds"] + 1, asked["seconds"] + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    module, _, name = asked["function"].partition(":")
    try:
        found = getattr(importlib.import_module(module), name)(*asked["arguments"])
        answer = json.dumps({"result": found})
        if len(answer) > _LARGEST_ANSWER:
            answer = json.dumps({"error": "it is too large to show; give a smaller one"})
    except EmapError as error:
        memory = isinstance(error.__cause__, MemoryError)
        answer = json.dumps({"memory": True} if memory else {"error": str(error)})
    except MemoryError:
        answer = json.dumps({"memory": True})
    sys.stdout.write(answer)


if __name__ == "__main__":
    _child()
