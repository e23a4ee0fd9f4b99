"""Which runs a list shows, and in which order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from emap_core.inference import Gap, metric
from emap_core.inference.number_format import bracket, change
from emap_core.presentation.run_titles import run_title
from emap_core.runs import Run, RunInfo
from emap_core.runs.folder import RunFolder


def known_gap(run: RunInfo) -> Gap | None:
    """Return the gap of a run's first metric, or None if its interval was never computed."""
    if run.status != "finished":
        return None
    return Run(RunFolder(run.path), run.manifest).known_gap


def gap_in_words(gap: Gap) -> str:
    """Return a gap for a list of runs: ``accuracy +16.0 points [13.1, 19.0]``."""
    which = metric(gap.metric)
    limits = bracket(gap.low, gap.high, which.unit)
    return f"{which.label} {change(gap.difference, which.unit)} {limits}"


def matching(runs: Sequence[RunInfo], words: str) -> list[RunInfo]:
    """Return the runs that have all these words, in the same order.

    Parameters
    ----------
    runs : sequence of RunInfo
    words : str
        Each must occur in the run's name, model, data, tags, comment, id or date; case does not
        matter, and part of a word is enough.
    """
    wanted = words.casefold().split()
    return [run for run in runs if all(word in _searched(run) for word in wanted)]


def in_order(
    runs: Sequence[RunInfo], by: str, gap_of: Callable[[RunInfo], Gap | None] = known_gap
) -> list[RunInfo]:
    """Return the runs in an order; equal ones keep their order.

    Parameters
    ----------
    runs : sequence of RunInfo
        Newest first.
    by : str
        One of `emap_core.option_names.ORDERS`.
    gap_of : callable
        The gap of a run, or None if unknown; only called to order by gap, since it reads a file per
        run. Gaps of different metrics cannot be compared, so the most common metric comes first.
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
    """Return the tags of runs, most used first, each with the number of runs."""
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
