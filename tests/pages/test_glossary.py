from __future__ import annotations

import re
from pathlib import Path

import pytest

from pages.shared.glossary import TERMS

README = (Path(__file__).parents[2] / "README.md").read_text()


@pytest.mark.parametrize("term", TERMS)
def test_a_term_says_in_two_sentences_what_it_is_and_what_it_is_not(term):
    assert len(re.findall(r"[.!](?:\s|$)", TERMS[term])) == 2
    assert re.search(r"\bnot\b|says nothing|never", TERMS[term])


def test_the_readme_says_what_every_number_is_and_is_not():
    (table,) = re.findall(r"\| number \| what it is \| what it is not \|\n(.*?)\n\n", README, re.S)
    rows = [re.split(r"(?<!\\)\|", line)[1:4] for line in table.splitlines()[1:]]
    assert all(cell.strip() for row in rows for cell in row)
    named = " ".join(row[0] for row in rows)
    for term in set(TERMS) - {"interaction", "interval", "recombination"}:
        assert term.split(",")[0] in named
