"""Jobs: child processes that plan, compute or probe a run, found again through files alone."""

from emap_core.jobs.job import Job, cancel, find, follow, list_jobs, start
from emap_core.jobs.work import Question, Work

__all__ = ["Job", "Question", "Work", "cancel", "find", "follow", "list_jobs", "start"]
