"""The gap of a model in training, on one fixed sample, within a budget of seconds."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from math import isfinite, sqrt
from pathlib import Path
from typing import Any

import numpy as np

from emap_core.datasets import load_dataset
from emap_core.datasets.base import Examples
from emap_core.datasets.sample import pick
from emap_core.errors import Cancelled, EmapError, SettingError
from emap_core.runs import Run
from emap_core.training.trackers import numbers_of

_FIRST = 16
"""Examples of the first measurement, which shows how many fit into the budget."""
_FEWEST = 4
_GROWTH = 4
_CAUTION = 0.7
"""Share of the remaining seconds that a larger sample may take, judged by smaller ones."""


class GapInTraining:
    """Measure a model's gap repeatedly during training, always on the same examples.

    The first call finds out how many examples fit into the budget: a few, then more, since pairs
    grow with their square. Later calls use the same examples, so their numbers can be compared. A
    call that takes too long gives up, and the next one uses half as many examples;
    ``emap/n_examples`` shows this.

    Training continues as if nothing had been measured: modules go into evaluation mode and back,
    and torch's random state is restored.

    Parameters
    ----------
    dataset : Dataset or str
        As for `emap_core.compute`: labelled examples that are not in the training data.
    to_model : callable, optional
        Takes the network in training and returns a model that keeps the contract; by default the
        network itself.
    seconds : float
        Budget of one measurement, intervals included. It is checked after each tile.
    most_examples : int
        The most examples, however fast the model is.
    seed : int
        Seed of the examples.
    runs : path, optional
        Folder that keeps each measurement as a run, with its step; by default none is kept.
    name : str
        Name of these runs, before the step.
    data_args : dict, optional
        Keyword arguments for the data's loader.
    **settings
        Settings of `emap_core.compute`, such as ``metrics``, ``device`` or ``output``.

    Examples
    --------
    >>> gap = GapInTraining("demo:easy-vqa", seconds=5, most_examples=20)
    >>> from emap_core import load_model
    >>> sorted(gap(load_model("demo:additive")))[:3]
    ['emap/accuracy', 'emap/accuracy_emap', 'emap/accuracy_gap']
    """

    def __init__(
        self,
        dataset: Any,
        *,
        to_model: Callable[[Any], Any] | None = None,
        seconds: float = 30.0,
        most_examples: int = 500,
        seed: int = 0,
        runs: str | Path | None = None,
        name: str = "training",
        data_args: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        if not (isfinite(seconds) and seconds > 0):
            raise SettingError(f"seconds is {seconds!r}; expected a number above 0")
        if most_examples < _FEWEST:
            raise SettingError(
                f"most_examples is {most_examples!r}; expected a whole number of at least {_FEWEST}"
            )
        self.seconds = seconds
        self._data: Examples = load_dataset(dataset, **(data_args or {}))
        self._order = np.random.default_rng(seed).permutation(len(self._data))
        self._most = min(most_examples, len(self._data))
        self._to_model = to_model or (lambda network: network)
        self._runs = None if runs is None else Path(runs)
        self._name = name
        self._settings = {"picture_budget": 0, **settings}
        self._n_examples: int | None = None
        self._measured = False

    def __call__(self, network: Any, step: int | None = None) -> dict[str, float]:
        """Return the network's current numbers, by the names they are logged under.

        For each metric M of the task: ``emap/M`` for the model, ``emap/M_emap`` without
        interactions (leave-one-out), ``emap/M_gap`` with its 95% interval ``emap/M_gap_low`` and
        ``emap/M_gap_high``; then ``emap/interaction_share``, ``emap/n_examples`` and
        ``emap/seconds``. A measurement that gave up has only the last two.

        Parameters
        ----------
        network : object
            The network in training.
        step : int, optional
            The training step.

        Raises
        ------
        EmapError
            At the first measurement, if something is wrong with the model or the data. Later ones
            only warn, because training matters more.
        """
        began = time.monotonic()
        numbers: dict[str, float] = {}
        try:
            with _at_rest(model := self._to_model(network)):
                numbers = self._numbers(model, step, began + self.seconds)
        except EmapError as error:
            if not self._measured and not isinstance(error, Cancelled):
                raise
            warnings.warn(self._given_up(error), stacklevel=2)
        self._measured = True
        n_examples = float(self._n_examples or 0)
        return numbers | {
            "emap/n_examples": numbers.get("emap/n_examples", n_examples),
            "emap/seconds": time.monotonic() - began,
        }

    def _numbers(self, model: Any, step: int | None, deadline: float) -> dict[str, float]:
        if self._n_examples is not None:
            return self._of(model, step, self._n_examples, deadline)
        self._n_examples = n_examples = min(_FIRST, self._most)
        numbers: dict[str, float] = {}
        spent: dict[int, float] = {}
        while n_examples not in spent:
            began = time.monotonic()
            try:
                numbers = self._of(model, step, n_examples, deadline)
            except Cancelled:
                if not numbers:
                    raise
                break
            self._n_examples = n_examples
            now = time.monotonic()
            spent[n_examples] = now - began
            n_examples = min(self._most, _larger(spent, deadline - now))
        return numbers

    def _of(
        self, model: Any, step: int | None, n_examples: int, deadline: float
    ) -> dict[str, float]:
        from emap_core.engine import compute

        rows = np.sort(self._order[:n_examples])
        run: Run = compute(
            model,
            pick(self._data, rows, None),
            out=None if self._runs is None else self._new_folder(self._runs, step),
            name=self._name,
            step=step,
            progress=False,
            cancelled=lambda: time.monotonic() > deadline,
            **self._settings,
        )
        return numbers_of(run)

    def _new_folder(self, runs: Path, step: int | None) -> Path:
        stem = self._name if step is None else f"{self._name}-step-{step}"
        # A resumed training passes the same steps again.
        names = (stem if number == 1 else f"{stem}-{number}" for number in count(1))
        return next(path for name in names if not (path := runs / name).exists())

    def _given_up(self, error: EmapError) -> str:
        if not isinstance(error, Cancelled):
            return f"the gap was not measured: {error}"
        used = self._n_examples or _FIRST
        self._n_examples = max(_FEWEST, used // 2)
        return (
            f"measuring the gap on {used} examples takes more than {self.seconds:g} seconds and "
            f"was stopped; the next measurement uses {self._n_examples}: raise seconds, or measure "
            "on a faster device"
        )


def _larger(spent: dict[int, float], left: float) -> int:
    """Return how many examples to try next; the same number if no more would fit.

    Parameters
    ----------
    spent : dict of int to float
        Seconds by number of examples, in the order in which they were tried.
    left : float
        Seconds.
    """
    *before, last = spent
    if not before:
        # The first one also loads things that later ones find loaded.
        return last * (_GROWTH if _GROWTH * spent[last] < left else 1)
    rise = (spent[last] - spent[before[-1]]) / (last**2 - before[-1] ** 2)
    # If the larger one was faster, the pairs hardly matter.
    fitting = last**2 + (_CAUTION * left - spent[last]) / max(rise, 1e-9)
    larger = min(int(sqrt(max(fitting, 0.0))), _GROWTH * last)
    return larger if larger >= 1.5 * last else last


@contextmanager
def _at_rest(model: Any) -> Iterator[None]:
    """Put all modules of a model into evaluation mode, and restore them afterwards."""
    # Imported here, so that finished runs can be logged without torch.
    import torch

    from emap_core.models.torch_modules import modules_of

    parts = [part for module in modules_of(model) for part in module.modules()]
    modes = [part.training for part in parts]
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        try:
            for part in parts:
                part.training = False
            yield
        finally:
            for part, mode in zip(parts, modes, strict=True):
                part.training = mode
