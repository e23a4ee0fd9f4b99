import gc
import os
import re
import subprocess
import sys
import uuid

# Before torch is loaded: the workers share the cores, and so do the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import filelock
import pytest
import warm

COSTLY = ("browser", "library", "process", "ray", "slow")
"""Marks of the tests that ``--quick`` leaves out."""
MARK_OF_FIXTURE = {
    "browser_page": "browser",
    "bucket": "process",
    "open_page": "slow",
    "warm_popen": "process",
}
LIBRARIES = {"kaleido", "onnxruntime", "playwright", "ray", "tokenizers", "transformers"}
_COSTLY_FILE = re.compile(
    rf"^pytestmark = .*\bmark\.({'|'.join(COSTLY)})\b"
    rf"|^(\w+ = )?pytest\.importorskip\(\"({'|'.join(LIBRARIES)})\""
    rf"|^(import|from) ({'|'.join(LIBRARIES)})\b",
    re.MULTILINE,
)


def pytest_addoption(parser):
    parser.addoption(
        "--quick",
        action="store_true",
        help="leave out tests with browsers, processes or model libraries, and slow ones",
    )


def pytest_ignore_collect(collection_path, config):
    # What is costly is not even imported: its libraries take seconds.
    path = collection_path / "conftest.py" if collection_path.is_dir() else collection_path
    if config.getoption("quick") and path.suffix == ".py" and path.exists():
        return _COSTLY_FILE.search(path.read_text(encoding="utf-8")) is not None or None
    return None


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Import all tests without looking for garbage, and never look for it among what they import.

    What a library defines stays until the end; looking through it takes a third of the import.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    for item in items:
        for name in MARK_OF_FIXTURE.keys() & set(item.fixturenames):
            item.add_marker(MARK_OF_FIXTURE[name])
    if config.getoption("quick"):
        costly = {item for item in items if any(map(item.get_closest_marker, COSTLY))}
        config.hook.pytest_deselected(items=list(costly))
        items[:] = [item for item in items if item not in costly]


@pytest.fixture(autouse=True)
def quick_tests_stay_quick(request, monkeypatch):
    """With ``--quick``, let no test start a process or load a model library unmarked."""
    if not request.config.getoption("quick"):
        yield
        return

    def refuse(*_args):
        pytest.fail("this test starts a process; mark it with pytest.mark.process")

    monkeypatch.setattr(subprocess.Popen, "_execute_child", refuse)
    before = LIBRARIES & sys.modules.keys()
    yield
    loaded = (LIBRARIES & sys.modules.keys()) - before
    assert not loaded, f"this test loads {loaded}; mark it with pytest.mark.library"


# The process that shares tests out to others reads this file, and needs none of what they import.
@pytest.fixture
def examples():
    from samples import make_examples

    return make_examples()


@pytest.fixture(params=["a folder", "memory:"])
def store(request, tmp_path):
    """Where runs may lie: in a folder, and behind a URL, where nothing but whole files is known."""
    from emap_core.runs.store import location, remove_folder

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

    kept = [check for check in gate._OF_PROBLEM if check is not gate._something_to_recombine]
    assert len(kept) < len(gate._OF_PROBLEM)
    monkeypatch.setattr(gate, "_OF_PROBLEM", tuple(kept))


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
