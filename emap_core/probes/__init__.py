"""Probes: what else a run can be asked, one file per probe."""
