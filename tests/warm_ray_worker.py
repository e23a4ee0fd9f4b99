"""What Ray starts in place of Python: a worker that begins with its libraries loaded."""

import sys

import warm

warm.Popen.address, _, *arguments = sys.argv[1:]
# With a worker, Ray ends its whole group of processes.
worker = warm.Popen(
    [sys.executable, "-m", warm.RAY_WORKER, *arguments],
    start_new_session=True,
)
sys.exit(worker.wait())
