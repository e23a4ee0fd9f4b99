from __future__ import annotations

import shutil

import pandas as pd
import pytest
from streamlit.runtime.state.session_state import SessionState


@pytest.mark.parametrize(
    "page", ["overview", "contributions", "examples", "recombine", "modes", "compare", "report"]
)
def test_what_can_be_clicked_keeps_no_table_for_as_long_as_a_visitor_stays(
    page, open_page, finished_run, tmp_path, monkeypatch
):
    for name in ("first", "second"):
        shutil.copytree(finished_run.path, tmp_path / name)
    monkeypatch.setenv("EMAP_RUNS", str(tmp_path))
    widgets = []
    # Streamlit forgets no widget of a session, and with it nothing that its callback refers to.
    keep = SessionState._set_widget_metadata
    monkeypatch.setattr(
        SessionState,
        "_set_widget_metadata",
        lambda self, widget: (widgets.append(widget), keep(self, widget)),
    )
    app = open_page(page, run="first", view="runs.first,second")
    assert not app.exception
    assert widgets
    for widget in widgets:
        held = [cell.cell_contents for cell in getattr(widget.callback, "__closure__", None) or ()]
        held += widget.callback_args or ()
        assert not [kept for kept in held if isinstance(kept, pd.DataFrame | pd.Series)], widget.id
