import os

# Before torch is loaded: the workers share the cores, and so do the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from samples import make_examples


@pytest.fixture
def examples():
    return make_examples()
