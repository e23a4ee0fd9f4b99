"""Gaps held against each other: slices, groups, two models, several seeds, many tests."""
