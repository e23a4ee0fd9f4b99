"""Jobs: child processes that plan, compute or probe a run, found again through files alone."""

from emap_core.jobs.job import Job, cancel, find, follow, list_jobs, start
from emap_core.jobs.specification import ProbeSpecification, RunSpecification

__all__ = [
    "Job",
    "ProbeSpecification",
    "RunSpecification",
    "cancel",
    "find",
    "follow",
    "list_jobs",
    "start",
]
