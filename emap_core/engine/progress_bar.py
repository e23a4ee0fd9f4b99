"""Progress events as a bar: on a terminal, and in a notebook."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from emap_core import methods
from emap_core.engine.progress import Event, Listener


def in_a_notebook() -> bool:
    """Return whether this code runs in the kernel of a notebook."""
    # Only in a kernel is IPython already loaded, with an interactive shell that has a kernel.
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


@contextmanager
def showing_progress(also: Listener | None = None) -> Iterator[Listener]:
    """Give a listener that shows a bar for as long as the block lasts, and tells `also`."""
    bar = _Bar(also)
    try:
        yield bar
    finally:
        bar.close()


class _Bar:
    def __init__(self, also: Listener | None) -> None:
        with warnings.catch_warnings():
            # Without ipywidgets a notebook shows a text bar, which is fine.
            warnings.simplefilter("ignore")
            from tqdm.auto import tqdm

        self._tqdm, self._also = tqdm, also
        self._bar: Any = None
        self._cells = "pairs"

    def __call__(self, event: Event) -> None:
        if self._also is not None:
            self._also(event)
        if event["event"] == "progress":
            self._advance(event)
        elif event["event"] == "planned":
            self._cells = event["cells"]
            self._write(
                f"{event['pairs_total']} {self._cells} in {event['tiles']} tiles on "
                f"{event['device']}; {_what_is_kept(event)}"
            )
        elif event["event"] in methods.NAMES:
            self._write(methods.method(event["event"]).told(event))
        elif event["event"] == "queued":
            self._write(event["message"])

    def _advance(self, event: Event) -> None:
        if self._bar is None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._bar = self._tqdm(
                    total=event["pairs_total"], unit=f" {self._cells}", unit_scale=True
                )
        self._bar.update(event["pairs_done"] - self._bar.n)
        if event["gap"] is not None:
            self._bar.set_postfix_str(f"gap so far {event['gap']:.3f}")

    def _write(self, line: str) -> None:
        self._tqdm.write(line, file=sys.stderr)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def _what_is_kept(event: Event) -> str:
    if event["keep"] == "grid":
        return "the grid is kept"
    if event["keep"] == "sums":
        return "only sums are kept: no what-if, no modes, intervals from scores alone"
    names = event["kept_classes"]
    some = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    return (
        f"the grid of {len(names)} classes is kept ({some}): modes and heatmaps of only these, no "
        "what-if, intervals from scores alone"
    )
