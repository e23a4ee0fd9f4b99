"""Other papers' measures of runs: with the grid kept or only sums, cut off, sampled, and old."""

import json

import numpy as np
import pytest
from samples import Staged, WithGrid, make_examples

import emap_core as emap
from emap_core.cli import main
from emap_core.errors import Cancelled, RunError, SettingError
from emap_core.inference.other_measures.known_measures import MEASURES
from emap_core.presentation.charts import figures_of, report_charts


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A run whose grid is there."""
    out = tmp_path_factory.mktemp("measured") / "kept"
    return emap.compute(Staged(), make_examples(), out=out, n_resamples=100)


def values(run):
    return {name: one.value for name, one in run.measures().values.items()}


@pytest.mark.parametrize("choice", [{"keep": "sums"}, {"keep_classes": 2}])
def test_sums_of_tiles_come_to_what_the_grid_says(kept, choice, tmp_path):
    run = emap.compute(
        WithGrid(), make_examples(), out=tmp_path / "run", batch_size=20, n_resamples=100, **choice
    )
    assert run.grid is None
    assert values(run) == pytest.approx(values(kept), abs=1e-5)
    assert set(values(run)) == set(MEASURES)


def test_from_a_part_of_the_pairs_no_sentence_says_how_much_only_both_tell():
    """A side that met few partners seems to tell almost everything, so both together nothing."""
    work = {"limit": 200, "out": None, "n_resamples": 100}
    whole = emap.compute("demo:cross-attention", "demo:easy-vqa", **work)
    part = emap.compute(
        "demo:cross-attention", "demo:easy-vqa", method="sampled", images_per_text=8, **work
    )
    both = whole.measures().values["bits_together"].value
    assert both > 0.3 > 0.1 > part.measures().values["bits_together"].value
    assert f"{both:.2f} of them come only from both sides" in whole.measures().sentence
    assert "bits about the answer." in part.measures().sentence
    assert "those from both together too low" in part.measures().notes[-1]


def test_kept_measures_are_told_as_fresh_ones_are(tmp_path):
    run = emap.compute(
        Staged(), make_examples(), out=tmp_path / "run", method="sampled", images_per_text=8
    )
    fresh = run.measures()
    assert fresh.a_part and "only from both sides together" not in fresh.sentence
    (stored,) = run.path.glob("inference/other_measures*.json")
    # Versions before did not know the word.
    assert "a_part" not in stored.read_text()
    again = emap.load_run(run.path).measures()
    assert again.a_part and again.sentence == fresh.sentence


def test_a_run_that_was_cut_off_adds_up_to_the_same_bits(examples, tmp_path):
    model, choices = Staged(), {"keep": "sums", "batch_size": 20}
    with pytest.raises(Cancelled):
        emap.compute(
            model,
            examples,
            out=tmp_path / "run",
            cancelled=lambda: model.pairs_scored > 100,
            **choices,
        )
    run = emap.compute(Staged(), examples, out=tmp_path / "run", **choices)
    whole = emap.compute(Staged(), examples, out=tmp_path / "whole", **choices)
    for name, found in whole.recombined.arrays().items():
        np.testing.assert_array_equal(run.recombined.arrays()[name], found)


@pytest.mark.slow
def test_a_sample_estimates_what_all_pairs_say(kept, tmp_path):
    run = emap.compute(
        Staged(),
        make_examples(),
        out=tmp_path / "run",
        method="sampled",
        images_per_text=16,
        n_resamples=100,
    )
    expected = values(kept)
    for name, value in values(run).items():
        if name.startswith(("accuracy", "perceptual", "bits")):
            assert value == pytest.approx(expected[name], abs=0.08), name
    assert "Means over some of the pairs" in " ".join(run.measures().notes)


def test_a_run_of_before_says_what_is_missing_and_what_to_type(kept, monkeypatch):
    run = emap.load_run(kept.path)
    monkeypatch.setattr(type(run), "recombined", None)
    made = {"model": {"spec": "demo:concat", "arguments": {}}}
    made["data"] = {"spec": "csv:a.csv", "arguments": {"limit": 3}}
    run.manifest = run.manifest | {"provenance": made}
    found = run._new_measures()
    assert {"shape_text", "mmoe_unique"} <= set(found.values)
    assert found.missing["bits_text"].endswith(
        "python -m emap_core run --model demo:concat --data csv:a.csv --data-arg limit=3 "
        "--out FOLDER"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "choices", "why"),
    [
        ({}, {"method": "subsample", "subsample_size": 20, "repeats": 2}, "Sub-samples"),
        ({"labels": None, "task": "multilabel"}, {}, "choose one of several classes"),
    ],
)
def test_where_they_do_not_apply_the_reason_is_said(changes, choices, why, tmp_path):
    run = emap.compute(Staged(), make_examples(**changes), out=tmp_path / "run", **choices)
    assert why in run.why_no_measures
    assert "measures" not in {figure.name for figure in figures_of(run)}
    with pytest.raises(RunError, match="has no measures"):
        run.measures()


def test_command_line_figure_and_comparison_tell_the_same(kept, capsys):
    found = kept.measures()
    assert main(["show", str(kept.path), "--measures"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(found.sentence) and "Perceptual score of the image" in said
    assert main(["show", str(kept.path), "--measures", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == found.to_json()
    chart = report_charts(kept)["measures"]()
    drawn = [name for name, one in MEASURES.items() if one.drawn]
    assert list(chart.table.value[1:]) == [found.values[name].value for name in drawn]
    assert chart.table.value[0] == kept.gap("accuracy").difference
    assert list(chart.figure.data[1].x) == pytest.approx(list(100 * chart.table.value))
    assert main(["compare", str(kept.path), str(kept.path), "--measures"]) == 0
    assert "InterSHAP, local" in capsys.readouterr().out
    assert main(["show", str(kept.path), "--measures", "--by", "label"]) == 2


@pytest.mark.slow
def test_information_is_shared_out_once_for_a_run(tmp_path, capsys):
    pytest.importorskip("clarabel")
    run = emap.compute(Staged(), make_examples(n=60), out=tmp_path / "run")
    found = run.partial_information()
    again = emap.load_run(run.path)
    assert again.partial_information() == found
    assert again.partial_information("prediction").target == "prediction"
    assert main(["show", str(run.path), "--information"]) == 0
    assert found.sentence in capsys.readouterr().out
    assert main(["show", str(run.path), "--information", "--groups"]) == 2
    assert list(run.figure("information").data[0].x) == [found.values["redundant"].value]
    with pytest.raises(SettingError, match="label, prediction"):
        run.partial_information("image")
