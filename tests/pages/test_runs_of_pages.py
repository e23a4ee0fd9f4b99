from __future__ import annotations

import json
import shutil

import pytest
from bad_inputs.make import MANIFEST
from streamlit.testing.v1 import AppTest


@pytest.fixture
def a_page():
    def body():
        import streamlit as st

        from pages import shared

        run = shared.require_run("Question?")
        shared.header("Question?", "An <b>answer</b>.", run)
        st.text(f"example {shared.current_example(run)}")
        st.text(f"class {shared.current_class(run)}")
        st.button("next", on_click=shared.select_example, args=(run, 8))
        st.button("class", on_click=shared.select_class, args=(run, 2))

    return AppTest.from_function(body, default_timeout=60)


def texts(app):
    assert not app.exception, app.exception
    return [element.value for element in app.text]


def test_without_a_run_in_the_url_the_newest_is_shown_and_named(a_page, runs_with_one):
    a_page.run()
    assert texts(a_page) == ["example None", "class None"]
    a_page.button[0].click().run()
    assert a_page.query_params["run"] == runs_with_one.id
    assert texts(a_page) == ["example 8", "class None"]
    assert "&lt;b&gt;answer" in "".join(e.proto.body for e in a_page.get("html"))


def test_a_link_with_an_example_and_a_class_opens_just_those(a_page, runs_with_one):
    a_page.query_params["run"] = runs_with_one.id
    a_page.query_params["example"] = runs_with_one.ids[7]
    a_page.query_params["class"] = runs_with_one.classes[1]
    a_page.run()
    assert texts(a_page) == ["example 7", "class 1"]
    a_page.button[0].click().run()
    assert a_page.query_params["example"] == runs_with_one.ids[8]
    a_page.button[1].click().run()
    assert a_page.query_params["class"] == runs_with_one.classes[2]


def test_runs_of_one_model_and_data_are_told_apart(a_page, tmp_path, finished_run, monkeypatch):
    for name in ("first", "second"):
        shutil.copytree(finished_run.path, tmp_path / name)
    monkeypatch.setenv("EMAP_RUNS", str(tmp_path))
    a_page.query_params["run"] = "first"
    a_page.run()
    choice = a_page.selectbox(key="run-choice")
    assert len(set(choice.options)) == 2
    (said,) = (caption.value.replace("\\", "") for caption in a_page.caption)
    assert said.startswith("concat on easy-vqa · first · 60 ") and said.endswith(" · first")
    # A click on anything else leaves the choice of the run alone.
    a_page.button[0].click().run()
    assert a_page.query_params["run"] == "first"
    a_page.selectbox(key="run-choice").select("second").run()
    assert a_page.query_params["run"] == "second"


def test_names_that_the_run_does_not_have_select_nothing(a_page, runs_with_one):
    a_page.query_params["run"] = runs_with_one.id
    a_page.query_params["example"] = "nobody"
    a_page.query_params["class"] = "nothing"
    a_page.run()
    assert texts(a_page) == ["example None", "class None"]


@pytest.mark.parametrize("name", ["gone", "../secret", "/etc", ".jobs"])
def test_a_link_to_no_run_says_so_and_where_to_go(open_page, words, runs_with_one, name):
    app = open_page("modes", run=name)
    assert "there is no run" in words(app)
    assert any("Choose a run" in str(link.label) for link in app.get("page_link"))


@pytest.mark.parametrize(
    ("page", "heading"),
    [
        ("overview", "Do interactions matter here?"),
        ("modes", "What interacts with what?"),
        ("report", "Share this result"),
    ],
)
def test_with_no_run_at_all_a_page_leads_to_the_demo(page, heading, open_page, words, no_runs):
    app = open_page(page)
    assert app.title[0].value == heading
    assert "no finished run yet" in words(app)
    assert any("demo" in str(link.label) for link in app.get("page_link"))


def test_a_run_that_failed_says_why_and_leads_to_where_it_can_be_started_again(
    open_page, words, no_runs
):
    folder = no_runs / "broken"
    folder.mkdir(parents=True)
    manifest = MANIFEST | {"status": "failed", "error": "logits of pair 3 are NaN"}
    (folder / "run.json").write_text(json.dumps(manifest))
    app = open_page("modes", run="broken")
    assert "logits of pair 3 are NaN" in words(app)
    assert any("Start it again" in str(link.label) for link in app.get("page_link"))
