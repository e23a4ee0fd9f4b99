from __future__ import annotations

import sys

import numpy as np
import pytest
import scipy.optimize

import emap_core as emap
from emap_core.errors import MissingExtraError, SettingError
from emap_core.inference.other_measures.one_sided import one_sided_answers
from emap_core.inference.other_measures.partial_information import (
    PartialInformation,
    broja,
    partial_information,
)
from emap_core.inference.resamples.population import population_of, population_of_items

pytest.importorskip("clarabel")


def gate(function):
    answers = sorted({function(a, b) for a in (0, 1) for b in (0, 1)})
    joint = np.zeros((2, 2, len(answers)))
    for a in (0, 1):
        for b in (0, 1):
            joint[a, b, answers.index(function(a, b))] += 1
    return joint


GATES = {
    "and": (gate(lambda a, b: a & b), (0.31128, 0, 0, 0.5)),
    "or": (gate(lambda a, b: a | b), (0.31128, 0, 0, 0.5)),
    "xor": (gate(lambda a, b: a ^ b), (0, 0, 0, 1)),
    "text alone": (gate(lambda a, b: a), (0, 1, 0, 0)),
    "image alone": (gate(lambda a, b: b), (0, 0, 1, 0)),
    "both written down": (gate(lambda a, b: 2 * a + b), (0, 1, 1, 0)),
    "one bit twice": (np.eye(2)[:, None] * np.eye(2)[None], (1, 0, 0, 0)),
}


@pytest.mark.parametrize(("joint", "expected"), GATES.values(), ids=GATES)
def test_gates_have_their_known_parts(joint, expected):
    if expected == (1, 0, 0, 0):
        joint = np.zeros((2, 2, 2))
        joint[0, 0, 0] = joint[1, 1, 1] = 1
    found = broja(joint)
    names = ("redundant", "text", "image", "synergistic")
    assert [found[name] for name in names] == pytest.approx(expected, abs=1e-4)


def _information(p):
    def entropy(q):
        q = q[q > 0]
        return -(q * np.log2(q)).sum()

    both = p.reshape(-1, p.shape[2])
    return entropy(both.sum(0)) + entropy(both.sum(1)) - entropy(both)


def test_the_least_information_is_that_of_brute_force():
    # Of two values each, one number an answer is free.
    p = np.random.default_rng(0).dirichlet(np.ones(8)).reshape(2, 2, 2)
    shift = np.array([[1, -1], [-1, 1]])

    def told(moved):
        q = p + np.stack([moved[0] * shift, moved[1] * shift], axis=-1)
        return _information(np.maximum(q, 0)) if q.min() > -1e-12 else 10.0

    steps = [
        np.linspace(-min(p[0, 0, y], p[1, 1, y]), min(p[0, 1, y], p[1, 0, y]), 60) for y in (0, 1)
    ]
    best = min(((a, b) for a in steps[0] for b in steps[1]), key=told)
    least = scipy.optimize.minimize(told, best, method="Nelder-Mead").fun
    assert broja(p)["synergistic"] == pytest.approx(_information(p) - least, abs=1e-4)
    assert sum(broja(p).values()) == pytest.approx(_information(p))


@pytest.mark.parametrize("name", [*GATES, (2, 2, 2), (2, 2, 3), (3, 2, 2)], ids=str)
def test_the_parts_are_those_of_another_library(name):
    dit = pytest.importorskip("dit")
    from dit.pid import PID_BROJA

    if name in GATES:
        p = GATES[name][0] / GATES[name][0].sum()
    else:
        p = np.random.default_rng(1).dirichlet(np.full(np.prod(name), 0.5)).reshape(name)
    cells = [values for values in np.ndindex(p.shape) if p[values] > 0]
    names = [tuple(map(str, values)) for values in cells]
    joint = dit.Distribution(names, [float(p[values]) for values in cells])
    # Its general search starts at random and may end before the least, and never below it.
    searched = [PID_BROJA(joint, ((0,), (1,)), (2,)) for _ in range(5)]
    found, theirs = broja(p), max(searched, key=lambda one: one.get_pi(((0, 1),)))
    assert found["synergistic"] > theirs.get_pi(((0, 1),)) - 1e-4
    if name in GATES:
        atoms = {"redundant": ((0,), (1,)), "text": ((0,),), "image": ((1,),)}
        expected = {part: theirs.get_pi(atom) for part, atom in atoms.items()}
        assert {part: found[part] for part in atoms} == pytest.approx(expected, abs=1e-4)


