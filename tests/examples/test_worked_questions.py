"""The page of worked questions prints what it says."""

import re
import runpy
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


def test_without_the_question_nothing_is_left(tmp_path, capsys):
    page = (HOUSE / "docs" / "worked_questions.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "page.py").write_text(code)
    runpy.run_path(str(tmp_path / "page.py"))
    printed = capsys.readouterr().out.splitlines()
    shown = [
        line.strip() for line in page.splitlines() if re.match(r"    \w+ and \w+ +\.?\d", line)
    ]
    assert len(printed) == 3
    for found, expected in zip(printed, shown, strict=True):
        *words, number = found.split()
        *expected_words, expected_number = expected.split()
        assert words == expected_words
        # Another processor may turn one example of 200.
        assert float(number) == pytest.approx(float(expected_number), abs=0.006)
