from __future__ import annotations

import numpy as np
import pytest

import emap_core as emap
from emap_core.errors import SettingError
from emap_core.presentation.charts import run_figure
from emap_core.presentation.chosen_sides import chosen_sides, has_pairs, two_largest
from emap_core.presentation.report import report_html
from emap_core.presentation.tables import share_sentence
from emap_core.presentation.terminal import summary


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A run of three sides: a question, a written and a spoken digit."""
    folder = tmp_path_factory.mktemp("runs") / "digits"
    settings = {"cluster": "written+spoken", "n_resamples": 100}
    return emap.compute("demo:digits-joint", "demo:digits", **settings, out=folder)


def test_pairs_of_two_sides_are_means_over_the_third(digits):
    two = chosen_sides(digits, "spoken", "question")
    assert [side.name for side in two.sides] == ["question", "spoken"]
    weights = digits.decomposition.shares[1]
    means = np.einsum("qwsc,w->qsc", digits.grid.load().astype(float), weights)
    assert two.cells(0) == pytest.approx(means[..., 0], abs=1e-4)
    assert "written" in two.note
    # What the pair adds at an example is the term of the two sides alone.
    questions, sounds = two.index
    cell = two.pair(questions[7], sounds[7])
    together = digits.decomposition.contribution("question", "spoken")[7]
    assert cell.interaction[0] == pytest.approx(together, abs=1e-4)


def test_sides_are_by_default_those_that_carry_most(digits):
    shares = digits.shares.pooled_terms
    assert shares["question", "spoken"] > shares["question", "written"]
    assert chosen_sides(digits).places == (0, 2)
    assert two_largest(digits) == ("question", "written")
    assert has_pairs(digits)


@pytest.mark.parametrize("names", [("question", "question"), ("question", "image")])
def test_sides_that_are_not_two_of_the_run_are_refused(digits, names):
    with pytest.raises(SettingError, match="choose two of 'question', 'written', 'spoken'"):
        chosen_sides(digits, *names)


def test_figures_take_two_sides_by_name(digits):
    chart = run_figure(digits, "contributions", sides="written, spoken")
    assert chart.table["written item"].to_numpy() == pytest.approx(
        digits.decomposition.effects["written"][:, 0]
    )
    modes = run_figure(digits, "modes", sides="question,written")
    assert modes.table.share[0] > 0.5
    with pytest.raises(SettingError, match="comma"):
        run_figure(digits, "modes", sides="question")


def test_words_say_what_only_all_three_carry(digits):
    share = digits.shares.pooled_terms["question", "written", "spoken"]
    assert share_sentence(digits).startswith(f"{100 * share:.1f}%")
    assert "needs all three together; pairs of sides carry" in share_sentence(digits)
    assert share_sentence(digits) in summary(digits)


def test_a_report_shows_each_side_of_its_examples_as_people_take_it_in(digits):
    page = report_html(digits)
    assert "data:audio/wav;base64," in page
    assert "question × written × spoken" in page
    assert "Question items and spoken items at the same end raise" in page
