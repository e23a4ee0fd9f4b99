import os
import subprocess
import uuid

# Before torch is loaded: the workers share the cores, and so do the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import filelock
import pytest
import warm
from samples import make_examples

from emap_core.runs.store import location, remove_folder


@pytest.fixture
def examples():
    return make_examples()


@pytest.fixture(params=["a folder", "memory:"])
def store(request, tmp_path):
    """Where runs may lie: in a folder, and behind a URL, where nothing but whole files is known."""
    if request.param == "a folder":
        yield tmp_path
        return
    root = location(f"memory://{tmp_path.name}-{uuid.uuid4().hex}")
    yield root
    remove_folder(root)


@pytest.fixture
def one_item_allowed(monkeypatch):
    """Let runs be computed in which nothing can be recombined, as versions before this one did."""
    from emap_core.engine import gate

    kept = [check for check in gate._OF_WORK if check is not gate._something_to_recombine]
    assert len(kept) < len(gate._OF_WORK)
    monkeypatch.setattr(gate, "_OF_WORK", tuple(kept))


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory):
    """Return a folder that is the same for all workers of this session."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def warm_popen(shared_folder):
    """Return a ``subprocess.Popen`` whose Python processes begin with their libraries loaded."""
    warm.Popen.address = str(shared_folder / "warm")
    with filelock.FileLock(shared_folder / "warm.lock"):
        connection = warm.keep_warm(shared_folder / "warm")
    with connection:
        yield warm.Popen


@pytest.fixture
def warm_processes(warm_popen, monkeypatch):
    """Let Python processes that the code under test starts begin with their libraries loaded."""
    monkeypatch.setattr(subprocess, "Popen", warm_popen)
