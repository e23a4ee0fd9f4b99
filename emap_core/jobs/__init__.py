"""Jobs: child processes that plan or compute a run, found again through files alone."""

from emap_core.jobs.job import Job, cancel, find, follow, list_jobs, start
from emap_core.jobs.work import Work

__all__ = ["Job", "Work", "cancel", "find", "follow", "list_jobs", "start"]
