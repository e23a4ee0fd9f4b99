from __future__ import annotations

import math

import pytest

from emap_core.figures.style import column_names, words, words_apart
from emap_core.inference.number_format import bracket, change, measured, number, percent, signed
from emap_core.themes import DARK, LIGHT, theme_named


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (1.234, "1.23"),
        (-0.01234, "−0.0123"),
        (12.34, "12.3"),
        (1234.4, "1,234"),
        (0.9996, "1.00"),
        (9.996, "10.0"),
        (1e-9, "1.00e−09"),
        (math.nan, "not defined"),
    ],
)
def test_numbers_have_three_significant_figures(value, shown):
    assert number(value) == shown


def test_shares_and_differences_are_told_in_percent_and_points():
    assert percent(0.80949) == "80.9%"
    assert measured(0.999, "points") == "99.9%"
    assert measured(0.1234, "") == "0.123"
    assert change(0.19, "points") == "+19.0 points"
    assert change(-0.0004, "points") == "0.0 points"
    assert change(0.5, "") == signed(0.5) == "+0.500"
    assert bracket(0.182, 0.198, "points") == "[18.2, 19.8]"
    assert bracket(-0.004, 0.006, "points") == "[−0.4, 0.6]"
    assert bracket(math.nan, 1.0) == "[no interval]"


def test_texts_are_one_line_never_markup_and_cut_where_they_are_too_wide():
    assert words("a\n b  c") == "a b c"
    assert words("<b>&") == "&lt;b&gt;&amp;"
    assert words("x" * 10, 10) == "x" * 10
    assert words("x" * 11, 10) == "x" * 9 + "…"
    assert words("图" * 20, 10) == "图" * 4 + "…"


def test_names_that_differ_do_so_when_they_are_cut():
    start = "a very long label that differs only in its "
    names = [
        f"{start}first end",
        f"{start}second end",
        "short",
        f"{start}first end",
        start + "x" * 60,
    ]
    names += ["x" * 60 + "1", "x" * 60 + "2"]
    cut = words_apart(names, 18)
    assert all(len(name) <= 18 for name in cut)
    assert [cut.index(name) for name in cut] == [names.index(name) for name in names]
    assert cut[0].startswith("a very") and "first" in cut[0]
    assert words_apart(["one", "y" * 30], 18) == ["one", words("y" * 30, 18)]


def test_one_logit_speaks_for_both_labels():
    assert column_names(["no", "yes"], 1) == ["yes (rather than no)"]
    assert column_names(["no", "yes"], 2) == ["no", "yes"]


def _contrast(one, other):
    def light(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_ink_can_be_read_on_its_ground(theme):
    # WCAG 2.1, 1.4.3: text needs 4.5 : 1; 1.4.11: marks need 3 : 1, which the outline gives.
    assert _contrast(theme.ink, theme.paper) >= 4.5
    assert theme_named(theme.name) is theme
    ends = theme.signed[0][1], theme.signed[-1][1]
    assert all(_contrast(end, theme.paper) >= 3 for end in ends)
