from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from streamlit.runtime.state.session_state import SessionState

from pages import page_names

HOUSE = Path(__file__).parents[2]


@pytest.mark.parametrize("page", page_names(of_a_run=True))
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


MEMORY = """
import os, resource
from pathlib import Path
from pages.shared.page_lifecycle import return_large_blocks

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

# Twice, in processes that know nothing of each other and are the same until here.
if os.fork():
    os.wait()
else:
    return_large_blocks()
# Once a block as large as this was freed, the C library keeps all that are smaller.
del (first := [b"x" * 30_000_000])[:]
before, kept = resident(), []
for _ in range(100):
    chart = b"x" * 1_000_000
    kept.append([bytes(n) for n in range(600, 1200, 10)])
    large = b"x" * 1_000_000
    kept.append([bytes(n) for n in range(600, 1200, 10)])
    kept.append(chart)
    kept.append(large)
kept = [small for small in kept if isinstance(small, list)]
del chart, large
print(resident() - before)
"""


@pytest.mark.process
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of GNU's C library alone")
def test_charts_that_were_sent_leave_no_gaps_in_memory():
    command = [sys.executable, "-c", MEMORY]
    found = subprocess.run(command, capture_output=True, check=True, text=True, cwd=HOUSE)
    returned, kept = map(int, found.stdout.split())
    assert returned < 50e6 < kept
