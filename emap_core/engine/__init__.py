"""Evaluate a model on the grid of recombinations, in tiles, and never lose a finished one."""

from emap_core.engine.cost import Estimate, estimate
from emap_core.engine.driver import compute, compute_part
from emap_core.engine.parts import merge_parts

__all__ = ["Estimate", "compute", "compute_part", "estimate", "merge_parts"]
