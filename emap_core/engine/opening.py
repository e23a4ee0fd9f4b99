"""Open a run: check its folder, score the warm-up tile, write what describes the run."""

from __future__ import annotations

import functools
import platform
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from emap_core.engine import gate
from emap_core.engine.binding import Binding
from emap_core.engine.measure import WarmUp
from emap_core.engine.problem import Problem, align
from emap_core.engine.workers import Workers
from emap_core.errors import RunError
from emap_core.option_names import option
from emap_core.runs import usable_metrics
from emap_core.runs.annotations import checked_tags
from emap_core.runs.checksums import renew_manifest_checksum
from emap_core.runs.folder import RunFolder, index_column, runs_root
from emap_core.runs.manifest import check_new_manifest
from emap_core.runs.store import is_passing, location, replacing

_STORED_AS = {"shard": "part"}
"""Settings that have another name on disk, kept for the sake of existing runs."""
_PACKAGES = ("numpy", "torch", "pandas", "scikit-learn", "pillow")


def measured(binding: Binding, workers: Workers, timed: bool = True) -> tuple[Problem, WarmUp]:
    """Score the warm-up tile of new work, and refuse what could not be finished or kept.

    Returns
    -------
    (Problem, WarmUp)
        What to know with the result is among the problem's notes.

    Raises
    ------
    EmapError
        If model, data and settings do not fit together.
    """
    warm_up, device = workers.measure(binding, timed)
    problem = align(replace(binding, device=device), warm_up.cells.shape[2])
    problem = replace(problem, notes=[*problem.notes, *gate.check(problem, warm_up)])
    check_new_manifest(new_manifest(problem, warm_up))
    return problem, warm_up


def folder_path(binding: Binding, out: str | Path | None) -> Path:
    """Return where a run goes: as requested, or under the name that the same work always gets."""
    if out is not None:
        return location(out)
    if binding.fingerprint is not None:
        shard = binding.settings.shard
        of_shard = f"-part-{shard[0]}-of-{shard[1]}" if shard else ""
        return runs_root() / f"{binding.run_id}{of_shard}"
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
    return runs_root() / f"{binding.model_name}-on-{binding.dataset_name}-{stamp}"


def finished_before(folder: RunFolder, binding: Binding) -> bool:
    """Say whether a folder holds exactly this work, finished; update what may be asked anew.

    Raises
    ------
    RunError
        If the folder holds something else.
    """
    if not (folder.path / "run.json").exists():
        foreign = [path.name for path in folder.path.iterdir() if not is_passing(path.name)]
        if foreign:
            raise RunError(
                f"{folder.path} is not empty and not a run (it holds {foreign[0]!r}); choose "
                f"another {option('out', of='run')}"
            )
        return False
    manifest = folder.manifest()
    if binding.fingerprint is None or manifest.get("fingerprint") is None:
        raise RunError(
            f"run {folder.id!r} exists, but the model has no fingerprint to show whether it is the "
            f"same work; give {option('fingerprint', of='run')}, or another "
            f"{option('out', of='run')}"
        )
    if manifest["fingerprint"] != binding.fingerprint:
        raise RunError(
            f"run {folder.id!r} holds different work: {_difference(manifest, binding)}; choose "
            "another "
            f"{option('out', of='run')}"
        )
    shard = binding.settings.shard
    if manifest["status"] == "finished":
        if shard is not None:
            raise RunError(f"run {folder.id!r} is finished: there is no shard left to compute")
    elif (manifest["settings"].get("part") or None) != (list(shard) if shard else None):
        raise RunError(
            f"run {folder.id!r} holds another shard of this work; choose another "
            f"{option('out', of='run')}"
        )
    else:
        return bool(manifest["status"] == "part")
    # The table and its intervals need no model, so a finished run can change them at once.
    gate.check_wishes(align(binding, manifest["n_classes"]))
    wishes = wishes_of(manifest, binding)
    if any(manifest.get(name) != wish for name, wish in wishes.items()):
        folder.update_manifest(**wishes)
        renew_manifest_checksum(folder)
    return True


def wishes_of(manifest: dict[str, Any], binding: Binding) -> dict[str, Any]:
    """Return the entries that may differ between requests for the same work, as requested now."""
    kept = usable_metrics(manifest)
    return {
        "metrics": [*kept, *(name for name in binding.settings.metrics if name not in kept)],
        "resampling": binding.settings.resampling,
        "name": binding.settings.name or manifest["name"],
        "tags": checked_tags([*manifest["tags"], *binding.settings.tags]),
    }


