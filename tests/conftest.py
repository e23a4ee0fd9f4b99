import os
import uuid

# Before torch is loaded: the workers share the cores, and so do the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
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
