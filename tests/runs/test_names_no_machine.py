"""A run folder can be copied anywhere: nothing in it says where it was made."""

import platform
import socket
from pathlib import Path

import pytest
from samples import Staged, make_examples

import emap_core as emap

pytestmark = pytest.mark.slow

HOUSE = Path(__file__).parents[2]
HOST = "a-machine-of-this-test"


@pytest.mark.parametrize(
    "settings", [{"keep": "grid"}, {"keep": "sums"}, {"method": "sampled", "images_per_text": 4}]
)
def test_no_file_of_a_finished_run_names_the_machine_or_a_folder_of_it(
    settings, store, monkeypatch
):
    # A real name may be two letters, which are found in bytes that mean nothing.
    monkeypatch.setattr(socket, "gethostname", lambda: HOST)
    monkeypatch.setattr(socket, "getfqdn", lambda *_: HOST)
    monkeypatch.setattr(platform, "node", lambda: HOST)
    run = emap.compute(Staged(), make_examples(), out=store / "run", batch_size=20, **settings)
    run.table(intervals=True)
    files = [path for path in (store / "run").rglob("*") if path.is_file()]
    assert files
    names = [str(store), str(HOUSE), f"{Path.home()}/", HOST]
    for path in files:
        content = path.read_bytes()
        for name in names:
            assert name.encode() not in content, f"{path.name} holds {name}"
