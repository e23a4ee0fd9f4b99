"""The example of three sides runs as it stands, and prints what its page in docs/ shows."""

import re
import runpy
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]
NUMBER = re.compile(r"\d+\.\d+")


@pytest.mark.slow
def test_the_page_shows_what_the_example_prints(capsys):
    runpy.run_path(str(HOUSE / "examples" / "three_sides.py"), run_name="__main__")
    printed = capsys.readouterr().out.splitlines()
    page = (HOUSE / "docs" / "three_sides.md").read_text().splitlines()
    start = page.index(f"    {printed[0]}")
    shown = [line.removeprefix("    ") for line in page[start : start + len(printed)]]
    assert [NUMBER.sub("", line) for line in shown] == [NUMBER.sub("", line) for line in printed]
    # Another processor may turn one example of 200.
    expected = [float(number) for number in NUMBER.findall("\n".join(shown))]
    found = [float(number) for number in NUMBER.findall("\n".join(printed))]
    assert found == pytest.approx(expected, abs=0.006)
