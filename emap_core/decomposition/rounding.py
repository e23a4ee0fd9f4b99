"""How much of an interaction is nothing but rounding in the model that computed the logits."""

from __future__ import annotations

import numpy as np


def rounding_noise(largest: float) -> float:
    """Return the size below which a sum of float32 logits of at most `largest` is rounding.

    Models compute in float32 before their logits are stored as anything wider.
    """
    return 8.0 * float(np.finfo(np.float32).eps) * largest
