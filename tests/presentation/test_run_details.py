import pytest
from samples import Staged, make_examples

import emap_core as emap
from emap_core.cli import main
from emap_core.presentation.run_details import changed


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    shared = {"n_resamples": 100, "name": None}
    sampled = {"method": "sampled", "images_per_text": 5}
    other = Staged()
    other.fingerprint = "staged-2"
    return [
        emap.compute(Staged(), make_examples(), out=folder / "a", **shared),
        emap.compute(Staged(), make_examples(), out=folder / "again", **shared),
        emap.compute(other, make_examples(), out=folder / "b", **shared | sampled),
    ]


@pytest.mark.slow
def test_what_changed_is_told_and_nothing_else(runs, capsys):
    first, again, other = runs
    assert changed(first, again) == {}
    sides = changed(first, other)
    assert sides["Method"] == ("exact", "sampled")
    assert sides["Model, fingerprint"][0] != sides["Model, fingerprint"][1]
    assert not {"Run", "Computed", "Time", "Task", "Data", "Data, fingerprint"} & sides.keys()
    assert main(["compare", str(first.path), str(other.path)]) == 0
    assert "what changed" in capsys.readouterr().out
