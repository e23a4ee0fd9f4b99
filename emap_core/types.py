"""The types that all rooms share."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

AnyArray = NDArray[Any]
Array = NDArray[np.float64]
Index = NDArray[np.intp]
"""Numbers of examples, texts, images or classes."""
Mask = NDArray[np.bool_]

Task = Literal["multiclass", "binary", "multilabel", "regression"]
"""What the labels are; binary has one logit, with threshold 0."""
Space = Literal["logits", "log_probabilities", "probabilities"]
"""What is projected."""
SPACES: tuple[Space, ...] = get_args(Space)
Cluster = str
"""What is drawn whole in resamples: auto, none, all, both, or names of sides joined by +; see
`emap_core.inference.resamples.population`."""
