"""Compute a run: check what is given, take up what is there, evaluate, write down."""

from __future__ import annotations

import contextlib
import errno
import functools
import math
import platform
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pandas as pd
import torch

from emap_core import inference
from emap_core.engine import gate
from emap_core.engine.cells import CellEvaluation
from emap_core.engine.finish import finish_run
from emap_core.engine.progress import Listener, Progress
from emap_core.engine.settings import Settings
from emap_core.engine.states import make_thumbnail
from emap_core.engine.tiles import TileEvaluation
from emap_core.engine.work import Work, prepare
from emap_core.engine.workers import LocalWorker, Workers
from emap_core.errors import Cancelled, EmapError, RunError
from emap_core.methods.base import CellMethod
from emap_core.options import option
from emap_core.runs import Run, usable_metrics
from emap_core.runs.check import renew_manifest_checksum, write_checksums
from emap_core.runs.folder import RunFolder, read_json, runs_root
from emap_core.runs.manifest import check_new_manifest
from emap_core.runs.store import (
    folder_of_this_machine,
    is_passing,
    location,
    remove_folder,
    replacing,
)
from emap_core.runs.target import check_folder_target

Evaluation = TileEvaluation | CellEvaluation

LOCK_SECONDS = 5.0
"""How long a run that somebody else holds is waited for."""
_PACKAGES = ("numpy", "torch", "pandas", "scikit-learn", "pillow")


@dataclass(frozen=True)
class Estimate:
    """What a run would cost, from its first pairs.

    Attributes
    ----------
    run_id : str
        Name of the run's folder.
    n_examples, n_texts, n_images, n_classes, n_pairs : int
    seconds : float
        For the pairs, encoders included as far as they were measured.
    grid_bytes : int
        Disk that the grid takes where it is kept.
    keep : str
        ``"grid"``, ``"classes"`` (a grid of some of them) or ``"sums"``.
    device, task, space : str
        The device, where the pairs go to workers elsewhere, is that of one of them.
    classes : list of str
    previews : list of dict
        The first examples: id, text, image (a JPEG in base64), label, prediction.
    notes : list of str
        What is to be known before it starts, a sentence each.
    columns : list of str
        Which columns a table has and what was taken for what, a line each.
    """

    run_id: str
    n_examples: int
    n_texts: int
    n_images: int
    n_classes: int
    n_pairs: int
    seconds: float
    grid_bytes: int
    keep: str
    device: str
    task: str
    space: str
    classes: list[str]
    previews: list[dict[str, Any]]
    notes: list[str]
    columns: list[str]


