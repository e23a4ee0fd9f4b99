"""Evaluate a model on the grid of recombinations, in tiles, and never lose a finished tile."""

from emap_core.engine.cost import Estimate, estimate
from emap_core.engine.driver import compute, compute_shard
from emap_core.engine.shards import merge_shards

__all__ = ["Estimate", "compute", "compute_shard", "estimate", "merge_shards"]
