"""Probes: what else a run can be asked, one probe a file."""
