"""A callback of Lightning."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from emap_core.errors import MissingExtraError
from emap_core.training.gap_in_training import GapInTraining
from emap_core.training.schedule import check_every, due

_NAMES = ("lightning.pytorch", "pytorch_lightning")


def lightning_callback(gap: GapInTraining, *, every: int = 500) -> Any:
    """Return a callback that measures the gap and sends it to all loggers of the trainer.

    If several processes train, the first one measures with its own copy of the network; a network
    spread over processes (FSDP, DeepSpeed 3) has no such copy.

    Parameters
    ----------
    gap : GapInTraining
        Its ``to_model`` gets the LightningModule.
    every : int
        Optimizer steps between measurements; the end is always measured.

    Raises
    ------
    MissingExtraError
        If neither lightning nor pytorch_lightning is installed.
    """
    base = _library().Callback
    check_every(every)

    class _Callback(base):  # type: ignore[misc, valid-type]  # the one of two that is there
        measured_at = 0

        def on_train_batch_end(self, trainer: Any, module: Any, *_: Any, **__: Any) -> None:
            if due(trainer.global_step, every):
                self._measure(trainer, module)

        def on_train_end(self, trainer: Any, module: Any) -> None:
            self._measure(trainer, module)

        def _measure(self, trainer: Any, module: Any) -> None:
            step = trainer.global_step
            # With accumulated gradients, several batches end at the same step.
            if step == self.measured_at or not trainer.is_global_zero:
                return
            self.measured_at = step
            numbers = gap(module, step)
            for logger in trainer.loggers:
                logger.log_metrics(numbers, step=step)

    return _Callback()


def _library() -> Any:
    """Return the package of the trainer in use, which is already loaded."""
    for name in sorted(_NAMES, key=lambda name: name not in sys.modules):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise MissingExtraError("Lightning's callback needs lightning: pip install lightning")
