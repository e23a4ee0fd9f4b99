from pathlib import Path

import pytest
from bad_inputs.make import BAD, write

from emap_core.datasets import load_dataset
from emap_core.datasets.archive import unpack
from emap_core.datasets.grid_cells import find_cells
from emap_core.errors import EmapError
from emap_core.models import load_model
from emap_core.runs import Run


def use(bad):
    if bad.kind == "data":
        data = load_dataset(bad.given, **bad.settings)
        find_cells(data)
        for image in data.images:
            image.load()
    elif bad.kind == "model":
        load_model(bad.given, **bad.settings)
    elif bad.kind == "archive":
        unpack(Path(bad.given), Path("unpacked"))
    else:
        Run.load(bad.given)


def loads_library(bad):
    return bad.kind == "model" and bad.given.startswith(("hf:", "onnx:"))


def test_there_are_enough_and_none_is_there_twice():
    assert len({bad.name for bad in BAD}) == len(BAD) >= 150


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(bad, marks=[pytest.mark.library] if loads_library(bad) else [], id=bad.name)
        for bad in BAD
    ],
)
def test_a_bad_input_is_refused_in_one_line_that_says_why(bad, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMAP_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    write(bad, tmp_path)
    before = sorted(path.name for path in tmp_path.rglob("*"))
    with pytest.raises(EmapError) as error:
        use(bad)
    message = str(error.value)
    assert bad.words in message
    assert message.isprintable() and len(message) < 1100
    assert sorted(path.name for path in tmp_path.rglob("*")) == before, "nothing half there is left"
