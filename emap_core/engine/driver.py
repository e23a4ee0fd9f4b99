"""Compute a run: check the input, resume what is there, score the pairs, write the result."""

from __future__ import annotations

import contextlib
import errno
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import filelock

from emap_core.engine import gate
from emap_core.engine.binding import Binding, bind
from emap_core.engine.cost import Estimate, estimated
from emap_core.engine.device_queue import device_turn
from emap_core.engine.finish import finish_run
from emap_core.engine.listed_cells import CellEvaluation
from emap_core.engine.measure import WarmUp
from emap_core.engine.opening import (
    finished_before,
    folder_path,
    measured,
    new_manifest,
    wishes_of,
    write_tables,
)
from emap_core.engine.problem import Problem, align
from emap_core.engine.progress import Listener, Progress
from emap_core.engine.progress_bar import in_a_notebook, showing_progress
from emap_core.engine.request import Callbacks, Request
from emap_core.engine.same_model import FirstOutputs, check_same_model, may_be_asked_again
from emap_core.engine.tiles import TileEvaluation
from emap_core.engine.workers import LocalWorker, Workers
from emap_core.errors import Cancelled, ModelError, RunError, SettingError
from emap_core.methods.base import CellMethod
from emap_core.modalities.side_names import cells_of
from emap_core.own_code import with_place
from emap_core.runs import Run
from emap_core.runs.checksums import write_checksums
from emap_core.runs.folder import RunFolder, read_json, runs_root
from emap_core.runs.store import location, remove_folder
from emap_core.runs.writable_paths import check_folder_target

Evaluation = TileEvaluation | CellEvaluation


class Place(Enum):
    """Where a run goes if no folder is given."""

    RUNS = "the runs folder"


LOCK_SECONDS = 5.0
"""How long to wait for a run that somebody else holds."""


