from __future__ import annotations

import io
import shutil

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from emap_core.decomposition.contrasts import prediction_contrast
from emap_core.runs.slices import encode_positions


@pytest.fixture
def page(open_page, runs_with_one):
    return lambda **keys: open_page("contributions", run=runs_with_one.id, **keys)


def drawn(app):
    return app.get("plotly_chart")


def listed(app):
    return app.dataframe[0].value


@pytest.mark.parametrize("of", ["predicted", "true", "margin", "class"])
def test_every_contrast_is_drawn_and_said(page, words, of):
    app = page(view=f"of.{of}")
    said = words(app)
    assert "contributions spread by" in said and "predictions change" in said
    assert drawn(app)
    named = {"true": "the true class", "margin": "lead over the runner-up"}
    assert named.get(of, "the logit of") in said


def test_a_link_to_an_example_shows_it_beside_the_picture(page, words, runs_with_one):
    app = page(example=runs_with_one.ids[4])
    row = runs_with_one.examples().iloc[4]
    said = words(app)
    assert row.text in said and str(row.prediction) in said
    assert len(drawn(app)) == 2
    assert any(runs_with_one.ids[4] in str(x.proto) for x in app.get("page_link"))


def test_filters_leave_the_examples_they_name_and_can_be_lifted(page, words, runs_with_one):
    examples = runs_with_one.examples()
    label = examples["label"].iloc[0]
    app = page(view=f"label.{label}")
    assert set(listed(app)["id"]) == set(examples["id"][examples["label"] == label])
    app.button[[b.label for b in app.button].index("Show all")].click().run()
    assert len(listed(app)) == len(examples)
    assert "view" not in app.query_params


def test_one_box_finds_ids_too_and_any_of_many_labels_can_be_chosen(
    page, runs_with_one, monkeypatch
):
    examples = runs_with_one.examples()
    name = examples["id"].iloc[17]
    found = set(listed(page(view=f"words.{name}"))["id"])
    assert name in found and all(name in one for one in found)

    labels = sorted(set(examples["label"]))
    monkeypatch.setattr("pages.shared.slices._MOST_OFFERED", 5)
    assert len(labels) > 5
    app = page(view=f"label.{labels[-1]}")
    box = app.selectbox(key="view-label")
    assert box.value == labels[-1] and box.options == ["any", *labels[:5], labels[-1]]
    assert set(listed(app)["true"]) == {labels[-1]}


@pytest.fixture
def hand(monkeypatch):
    """Stand in for a hand in the browser: what it sends, once a button of that name is pressed."""
    sent = {}

    def component(key, on_taken_change, on_drawn_change, **_):
        st.session_state[key] = sent
        st.button("taken", on_click=on_taken_change)
        st.button("drawn", on_click=on_drawn_change)

    def send(app, name, value):
        sent[name] = value
        return next(b for b in app.button if b.label == name).click().run()

    monkeypatch.setattr("pages.shared.point_selection._POINTING", component)
    return send


def test_a_line_around_points_chooses_them_and_a_click_takes_one(page, hand, runs_with_one):
    run = runs_with_one
    parts = prediction_contrast(run.shares)
    text, image = parts.effects
    low, high = np.median(text), np.median(image)
    expected = {run.ids[i] for i in np.flatnonzero((text > low) & (image < high)).tolist()}
    assert 5 < len(expected) < 55
    app = page()
    hand(app, "drawn", [[low, -1e3], [1e3, -1e3], [1e3, high], [low, high]])
    assert set(listed(app)["id"]) == expected

    # Flips are drawn apart, above the others: the second trace holds the first of them.
    examples = run.examples()
    flipped = examples["id"][examples["flip"] == "helped"].iloc[0]
    hand(app, "taken", [1, 0])
    assert app.query_params["example"] == flipped
    before = dict(app.query_params)
    for no_point in (None, "x", [], [9, 9], [0, -1], [0, 1e9], [None, 0], [["x"], 0], {"a": 1}):
        hand(app, "taken", no_point)
    nowhere = [[1e6, 1e6], [1e6 + 1, 1e6], [1e6, 1e6 + 1]]
    for no_line in (None, 7, [[0, 0]], [[0, 0], [1], [2, 2]], [["x", 0]] * 4, nowhere):
        hand(app, "drawn", no_line)
    assert not app.exception and dict(app.query_params) == before


