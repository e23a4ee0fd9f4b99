"""What text and image tell about the answer: alike, each alone, and only both together.

The decomposition of Bertschinger et al. (Entropy 16, 2014, arXiv 1311.2652; BROJA): among all joint
distributions in which each side tells as much about the answer, the one in which both together tell
least has no synergy. It is found as a conic program with exponential cones, by Clarabel (Goulart &
Chen 2024, arXiv 2405.12762).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from emap_core.errors import MissingExtraError, SettingError
from emap_core.inference.gap import Interval
from emap_core.inference.number_format import number
from emap_core.inference.resamples.limits import estimate, variance_of
from emap_core.inference.resamples.population import Population
from emap_core.types import AnyArray, Array

Target = Literal["label", "prediction"]

ATOMS = {
    "redundant": "what text and image both tell",
    "text": "what the text alone tells",
    "image": "what the image alone tells",
    "synergistic": "what only both together tell",
}
"""The parts of the information, in bits, and what each is."""

MOST_CLASSES = 5
"""More classes take minutes with all resamples; rarer ones form one class."""
LEAST_PER_CELL = 5
"""Fewest examples per cell of the table of both sides and the answer."""

AnswersAnew = Callable[[Array], Iterable[tuple[Array, NDArray[np.integer], NDArray[np.integer]]]]

_EXAMPLES_ALONE = (
    "The grid was not kept, so limits come from the examples alone: the one-sided predictions are "
    "fixed, which makes limits a little too narrow."
)
_RESAMPLES = 120
_PERMUTATIONS = 30
_SOLVED = ("Solved", "AlmostSolved")


@dataclass(frozen=True)
class PartialInformation:
    """How the information about an answer is split.

    Attributes
    ----------
    target : {"label", "prediction"}
        What it is about: the true label, or the model's own answer.
    values : dict of Interval
        By the names of `ATOMS`, in bits, minus their values by chance.
    by_chance : dict of float
        The value of each part with permuted answers.
    total : float
        Bits that both tell together, minus their value by chance.
    answer_bits : float
        Entropy of the answer.
    classes : list of str
        The distinguished classes; the last one may stand for the rest.
    n_examples : int
    population : str
    notes : list of str
        What a reader has to know about the limits.
    """

    target: Target
    values: dict[str, Interval]
    by_chance: dict[str, float]
    total: float
    answer_bits: float
    classes: list[str]
    n_examples: int
    population: str
    notes: list[str]

    @property
    def sentence(self) -> str:
        """The result in words."""
        told = {name: number(max(one.value, 0.0)) for name, one in self.values.items()}
        about = "the true label" if self.target == "label" else "the model’s answer"
        return (
            f"Of {number(self.answer_bits)} bits in {about}, the one-sided predictions tell "
            f"{number(max(self.total, 0.0))}: both sides alike {told['redundant']}, the text alone "
            f"{told['text']}, the image alone {told['image']}, and only both together "
            f"{told['synergistic']}."
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain values, with None for NaN."""
        values = {name: one.to_json() for name, one in self.values.items()}
        return asdict(self) | {"values": values, "sentence": self.sentence}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> PartialInformation:
        """Return what `to_json` was called on; further entries are ignored."""
        kept = {name: content[name] for name in cls.__dataclass_fields__}
        values = {name: Interval.from_json(one) for name, one in content["values"].items()}
        return cls(**{**kept, "values": values})


def broja(joint: AnyArray) -> dict[str, float]:
    """Return the parts of the information that two sources have of an answer, in bits.

    Parameters
    ----------
    joint : array of shape (K_1, K_2, K_y)
        Probability, or weight, of each value of the first and the second source with each answer.

    Returns
    -------
    dict
        ``redundant``, ``text`` (the first source alone), ``image`` (the second) and
        ``synergistic``; they sum to what both tell.

    Raises
    ------
    MissingExtraError
        If clarabel is not installed.
    SettingError
        If the solver finds no solution.
    """
    p = np.asarray(joint, dtype=np.float64)
    p = p / p.sum()
    both = _information(p.reshape(-1, p.shape[2]))
    first, second = _information(p.sum(axis=1)), _information(p.sum(axis=0))
    # The least that both tell, and no less than either.
    least = min(max(_least_information(p), first, second), both)
    return {
        "redundant": first + second - least,
        "text": least - second,
        "image": least - first,
        "synergistic": both - least,
    }