def compute(
    model: Any,
    dataset: Any,
    *,
    out: str | Path | Place | None = Place.RUNS,
    model_args: dict[str, Any] | None = None,
    data_args: dict[str, Any] | None = None,
    train: Any = None,
    train_args: dict[str, Any] | None = None,
    queue: bool = False,
    progress: bool | None = None,
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
        problem. An interrupted run resumes, a finished one is returned as it is. With None nothing
        is kept: the run disappears with the returned object.
    train : Dataset or str, optional
        A training split: linear probes of its encoded texts, images and both join the table.
    model_args, data_args, train_args : dict, optional
        Keyword arguments of the loaders.
    text_column, image_root, limit, …
        Many entries of `data_args` can be given directly:
        `emap_core.option_names.DATA_ARGUMENTS`.
    queue : bool
        Wait until no other queued run uses the device.
    progress : bool, optional
        Whether to show a bar; by default only in a notebook, without a `listener`.
    listener : callable, optional
        Gets every progress event; see `Progress`.
    preview : callable, optional
        Gets what `estimate` returns, with two examples, before a new run starts. Not called when a
        run resumes.
    cancelled : callable, optional
        Asked after every tile whether to stop.
    method : {"exact", "sampled", "subsample"}
    images_per_text, seed : int
        Sampled method: how many images each text meets, and which ones; with more than two sides,
        the least number of combinations that each item is in.
    until : float, optional
        Sampled: images per text are added until the gap of the first metric is known to within
        this: bias plus half the 95% interval from the choice of pairs.
    subsample_size, repeats : int
        Sub-sampling, as in published papers: examples in each random sub-sample, and how many
        sub-samples; `seed` decides which.
    output : {"logits", "log_probabilities", "probabilities"}, optional
        What the model returns, if it does not say so itself. Outputs that look like
        probabilities are refused until you say what they are.
    allow_noise : bool
        Accept a model whose output for a pair differs each time. The differences count as
        interaction; their share is shown with the numbers.
    space : {"logits", "log_probabilities", "probabilities"}
        What is projected.
    keep : {"auto", "grid", "sums"}
        Whether the grid is written to disk; ``"auto"`` does so if it fits in `grid_budget` bytes.
    picture_budget : int
        Bytes that pictures of the images may take on top of their thumbnails, shared equally; with
        0 there are none.
    keep_classes : int, str or sequence of str, optional
        Keep the grid of at most this many classes, the most frequent labels, or of the classes with
        these names; sums are kept for all.
    batch_size : int, optional
        Pairs at a time; found by measurement by default.
    device : str
        ``"auto"`` takes cuda, then mps, then cpu.
    precision : {"float32", "bfloat16", "float16"}
        The latter two use autocast.
    metrics : list of str, optional
        Those of the task by default.
    cluster : str
        What is resampled for intervals; by default whole texts and whole images if they repeat.
        ``"none"``, ``"image"``, ``"text"`` or ``"both"``; with more than two sides, names of sides
        joined by ``+``.
    n_resamples : int
        400 by default, divided up if both texts and images are drawn.
    density : {"off", "encodings"}
        Exact method with the grid kept: estimate from the encodings how likely each pair is, so
        that the run can say what changes if unlikely pairs count less.
    engine : {"local", "ray"}
        Evaluate in this process, or hand out the tiles to the workers of a Ray cluster.
    address : str, optional
        Address of the cluster; a local one is started by default.
    cpus_per_worker : int
        Cores per worker, 1 by default; each worker also gets a GPU if the cluster has them.
    fingerprint : str, optional
        A fingerprint for a model that states none, so that its run can resume.
    name : str, optional
        The run's name wherever runs are listed; `emap_core.annotate_run` renames it later.
    tags : list of str, optional
        Words to find the run by; `emap_core.annotate_run` changes them later and can add a comment.
    step : int, optional
        The training step of these weights; Compare plots such runs over their steps.

    Returns
    -------
    Run

    Raises
    ------
    EmapError
        If something is wrong with the model, data or settings, or the run is cancelled; finished
        tiles are kept.
    """
    request = Request.of(
        model,
        dataset,
        model_args=model_args,
        data_args=data_args,
        train=train,
        train_args=train_args,
        **settings,
    )
    shown = (in_a_notebook() and listener is None) if progress is None else progress
    with (
        showing_progress(listener) if shown else contextlib.nullcontext(listener) as told,
        _folder_for(out) as (place, passing),
    ):
        callbacks = Callbacks(told, preview, cancelled)
        run = Run.load(_bind_and_compute(request, place, queue, callbacks).path)
        if passing is not None:
            # Files are read on demand, so they last as long as the run object.
            weakref.finalize(run, shutil.rmtree, passing, ignore_errors=True)
        return run


@contextlib.contextmanager
def _folder_for(out: str | Path | Place | None) -> Iterator[tuple[str | Path | None, Path | None]]:
    """Yield the requested run folder, and what to remove with the run, if anything."""
    if out is not None:
        yield None if isinstance(out, Place) else out, None
        return
    passing = Path(tempfile.mkdtemp(prefix="emap-"))
    try:
        yield passing / "not-kept", passing
    except BaseException:
        shutil.rmtree(passing, ignore_errors=True)
        raise


def compute_shard(
    model: Any,
    dataset: Any,
    shard: tuple[int, int],
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
    """Evaluate one shard of the tiles, for `merge_shards` to merge with the others.

    Parameters
    ----------
    shard : (int, int)
        Which one of how many, from 1.
    model, dataset, out, model_args, data_args, queue, listener, preview, cancelled, **settings
        As for `compute`, with the exact method. ``batch_size`` must be given, the same for every
        shard: a measured one would cut the grid differently on different machines.

    Returns
    -------
    Path
        The folder of the shard.

    Raises
    ------
    EmapError
        As `compute` does.
    """
    if settings.keys() & {"train", "train_args"}:
        raise SettingError("train is for whole runs; leave it out of a shard")
    request = Request.of(
        model, dataset, model_args=model_args, data_args=data_args, shard=shard, **settings
    )
    callbacks = Callbacks(listener, preview, cancelled)
    return _bind_and_compute(request, out, queue, callbacks).path


def _bind_and_compute(
    request: Request, out: str | Path | None, queue: bool, callbacks: Callbacks
) -> RunFolder:
    check_folder_target(runs_root() if out is None else location(out), "run folder")
    with _workers(request) as workers:
        # If pairs are evaluated elsewhere, the model is only asked here what it is.
        local = isinstance(workers, LocalWorker)
        binding = bind(request if local else request.on_device("cpu"))
        try:
            return _compute(binding, workers, out, queue, callbacks)
        finally:
            binding.close()


def _workers(request: Request) -> contextlib.AbstractContextManager[Workers]:
    if request.settings.engine == "local":
        return contextlib.nullcontext(LocalWorker())
    from emap_core.engine.ray_workers import ray_workers

    return ray_workers(request.for_workers())


def _compute(
    binding: Binding,
    workers: Workers,
    out: str | Path | None,
    queue: bool,
    callbacks: Callbacks,
) -> RunFolder:
    began = time.monotonic()
    folder = RunFolder(folder_path(binding, out))
    progress = Progress(folder.id, callbacks.listener, callbacks.cancelled)
    if folder.path.is_dir() and finished_before(folder, binding):
        return _as_it_is(folder, progress)
    plan = read_json(folder.plan)
    warm_up: WarmUp | None = None
    if plan is None:
        problem, warm_up = measured(binding, workers, timed=callbacks.preview is not None)
        if callbacks.preview is not None:
            overhead = time.monotonic() - began
            callbacks.preview(estimated(problem, warm_up, workers, 2, overhead))
    else:
        problem = align(binding, plan["n_classes"])
        gate.check(problem, None)
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
        if finished_before(folder, binding):
            return _as_it_is(folder, progress)
        try:
            problem.scorer.scores_for(binding.fingerprint or folder.id)
            evaluation = _begin(folder, problem, warm_up)
            progress.folder = folder
            with device_turn(problem.device, progress) if queue else contextlib.nullcontext():
                _evaluate(folder, problem, workers, evaluation, progress, warm_up)
        except BaseException as error:
            _stopped(folder, progress, error)
            if isinstance(error, OSError) and (why := _disk_fault(folder, error)):
                raise RunError(why) from error
            raise
        return folder


def _disk_fault(folder: RunFolder, error: OSError) -> str | None:
    """Return what happened to a run's folder; None if the error is about something else."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"the disk of run {folder.id!r} is full; make room and start the same run again: "
            "finished tiles are kept"
        )
    if not folder.path.is_dir():
        return f"the folder of run {folder.id!r} was deleted during the computation; start it again"
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


