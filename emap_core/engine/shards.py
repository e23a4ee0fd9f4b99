"""Merge the shards of one plan, each computed on its own, into one run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from emap_core import methods
from emap_core.engine.finish import finish_run
from emap_core.engine.plan import Plan, Tile, order_rows
from emap_core.engine.sums import GridSums, Targets, TileSums
from emap_core.engine.tiles import tile_file
from emap_core.errors import RunError
from emap_core.option_names import option, option_name
from emap_core.runs import Run, usable_metrics
from emap_core.runs.checksums import write_checksums
from emap_core.runs.folder import Json, RunFolder, find_run, index_column
from emap_core.runs.grid import create_grid, n_channels, open_grid
from emap_core.runs.store import location, replacing


def merge_shards(shards: Sequence[str | Path], out: str | Path) -> Run:
    """Merge runs that hold different tiles of the same plan into one finished run.

    An interrupted shard counts with the tiles that it has; a tile that several shards have is the
    same in all.

    Parameters
    ----------
    shards : sequence of str or path
        Ids, folders or URLs of what ``compute_shard`` made; they stay as they are.
    out : path or URL
        Folder of the merged run.

    Raises
    ------
    RunError
        If the shards do not belong together, or tiles are missing.
    """
    folders = [RunFolder(find_run(shard)) for shard in shards]
    if not folders:
        raise RunError("there is nothing to merge; name the folders of the shards")
    manifest, plan = _in_common(folders)
    whole = RunFolder(location(out))
    if (whole.path / "run.json").exists():
        raise RunError(f"{whole.path} is already a run; choose another {option('out', of='run')}")
    tiles = list(plan.tiles())
    holders = _holders(folders, tiles)
    targets, row_order = _targets(folders[0], manifest)

    first = folders[0]
    for path in (
        *(first.texts, first.examples, first.columns),
        *(first.words(place) for place in range(1, len(manifest["sides"]))),
        first.path / "labels.npy",
    ):
        if path.exists():
            _copy(path, whole.path / path.name)
    for place in range(len(manifest["sides"])):
        for path in _previews(folders, place):
            _copy(path, whole.previews(place) / path.name)
    sums = GridSums(targets, plan.n_classes)
    for tile, holder in zip(tiles, holders, strict=True):
        stored = TileSums.load(tile_file(holder, tile))
        if stored is None:
            raise RunError(f"tile {tile.number} of run {holder.id!r} is damaged; compute it again")
        sums.add(tile, stored)
    if manifest["keep"] != "sums":
        _copy_grid(whole, plan, manifest["kept_classes"], tiles, holders)
    plan.save(whole.plan)
    finish_run(
        whole,
        {
            **manifest,
            **_asked_for(folders),
            "settings": {**manifest["settings"], "part": None},
            "created": datetime.now(UTC).isoformat(timespec="microseconds"),
            "error": None,
            "seconds": sum(folder.manifest().get("seconds", 0.0) for folder in folders),
            "n_pairs_evaluated": plan.n_rows * plan.n_columns,
        },
        sums.projected(row_order),
        row_order,
    )
    write_checksums(whole)
    return Run.load(whole.path)


def _asked_for(folders: list[RunFolder]) -> Json:
    """Return the entries in which shards of the same work may differ, as the merged run has them.

    The merged run has every metric and note of any shard, and the name that any was given. The
    settings of intervals must be the same, since they are drawn for the merged run.

    Raises
    ------
    RunError
        If shards have different names, or ask for different intervals.
    """
    manifests = [folder.manifest() for folder in folders]
    names = dict.fromkeys(one["name"] for one in manifests if one["name"])
    if len(names) > 1:
        given = " and ".join(repr(name) for name in names)
        raise RunError(f"the shards have different names, {given}; give them one name, then merge")
    first = manifests[0]["resampling"]
    for folder, manifest in zip(folders, manifests, strict=True):
        if manifest["resampling"] != first:
            told = ", ".join(
                f"{option_name(name)} {first[name]!r} and {value!r}"
                for name, value in manifest["resampling"].items()
                if value != first[name]
            )
            raise RunError(
                f"runs {folders[0].id!r} and {folder.id!r} ask for different intervals ({told}); "
                "compute one of them again with the settings of the other"
            )
    metrics = dict.fromkeys(name for one in manifests for name in usable_metrics(one))
    notes = dict.fromkeys(note for one in manifests for note in one["notes"])
    return {"name": next(iter(names), None), "metrics": list(metrics), "notes": list(notes)}


def _in_common(folders: list[RunFolder]) -> tuple[Json, Plan]:
    """Return manifest and plan of the shards, which must be the same work."""
    first = folders[0]
    manifest = first.manifest()
    if not methods.method(manifest["method"]).scores_all_pairs:
        raise RunError(
            f"run {first.id!r} uses the method {manifest['method']}; only {methods.DEFAULT} runs "
            "have shards"
        )
    plan = _plan(first)
    for folder in folders:
        other = folder.manifest()
        if other.get("status") == "finished":
            raise RunError(f"run {folder.id!r} is already complete; there is nothing to merge")
        if other.get("fingerprint") is None or other["fingerprint"] != manifest["fingerprint"]:
            different = [
                name
                for name, value in manifest["fingerprints"].items()
                if other.get("fingerprints", {}).get(name) != value
            ]
            raise RunError(
                f"runs {first.id!r} and {folder.id!r} do not belong together: they have different "
                + (" and ".join(different) or "settings")
            )
        if not _plan(folder).cuts_like(plan):
            raise RunError(
                f"runs {first.id!r} and {folder.id!r} cut the grid into different tiles; compute "
                f"the shards with the same {option_name('batch_size')}"
            )
    return manifest, plan


def _plan(folder: RunFolder) -> Plan:
    if not folder.plan.exists():
        raise RunError(f"run {folder.id!r} was stopped before it had a plan; compute it again")
    return Plan.load(folder.plan)


def _holders(folders: list[RunFolder], tiles: list[Tile]) -> list[RunFolder]:
    """Return for each tile a shard that has it."""
    found = [
        next((folder for folder in folders if tile_file(folder, tile).exists()), None)
        for tile in tiles
    ]
    missing = [tile.number for tile, holder in zip(tiles, found, strict=True) if holder is None]
    if missing:
        raise RunError(
            f"{len(missing)} of {len(tiles)} tiles are in none of the shards (the first is "
            f"{missing[0]}); compute the shard that holds it, or resume an interrupted one"
        )
    return [holder for holder in found if holder is not None]


def _targets(folder: RunFolder, manifest: Json) -> tuple[Targets, Any]:
    """Return where the examples are, and the order of the texts, from the run's tables."""
    texts = [str(text) for text in _table(folder.texts)["text"]]
    examples = _table(folder.examples)
    names = tuple(side["name"] for side in manifest["sides"])
    index = [examples[index_column(place)].to_numpy(np.intp) for place in range(len(names))]
    order = order_rows(texts)
    sizes = [len(texts), *(int(one.max()) + 1 for one in index[1:])]
    return Targets.of(index, sizes, order, names), order


def _previews(folders: list[RunFolder], place: int) -> list[Path]:
    """Return each picture file of a side once; a shard has the pictures of what it scored."""
    found = {
        path.name: path for folder in folders for path in folder.previews(place).glob("*.parquet")
    }
    return [found[name] for name in sorted(found)]


def _copy(path: Path, to: Path) -> None:
    with replacing(to) as temporary:
        temporary.write_bytes(path.read_bytes())


def _table(path: Path) -> pd.DataFrame:
    with path.open("rb") as file:
        return pd.read_parquet(file)


def _copy_grid(
    whole: RunFolder,
    plan: Plan,
    kept: list[int] | None,
    tiles: list[Tile],
    holders: list[RunFolder],
) -> None:
    grid = create_grid(
        whole.grid,
        (plan.n_rows, plan.n_columns, n_channels(plan.n_classes, kept)),
        (plan.tile_rows, plan.tile_columns),
    )
    stores = {holder.path: open_grid(holder.grid) for holder in set(holders)}
    for tile, holder in zip(tiles, holders, strict=True):
        grid[tile.rows, tile.columns] = stores[holder.path][tile.rows, tile.columns]
