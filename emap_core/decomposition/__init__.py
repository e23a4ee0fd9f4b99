"""Split a model's grid of logits into a part for each side and interactions."""

from emap_core.decomposition.moments import Moments, sum_tile
from emap_core.decomposition.projection import Decomposition, decompose, decompose_sums

__all__ = ["Decomposition", "Moments", "decompose", "decompose_sums", "sum_tile"]