def _evaluate(
    folder: RunFolder,
    problem: Problem,
    workers: Workers,
    evaluation: Evaluation,
    progress: Progress,
    warm_up: WarmUp | None,
) -> None:
    began = time.monotonic()
    progress.tell(
        "planned",
        pairs_total=evaluation.n_pairs,
        cells=cells_of(problem.n_sides),
        tiles=evaluation.n_tiles,
        keep=problem.keep,
        kept_classes=[problem.classes[c] for c in problem.kept_classes or []],
        device=problem.device,
    )
    first = _first_outputs(folder, problem, workers)
    if first is not None and warm_up is None:
        # Before anything of another model is added to the run.
        check_same_model(problem, first, resumed=True)
    for place, items in problem.opened.items():
        items.keep(folder.previews(place))
    if problem.scorer.staged:
        workers.encode(problem, evaluation.columns, folder, progress)
    if problem.train is not None and not folder.linear_probes.exists():
        # Before the pairs, so that bad training data is noticed before any is scored.
        # scikit-learn takes a second to load, which few runs need.
        from emap_core.engine.learnt_from_encodings import keep_linear_probes

        progress.tell("linear_probes", message="training linear probes on the encodings")
        keep_linear_probes(folder, problem)
    result = evaluation.run(progress, workers)
    if first is not None:
        _refuse_a_changed_model(folder, problem, first)
    n_pairs = evaluation.n_pairs
    for items in problem.opened.values():
        items.complete()
    manifest = folder.manifest()
    manifest["seconds"] = manifest.get("seconds", 0.0) + time.monotonic() - began
    if result is None:
        folder.write_manifest({**manifest, "status": "part", "n_pairs_evaluated": n_pairs})
        progress.tell("part", pairs_done=n_pairs, pairs_total=n_pairs)
        return
    if problem.settings.density == "encodings":
        from emap_core.engine.learnt_from_encodings import keep_density

        progress.tell("density", message="estimating from the encodings how likely pairs are")
        keep_density(folder, problem)
    manifest["notes"] = [*manifest["notes"], *problem.scorer.remarks()]
    finish_run(folder, {**manifest, "n_pairs_evaluated": n_pairs}, result, problem.row_order)
    for leftover in (folder.tiles, folder.encodings):
        remove_folder(leftover)
    for file in (folder.warm_up, folder.first_outputs):
        file.unlink(missing_ok=True)
    # A run is complete without its checksums, so a disk that is full by now does not undo it.
    with contextlib.suppress(OSError):
        write_checksums(folder)
    progress.tell("finished", pairs_done=n_pairs, pairs_total=n_pairs)


