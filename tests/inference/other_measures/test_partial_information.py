from __future__ import annotations

import sys

import numpy as np
import pytest
import scipy.optimize

from emap_core.errors import MissingExtraError, SettingError
from emap_core.inference.other_measures.partial_information import (
    PartialInformation,
    broja,
    partial_information,
)
from emap_core.inference.resamples.population import population_of_items

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


def test_without_the_package_it_is_said_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "clarabel", None)
    with pytest.raises(MissingExtraError, match=r"pip install clarabel, or emap-lens\[pid\]"):
        broja(gate(lambda a, b: a & b))