def test_a_filter_that_nothing_passes_says_so(page, words):
    app = page(view="words.no such words at all")
    assert "No example passes" in words(app)
    assert not app.dataframe


def test_chosen_examples_travel_in_the_link_and_are_saved_and_compared(page, words, runs_with_one):
    positions = [3, 8, 21, 30, 41, 59]
    app = page(slice=f"~{encode_positions(positions)}")
    assert set(listed(app)["id"]) == {runs_with_one.ids[i] for i in positions}
    assert "6 of 60: chosen by hand" in words(app)
    app.text_input(key="slice-name").set_value("six").run()
    next(b for b in app.button if b.label == "Save as a slice").click().run()
    assert app.query_params["slice"] == f"six~{encode_positions(positions)}"
    assert "six" in words(app)
    chart = next(c for c in drawn(app) if "six (N = 6)" in str(c.proto))
    assert "all examples (N = 60)" in str(chart.proto)
    app.button[[b.label for b in app.button].index("Show all")].click().run()
    assert len(listed(app)) == 60
    next(b for b in app.button if b.label == "Show").click().run()
    assert len(listed(app)) == 6


def choosing():
    import streamlit as st

    from pages import shared
    from pages.shared.slices import choose_positions, current_mask

    run = shared.require_run("Which?")
    st.button("choose", on_click=choose_positions, args=(run, range(7, 50)))
    st.text(str(current_mask(run).nonzero()[0].tolist()))


@pytest.mark.parametrize("mode", ["full", "viewer"])
def test_a_selection_too_large_for_a_link_is_kept_in_the_run_or_said_to_be_lost(
    mode, finished_run, tmp_path, page, words, monkeypatch
):
    monkeypatch.setattr("emap_core.runs.slices._LONGEST_CODE", 10)
    shutil.copytree(finished_run.path, tmp_path / "small-demo")
    monkeypatch.setenv("EMAP_RUNS", str(tmp_path))
    monkeypatch.setenv("EMAP_MODE", mode)
    app = AppTest.from_function(choosing, default_timeout=60)
    app.query_params["run"] = "small-demo"
    app.run().button[0].click().run()
    assert app.text[0].value == str([*range(7, 50)])
    chosen = app.query_params["slice"]
    chosen = chosen[0] if isinstance(chosen, list) else chosen

    # As after a reload: another session, the same address.
    again = page(slice=chosen)
    kept = mode == "full"
    assert len(listed(again)) == (43 if kept else 60)
    assert [warning.value[:30] for warning in again.warning] == (
        [] if kept else ["The examples chosen by hand ar"]
    )
    assert (tmp_path / "small-demo" / "selections").exists() == kept


def test_a_slice_that_a_link_only_names_leaves_all_examples(page):
    assert len(listed(page(slice="unknown"))) == 60
    assert len(listed(page(slice="x~%00<script>"))) == 60
    for gone in ("~this-session", "~kept-0123456789abcdef", "x~kept-../../run"):
        app = page(slice=gone)
        assert len(listed(app)) == 60
        assert "chosen by hand are gone" in app.warning[0].value


def test_a_row_of_the_table_has_what_the_run_says(page, runs_with_one):
    table = listed(page(view="show.flips"))
    expected = runs_with_one.examples().set_index("id")
    for _, row in table.iterrows():
        assert row["the model"] == expected.prediction[row["id"]]
        assert expected.flip[row["id"]] != "same"
    assert pd.Series(table["size of interaction"]).is_monotonic_decreasing
    assert io.StringIO(table.to_csv()).read()
