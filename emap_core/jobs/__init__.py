"""Jobs: child processes that plan, compute or probe a run, found again through files alone."""

from emap_core.jobs.job import Job, cancel, find, follow, list_jobs, start
from emap_core.jobs.specification import Question, RunSpecification

__all__ = ["Job", "Question", "RunSpecification", "cancel", "find", "follow", "list_jobs", "start"]