def asked(n, answer_of, seed=0, n_classes=2, **settings):
    rng = np.random.default_rng(seed)
    text, image = rng.integers(0, n_classes, n), rng.integers(0, n_classes, n)
    answer = answer_of(text, image, rng)
    population = population_of_items(np.arange(n), np.arange(n))
    names = [f"class {c}" for c in range(n_classes)]
    return partial_information(text, image, answer, names, population, **settings)


def test_examples_of_a_gate_have_its_parts_within_their_limits():
    found = asked(400, lambda a, b, rng: a ^ b)
    # What permuted answers come to is taken off.
    assert 0.9 < found.values["synergistic"].value < 1
    assert found.values["synergistic"].low > 0.8 and found.values["text"].value < 0.01
    assert found.population == "for new examples" and set(found.classes) == {"class 0", "class 1"}
    assert "1.00" in found.sentence or "0.99" in found.sentence
    assert PartialInformation.from_json(found.to_json()) == found


@pytest.mark.slow
def test_answers_that_nothing_tells_have_nothing_to_share_out():
    within = 0
    for seed in range(12):
        found = asked(300, lambda a, b, rng: rng.integers(0, 3, len(a)), seed, n_classes=3)
        one = found.values["synergistic"]
        within += one.low <= 0 <= one.high
        assert abs(one.value) < 0.06
    assert within >= 10


def test_one_sided_predictions_are_read_anew_where_the_grid_was_kept():
    rng = np.random.default_rng(3)
    grid = rng.normal(size=(12, 15, 2))
    texts, images = rng.integers(0, 12, 90), rng.integers(0, 15, 90)
    texts[:12], images[:15] = np.arange(12), np.arange(15)
    d = emap.decompose(grid, texts, images)

    def anew(weights):
        strips = [(np.arange(12), grid)]
        return one_sided_answers(lambda: strips, d, "multiclass", "logits", weights)

    weights = rng.multinomial(90, np.full(90, 1 / 90), size=3).astype(float)
    read = [part for parts in anew(weights) for part in zip(*parts, strict=True)]
    for one, of_text, of_image in read:
        rows = np.repeat(np.arange(90), one.astype(int))
        again = emap.decompose(grid, texts[rows], images[rows])
        np.testing.assert_array_equal(of_text[rows], again.text_only.argmax(-1))
        np.testing.assert_array_equal(of_image[rows], again.image_only.argmax(-1))
    assert [one.tolist() for one, *_ in read] == weights.tolist()
    sides = d.text_only.argmax(-1), d.image_only.argmax(-1), d.logits.argmax(-1)
    about = (*sides, ["a", "b"], population_of(d))
    found, alone = partial_information(*about, anew=anew), partial_information(*about)
    assert found.values["text"].value == alone.values["text"].value and not found.notes
    assert found.values["text"].low != alone.values["text"].low
    assert "The grid was not kept" in alone.notes[0]


@pytest.mark.slow
def test_rare_answers_are_one_and_too_few_examples_are_refused():
    def rare(a, b, rng):
        answer = np.where(a == b, a, 0)
        answer[0] = -1
        return answer

    found = asked(700, rare, n_classes=9)
    assert found.n_examples == 699 and found.classes[-1] == "all others"
    assert len(found.classes) == 5
    with pytest.raises(SettingError, match="39 examples"):
        asked(39, lambda a, b, rng: a)
    with pytest.raises(SettingError, match="1 different answers"):
        asked(60, lambda a, b, rng: 0 * a)
    with pytest.raises(SettingError, match="the same for all examples"):
        asked(60, lambda a, b, rng: rng.integers(0, 2, len(a)), n_classes=1)


def test_without_the_package_it_is_said_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "clarabel", None)
    with pytest.raises(MissingExtraError, match=r"pip install clarabel, or emap-lens\[pid\]"):
        broja(gate(lambda a, b: a & b))