def _difference(manifest: dict[str, Any], binding: Binding) -> str:
    for name, now in binding.fingerprints.items():
        if manifest["fingerprints"].get(name) != now:
            return f"the {name} has changed"
    for name, value in binding.settings.identity().items():
        if manifest["settings"].get(name) != value:
            return f"{name} was {manifest['settings'].get(name)!r} and is now {value!r}"
    return "it was computed with other settings"


def write_tables(folder: RunFolder, problem: Problem) -> None:
    """Write texts, examples with the columns that are kept, and labels."""
    sides = problem.cells.sides
    tables = {
        folder.texts: pd.DataFrame({"text": problem.cells.row_words}),
        folder.examples: pd.DataFrame(
            {"id": [str(i) for i in problem.dataset.ids]}
            | {index_column(place): one.index for place, one in enumerate(sides)}
        ),
    }
    for place, one in enumerate(sides[1:], start=1):
        if one.words is not None:
            tables[folder.words(place)] = pd.DataFrame({"words": one.words})
    if problem.columns is not None:
        tables[folder.columns] = problem.columns
    for path, table in tables.items():
        with replacing(path) as temporary:
            table.to_parquet(temporary)
    if problem.labels is not None:
        with replacing(folder.path / "labels.npy") as temporary, temporary.open("wb") as file:
            np.save(file, problem.labels)


def _sides(problem: Problem) -> list[dict[str, Any]]:
    """Return what the sides are; with more than two, also their numbers of items, and in a file."""
    sides = [asdict(side) for side in problem.dataset.sides]
    if problem.n_sides == 2:
        return sides
    opened = problem.opened
    return [
        side
        | {"n_items": size, "items_per_part": opened[place].per_chunk if place in opened else None}
        for place, (side, size) in enumerate(zip(sides, problem.cells.sizes, strict=True))
    ]


@functools.cache
def _versions() -> dict[str, str]:
    """Return the versions of the packages that compute; looking them up takes a moment."""
    return {name: metadata.version(name) for name in _PACKAGES}


def new_manifest(problem: Problem, warm_up: WarmUp) -> dict[str, Any]:
    """Return the description of a new run."""
    n_rows, n_columns, *_ = problem.cells.sizes
    return {
        "status": "running",
        "error": None,
        "model": problem.model_name,
        "dataset": problem.dataset_name,
        "name": problem.settings.name,
        "tags": list(problem.settings.tags),
        "provenance": problem.provenance,
        # By this, caches tell a run from one recomputed in its place.
        "created": datetime.now(UTC).isoformat(timespec="microseconds"),
        "fingerprint": problem.fingerprint,
        "fingerprints": problem.fingerprints,
        "settings": {
            _STORED_AS.get(key, key): value
            for key, value in asdict(problem.settings).items()
            if key not in ("metrics", "fingerprint", "address", "name", "tags")
        },
        "metrics": problem.metrics,
        "has_threshold": problem.scorer.has_threshold,
        "resampling": problem.settings.resampling,
        "method": problem.method.name,
        "space": problem.settings.space,
        "output": problem.scorer.output,
        "output_dtype": warm_up.output_dtype,
        "computed_dtype": warm_up.computed_dtype,
        "task": problem.task,
        "classes": problem.classes,
        "keep": problem.keep,
        "kept_classes": problem.kept_classes if problem.keep == "classes" else None,
        "device": problem.device,
        "dtype": problem.scorer.dtype,
        "classes_guessed": problem.order_is_guessed,
        "noise": gate.noise(problem, warm_up),
        "notes": problem.all_notes,
        "skipped": [str(row) for row in getattr(problem.dataset, "skipped", None) or []],
        "columns": [] if problem.columns is None else list(problem.columns),
        "unknown_labels": problem.unknown_labels,
        "n_examples": len(problem.dataset),
        "n_available": problem.n_available,
        "n_texts": n_rows,
        "n_images": n_columns,
        "n_classes": problem.n_classes,
        "n_pairs_evaluated": 0,
        "sides": _sides(problem),
        "images_per_part": problem.others[0].per_chunk,
        "texts_per_part": None if problem.rows is None else problem.rows.per_chunk,
        "versions": {
            "python": platform.python_version(),
            **_versions(),
        },
        "threads": torch.get_num_threads(),
    }