def compute(
    model: Any,
    dataset: Any,
    *,
    out: str | Path | None = None,
    model_args: dict[str, Any] | None = None,
    data_args: dict[str, Any] | None = None,
    train: Any = None,
    train_args: dict[str, Any] | None = None,
    queue: bool = False,
    listener: Listener | None = None,
    preview: Callable[[Estimate], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    **settings: Any,
) -> Run:
    """Evaluate a model on all recombinations of a dataset's texts and images.

    Parameters
    ----------
    model : model or str
        A callable ``(texts, images) -> (B, C)``, a staged model, or a spec string.
    dataset : Dataset or str
        A dataset or a spec string.
    out : path or URL, optional
        The run folder; by default in the runs folder, under a name that is the same for the same
        work. A run that was cut off resumes, a finished one is returned as it is.
    train : Dataset or str, optional
        A training split: linear baselines on its encoded texts, images and both join the table.
    model_args, data_args, train_args : dict, optional
        Keyword arguments of the loaders.
    queue : bool
        Wait until no other queued run uses the device.
    listener : callable, optional
        Gets every progress event, see `Progress`.
    preview : callable, optional
        Gets what `estimate` returns, with two examples, before a new run starts. Not called for
        one that resumes.
    cancelled : callable, optional
        Asked after every tile whether to stop.
    method : {"exact", "sampled", "subsample"}
    images_per_text, seed : int
        Of the sampled method: how many images each text meets, and which.
    until : float, optional
        Sampled: more images per text are added until the gap of the first metric is known this
        well, bias and half the 95% interval from the choice of pairs.
    subsample_size, repeats : int
        Sub-sampling, as in published papers: examples in each random sub-sample, and how many of
        them; `seed` says which.
    output : {"logits", "log_probabilities", "probabilities"}, optional
        What the model returns, where it does not say so itself. Outputs that look like
        probabilities are refused until it is said.
    allow_noise : bool
        Go on with a model that says something else of the same pair each time. What differs is
        counted as interaction, and its share is shown with the numbers.
    space : {"logits", "log_probabilities", "probabilities"}
        What is projected.
    keep : {"auto", "grid", "sums"}
        Whether the grid is written to disk; ``"auto"`` does so up to `grid_budget` bytes.
    keep_classes : int, optional
        Keep the grid of no more than this many classes, those that most examples are labelled
        with; sums are kept of all.
    batch_size : int, optional
        Pairs at a time; measured by default.
    device : str
        ``"auto"`` takes cuda, then mps, then cpu.
    precision : {"float32", "bfloat16", "float16"}
        The latter two use autocast.
    metrics : list of str, optional
        Those of the task by default.
    cluster : {"auto", "none", "image", "text", "both"}
        What is resampled for intervals: whole texts and whole images where they repeat, unless
        told otherwise.
    n_resamples : int
        400 by default, shared out where both texts and images are drawn.
    density : {"off", "encodings"}
        Exact method with the grid kept: estimate from the encodings how likely each pair is, so
        that the run can say what changes where unlikely pairs count for less.
    engine : {"local", "ray"}
        Evaluate in this process, or share the tiles out to the workers of a Ray cluster.
    address : str, optional
        Of the cluster; a local one is started by default.
    cpus_per_worker : int
        Cores that a worker takes, 1 by default; one GPU each where the cluster has them.
    fingerprint : str, optional
        Names a model that states none, so that its run can be resumed.
    name : str, optional
        What to call the run wherever runs are listed; `emap_core.runs.changes` renames it later.

    Returns
    -------
    Run

    Raises
    ------
    EmapError
        If something is wrong with model, data or settings, or the run is cancelled; tiles that
        were finished are kept.
    """
    wanted = Settings.of(settings)
    arguments = (model, dataset, wanted, model_args, data_args, train, train_args)
    return Run.load(_prepare_and_compute(arguments, out, queue, listener, cancelled, preview).path)


def compute_part(
    model: Any,
    dataset: Any,
    part: tuple[int, int],
    *,
    out: str | Path | None = None,
    model_args: dict[str, Any] | None = None,
    data_args: dict[str, Any] | None = None,
    queue: bool = False,
    listener: Listener | None = None,
    preview: Callable[[Estimate], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    **settings: Any,
) -> Path:
    """Evaluate a part of the tiles, for `merge` to put together with parts from elsewhere.

    Parameters
    ----------
    part : (int, int)
        Which one of how many, from 1.
    model, dataset, out, model_args, data_args, queue, listener, preview, cancelled, **settings
        As for `compute`, the method exact. ``batch_size`` has to be given, the same for every
        part, because a measured one would cut the grid in different tiles in different places.

    Returns
    -------
    Path
        The folder of the part.

    Raises
    ------
    EmapError
        As `compute` does.
    """
    wanted = Settings.of({**settings, "part": part})
    arguments = (model, dataset, wanted, model_args, data_args, None, None)
    return _prepare_and_compute(arguments, out, queue, listener, cancelled, preview).path


def _prepare_and_compute(
    arguments: tuple[Any, ...],
    out: str | Path | None,
    queue: bool,
    listener: Listener | None,
    cancelled: Callable[[], bool] | None,
    preview: Callable[[Estimate], None] | None,
) -> RunFolder:
    model, dataset, wanted, *others = arguments
    check_folder_target(runs_root() if out is None else location(out), "run folder")
    with _workers((*arguments[:5],), wanted) as workers:
        if wanted.engine == "ray":
            # The pairs are evaluated elsewhere; here the model only tells what it is.
            wanted = replace(wanted, device="cpu")
        work = prepare(model, dataset, wanted, *others)
        try:
            return _compute(work, workers, out, queue, listener, cancelled, preview)
        finally:
            work.images.close()


def _workers(
    arguments: tuple[Any, ...], settings: Settings
) -> contextlib.AbstractContextManager[Workers]:
    if settings.engine == "local":
        return contextlib.nullcontext(LocalWorker())
    from emap_core.engine.ray_workers import ray_workers

    return ray_workers(arguments, settings)


def estimate(
    model: Any,
    dataset: Any,
    *,
    model_args: dict[str, Any] | None = None,
    data_args: dict[str, Any] | None = None,
    train: Any = None,
    train_args: dict[str, Any] | None = None,
    n_previews: int = 4,
    **settings: Any,
) -> Estimate:
    """Return what `compute` would cost with the same arguments, from a few measured pairs."""
    began = time.monotonic()
    work = prepare(model, dataset, Settings.of(settings), model_args, data_args, train, train_args)
    try:
        workers = LocalWorker()
        workers.measure(work)
        _check_new(work)
        return _estimate(work, workers, n_previews, time.monotonic() - began)
    finally:
        work.images.close()


def _check_new(work: Work) -> None:
    """Refuse measured work that could not be finished or kept; note what is to be known."""
    work.notes += gate.check(work, work.probe)
    check_new_manifest(_manifest(work))


def _estimate(work: Work, workers: Workers, n_previews: int, overhead: float) -> Estimate:
    n_texts, n_images = work.cells.shape
    columns, wanted = work.targets.column_index, work.wanted_images
    # A part decodes no images but its own.
    first = np.flatnonzero((columns >= wanted.start) & (columns < wanted.stop))[:n_previews]
    scores = workers.score(work, work.targets.row_index[first], work.targets.column_index[first])
    previews = [
        {
            "id": str(work.dataset.ids[i]),
            "text": work.dataset.texts[i],
            "image": b64encode(make_thumbnail(work.dataset.images[i])).decode(),
            "label": inference.label_names(work.labels, work.classes, work.task, i),
            "prediction": _prediction(work, scores[place : place + 1]),
        }
        for place, i in enumerate(map(int, first))
    ]
    n_pairs = work.method.n_pairs(work.settings, work.pairs)
    if work.settings.part is not None:
        n_pairs = math.ceil(n_pairs / work.settings.part[1])
    return Estimate(
        run_id=work.run_id,
        n_examples=len(work.dataset),
        n_texts=n_texts,
        n_images=n_images,
        n_classes=work.n_classes,
        n_pairs=n_pairs,
        seconds=n_pairs / work.probe.pairs_per_second + overhead,
        grid_bytes=work.grid_bytes,
        keep=work.keep,
        device=work.device if isinstance(workers, LocalWorker) else f"one worker ({work.device})",
        task=work.task,
        space=work.settings.space,
        classes=work.classes,
        previews=previews,
        notes=work.all_notes,
        columns=_columns(work),
    )


def _columns(work: Work) -> list[str]:
    """Return how the columns of a table were taken, or at least that there are no labels."""
    if work.dataset.reading is not None:
        return list(work.dataset.reading.lines)
    return [] if work.labels is not None else ["No labels: this run says nothing about performance"]


def _prediction(work: Work, scores: Any) -> str | None:
    if work.task in ("binary", "multilabel") and not work.scorer.has_threshold:
        # A similarity ranks pairs, and decides nothing.
        return f"a score of {inference.prediction_names(scores, None, 'regression')[0]}"
    return inference.prediction_names(scores, work.classes, work.task, work.settings.space)[0]


def _compute(
    work: Work,
    workers: Workers,
    out: str | Path | None,
    queue: bool,
    listener: Listener | None,
    cancelled: Callable[[], bool] | None,
    preview: Callable[[Estimate], None] | None,
) -> RunFolder:
    began = time.monotonic()
    folder = RunFolder(_folder_path(work, out))
    progress = Progress(folder.id, listener, cancelled)
    if folder.path.is_dir() and _finished_before(folder, work):
        return _as_it_is(folder, progress)
    plan = read_json(folder.plan)
    if plan is None:
        workers.measure(work, timed=preview is not None)
        _check_new(work)
        if preview is not None:
            preview(_estimate(work, workers, 2, time.monotonic() - began))
    else:
        work.resume(plan["n_classes"])
        gate.check(work, None)
    try:
        held = folder.lock().acquire(timeout=LOCK_SECONDS)
    except filelock.Timeout:
        raise RunError(
            f"run {folder.id!r} is being computed by another process; follow it, or cancel it"
        ) from None
    except OSError as error:
        raise RunError(
            f"run folder {folder.path} cannot be written: {error.strerror or error}"
        ) from error
    with held:
        if _finished_before(folder, work):
            return _as_it_is(folder, progress)
        try:
            evaluation = _begin(folder, work, plan is not None)
            progress.folder = folder
            with device_turn(work.device, progress) if queue else contextlib.nullcontext():
                _evaluate(folder, work, workers, evaluation, progress)
        except BaseException as error:
            _stopped(folder, progress, error)
            if isinstance(error, OSError) and (why := _disk_fault(folder, error)):
                raise RunError(why) from error
            raise
        return folder


def _disk_fault(folder: RunFolder, error: OSError) -> str | None:
    """Return what happened to the folder of a run, None if the error is about something else."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"the disk of run {folder.id!r} is full; make room and start the same run again: "
            "finished tiles are kept"
        )
    if not folder.path.is_dir():
        return f"the folder of run {folder.id!r} was deleted while it was computed; start it again"
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return (
            f"run folder {folder.path} can no longer be written: {error.strerror}; start the same "
            "run again when it can: finished tiles are kept"
        )
    return None


def _as_it_is(folder: RunFolder, progress: Progress) -> RunFolder:
    manifest = folder.manifest()
    n_pairs = manifest["n_pairs_evaluated"]
    progress.tell(manifest["status"], pairs_done=n_pairs, pairs_total=n_pairs)
    return folder


@contextlib.contextmanager
def device_turn(device: str, progress: Progress) -> Iterator[None]:
    """Wait until no other queued run uses the device; the lock goes with the process."""
    here = folder_of_this_machine(runs_root())
    here.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(here / f".device-{device.replace(':', '-')}.lock")
    waiting = False
    while True:
        progress.check()
        try:
            lock.acquire(timeout=0.5)
            break
        except filelock.Timeout:
            if not waiting:
                progress.tell("queued", message=f"waiting for another run on {device} to end")
                waiting = True
    try:
        yield
    finally:
        lock.release()


def _folder_path(work: Work, out: str | Path | None) -> Path:
    if out is not None:
        return location(out)
    if work.fingerprint is not None:
        part = work.settings.part
        of_part = f"-part-{part[0]}-of-{part[1]}" if part else ""
        return runs_root() / f"{work.run_id}{of_part}"
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
    return runs_root() / f"{work.model_name}-on-{work.dataset_name}-{stamp}"


def _finished_before(folder: RunFolder, work: Work) -> bool:
    """Whether the folder holds this very work, finished; other work in it is refused."""
    if not (folder.path / "run.json").exists():
        foreign = [path.name for path in folder.path.iterdir() if not is_passing(path.name)]
        if foreign:
            raise RunError(
                f"{folder.path} is not empty and not a run (it holds {foreign[0]!r}); choose "
                f"another {option('out', of='run')}"
            )
        return False
    manifest = folder.manifest()
    if work.fingerprint is None or manifest.get("fingerprint") is None:
        raise RunError(
            f"run {folder.id!r} exists, and the model states no fingerprint that would tell "
            f"whether it is the same work; give {option('fingerprint', of='run')}, or another "
            f"{option('out', of='run')}"
        )
    if manifest["fingerprint"] != work.fingerprint:
        raise RunError(
            f"run {folder.id!r} holds other work: {_difference(manifest, work)}; choose another "
            f"{option('out', of='run')}"
        )
    part = work.settings.part
    if manifest["status"] == "finished":
        if part is not None:
            raise RunError(
                f"run {folder.id!r} is finished and whole: there is no part left to compute"
            )
    elif (manifest["settings"].get("part") or None) != (list(part) if part else None):
        raise RunError(
            f"run {folder.id!r} holds another part of this work; choose another "
            f"{option('out', of='run')}"
        )
    else:
        return bool(manifest["status"] == "part")
    # The table and its intervals need no model, so a finished run takes other wishes at once.
    work.resume(manifest["n_classes"])
    gate.check_metrics(work)
    wishes = _wishes(manifest, work)
    if any(manifest.get(name) != wish for name, wish in wishes.items()):
        folder.update_manifest(**wishes)
        renew_manifest_checksum(folder)
    return True


def _wishes(manifest: dict[str, Any], work: Work) -> dict[str, Any]:
    """Return the entries that the same work may have asked for otherwise, as asked for now."""
    kept = usable_metrics(manifest)
    return {
        "metrics": [*kept, *(name for name in work.settings.metrics if name not in kept)],
        "resampling": work.settings.resampling,
        "name": work.settings.name or manifest["name"],
    }


def _difference(manifest: dict[str, Any], work: Work) -> str:
    for name, now in work.fingerprints.items():
        if manifest["fingerprints"].get(name) != now:
            return f"the {name} has changed"
    for name, value in work.settings.identity().items():
        if manifest["settings"].get(name) != value:
            return f"{name} was {manifest['settings'].get(name)!r} and is now {value!r}"
    return "it was computed with other settings"


def _evaluate(
    folder: RunFolder,
    work: Work,
    workers: Workers,
    evaluation: Evaluation,
    progress: Progress,
) -> None:
    began = time.monotonic()
    progress.tell(
        "planned",
        pairs_total=evaluation.n_pairs,
        tiles=evaluation.n_tiles,
        keep=work.keep,
        kept_classes=[work.classes[c] for c in work.kept_classes or []],
        device=work.device,
    )
    work.images.keep_thumbnails(folder.images)
    if work.scorer.staged:
        workers.encode(work, evaluation.images, folder, progress)
    if work.train is not None and not folder.baselines.exists():
        # Before the pairs, so that whatever is wrong with the training data costs none of them.
        # scikit-learn takes a second to load, which few runs need.
        from emap_core.engine.baselines import linear_baselines

        progress.tell("baselines", message="training linear baselines on the encoded sides")
        with replacing(folder.baselines) as temporary, temporary.open("wb") as file:
            np.savez(file, **linear_baselines(work, work.train))  # type: ignore[arg-type]  # names
    result = evaluation.run(progress, workers)
    n_pairs = evaluation.n_pairs
    work.images.complete_thumbnails()
    manifest = folder.manifest()
    manifest["seconds"] = manifest.get("seconds", 0.0) + time.monotonic() - began
    if result is None:
        folder.write_manifest({**manifest, "status": "part", "n_pairs_evaluated": n_pairs})
        progress.tell("part", pairs_done=n_pairs, pairs_total=n_pairs)
        return
    if work.settings.density == "encodings":
        from emap_core.engine.density import keep_density

        progress.tell("density", message="estimating from the encodings how likely pairs are")
        keep_density(folder, work)
    finish_run(folder, {**manifest, "n_pairs_evaluated": n_pairs}, result, work.text_order)
    for leftover in (folder.tiles, folder.states):
        remove_folder(leftover)
    folder.probe.unlink(missing_ok=True)
    # A run is whole without its checksums, so a disk that is full by now does not undo it.
    with contextlib.suppress(OSError):
        write_checksums(folder)
    progress.tell("finished", pairs_done=n_pairs, pairs_total=n_pairs)


def _begin(folder: RunFolder, work: Work, resumed: bool) -> Evaluation:
    """Write what describes the run, or take up the plan of one that was cut off."""
    folder.cancel_request.unlink(missing_ok=True)
    if resumed:
        wishes = _wishes(folder.manifest(), work)
        folder.update_manifest(status="running", error=None, **wishes)
        if isinstance(work.method, CellMethod):
            return CellEvaluation.resume(folder, work, work.method)
        return TileEvaluation.resume(folder, work)
    # First of all: what is cut off without it would be taken for somebody else's folder.
    folder.write_manifest(_manifest(work))
    _write_tables(folder, work)
    if isinstance(work.method, CellMethod):
        return CellEvaluation.start(folder, work, work.method)
    return TileEvaluation.start(folder, work)


def _stopped(folder: RunFolder, progress: Progress, error: BaseException) -> None:
    """Leave word in the folder of why the run stopped, as far as the disk allows."""
    asked = isinstance(error, (Cancelled, KeyboardInterrupt))
    status = "cancelled" if asked else "failed"
    message = str(error) if isinstance(error, EmapError) else f"{type(error).__name__}: {error}"
    try:
        if (folder.path / "run.json").exists():
            folder.update_manifest(status=status, error=None if asked else message)
            progress.tell(status, message=message)
    except OSError:
        # A full disk; the missing lock will show that the run was cut off.
        return


def _write_tables(folder: RunFolder, work: Work) -> None:
    tables = {
        folder.texts: pd.DataFrame({"text": work.cells.texts}),
        folder.examples: pd.DataFrame(
            {
                "id": [str(i) for i in work.dataset.ids],
                "text_index": work.cells.text_index,
                "image_index": work.cells.image_index,
            }
        ),
    }
    for path, table in tables.items():
        with replacing(path) as temporary:
            table.to_parquet(temporary)
    if work.labels is not None:
        with replacing(folder.path / "labels.npy") as temporary, temporary.open("wb") as file:
            np.save(file, work.labels)


@functools.cache
def _versions() -> dict[str, str]:
    """Return the versions of the packages that compute; to look them up takes a moment."""
    return {name: metadata.version(name) for name in _PACKAGES}


def _manifest(work: Work) -> dict[str, Any]:
    n_texts, n_images = work.cells.shape
    return {
        "status": "running",
        "error": None,
        "model": work.model_name,
        "dataset": work.dataset_name,
        "name": work.settings.name,
        "provenance": work.provenance,
        # Caches tell a run from one computed in its place by this.
        "created": datetime.now(UTC).isoformat(timespec="microseconds"),
        "fingerprint": work.fingerprint,
        "fingerprints": work.fingerprints,
        "settings": {
            key: value
            for key, value in asdict(work.settings).items()
            if key not in ("metrics", "fingerprint", "address", "name")
        },
        "metrics": work.metrics,
        "has_threshold": work.scorer.has_threshold,
        "resampling": work.settings.resampling,
        "method": work.method.name,
        "space": work.settings.space,
        "output": work.scorer.output,
        "output_dtype": work.probe.output_dtype,
        "computed_dtype": work.probe.computed_dtype,
        "task": work.task,
        "classes": work.classes,
        "keep": work.keep,
        "kept_classes": work.kept_classes if work.keep == "classes" else None,
        "device": work.device,
        "dtype": work.scorer.dtype,
        "classes_guessed": work.order_is_guessed,
        "noise": gate.noise(work, work.probe),
        "notes": work.all_notes,
        "skipped": [str(row) for row in getattr(work.dataset, "skipped", None) or []],
        "unknown_labels": work.unknown_labels,
        "n_examples": len(work.dataset),
        "n_available": work.n_available,
        "n_texts": n_texts,
        "n_images": n_images,
        "n_classes": work.n_classes,
        "n_pairs_evaluated": 0,
        "images_per_part": work.images.per_chunk,
        "versions": {
            "python": platform.python_version(),
            **_versions(),
        },
        "threads": torch.get_num_threads(),
    }
