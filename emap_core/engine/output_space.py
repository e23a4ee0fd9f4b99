"""Move a model's outputs to the space that is projected."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from emap_core.errors import SettingError
from emap_core.models.base import Output
from emap_core.types import SPACES, Task

_SMALLEST = 1e-7


def to_space(values: NDArray[Any], output: Output, space: str, task: Task) -> NDArray[Any]:
    """Return model outputs of shape (..., C) in another space.

    Softmax over the last axis for multiclass tasks, a sigmoid for each class otherwise.
    Probabilities are clipped to [1e-7, 1] on the way to logits.

    Raises
    ------
    SettingError
        If `space` is unknown, or the task is a regression, which has no probabilities.
    """
    if space not in SPACES:
        raise SettingError(f"space is {space!r}; expected one of {', '.join(SPACES)}")
    if space == output:
        return values
    if task == "regression":
        raise SettingError("a regression has no probabilities; use space='logits'")
    exclusive = task == "multiclass" and values.shape[-1] > 1
    logits = np.asarray(values, dtype=np.float64)
    if output != "logits":
        p = np.exp(logits) if output == "log_probabilities" else logits
        p = np.clip(p, _SMALLEST, 1.0)
        # Log-probabilities are logits already, up to a number added to all classes.
        logits = np.log(p) if exclusive else special.logit(np.minimum(p, 1.0 - _SMALLEST))
    if space == "logits":
        return logits
    if space == "probabilities":
        return np.asarray(special.softmax(logits, axis=-1) if exclusive else special.expit(logits))
    return np.asarray(
        special.log_softmax(logits, axis=-1) if exclusive else special.log_expit(logits)
    )
