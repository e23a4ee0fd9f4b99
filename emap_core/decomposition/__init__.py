"""Split a model's grid of logits into text, image and interaction parts."""

from emap_core.decomposition.moments import Moments, sum_tile
from emap_core.decomposition.projection import Decomposition, decompose, decompose_sums

__all__ = ["Decomposition", "Moments", "decompose", "decompose_sums", "sum_tile"]
