from __future__ import annotations

import ast
import base64
import csv
import io
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from emap_core.runs.slices import (
    SHOWN,
    Filter,
    correct_without,
    decode_positions,
    encode_positions,
    possible,
    ranked,
    safe_csv,
    to_csv,
)
from emap_core.untrusted_text import visible_table


@pytest.fixture
def table():
    return pd.DataFrame(
        {
            "id": list("abcdef"),
            "text": ["a Red cat", "a dog (x)", "=1+1", "red", "blue", "red dog"],
            "label": ["cat", "dog", "dog", "cat", "cat", "dog"],
            "prediction": ["cat", "cat", "dog", "dog", "cat", "bird"],
            "correct": [True, False, True, False, True, False],
            "prediction_emap": ["cat", "dog", "cat", "cat", "cat", "cat"],
            "correct_emap": [True, True, False, True, True, False],
            "prediction_emap_leave_one_out": ["dog", "dog", "cat", "dog", None, "cat"],
            "correct_emap_leave_one_out": [False, True, False, False, False, False],
            "flip": ["helped", "hurt", "helped", "same", "same", "changed"],
            "kind": ["redundant"] * 3 + ["text-led"] * 3,
            "interaction_size": [1.0, 5.0, 2.0, 9.0, 4.0, 3.0],
            "text_index": range(6),
            "image_index": range(6),
        }
    )


def chosen(table, **fields):
    return "".join(table["id"][Filter(**fields).mask(table)])


def test_each_filter_lets_through_what_it_names(table):
    assert chosen(table) == "abcdef"
    assert chosen(table, label="cat") == "ade"
    assert chosen(table, prediction="dog") == "cd"
    assert chosen(table, kind="redundant", label="dog") == "bc"
    assert chosen(table, words="RED") == "adf"
    assert chosen(table, words="(x)") == "b"
    table["data.a"], table["data.a=b"] = list("xxyyxx"), ["c"] * 3 + ["", "b=c", ""]
    assert chosen(table, where="a=x") == "abef"
    assert chosen(table, where="a=b=c") == "abc" and chosen(table, where="a=b=b=c") == "e"
    assert chosen(table, where="a=b=") == "df" and chosen(table, where="none=x") == "abcdef"
    assert str(Filter(where="a=x")) == "a x"
    assert chosen(table, words="e") == "adef"
    assert chosen(table, words="DOG") == "bcf"
    assert chosen(table.assign(label=None), words="none") == ""
    assert chosen(table, least="3", most="5") == "bef"


def test_right_and_wrong_with_and_without_interactions(table):
    found = {name: chosen(table, show=name) for name in SHOWN}
    assert found == {
        "flips": "abcf",
        "helped": "ac",
        "hurt": "b",
        "changed": "f",
        "same": "de",
        "both_right": "e",
        "both_wrong": "df",
        "right": "ace",
        "wrong": "bdf",
    }


def test_where_leaving_out_is_undefined_the_plain_projection_counts(table):
    assert correct_without(table).tolist() == [False, True, False, False, True, False]


def test_without_labels_only_flips_can_be_asked_for(table):
    table[["correct", "correct_emap", "correct_emap_leave_one_out", "label"]] = None
    assert possible(table) == ["flips", "same"]
    assert chosen(table, show="helped") == "abcdef"
    assert chosen(table, show="flips") == "abcf"


def test_a_regression_has_nothing_to_flip(table):
    table["flip"] = None
    assert possible(table) == []


def test_what_a_link_says_wrongly_asks_nothing(table):
    assert chosen(table, least="many", most="nan", show="nothing") == "abcdef"


def test_a_filter_survives_the_way_through_a_link_and_says_what_it_is():
    given = Filter(show="flips", words="a~b.c", least="2")
    assert Filter.from_settings({**given.settings(), "colour": "kind"}) == given
    assert str(given) == (
        "the prediction changes without interactions, “a~b.c” in id, text or label, "
        "size of interaction at least 2"
    )
    assert str(Filter()) == "all examples"


def test_flips_come_first_and_the_largest_interaction_first_among_them(table):
    everything = np.ones(6, dtype=bool)
    assert "".join(table["id"].iloc[ranked(table, everything)]) == "bfcade"


def test_chosen_examples_survive_the_way_through_a_link():
    positions = [0, 3, 4, 99, 2_000]
    code = encode_positions([4, 3, 99, 0, 2_000, 4])
    assert decode_positions(code, 5_000).tolist() == positions
    assert decode_positions(code, 50).tolist() == [0, 3, 4]
    assert encode_positions(np.random.default_rng(0).choice(10**6, 5_000)) is None


@pytest.mark.parametrize("code", ["", "x", "????", "eJw", "é", "A" * 5_000])
def test_a_forged_link_chooses_nothing(code):
    assert decode_positions(code, 100).size == 0


def test_csv_holds_ids_and_no_formulas(table):
    rows = list(csv.DictReader(io.StringIO(to_csv(table, Filter(label="dog").mask(table)))))
    assert [row["id"] for row in rows] == ["b", "c", "f"]
    assert rows[1]["text"] == "'=1+1"
    assert float(rows[1]["interaction_size"]) == 2.0
    assert "text_index" not in rows[0]


def test_the_name_of_a_column_is_no_formula_either():
    assert safe_csv(pd.DataFrame({"=1+1": [1], "b": ["@x"]})).splitlines() == ["'=1+1,b", "1,'@x"]


def test_an_over_long_code_is_refused_before_it_is_decoded(monkeypatch):
    bomb = base64.urlsafe_b64encode(zlib.compress(b"1 " * 4_000_000, 9)).decode()
    assert len(bomb) > 2_000
    short = base64.urlsafe_b64encode(zlib.compress(b"1 " * 500_000, 9)).decode()
    assert len(short) < 2_000
    assert len(decode_positions(short, 100)) <= 100
    monkeypatch.setattr(base64, "urlsafe_b64decode", None)
    assert decode_positions(bomb, 100).size == 0


def test_a_carriage_return_in_a_cell_begins_no_row_of_its_own():
    table = pd.DataFrame({"text": ["a\r=1+1", "b\r\n@x", "\r=2", "plain"]})
    lines = safe_csv(table).splitlines()
    assert "\r" not in safe_csv(table)
    assert pd.read_csv(io.StringIO(safe_csv(table)))["text"].tolist() == [
        "a\n=1+1",
        "b\n@x",
        "'\n=2",
        "plain",
    ]
    assert lines[0] == "text"
    # The same in what Streamlit's own export would write.
    assert visible_table(table)["text"].tolist()[:3] == ["a\n=1+1", "b\n@x", "'\n=2"]
    formulas = pd.DataFrame({"=a": ["=1", "+1", "-2.5", "-1+1", "@1", "\t=1", 3]})
    assert list(visible_table(formulas)) == ["'=a"]
    assert visible_table(formulas)["'=a"].tolist() == [
        "'=1",
        "+1",
        "-2.5",
        "'-1+1",
        "'@1",
        "'\t=1",
        3,
    ]


def test_every_table_of_the_pages_that_can_be_exported_is_made_harmless():
    pages = (Path(__file__).parents[2] / "pages").rglob("*.py")
    found = [
        ast.unparse(call.args[0])
        for path in pages
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(".dataframe")
    ]
    assert len(found) >= 8
    assert [one for one in found if not one.startswith("visible_table(")] == []