def _first_outputs(folder: RunFolder, problem: Problem, workers: Workers) -> FirstOutputs | None:
    """Return what the model gave when the run began; None if it is not asked again.

    Where pairs are scored elsewhere, no model is at hand here.
    """
    if not may_be_asked_again(problem) or not isinstance(workers, LocalWorker):
        return None
    return FirstOutputs.load(folder.first_outputs)


def _refuse_a_changed_model(folder: RunFolder, problem: Problem, first: FirstOutputs) -> None:
    try:
        check_same_model(problem, first, resumed=False)
    except ModelError:
        # Nobody knows which pairs were scored before the change, so that a new start scores all.
        folder.plan.unlink(missing_ok=True)
        for scored in (folder.tiles, folder.encodings):
            remove_folder(scored)
        raise


def _begin(folder: RunFolder, problem: Problem, warm_up: WarmUp | None) -> Evaluation:
    """Write what describes the run, or resume with the plan of an interrupted one."""
    folder.cancel_request.unlink(missing_ok=True)
    method = problem.method
    if warm_up is None:
        wishes = wishes_of(folder.manifest(), problem)
        folder.update_manifest(status="running", error=None, **wishes)
        if isinstance(method, CellMethod):
            return CellEvaluation.resume(folder, problem, method)
        return TileEvaluation.resume(folder, problem)
    # First of all: without it, an interrupted run would be taken for somebody else's folder.
    folder.write_manifest(new_manifest(problem, warm_up))
    write_tables(folder, problem)
    if may_be_asked_again(problem):
        FirstOutputs.of(problem, warm_up).save(folder.first_outputs)
    if isinstance(method, CellMethod):
        return CellEvaluation.start(folder, problem, warm_up, method)
    return TileEvaluation.start(folder, problem, warm_up)


def _stopped(folder: RunFolder, progress: Progress, error: BaseException) -> None:
    """Note in the folder why the run stopped, if the disk allows."""
    asked = isinstance(error, (Cancelled, KeyboardInterrupt))
    status = "cancelled" if asked else "failed"
    message = with_place(error)
    try:
        if (folder.path / "run.json").exists():
            folder.update_manifest(status=status, error=None if asked else message)
            progress.tell(status, message=message)
    except OSError:
        # A full disk; the missing lock will show that the run was interrupted.
        return
