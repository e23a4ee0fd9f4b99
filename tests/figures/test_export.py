from __future__ import annotations

import sys

import pandas as pd
import plotly.graph_objects as go
import pytest

from emap_core.errors import MissingExtraError
from emap_core.figures import Chart
from emap_core.figures.export import picture


def test_without_kaleido_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "kaleido.errors", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'emap-lens\[images\]'"):
        picture(Chart(go.Figure(), "", pd.DataFrame()), "svg")
