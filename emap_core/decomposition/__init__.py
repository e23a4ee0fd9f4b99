"""Split a model's grid of logits into text, image and interaction parts."""

from emap_core.decomposition.exact import Decomposition, decompose, decompose_sums
from emap_core.decomposition.moments import Moments, sum_tile

__all__ = ["Decomposition", "Moments", "decompose", "decompose_sums", "sum_tile"]
