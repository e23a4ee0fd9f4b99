from __future__ import annotations

import numpy as np
import pytest

import emap_core as emap
from emap_core.inference import PROJECTIONS, evaluate, projections, score_table
from emap_core.inference.table.rows import ROWS, projections_of, rows_of

RNG = np.random.default_rng(3)


def test_rows_are_the_projections_and_columns_the_metrics():
    labels = RNG.integers(0, 3, 40)
    decomposition = emap.decompose(RNG.normal(size=(40, 40, 3)))
    table = score_table(decomposition, labels, "multiclass", ["accuracy", "log_loss"])
    assert list(table.index) == list(PROJECTIONS)
    scores = projections(decomposition, labels, "multiclass")
    for row in PROJECTIONS:
        for name in table.columns:
            expected = evaluate(name, labels, scores[row], "multiclass")
            assert table.loc[row, name] == expected


@pytest.mark.parametrize("space", ["logits", "probabilities", "log_probabilities"])
def test_the_constant_is_the_best_one(space):
    labels = np.array([0] * 5 + [1] * 9 + [2] * 6)
    decomposition = emap.decompose(RNG.uniform(0.1, 0.5, size=(20, 20, 3)))
    row = score_table(
        decomposition, labels, "multiclass", ["accuracy", "log_loss", "brier_score"], space
    ).loc["constant"]
    share = np.array([5, 9, 6]) / 20
    assert row["accuracy"] == 0.45
    assert row["log_loss"] == pytest.approx(-(share * np.log(share)).sum())
    assert row["brier_score"] == pytest.approx(1 - (share**2).sum())


@pytest.mark.parametrize("space", ["logits", "probabilities", "log_probabilities"])
def test_the_constant_of_two_classes_and_of_several_labels(space):
    labels = np.array([1] * 3 + [0] * 7)
    one = emap.decompose(RNG.uniform(0.1, 0.5, size=(10, 10, 1)))
    row = score_table(one, labels, "binary", ["accuracy", "brier_score", "roc_auc"], space)
    assert row.loc["constant"].tolist() == pytest.approx([0.7, 0.21, 0.5])
    several = emap.decompose(RNG.uniform(0.1, 0.5, size=(10, 10, 2)))
    both = np.stack([labels, 1 - labels], axis=1)
    row = score_table(several, both, "multilabel", ["f1_micro"], space)
    assert row.loc["constant", "f1_micro"] == pytest.approx(0.7)


def test_the_constant_of_a_regression_is_the_mean_target():
    labels = RNG.normal(size=(10, 1))
    table = score_table(emap.decompose(RNG.normal(size=(10, 10))), labels, "regression")
    assert table.loc["constant", "r2"] == 0
    assert table.loc["constant", "root_mean_squared_error"] == pytest.approx(labels.std())
    assert np.isnan(table.loc["constant", "spearman"])


def test_without_labels_there_are_scores_but_no_metrics():
    decomposition = emap.decompose(RNG.normal(size=(5, 5, 2)))
    assert score_table(decomposition, None, "multiclass").shape == (6, 0)
    constant = projections(decomposition, None, "multiclass")["constant"]
    np.testing.assert_allclose(constant, np.tile(decomposition.mean, (5, 1)))


def test_two_examples_are_enough_and_a_single_text_is_not_for_leaving_out():
    two = score_table(emap.decompose(np.eye(2)), [1, 1], "binary", ["accuracy"])
    assert two["accuracy"].notna().all()
    assert two.loc["full", "accuracy"] == 1.0
    grid = RNG.normal(size=(1, 4, 1))
    single = emap.decompose(grid, [0] * 4, range(4))
    column = score_table(single, [1, 0, 1, 0], "binary", ["accuracy"])["accuracy"]
    assert column[["emap_leave_one_out", "image_only"]].isna().all()
    assert column[["full", "emap", "text_only", "constant"]].notna().all()


def test_rows_of_three_sides_and_more_are_called_by_them():
    sides = ("question", "written", "spoken")
    assert projections_of(sides) == (
        *("full", "pairs", "emap", "emap_leave_one_out"),
        *("question_only", "written_only", "spoken_only", "constant"),
    )
    rows = rows_of(sides)
    assert rows["question_only"].label == "Question only"
    assert rows["question_only"].phrase == "the model’s question side alone"
    assert rows["emap"] == ROWS["emap"]
    five = projections_of(("a", "b", "c", "d", "e"))
    assert five[:5] == ("full", "sets_of_4", "triples", "pairs", "emap")
    assert rows_of(("premise", "hypothesis")) == ROWS
    assert projections_of(("premise", "hypothesis")) == PROJECTIONS


def test_each_row_of_four_sides_is_its_projection():
    index = {name: RNG.integers(0, 3, 9) for name in "abcd"}
    decomposition = emap.decompose(RNG.normal(size=(3, 3, 3, 3)), index=index)
    rows = projections(decomposition, None, "binary")
    assert tuple(rows) == projections_of(decomposition.sides)
    np.testing.assert_array_equal(rows["triples"], decomposition.projection(3))
    np.testing.assert_array_equal(rows["pairs"], decomposition.projection(2))
    np.testing.assert_array_equal(rows["c_only"], decomposition.only("c"))


def agreement(grid, index):
    """Return how often the row of pairs, and both other ways to see it, have the model's sign."""
    decomposition = emap.decompose(grid, index=index)
    ways = (
        projections(decomposition, None, "binary")["pairs"],
        decomposition.projection(2),
        decomposition.projection(2, leave_one_out=True),
    )
    return [float(np.mean((way > 0) == (decomposition.logits > 0))) for way in ways]


def test_pairs_know_nothing_of_an_interaction_of_three_random_items():
    rng = np.random.default_rng(0)
    found = np.mean(
        [
            agreement(
                rng.normal(size=(20, 20, 20)), {name: np.arange(400) % 20 for name in "a"}
                | {name: rng.permutation(400) % 20 for name in "bc"}
            )
            for _ in range(40)
        ],
        axis=0,
    )  # fmt: skip
    assert found[0] == pytest.approx(0.5, abs=0.01)
    # The plain projection contains the model's own prediction.
    assert found[1] > 0.6


def test_pairs_know_nothing_of_an_interaction_of_three_where_questions_are_all_there_are():
    rng = np.random.default_rng(1)
    found = []
    for _ in range(60):
        odd = (rng.integers(0, 10, (60, 1)) + rng.integers(0, 10, 40)) % 2 - 0.5
        # Even, odd, and each of them once more, by another name.
        grid = np.stack([-odd, odd, -odd, odd])
        index = {
            "question": np.arange(480) % 4,
            "written": np.arange(480) // 4 % 60,
            "spoken": rng.integers(0, 40, 480),
        }
        found.append(agreement(grid, index))
    row, _, left_out = np.mean(found, axis=0)
    assert row == pytest.approx(0.5, abs=0.06)
    # The other questions ask for the opposite more often than not.
    assert left_out < 0.15


def test_pairs_know_all_of_what_pairs_make():
    rng = np.random.default_rng(2)
    shapes = ((6, 25, 1), (6, 1, 30), (1, 25, 30))
    grid = sum(rng.normal(size=shape) for shape in shapes)
    index = {k: rng.integers(0, n, 200) for k, n in zip("abc", (6, 25, 30), strict=True)}
    decomposition = emap.decompose(grid, index=index)
    rows = projections(decomposition, None, "binary")
    np.testing.assert_allclose(rows["pairs"], decomposition.logits, atol=1e-12)
    assert np.mean((rows["emap"] > 0) == (decomposition.logits > 0)) < 0.9
