import itertools

import numpy as np
import pytest

import emap_core as emap
from emap_core.errors import SettingError
from emap_core.inference.other_measures.group_scores import GroupScores, group_scores


def matching(n_groups, rng, interaction=1.0):
    """Two texts and two images a group, of which each matches one; one score a pair."""
    size = 2 * n_groups
    grid = rng.normal(size=(size, 1)) + rng.normal(size=(1, size))
    grid = grid + interaction * rng.normal(size=(size, size))
    pairs = [
        (2 * g + t, 2 * g + v)
        for g in range(n_groups)
        for t, v in itertools.product((0, 1), (0, 1))
    ]
    texts, images = np.array(pairs).T
    labels = (texts == images).astype(int)
    return grid[:, :, None], texts, images, labels, [f"g{g}" for g in texts // 2]


def scored(cells, texts, images, labels, groups, task="binary", **settings):
    d = emap.decompose(cells, texts, images)
    settings = {"n_resamples": 100, "grid": cells} | settings
    return group_scores(d, labels, groups, task, **settings)


def test_scores_of_order_are_those_of_brute_force():
    grid, texts, images, labels, groups = matching(40, np.random.default_rng(0))
    found = scored(grid, texts, images, labels, groups)
    s = grid[:, :, 0]
    text, image = [], []
    for g in range(40):
        (a, b), (c, d) = s[2 * g : 2 * g + 2, 2 * g : 2 * g + 2]
        text.append(a > c and d > b)
        image.append(a > b and d > c)
    assert found.gaps["text_score"].full == pytest.approx(np.mean(text))
    assert found.gaps["image_score"].full == pytest.approx(np.mean(image))
    both = np.logical_and(text, image)
    assert found.gaps["group_score"].full == pytest.approx(both.mean())
    for name in ("text_score", "image_score", "group_score"):
        gap = found.gaps[name]
        assert gap.projected == 0.0 and gap.difference == gap.full
        assert gap.low < gap.difference < gap.high and gap.unit == "groups"


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_an_additive_model_has_no_text_and_no_image_score(dtype, offset):
    rng = np.random.default_rng(1)
    grid, *rest = matching(200, rng, interaction=0.0)
    # Texts that the model cannot tell apart differ by rounding alone.
    grid[1::4] = grid[::4]
    grid = (grid + offset).astype(dtype).astype(np.float64)
    found = scored(grid, *rest, grid=None)
    for name in ("text_score", "image_score", "group_score"):
        assert found.rows[name]["full"].value == 0.0 == found.rows[name]["emap"].value


@pytest.mark.slow
def test_guessing_comes_to_the_chance_level():
    rng = np.random.default_rng(2)
    _, texts, images, labels, groups = matching(1_500, rng, interaction=0.0)
    logits = rng.normal(size=len(texts))
    guessed = emap.decomposition.Decomposition(
        sides=("text", "image"),
        logits=logits[:, None],
        mean=np.zeros(1),
        side_means=(np.zeros((3_000, 1)), np.zeros((3_000, 1))),
        shares=(np.full(3_000, 1 / 3_000), np.full(3_000, 1 / 3_000)),
        index=(texts, images),
        sums_of_squares=np.zeros((3, 1)),
        centred_variance=np.zeros(1),
    )
    found = group_scores(guessed, labels, groups, "binary", n_resamples=5)
    assert set(found.chance) == set(found.gaps) and len(found.gaps) == 7
    for name, chance in found.chance.items():
        assert found.rows[name]["full"].value == pytest.approx(chance, abs=0.03), name
    assert found.chance["group_accuracy"] == 1 / 16
    assert found.chance["text_with_all_images"] == found.chance["image_with_all_texts"] == 1 / 4


def answered(rng, n=300):
    """Four classes, groups of an image with several texts, some examples in no group."""
    grid = rng.normal(size=(9, 40, 4))
    texts, images = rng.integers(0, 9, n), rng.integers(0, 40, n)
    labels = np.where(rng.random(n) < 0.7, grid[texts, images].argmax(-1), rng.integers(0, 4, n))
    groups = [f"image {w}" if w % 5 else "" for w in images]
    return grid, texts, images, labels, groups


def test_whole_groups_are_those_of_brute_force():
    grid, texts, images, labels, groups = answered(np.random.default_rng(3))
    found = scored(grid, texts, images, labels, groups, "multiclass")
    d = emap.decompose(grid, texts, images)
    rows = {"full": d.logits, "emap": d.emap, "text_only": d.text_only}
    names = {name for name in groups if name and groups.count(name) > 1}
    for row, scores in rows.items():
        right = scores.argmax(-1) == labels
        whole, with_texts, single = [], [], []
        for name in names:
            members = [i for i, group in enumerate(groups) if group == name]
            whole.append(right[members].all())
            single.append(right[members].mean())
            if len(set(texts[members])) > 1 and len(set(labels[members])) > 1:
                with_texts.append(right[members].all())
        assert found.rows["group_accuracy"][row].value == pytest.approx(np.mean(whole))
        assert found.rows["answers_in_groups"][row].value == pytest.approx(np.mean(single))
        assert found.rows["image_with_all_texts"][row].value == pytest.approx(np.mean(with_texts))
        assert found.n_groups["image_with_all_texts"] == len(with_texts)
    assert "text_with_all_images" not in found.rows
    sizes = [groups.count(name) for name in names]
    assert found.chance["group_accuracy"] == pytest.approx(np.mean([4.0**-n for n in sizes]))
    assert found.n_examples == sum(sizes)
    assert "texts are in several groups" in found.notes[0]
    assert "among all 4 classes" in found.notes[1]
    assert GroupScores.from_json(found.to_json()).to_json() == found.to_json()


def test_guessing_goes_by_what_each_question_has_been_answered_with():
    # NaturalBench: two questions about two images, yes or no for some groups, A or B for others.
    n = 30
    texts = np.repeat(np.arange(2 * n), 2)
    images = np.array([2 * (t // 2) + v for t in range(2 * n) for v in (0, 1)])
    first = np.tile([0, 1, 1, 0], n)
    labels = np.where(texts % 4 < 2, first, first + 2)
    grid = np.random.default_rng(0).normal(size=(2 * n, 2 * n, 4))
    groups = [f"g{t // 2}" for t in texts]
    found = scored(grid, texts, images, labels, groups, "multiclass", n_resamples=100)
    published = {"group_accuracy": 1 / 16, "image_with_all_texts": 1 / 4}
    published |= {"text_with_all_images": 1 / 4, "answers_in_groups": 1 / 2}
    assert found.chance == pytest.approx(published)
    assert found.chance_among_all["group_accuracy"] == pytest.approx(4.0**-4)
    # Of one answer alone nothing is known of what else there is to choose.
    one = scored(grid, texts, images, 0 * labels, groups, "multiclass", n_resamples=100)
    assert one.chance["answers_in_groups"] == pytest.approx(1 / 4)


def test_a_resample_is_worth_what_its_groups_are_when_they_are_written_out():
    from emap_core.inference.other_measures.group_scores import _Kept

    grid, texts, images, labels, groups = answered(np.random.default_rng(4))
    d = emap.decompose(grid, texts, images)
    kept = _Kept(d, labels, groups, "multiclass", "logits", True)
    rng = np.random.default_rng(0)
    (weights,) = kept.units.draw(1, rng)
    found = kept.replicates(grid, 1, 0)
    rows = np.repeat(np.arange(len(labels)), weights.astype(int))
    # Every copy of a group is a group of its own.
    copies, seen = [], dict.fromkeys(range(300), 0)
    for i in rows:
        seen[i] += 1
        copies.append(f"{groups[i]} {seen[i]}" if groups[i] else "")
    again = scored(grid, texts[rows], images[rows], labels[rows], copies, "multiclass", grid=None)
    for row in ("full", "emap", "emap_leave_one_out", "text_only"):
        value = found["group_accuracy", row].values[0]
        assert value == pytest.approx(again.rows["group_accuracy"][row].value), row


@pytest.mark.slow
def test_limits_hold_the_score_of_the_population():
    covered = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        found = scored(*matching(40, rng, interaction=5.0))
        # Of scores that differ by interactions alone, in the long run.
        gap = found.gaps["text_score"]
        covered += gap.low <= TEXT_SCORE <= gap.high
    assert 35 <= covered <= 40


def _long_run():
    rng = np.random.default_rng(9)
    effects, pairs = rng.normal(size=(4, 200_000)), 5.0 * rng.normal(size=(4, 200_000))
    a, b = effects[0] + effects[2] + pairs[0], effects[0] + effects[3] + pairs[1]
    c, d = effects[1] + effects[2] + pairs[2], effects[1] + effects[3] + pairs[3]
    return ((a > c) & (d > b)).mean()


TEXT_SCORE = _long_run()


def test_what_has_no_groups_is_refused():
    grid, texts, images, labels, _ = answered(np.random.default_rng(5))
    with pytest.raises(SettingError, match="expected two or more examples"):
        scored(grid, texts, images, labels, [str(i) for i in range(300)], "multiclass")
    with pytest.raises(SettingError, match="one right answer"):
        scored(grid, texts, images, np.zeros((300, 4)), ["a"] * 300, "multilabel")
    with pytest.raises(SettingError, match="group_scores"):
        emap.inference.evaluate("group_accuracy", labels, grid[texts, images], "multiclass")
