"""Gaps of a model during training, and finished runs, sent to training trackers.

One core, `GapInTraining`, measures; thin adapters call it from training loops and log the result.
"""

from emap_core.training.gap_in_training import GapInTraining
from emap_core.training.hugging_face import trainer_callback
from emap_core.training.lightning import lightning_callback
from emap_core.training.trackers import TRACKERS, log_run, numbers_of

__all__ = [
    "TRACKERS",
    "GapInTraining",
    "lightning_callback",
    "log_run",
    "numbers_of",
    "trainer_callback",
]
