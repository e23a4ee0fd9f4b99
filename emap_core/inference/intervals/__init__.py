"""Intervals and tests of one run's table: of a whole grid, of sampled pairs, of sub-samples."""