def partial_information(
    text: NDArray[np.integer],
    image: NDArray[np.integer],
    answer: NDArray[np.integer],
    classes: list[str],
    population: Population,
    *,
    target: Target = "label",
    anew: AnswersAnew | None = None,
    seed: int = 0,
    progress: Callable[[], None] = lambda: None,
) -> PartialInformation:
    """Split the information of both one-sided predictions about an answer.

    Parameters
    ----------
    text, image, answer : ndarray of int, shape (N,)
        Class numbers; an answer of -1 is not a class, and its example is left out.
    classes : list of str
        Names of the classes. The most frequent answers are distinguished, as many as there are
        examples for, and at most `MOST_CLASSES`; the others count as one.
    population : Population
        What is drawn for the intervals.
    target : {"label", "prediction"}
        What the answer is.
    anew : callable, optional
        Takes weights of the examples in B resamples, shape (B, N); yields some of them at a time
        with the answers of text and image in each, all of shape (b, N). Without it, limits resample
        only the examples.
    seed : int
    progress : callable
        Called now and then; an exception from it ends the work.

    Raises
    ------
    SettingError
        If there are too few examples, or neither prediction varies.
    MissingExtraError
        If clarabel is not installed.
    """
    known = answer >= 0
    n_examples = int(known.sum())
    if all(len(np.unique(side[known])) < 2 for side in (text, image)):
        # No resample could differ, so limits would claim certainty.
        raise SettingError(
            "each one-sided prediction is the same for all examples, so text and image have no "
            "information to split; the gap says whether both together do"
        )
    kept = _kept_classes(answer[known], n_examples)
    place = np.full(max(len(classes), int(answer.max()) + 1), len(kept) - 1)
    place[kept[:-1]] = np.arange(len(kept) - 1)
    if kept[-1] >= 0:
        place[kept[-1]] = len(kept) - 1
    k = len(kept)
    answers = place[np.maximum(answer, 0)]

    def sides_of(text: NDArray[np.integer], image: NDArray[np.integer]) -> NDArray[np.intp]:
        return np.asarray(place[np.maximum(text, 0)] * k + place[np.maximum(image, 0)])

    as_they_are = sides_of(text, image)

    def table(
        weights: Array,
        of_answers: NDArray[np.integer] = answers,
        sides: NDArray[np.intp] = as_they_are,
    ) -> Array:
        counted = np.bincount(sides * k + of_answers, weights * known, k**3)
        return np.asarray(counted, dtype=np.float64).reshape(k, k, k)

    def resampled(weights: Array) -> Iterable[tuple[Array, NDArray[np.intp]]]:
        if anew is None:
            yield from ((one, as_they_are) for one in weights)
            return
        for some, texts, images in anew(weights):
            yield from zip(some, sides_of(texts, images), strict=True)

    ones, rng = np.ones(len(answer)), np.random.default_rng(seed)
    observed = broja(table(ones))
    chance = []
    for _ in range(_PERMUTATIONS):
        progress()
        permuted = answers.copy()
        permuted[known] = rng.permutation(answers[known])
        chance.append(broja(table(ones, permuted)))
    by_chance = {name: float(np.mean([one[name] for one in chance])) for name in ATOMS}
    each = population.share_out(_RESAMPLES)
    drawn: list[list[dict[str, float]]] = []
    for units in population.draws:
        found = []
        for weights in units.resamples(each, rng):
            for one, sides in resampled(weights):
                progress()
                found.append(broja(table(one, sides=sides)))
        drawn.append(found)
    values = {}
    for name in ATOMS:
        variances = [
            variance_of(np.array([one[name] for one in found]), units.size)
            for found, units in zip(drawn, population.draws, strict=True)
        ]
        net = observed[name] - by_chance[name]
        values[name] = estimate(net, variances, population).interval()
    names = [classes[c] if c >= 0 else "all others" for c in kept]
    return PartialInformation(
        target,
        values,
        by_chance,
        sum(observed.values()) - sum(by_chance.values()),
        float(_entropy(table(ones).sum(axis=(0, 1)) / n_examples)),
        names,
        n_examples,
        population.words,
        [] if anew is not None else [_EXAMPLES_ALONE],
    )


