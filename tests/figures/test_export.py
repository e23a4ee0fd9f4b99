from __future__ import annotations

import io
import re
import sys
from types import SimpleNamespace

import pandas as pd
import plotly.graph_objects as go
import pytest
from PIL import Image

from emap_core.errors import MissingExtraError
from emap_core.figures import Chart
from emap_core.figures.export import picture, type_size


def test_without_kaleido_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "kaleido.errors", None)
    with pytest.raises(MissingExtraError, match=r"pip install '\.\[images\]'"):
        picture(Chart(go.Figure(), "", pd.DataFrame()), "svg")


class Drawn:
    """A figure that is drawn as kaleido does: so many pixels, times the scale."""

    def to_image(self, format, width, scale):
        self.asked = width, scale
        if format == "png":
            file = io.BytesIO()
            Image.new("RGB", (round(width * scale), 10)).save(file, "PNG")
            return file.getvalue()
        return b'<svg class="main-svg" width="%d" height="234" viewBox="0 0 1 1"><g width="7"/>' % (
            width
        )


@pytest.mark.parametrize(("width", "inches"), [("column", 3.25), ("page", 6.75)])
def test_a_picture_is_as_wide_on_paper_as_asked(monkeypatch, width, inches):
    errors = SimpleNamespace(ChromeNotFoundError=RuntimeError)
    monkeypatch.setitem(sys.modules, "kaleido.errors", errors)
    chart = Chart(figure := Drawn(), "", pd.DataFrame())
    png = Image.open(io.BytesIO(picture(chart, "png", width)))
    assert png.width / png.info["dpi"][0] == pytest.approx(inches, abs=0.01)
    svg = picture(chart, "svg", width).decode()
    assert f'width="{inches}in"' in svg and '<g width="7"/>' in svg
    picture(chart, "pdf", width)
    pixels, scale = figure.asked
    # A browser prints 96 pixels to the inch.
    assert pixels * scale / 96 == pytest.approx(inches)
    assert 14 * 0.75 * scale == pytest.approx(type_size(chart, width))
    assert type_size(chart, width) >= 7


@pytest.mark.process
def test_kaleido_draws_all_forms_in_that_width():
    pytest.importorskip("kaleido")
    chart = Chart(go.Figure(go.Bar(y=[1, 2])), "", pd.DataFrame())
    box = re.search(rb"MediaBox \[0 0 ([\d.]+)", picture(chart, "pdf", "column"))
    assert float(box[1]) / 72 == pytest.approx(3.25, abs=0.02)
    assert b'width="6.75in"' in picture(chart, "svg", "page")
    assert Image.open(io.BytesIO(picture(chart, "png", "column"))).width == 1950
