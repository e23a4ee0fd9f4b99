"""Evaluate a model on the grid of recombinations, in tiles, and never lose a finished one."""

from emap_core.engine.driver import Estimate, compute, estimate

__all__ = ["Estimate", "compute", "estimate"]
