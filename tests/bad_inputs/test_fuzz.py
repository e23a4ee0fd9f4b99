"""Whatever bytes come, a loader gives data or refuses them in one line."""

import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from bad_inputs.make import FORMATS, grid, noise, png, saved, with_frame
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples import Staged, make_examples

import emap_core as emap
from emap_core.datasets import load_dataset
from emap_core.datasets.base import ImageFiles
from emap_core.datasets.grid_cells import find_cells
from emap_core.errors import EmapError
from emap_core.models import load_model
from emap_core.runs.checksums import check_run
from emap_core.runs.folder import describe_run

pytestmark = pytest.mark.slow

CSV = b"id,text,image,label\n1,a,good.png,yes\n2,b,good.png,no\n"
JSONL = b'{"text": "a", "image": "good.png", "label": 1}\n{"text": "b", "image": "good.png"}\n'
few = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def damaged(whole: bytes):
    """Return `whole` with some bytes changed, put in or taken out, or cut off."""

    @st.composite
    def change(draw):
        content = bytearray(whole)
        for _ in range(draw(st.integers(1, 5))):
            start = draw(st.integers(0, len(content)))
            stop = min(len(content), start + draw(st.integers(0, 6)))
            content[start:stop] = draw(st.binary(max_size=6))
        return bytes(
            content[: draw(st.integers(0, len(content)))] if draw(st.booleans()) else content
        )

    return change()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz")
    (path / "good.png").write_bytes(png())
    return path


def load(spec):
    with suppress(EmapError):
        data = load_dataset(spec)
        find_cells(data)
        for image in data.images:
            image.load()


@pytest.mark.parametrize(
    ("name", "whole"),
    [
        ("data.csv", CSV),
        ("data.jsonl", JSONL),
        ("data.parquet", with_frame("x", "").files["data.parquet"]),
    ],
)
@few
@given(data=st.data())
def test_a_damaged_table(name, whole, folder, data):
    (folder / name).write_bytes(data.draw(damaged(whole)))
    load(f"{Path(name).suffix[1:]}:{folder / name}")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", FORMATS)
@few
@given(data=st.data())
def test_a_damaged_image(kind, data):
    with suppress(EmapError):
        assert ImageFiles([data.draw(damaged(saved(noise(), kind)))])[0].mode == "RGB"


@few
@given(content=damaged(grid(grid=[[1.0, 2.0], [3.0, 4.0]], classes=["a"])))
def test_a_damaged_grid(content, folder):
    (folder / "g.npz").write_bytes(content)
    with suppress(EmapError):
        load_model(f"logits:{folder / 'g.npz'}")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return emap.compute(Staged(), make_examples(), out=tmp_path_factory.mktemp("runs") / "it").path


@pytest.mark.parametrize("name", ["run.json", "sums.npz", "labels.npy", "checksums.json"])
@few
@given(data=st.data())
def test_a_damaged_run_is_told_or_found_by_its_checksums(name, run, tmp_path, data):
    copy = tmp_path / "it"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(run, copy)
    whole = (copy / name).read_bytes()
    content = data.draw(damaged(whole))
    (copy / name).write_bytes(content)
    describe_run(copy)
    try:
        found = check_run(copy)
    except EmapError:
        return
    if name != "checksums.json":
        assert bool(found) is (content != whole)
