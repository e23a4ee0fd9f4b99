from __future__ import annotations

from streamlit.testing.v1 import AppTest


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
        st.text(f"{len(times)} {first.figure is second.figure} {first.figure == second.figure}")

    app = AppTest.from_function(body, default_timeout=60)
    app.query_params["run"] = runs_with_one.id
    app.run()
    assert not app.exception
    assert app.text[0].value == "1 False True"