def _kept_classes(answer: NDArray[np.integer], n_examples: int) -> NDArray[np.intp]:
    """Return the distinguished classes, most frequent first; -1 stands for the rest."""
    counts = np.bincount(answer) if len(answer) else np.zeros(0, dtype=int)
    order = np.argsort(-counts, kind="stable")
    order = order[counts[order] > 0]
    most = next(
        (k for k in range(MOST_CLASSES, 1, -1) if n_examples >= LEAST_PER_CELL * k**3), None
    )
    if most is None or len(order) < 2:
        raise SettingError(
            f"there are {n_examples:,} examples with {len(order)} different answers; expected two "
            f"answers, and {LEAST_PER_CELL} examples for each of the 8 cells of two answers of "
            f"text, image and truth ({LEAST_PER_CELL * 8})"
        )
    return order if len(order) <= most else np.append(order[: most - 1], -1)


def _entropy(p: Array) -> float:
    seen = p[p > 0]
    return float(-(seen * np.log2(seen)).sum())


def _information(p: Array) -> float:
    """Return the mutual information of rows and columns in bits."""
    return _entropy(p.sum(axis=1)) + _entropy(p.sum(axis=0)) - _entropy(p.ravel())


def _least_information(p: Array) -> float:
    """Return the least that both sources can tell about the answer given each one, in bits."""
    try:
        import clarabel
    except ImportError as error:
        raise MissingExtraError(
            "partial information needs the package clarabel: pip install clarabel, or "
            "emap-lens[pid]"
        ) from error
    import scipy.sparse

    with_first, with_second = p.sum(axis=1), p.sum(axis=0)
    # Cells that the margins allow; all others are 0 in every solution.
    x, z, y = np.nonzero((with_first[:, None] > 0) & (with_second[None] > 0))
    n = len(x)
    # Variables are q of each cell, then t ≥ q log(q / Σ_y q); their sum is −H(Y | both).
    margins, right = _margins(with_first, with_second, x, z, y)
    pair = x * p.shape[1] + z
    same_pair = scipy.sparse.csr_matrix((pair[:, None] == pair[None]).astype(np.float64))
    nothing, one = scipy.sparse.csr_matrix((n, n)), scipy.sparse.identity(n, format="csr")
    # Three rows per cell: (−t, q, Σ_y q) is in the exponential cone.
    cones = scipy.sparse.vstack(
        [
            scipy.sparse.hstack([nothing, one]),
            scipy.sparse.hstack([-one, nothing]),
            scipy.sparse.hstack([-same_pair, nothing]),
        ],
        format="csr",
    )[np.arange(3 * n).reshape(3, n).T.ravel()]
    equal = scipy.sparse.hstack([margins, scipy.sparse.csr_matrix((len(right), n))])
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    solver = clarabel.DefaultSolver(
        scipy.sparse.csc_matrix((2 * n, 2 * n)),
        np.concatenate([np.zeros(n), np.ones(n)]),
        scipy.sparse.vstack([equal, cones]).tocsc(),
        np.concatenate([right, np.zeros(3 * n)]),
        [clarabel.ZeroConeT(len(right)), *[clarabel.ExponentialConeT()] * n],
        settings,
    )
    solution = solver.solve()
    if str(solution.status) not in _SOLVED:
        raise SettingError(
            f"the information cannot be split: the solver ended with {solution.status}"
        )
    q = np.zeros(p.shape)
    q[x, z, y] = np.maximum(np.array(solution.x)[:n], 0.0)
    return _information(q.reshape(-1, p.shape[2]) / q.sum())


def _margins(
    with_first: Array,
    with_second: Array,
    x: NDArray[np.intp],
    z: NDArray[np.intp],
    y: NDArray[np.intp],
) -> tuple[Any, Array]:
    """Return the sums that the cells must have, as a sparse matrix and its right side."""
    import scipy.sparse

    rows, columns, right, n_rows = [], [], [], 0
    for values, source in ((with_first, x), (with_second, z)):
        for value, answer in np.argwhere(values > 0):
            # Both margins contain the answer's own share, so one is enough.
            if source is z and value == np.flatnonzero(values[:, answer] > 0)[0]:
                continue
            cells = np.flatnonzero((source == value) & (y == answer))
            rows.append(np.full(len(cells), n_rows))
            columns.append(cells)
            right.append(values[value, answer])
            n_rows += 1
    place = (np.concatenate(rows), np.concatenate(columns))
    matrix = scipy.sparse.csr_matrix((np.ones(len(place[0])), place), (n_rows, len(x)))
    return matrix, np.array(right)
