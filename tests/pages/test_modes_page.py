from __future__ import annotations

import emap_core as emap
from emap_core.decomposition.modes import interaction_modes


def _modes(run, c, reading="centred"):
    d = run.shares
    return interaction_modes(run.class_grid(c, reading), d.row_share, d.column_share)


def test_the_page_names_the_share_and_the_texts_of_the_first_mode(open_page, words, runs_with_one):
    run = runs_with_one
    c = run.classes.index("yes")
    modes = _modes(run, c)
    said = words(open_page("modes", **{"run": run.id, "class": "yes"}))
    assert f"The first mode explains {100 * modes.shares[0]:.1f}% of the interaction" in said
    assert "the logit of yes" in said
    for end in modes.row_ends(0, 5):
        for u in end:
            assert run.texts[u] in said
    assert said.count("data:image/jpeg") >= 6


def test_modes_of_probabilities_can_be_asked_for(open_page, words, runs_with_one):
    run = runs_with_one
    c = run.classes.index("circle")
    modes = _modes(run, c, "probabilities")
    view = "read.probabilities"
    said = words(open_page("modes", **{"run": run.id, "class": "circle", "view": view}))
    assert f"explains {100 * modes.shares[0]:.1f}% of the interaction in the probability" in said


def test_an_additive_model_has_none_and_that_is_said(open_page, words, tmp_path, monkeypatch):
    monkeypatch.setenv("EMAP_RUNS", str(tmp_path))
    run = emap.compute(
        "demo:additive", "demo:easy-vqa", data_args={"limit": 40}, out=tmp_path / "additive"
    )
    said = words(open_page("modes", run=run.id))
    assert "There is no interaction in" in said
    assert "adds what the text says to what the image says" in said
