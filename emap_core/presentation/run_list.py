"""Which runs a list shows, and in which order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from emap_core.inference import Gap, metric
from emap_core.inference.digits import bracket, change
from emap_core.presentation.run_titles import run_title
from emap_core.runs import Run, RunInfo
from emap_core.runs.folder import RunFolder


def known_gap(run: RunInfo) -> Gap | None:
    """Return the gap of a run's first metric, None where its interval was never computed."""
    if run.status != "finished":
        return None
    return Run(RunFolder(run.path), run.manifest).known_gap


def gap_in_words(gap: Gap) -> str:
    """Return a gap as a list of runs has it: ``accuracy +16.0 points [13.1, 19.0]``."""
    which = metric(gap.metric)
    limits = bracket(gap.low, gap.high, which.unit)
    return f"{which.label} {change(gap.difference, which.unit)} {limits}"


def matching(runs: Sequence[RunInfo], words: str) -> list[RunInfo]:
    """Return the runs that have all these words, in their order.

    Parameters
    ----------
    runs : sequence of RunInfo
    words : str
        Each has to stand somewhere in the run's name, model, data, tags, comment, id or date,
        however it is capitalised; a part of a word is enough.
    """
    wanted = words.casefold().split()
    return [run for run in runs if all(word in _searched(run) for word in wanted)]


def in_order(
    runs: Sequence[RunInfo], by: str, gap_of: Callable[[RunInfo], Gap | None] = known_gap
) -> list[RunInfo]:
    """Return the runs in an order; those alike stand in the order in which they came.

    Parameters
    ----------
    runs : sequence of RunInfo
        The newest first.
    by : str
        One of `emap_core.options.ORDERS`.
    gap_of : callable
        The gap of a run, None where it is not known; only asked for where gaps decide, which reads
        a file of each run. Gaps of different metrics cannot be compared: those of the metric that
        most runs have come first.
    """
    if by == "newest":
        return list(runs)
    if by == "oldest":
        return list(reversed(runs))
    if by in ("name", "model", "data"):
        return sorted(runs, key=lambda run: _called(run, by).casefold())
    found = {run.id: gap_of(run) for run in runs}
    known = Counter(gap.metric for gap in found.values() if gap is not None)

    def place(run: RunInfo) -> tuple[int, str, float]:
        gap = found[run.id]
        return (1, "", 0.0) if gap is None else (-known[gap.metric], gap.metric, -gap.difference)

    return sorted(runs, key=place)


def tags_of(runs: Sequence[RunInfo]) -> dict[str, int]:
    """Return the tags of runs, the most used first, each with how many have it."""
    counted: Mapping[str, int] = Counter(
        tag for run in runs for tag in run.manifest.get("tags") or ()
    )
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0].casefold())))


def _called(run: RunInfo, what: str) -> str:
    if what == "name":
        return run_title(run.manifest)
    return str(run.manifest.get({"model": "model", "data": "dataset"}[what]))


def _searched(run: RunInfo) -> str:
    said = run.manifest
    created = str(said.get("created", ""))[:16].replace("T", " ")
    parts = (
        *(said.get(key) or "" for key in ("name", "model", "dataset", "comment")),
        *(said.get("tags") or ()),
        run.id,
        created,
    )
    return "\n".join(map(str, parts)).casefold()
