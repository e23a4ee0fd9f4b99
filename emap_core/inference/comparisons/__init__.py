"""Gaps compared with each other: slices, groups, two models, several seeds, many tests."""
