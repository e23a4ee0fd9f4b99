"""Hand tiles to Ray actors, one per GPU or per few cores; an optional extra."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from emap_core.engine.binding import Binding, bind
from emap_core.engine.encoded_items import EncodedItems
from emap_core.engine.measure import WarmUp
from emap_core.engine.plan import Tile
from emap_core.engine.problem import Problem, align
from emap_core.engine.progress import Progress
from emap_core.engine.request import Request
from emap_core.engine.warm_up import score_warm_up
from emap_core.engine.workers import CellTile, Corner, FinishedCellTile, FinishedTile
from emap_core.errors import EmapError, MissingExtraError, RunError, SettingError
from emap_core.installation import with_extra
from emap_core.models import encodings as trees
from emap_core.models.encodings import Encodings
from emap_core.runs.folder import RunFolder
from emap_core.types import Index

Item = TypeVar("Item")

ATTEMPTS = 3
"""How many workers a tile may crash before the run stops."""
_SECONDS_BETWEEN_LOOKS = 0.2
_SECONDS_BETWEEN_GROWTH = 3.0
_SECONDS_OF_PATIENCE = 30.0


class RayWorkers:
    """Actors that each hold the model and the data; tiles go to any that is free.

    The plan, the store of tiles, their order in the sums and the progress are the driver's, as
    with `LocalWorker`: for the same plan and threads the sums are the same to the bit. A worker
    that dies is restarted and only loses the tile it held; new nodes of the cluster get workers
    when they join.

    Parameters
    ----------
    request : Request
        From which each worker loads model and data itself. Its setting ``address`` is that of a
        cluster, by default a local one; ``cpus_per_worker`` and ``device`` are also read here.

    Raises
    ------
    MissingExtraError
        If Ray is not installed.
    SettingError
        On first use, if there is no cluster at the address or it has no room for a worker.
    """

    def __init__(self, request: Request) -> None:
        self._ray = _import_ray()
        self._settings = request.settings
        self._sent = request
        self._actors: list[Any] = []
        self._encodings: Any = None
        self._connected = self._owned = False
        self._looked = float("-inf")

    def _start(self) -> None:
        """Connect and start the first workers; an already finished run needs none."""
        if self._connected:
            return
        settings = self._settings
        self._owned = _connect(self._ray, settings.address)
        self._connected = True
        wants_gpu = settings.device == "auto" or settings.device.startswith("cuda")
        has_gpu = self._ray.cluster_resources().get("GPU", 0) >= 1
        self._needs = {"CPU": float(settings.cpus_per_worker)} | (
            {"GPU": 1.0} if wants_gpu and has_gpu else {}
        )
        try:
            self._request = self._ray.put(self._sent)
        except TypeError as error:
            raise SettingError(
                f"model or data cannot be sent to workers ({str(error).splitlines()[0]}); give "
                "them as spec strings"
            ) from error
        self._wait_for_room()

    def close(self) -> None:
        """Release the workers, and stop the cluster if it was started here."""
        for actor in self._actors:
            self._ray.kill(actor)
        self._actors = []
        if self._owned:
            self._ray.shutdown()

    def measure(self, binding: Binding, timed: bool = True) -> tuple[WarmUp, str]:
        """Score the warm-up tile on one of the workers, whose device is what counts."""
        self._start()
        warm_up, device = self._get(self._actors[0].measure.remote(timed))
        binding.evaluator.batch_size = binding.settings.batch_size or warm_up.batch_size
        return warm_up, device

    def score(self, problem: Problem, rows: Index, columns: Index) -> NDArray[Any]:
        """Return the outputs for a few single cells, from the worker that was measured."""
        return np.asarray(self._get(self._actors[0].score.remote(rows, columns)))

    def encode(
        self, problem: Problem, images: slice, folder: RunFolder, progress: Progress
    ) -> None:
        """Hand out the encoders' chunks; encodings stay in Ray's object store for all workers."""
        self._start()
        self._encodings = self._ray.put(
            {
                items.name: self._encode_side(items, items.chunks(wanted), folder, progress)
                for items, wanted in problem.evaluator.needed(images)
            }
        )

    def _encode_side(
        self, items: EncodedItems, chunks: range, folder: RunFolder, progress: Progress
    ) -> dict[int, Any]:
        """Return references to the encodings of each chunk."""
        items.keep_in(folder.encodings)
        found: dict[int, Any] = {}
        for number in chunks:
            stored = items.stored(number)
            if stored is not None:
                found[number] = self._ray.put(stored)

        def finish(number: int, encodings: Encodings) -> None:
            items.store(number, encodings)
            found[number] = self._ray.put(encodings)
            progress.encoding(items.name, len(found), len(chunks))

        self._share_out(
            [number for number in chunks if number not in found],
            lambda actor, number: actor.encode.remote(items.name, number),
            finish,
            progress,
            lambda number: f"chunk {number} of the {items.name}",
        )
        return found

    def tiles(
        self,
        problem: Problem,
        tiles: Iterable[Tile],
        corner: Corner,
        finish: Callable[[Tile, FinishedTile], None],
        progress: Progress,
    ) -> None:
        """Evaluate tiles, one at a time on each worker."""
        of_run = self._of_run(problem)

        def name(tile: Tile) -> str:
            first = problem.evaluator.name_pair(tile.rows.start, tile.columns.start)
            last = problem.evaluator.name_pair(tile.rows.stop - 1, tile.columns.stop - 1)
            return f"tile {tile.number}, from {first} to {last},"

        self._share_out(
            tiles,
            lambda actor, tile: actor.tile.remote(
                of_run, self._encodings, tile, corner if tile.number == 0 else None
            ),
            finish,
            progress,
            name,
        )

    def cell_tiles(
        self,
        problem: Problem,
        tiles: Iterable[CellTile],
        finish: Callable[[CellTile, FinishedCellTile], None],
        progress: Progress,
    ) -> None:
        """Evaluate tiles of single cells, one at a time on each worker."""
        of_run = self._of_run(problem)

        def name(tile: CellTile) -> str:
            first = problem.evaluator.name_pair(int(tile.rows[0]), int(tile.columns[0]))
            return f"tile {tile.number}, which starts with {first},"

        self._share_out(
            tiles,
            lambda actor, tile: actor.cell_tile.remote(of_run, self._encodings, tile),
            finish,
            progress,
            name,
        )

    def _of_run(self, problem: Problem) -> tuple[int, int]:
        return problem.n_classes, problem.evaluator.batch_size

    def _share_out(
        self,
        items: Iterable[Item],
        submit: Callable[[Any, Item], Any],
        finish: Callable[[Item, Any], None],
        progress: Progress,
        name: Callable[[Item], str],
    ) -> None:
        """Keep every worker busy with one item; however this ends, finished items are kept."""
        self._start()
        waiting = (_Task(number, item) for number, item in enumerate(items))
        busy: dict[Any, tuple[Any, _Task[Item]]] = {}
        done: set[int] = set()
        longest = 0.0

        def overdue() -> _Task[Item] | None:
            """Return a task whose worker seems lost with its node, to be done elsewhere."""
            patience = max(_SECONDS_OF_PATIENCE, 5 * longest)
            for _, task in busy.values():
                if task.number not in done and time.monotonic() - task.since > patience:
                    return _Task(task.number, task.item)
            return None

        def take(reference: Any) -> None:
            nonlocal longest
            _, task = busy.pop(reference)
            if task.number in done:
                return
            found = self._get(reference, lambda: name(task.item))
            longest = max(longest, time.monotonic() - task.since)
            done.add(task.number)
            finish(task.item, found)

        try:
            while True:
                progress.check()
                self._grow()
                at_work = [actor for actor, _ in busy.values()]
                for actor in (one for one in self._actors if one not in at_work):
                    task = next(waiting, None) or overdue()
                    if task is None:
                        break
                    task.since = time.monotonic()
                    busy[submit(actor, task.item)] = (actor, task)
                if all(task.number in done for _, task in busy.values()):
                    return
                for reference in self._ray.wait(list(busy), timeout=_SECONDS_BETWEEN_LOOKS)[0]:
                    take(reference)
        finally:
            if busy:
                for reference in self._ray.wait(list(busy), num_returns=len(busy), timeout=0)[0]:
                    with contextlib.suppress(EmapError):
                        take(reference)

    def _get(self, reference: Any, name: Callable[[], str] = lambda: "the warm-up tile") -> Any:
        exceptions = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except exceptions.RayTaskError as error:
            if isinstance(error.cause, EmapError):
                raise error.cause from None
            raise RunError(f"a worker failed at {name()} with: {error.cause!r}") from error
        except exceptions.RayError as error:
            raise RunError(
                f"{name()} crashed {ATTEMPTS} workers, the last with: "
                f"{str(error).splitlines()[0]}; finished tiles are kept"
            ) from error

    def _grow(self) -> None:
        """Start a worker wherever the cluster has room for one, including nodes that join later."""
        # A cluster takes a moment to count the workers that were started last.
        if time.monotonic() - self._looked < _SECONDS_BETWEEN_GROWTH:
            return
        self._looked = time.monotonic()
        free = self._ray.available_resources()
        room = min(int(free.get(name, 0) // amount) for name, amount in self._needs.items())
        for _ in range(room):
            actor = self._ray.remote(_Worker).options(
                num_cpus=self._needs["CPU"],
                num_gpus=self._needs.get("GPU", 0),
                max_restarts=-1,
                max_task_retries=ATTEMPTS - 1,
            )
            self._actors.append(actor.remote([self._request], self._settings.cpus_per_worker))

    def _wait_for_room(self) -> None:
        deadline = time.monotonic() + _SECONDS_OF_PATIENCE
        while True:
            self._looked = float("-inf")
            self._grow()
            if self._actors:
                return
            if time.monotonic() > deadline:
                free = self._ray.available_resources()
                raise SettingError(
                    f"the cluster has no room for a worker, which needs {self._needs}; free are "
                    f"{ {name: free.get(name, 0.0) for name in self._needs} }"
                )
            time.sleep(_SECONDS_BETWEEN_LOOKS)


@dataclass
class _Task(Generic[Item]):
    """One item on its way."""

    number: int
    item: Item
    since: float = 0.0


class _Worker:
    """Model and data in a process of their own, which computes chunks and tiles."""

    def __init__(self, request: list[Any], n_threads: int) -> None:
        torch.set_num_threads(n_threads)
        # A reference within a list, so that a worker that is started again can still get it.
        self._binding: Binding = bind(_import_ray().get(request[0]))
        self._evaluator = self._binding.evaluator
        self._problem: Problem | None = None

    def measure(self, timed: bool) -> tuple[WarmUp, str]:
        """Return the warm-up tile, and the device that scored it."""
        return score_warm_up(self._binding, timed), self._binding.device

    def score(self, rows: Index, columns: Index) -> NDArray[Any]:
        """Return the outputs for single cells, before other encodings come from the driver."""
        return self._evaluator.pairs(rows, columns)

    def encode(self, name: str, number: int) -> Encodings:
        """Return the encodings of a chunk, on the host."""
        items = self._items()[name]
        items.prepare(number)
        return trees.to_device(items.release(number), "cpu")

    def tile(
        self, of_run: tuple[int, int], encodings: Any, tile: Tile, corner: Corner
    ) -> FinishedTile:
        """Return what is kept of a tile."""
        problem = self._with(of_run, encodings)
        return FinishedTile.of(
            problem, tile, self._evaluator.cells(tile.rows, tile.columns, corner)
        )

    def cell_tile(
        self, of_run: tuple[int, int], encodings: Any, tile: CellTile
    ) -> FinishedCellTile:
        """Return the outputs for single cells."""
        return FinishedCellTile.of(self._with(of_run, encodings), tile)

    def _items(self) -> dict[str, EncodedItems]:
        return {items.name: items for items, _ in self._evaluator.needed(slice(0, 1))}

    def _with(
        self, of_run: tuple[int, int], encodings: dict[str, dict[int, Any]] | None
    ) -> Problem:
        """Return the problem with what the driver knows of the run."""
        if self._problem is None:
            n_classes, self._evaluator.batch_size = of_run
            self._problem = align(self._binding, n_classes)
            for name, references in (encodings or {}).items():
                self._items()[name].encode_with(partial(self._fetch, references))
        return self._problem

    def _fetch(self, references: dict[int, Any], number: int) -> Encodings:
        ray = _import_ray()
        return trees.to_device(ray.get(references[number]), self._binding.scorer.device)


@contextlib.contextmanager
def ray_workers(request: Request) -> Iterator[RayWorkers]:
    """Provide workers for the duration of a run."""
    workers = RayWorkers(request)
    try:
        yield workers
    finally:
        workers.close()


def _import_ray() -> Any:
    try:
        import ray
    except ImportError:
        raise MissingExtraError(f"engine='ray' needs Ray: {with_extra('ray')}") from None
    return ray


def _connect(ray: Any, address: str | None) -> bool:
    """Connect to the cluster, or start a local one; return whether it was started here."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        if address is not None and ":" in address:
            # Ray itself would wait for minutes.
            host, _, port = address.removeprefix("ray://").rpartition(":")
            socket.create_connection((host, int(port)), timeout=10).close()
        if ray.is_initialized():
            return False
        ray.init(
            address=address, include_dashboard=False, log_to_driver=False, logging_level="ERROR"
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise SettingError(f"there is no Ray cluster at {address!r}: {error}") from error
    return True
