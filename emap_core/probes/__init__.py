"""Probes: further questions to a run, one file per probe."""
