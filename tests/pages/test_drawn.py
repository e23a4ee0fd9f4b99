from __future__ import annotations

from types import SimpleNamespace

from streamlit.testing.v1 import AppTest

from pages.shared.run_and_example import run_key


def test_every_visitor_gets_a_picture_of_their_own_that_was_drawn_once(runs_with_one):
    def body():
        import streamlit as st

        from emap_core.figures import variance_shares
        from pages import shared

        run = shared.require_run("Question?")
        times = []

        def draw(theme):
            times.append(theme)
            return variance_shares(run.shares, run.classes, theme=theme)

        first, second = (shared.drawn("test", run, draw) for _ in range(2))
        # To the byte: the browser draws a figure anew, without its zoom, where a byte differs.
        same = first.figure.to_json() == second.figure.to_json()
        st.text(f"{len(times)} {first.figure is second.figure} {same}")

    app = AppTest.from_function(body, default_timeout=60)
    app.query_params["run"] = runs_with_one.id
    app.run()
    assert not app.exception
    assert app.text[0].value == "1 False True"


def test_a_run_that_is_asked_for_other_resamples_or_metrics_is_drawn_anew(finished_run):
    manifest = finished_run.manifest
    resampling = {**manifest["resampling"], "cluster": "text"}
    asked = [{}, {"resampling": resampling}, {"metrics": ["accuracy"]}, {"created": "2001-01-01"}]
    keys = {run_key(SimpleNamespace(path="a", manifest={**manifest, **one})) for one in asked}
    assert len(keys) == len(asked)
