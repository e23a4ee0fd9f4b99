"""The example of two texts runs as it stands, and says what its page in docs/ says."""

import re
import runpy
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]
NUMBER = re.compile(r"\d+\.\d+")
pytestmark = pytest.mark.slow


def test_only_the_model_with_weights_for_both_texts_needs_them_together(capsys):
    runpy.run_path(str(HOUSE / "examples" / "two_texts.py"), run_name="__main__")
    printed = capsys.readouterr().out
    alone, both = printed.split("Pieces in both texts have weights too")
    # Every name and every summary stands once with yes and once with no.
    assert {float(found) for found in NUMBER.findall(alone)} == {0.5}
    full, *without = [float(found) for found in NUMBER.findall(both)[:6]]
    # The texts are those of the Python that runs.
    assert full > 0.7
    assert without == pytest.approx([0.5] * 5, abs=0.05)
    page = (HOUSE / "docs" / "sides.md").read_text()
    shown = [line for line in printed.splitlines() if line.startswith("This model")]
    assert len(shown) == 1
    assert NUMBER.sub("", shown[0]) in NUMBER.sub("", page)
