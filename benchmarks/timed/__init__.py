"""One script for each thing that is timed, in this version and in an earlier one.

``python -m benchmarks.timed.NAME`` in a checkout measures its version, and prints a line
``value: number`` for each number. `benchmarks.before_after` lays this folder over the earlier
checkout, so that both versions run the same scripts.
"""
