import pytest
from samples import make_examples


@pytest.fixture
def examples():
    return make_examples()
