"""Gaps of a model while it is trained, and finished runs, in what the training logs to.

One core, `GapInTraining`, measures; thin adapters call it from loops and log what it says.
"""

from emap_core.training.gap_in_training import GapInTraining
from emap_core.training.hugging_face import trainer_callback
from emap_core.training.lightning import lightning_callback
from emap_core.training.logged import TRACKERS, log_run, numbers_of

__all__ = [
    "TRACKERS",
    "GapInTraining",
    "lightning_callback",
    "log_run",
    "numbers_of",
    "trainer_callback",
]
