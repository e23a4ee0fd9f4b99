"""A callback of the Hugging Face Trainer."""

from __future__ import annotations

from typing import Any

from emap_core.errors import MissingExtraError
from emap_core.installation import with_extra
from emap_core.training.gap_in_training import GapInTraining
from emap_core.training.schedule import check_every, due


def trainer_callback(trainer: Any, gap: GapInTraining, *, every: int = 500) -> Any:
    """Return a callback that measures the gap and logs it like the trainer's loss.

    ``trainer.log`` sends the numbers to TensorBoard, Weights & Biases, MLflow or whatever
    ``report_to`` names, and to ``trainer.state.log_history``. If several processes train, the first
    one measures with its own copy of the network; a network spread over processes (FSDP, ZeRO 3)
    has no such copy.

    Parameters
    ----------
    trainer : transformers.Trainer
        Pass the callback to its ``add_callback``.
    gap : GapInTraining
    every : int
        Optimizer steps between measurements; the last step is always measured.

    Raises
    ------
    MissingExtraError
        If transformers is not installed.
    """
    try:
        from transformers import TrainerCallback
    except ImportError:
        raise MissingExtraError(
            f"the Trainer's callback needs transformers: {with_extra('hf')}"
        ) from None
    check_every(every)

    class _Callback(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            last = state.max_steps
            if state.is_world_process_zero and due(state.global_step, every, last):
                trainer.log(gap(more["model"], state.global_step))

    return _Callback()
