"""How a run was computed and from what: one fact per line, the same everywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from emap_core.human_readable import capitalised, duration
from emap_core.inference import metric
from emap_core.inference.predictions.scores import in_words
from emap_core.modalities.side_names import cells_of, items_of, worded
from emap_core.presentation.run_titles import made_from
from emap_core.presentation.tables import tested
from emap_core.runs import Run

PROBABILITIES_NOTE = (
    "Projected probabilities can leave the range from 0 to 1. Metrics that need "
    "probabilities clip them to at least 1e-7 and renormalise."
)


_CLOSED_FORM = (
    ", in closed form: the score is a scaled dot product, so all recombinations follow "
    "from the encodings"
)


def facts(run: Run) -> dict[str, str]:
    """Return facts on how a run was computed and from what, by subject."""
    manifest, found = run.manifest, run.intervals()
    told = {
        "Method": manifest["method"] + (_CLOSED_FORM if manifest["closed_form"] else ""),
        "Projected": in_words(run.space, run.task),
        "Task": run.task,
        "Examples": f"{manifest['n_examples']:,}"
        + (f"; {run.skipped_note}, see below" if run.skipped else ""),
        **{
            f"Different {items_of(side, run.sides)}": f"{size:,}"
            for side, size in zip(run.sides, run.sizes, strict=True)
        },
        f"{capitalised(cells_of(len(run.sides)))} evaluated": f"{manifest['n_pairs_evaluated']:,}",
        "Kept": _kept(run),
        "Resamples": worded(run.sides, run.statistics.resamples(found)),
        "Seed": str(found.seed),
        "Device": str(manifest.get("device", "not known")),
        "Time": duration(manifest["seconds"]) if manifest.get("seconds") else "not known",
        "Computed": str(manifest.get("created", ""))[:16].replace("T", " ") + " UTC",
        "Run": run.id,
    }
    for name in run.metrics:
        gap = run.gap(name)
        test = f"; {tested(run, name)}" if gap.p_value == gap.p_value else ""
        told[f"Interval of the gap in {metric(name).label}"] = worded(run.sides, gap.method) + test
    if manifest.get("name"):
        told["Name"] = manifest["name"]
    return told | tags_and_comment(manifest) | made_from(manifest)


def tags_and_comment(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags and the comment of a run, one line each; leave out what it lacks."""
    told = {"Tags": ", ".join(manifest["tags"]), "Comment": manifest["comment"] or ""}
    return {what: " ".join(words.split()) for what, words in told.items() if words}


def annotated(runs: Sequence[Run], names: Sequence[str]) -> list[str]:
    """Return a line for each run that has tags or a comment, by the run's name."""
    found = []
    for run, name in zip(runs, names, strict=True):
        said = (
            f"{what.lower()}: {words}" for what, words in tags_and_comment(run.manifest).items()
        )
        if line := "; ".join(said):
            found.append(f"{name}: {line}")
    return found


_SAYS_NOTHING = ("Run", "Computed", "Time", "Name", "Tags", "Comment")
"""Facts that differ between any two runs, or say nothing about how they were computed."""


def changed(first: Run, second: Run) -> dict[str, tuple[str, str]]:
    """Return how two runs differ in how they were computed and from what; results do not count.

    Returns
    -------
    dict of str to (str, str)
        What each run says, by subject; a dash if a run says nothing. Data, and models whose weights
        have no name, appear as the start of their fingerprints.
    """
    told = [facts(run) for run in (first, second)]
    for run, one in zip((first, second), told, strict=True):
        one |= _fingerprints(run, "Model, weights" in one)
    names = [name for name in dict.fromkeys([*told[0], *told[1]]) if name not in _SAYS_NOTHING]
    found = {name: (told[0].get(name, "–"), told[1].get(name, "–")) for name in names}
    return {
        name: sides
        for name, sides in found.items()
        if sides[0] != sides[1] and not name.startswith("Interval of the gap")
    }


def _fingerprints(run: Run, weights_are_told: bool) -> dict[str, str]:
    prints = run.manifest["fingerprints"]
    sides = [("data", "Data, fingerprint")]
    if not weights_are_told:
        sides.append(("model", "Model, fingerprint"))
    return {words: str(prints[key])[:8] for key, words in sides if prints.get(key)}


def _kept(run: Run) -> str:
    if run.manifest["keep"] == "grid":
        return "the whole grid"
    n = len(run.kept_classes)
    return f"the grid of {n:,} of {len(run.classes):,} classes" if n else "sums only"
