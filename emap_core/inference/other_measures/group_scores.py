"""Groups of examples that a model must get right together, which no additive model does.

In a group, the same text comes with several images, or the same image with several texts, and the
answers differ: CLAVI (arXiv 2306.08889), NaturalBench (arXiv 2410.14669), Winoground (arXiv
2204.03162), MMEvalPro (arXiv 2407.00468). A whole group right is what the last one calls genuine
accuracy; the same text right on all images and the same image right for all texts are Q-Acc and
I-Acc of NaturalBench. For a similarity, Winoground's three scores depend only on order: an additive
model orders the texts alike on both images, so its text and image scores are 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from emap_core.decomposition import Decomposition
from emap_core.errors import SettingError
from emap_core.inference.gap import Gap, Interval, Projection
from emap_core.inference.metrics import evaluate_scored, metric
from emap_core.inference.metrics.formulas import right
from emap_core.inference.number_format import percent
from emap_core.inference.predictions.answers import n_answers
from emap_core.inference.predictions.scores import Scored
from emap_core.inference.resamples.limits import paired_estimate, share_estimate
from emap_core.inference.resamples.population import N_RESAMPLES, Population, SamplingUnits
from emap_core.inference.resamples.replicates import Mixtures, Replicates
from emap_core.inference.resamples.resampling import reproject
from emap_core.inference.table.score_table import projections
from emap_core.types import Array, Index, Space, Task

if TYPE_CHECKING:
    import pandas as pd

ROWS_OF_ANSWERS = ("full", "emap", "emap_leave_one_out", "text_only", "image_only", "constant")
"""Rows that answers are counted for."""
ROWS_OF_ORDER = ("full", "emap")
"""Rows whose scores are one function of all pairs, so their order has a meaning.

Rows that leave out the own pair are another function for each pair.
"""

# Of four scores in random order, both own ones come first in 2! 2! of 4! ways. That is not 1/16, as
# for four answers of yes or no.
_GUESSED_ORDER = {"text_score": 1 / 4, "image_score": 1 / 4, "group_score": 1 / 6}
_PAIRS = 4


@dataclass(frozen=True)
class GroupScores:
    """How many groups of examples are right as a whole.

    Attributes
    ----------
    by : str
        Name of the groups.
    rows : dict
        For each metric of groups, an `Interval` for each row of the table that it is defined for.
    gaps : dict of Gap
        By metric: what is lost without interactions. For answers, against the leave-one-out
        projection; for order, against the plain one.
    chance : dict of float
        The score of guessing, by metric: among the answers that the same text has in the data if it
        has several, otherwise among all classes. For order, the score of random scores.
    chance_among_all : dict of float
        The same for guessing among all classes, whatever the text.
    n_groups : dict of int
        Number of groups for each metric.
    n_examples : int
        Number of examples in groups of two or more.
    population : str
        Whom the limits speak of.
    notes : list of str
    """

    by: str
    rows: dict[str, dict[str, Interval]]
    gaps: dict[str, Gap]
    chance: dict[str, float]
    chance_among_all: dict[str, float]
    n_groups: dict[str, int]
    n_examples: int
    population: str
    notes: list[str]

    @property
    def sentence(self) -> str:
        """The result in words."""
        said = []
        if "group_accuracy" in self.gaps:
            one, whole = self.gaps["answers_in_groups"], self.gaps["group_accuracy"]
            said.append(
                f"Single answers: {percent(one.full)} right with interactions, "
                f"{percent(one.projected)} without. Whole groups: {percent(whole.full)} with, "
                f"{percent(whole.projected)} without; guessing gives "
                f"{percent(self.chance['group_accuracy'])}."
            )
        if "group_score" in self.gaps:
            text, image, both = (
                percent(self.gaps[name].full)
                for name in ("text_score", "image_score", "group_score")
            )
            said.append(
                f"Text score {text}, image score {image}, both {both}. Without interactions all "
                "three are 0%, since an additive score orders the texts alike on both images; "
                "guessing gives 25.0%, 25.0% and 16.7%."
            )
        return " ".join(said)

    def to_json(self) -> dict[str, Any]:
        """Return plain values, with None for NaN."""
        rows = {
            name: {row: one.to_json() for row, one in of.items()} for name, of in self.rows.items()
        }
        gaps = {name: gap.to_json() for name, gap in self.gaps.items()}
        return asdict(self) | {"rows": rows, "gaps": gaps, "sentence": self.sentence}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> GroupScores:
        """Return what `to_json` was called on; further entries are ignored."""
        rows = {
            name: {row: Interval.from_json(one) for row, one in of.items()}
            for name, of in content["rows"].items()
        }
        gaps = {name: Gap.from_json(gap) for name, gap in content["gaps"].items()}
        kept = {name: content[name] for name in cls.__dataclass_fields__}
        return cls(**{**kept, "rows": rows, "gaps": gaps})


def group_scores(
    decomposition: Decomposition,
    labels: ArrayLike,
    groups: Sequence[str],
    task: Task,
    space: Space = "logits",
    *,
    by: str = "group",
    decides: bool = True,
    grid: Any = None,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> GroupScores:
    """Return how many groups are right as a whole, with 95% intervals for new groups.

    The projection is that of all examples. Whole groups are drawn, and if there is a grid, each
    resample computes the projection anew.

    Parameters
    ----------
    decomposition : Decomposition
    labels : array of shape (N,)
    groups : sequence of str, length N
        The name of each example's group; empty for none.
    task : {"multiclass", "binary"}
    space : str
    by : str
        Name of the groups.
    decides : bool
        Whether scores decide for a class; scores without a threshold are only ordered.
    grid : optional
        See `reproject`.
    n_resamples, seed : int
        As for `intervals`.

    Raises
    ------
    SettingError
        If no group has two examples, or the task has no single right answer.
    """
    truth = np.asarray(labels)
    if task not in ("multiclass", "binary") or truth.ndim != 1:
        raise SettingError("groups can only be right or wrong if each example has one right answer")
    kept = _Kept(decomposition, truth, groups, task, space, decides)
    if not kept.questions:
        raise SettingError(
            f"no group by {by!r} can be right as a whole: expected two or more examples in a group"
            + ("" if decides else ", two texts and two images that match one each")
        )
    replicates = kept.replicates(grid, n_resamples, seed)
    how = "the projection computed anew in each" if grid is not None else "of the scores alone"
    rows: dict[str, dict[str, Interval]] = {}
    gaps = {}
    for name, question in kept.questions.items():
        population, scored = question.population, kept.scored(question)
        rows[name] = {
            row: share_estimate(values.scores[:, 0], replicates[name, row].variance, population)
            for row, values in scored.items()
        }
        other: Projection = "emap_leave_one_out" if question.of_answers else "emap"
        lost = replicates[name, other].below(replicates[name, "full"], 1.0)
        full, projected = (rows[name][row].value for row in ("full", other))
        found = paired_estimate(
            metric(name),
            full - projected,
            scored["full"],
            scored[other],
            [lost.variance],
            population,
            thirds=[lost.third_moment],
        )
        gaps[name] = found.gap(
            population,
            metric=name,
            projection=other,
            full=full,
            projected=projected,
            method=f"{n_resamples:,} bootstrap resamples of whole groups, {how}",
            n_examples=question.n_groups,
            n_resamples=n_resamples,
            seed=seed,
        )
    return GroupScores(
        by,
        rows,
        gaps,
        {name: question.chance for name, question in kept.questions.items()},
        {name: question.chance_among_all for name, question in kept.questions.items()},
        {name: question.n_groups for name, question in kept.questions.items()},
        kept.n_examples,
        "for new groups",
        [*kept.notes, *(() if grid is not None else (_NO_GRID,))],
    )


_NO_GRID = (
    "The grid was not kept, so limits come from the scores alone, which makes them a little too "
    "narrow."
)


@dataclass(frozen=True, eq=False)
class _Question:
    """Which examples have to be right together, or in which order, in each of G groups.

    `examples` are those of one part after the other, `starts` where each part begins, and `owners`
    the group of each part, in ascending order; of an order, the four pairs of each group.
    """

    name: str
    groups: Index
    examples: Index
    starts: Index
    owners: Index
    chance: float
    chance_among_all: float

    @property
    def of_answers(self) -> bool:
        return self.name not in _GUESSED_ORDER

    @property
    def n_groups(self) -> int:
        return len(self.groups)

    @property
    def population(self) -> Population:
        units = SamplingUnits("groups", np.arange(self.n_groups), self.n_groups)
        return Population("none", (units,), (1,), self.n_groups, "groups", "for new groups")

    @cached_property
    def firsts(self) -> Index:
        """The first part of each group."""
        return np.flatnonzero(np.diff(self.owners, prepend=-1))

    @cached_property
    def of_each(self) -> Index:
        """One example of each group: its weight in a resample is that of the group."""
        return np.asarray(self.examples[self.starts[self.firsts]])

    def values(self, values: Array) -> Array:
        """Return the value of each group, shape (B, G), of values of examples, shape (B, N)."""
        of_parts = values[:, self.examples]
        if self.name == "answers_in_groups":
            sizes = np.diff([*self.starts, len(self.examples)])
            return np.asarray(np.add.reduceat(of_parts, self.starts, axis=1) / sizes)
        whole = np.minimum.reduceat(of_parts, self.starts, axis=1)
        n_parts = np.diff([*self.firsts, len(self.owners)])
        return np.asarray(np.add.reduceat(whole, self.firsts, axis=1) / n_parts)

    def ordered(self, scores: Array, noise: float) -> Array:
        """Return whether each group is in order, shape (B, G), by scores of shape (B, N)."""
        quads = scores[:, self.examples].reshape(len(scores), -1, _PAIRS)
        # A text and its image, the other text with it, the text with the other image, the others.
        own, other_row, other_column, others = np.moveaxis(quads, 2, 0)
        text = (own - other_row > noise) & (others - other_column > noise)
        image = (own - other_column > noise) & (others - other_row > noise)
        found = {"text_score": text, "image_score": image, "group_score": text & image}
        return found[self.name].astype(np.float64)


class _Kept:
    """The examples, their groups, and what is asked about them."""

    def __init__(
        self,
        decomposition: Decomposition,
        labels: Array,
        groups: Sequence[str],
        task: Task,
        space: Space,
        decides: bool,
    ) -> None:
        import pandas as pd

        self._decomposition, self._labels = decomposition, labels
        self._task: Task = task
        self._space: Space = space
        self._fixed = projections(decomposition, labels, task, space)
        # Examples without a group count for the projection but not for a group.
        alone = [name or f"\0{i}" for i, name in enumerate(groups)]
        self._numbers = np.asarray(pd.factorize(np.array(alone, dtype=object))[0])
        self.units = SamplingUnits("groups", self._numbers, int(self._numbers.max()) + 1)
        table = pd.DataFrame(
            {
                "group": self._numbers,
                "text": decomposition.row_index,
                "image": decomposition.column_index,
                "label": labels,
                "example": np.arange(len(labels)),
            }
        )
        self._n_classes = n_answers(task, decomposition.logits.shape[1]) or 2
        # Yes and no to one question, letters to another: what a text has been answered with.
        known = table[table["label"] >= 0].groupby("text")["label"].nunique()
        options = table["text"].map(known).fillna(0).to_numpy(dtype=float)
        self._options = np.where(options > 1, options, float(self._n_classes))
        sizes = table.groupby("group")["example"].transform("size")
        table = table[sizes > 1]
        self.n_examples = len(table)
        self.questions: dict[str, _Question] = {}
        if decides and len(table):
            self.questions |= self._about_answers(table)
        if decomposition.logits.shape[1] == 1 and task == "binary":
            self.questions |= self._about_order(table)
        self.notes = [*_notes(table), *self._about_guessing()]

    def _about_guessing(self) -> list[str]:
        said, whole = [], self.questions.get("group_accuracy")
        if whole is not None:
            single = self.questions["answers_in_groups"]
            said.append(
                "Guessing is among the answers that the same text has in the data, or among all "
                f"{self._n_classes:,} classes if it has only one. Guessing among all classes "
                f"everywhere gives {percent(single.chance_among_all)} of single answers and "
                f"{percent(whole.chance_among_all)} of groups."
            )
        if "group_score" in self.questions:
            said.append(
                "For order, guessing means random scores, one per pair: both texts are in order in "
                "1 of 4 cases, and both sides in 1 of 6."
            )
        return said

    def _guessed(self, options: Array, examples: Index, starts: Index, whole: bool) -> Array:
        """Return how likely guesses are right in each part, or how many of its answers are."""
        each = 1.0 / options[examples]
        if whole:
            return np.asarray(np.multiply.reduceat(each, starts))
        return np.asarray(np.add.reduceat(each, starts) / np.diff([*starts, len(examples)]))

    def _about_answers(self, table: pd.DataFrame) -> dict[str, _Question]:
        import pandas as pd

        among_all = np.full(len(self._options), float(self._n_classes))
        found = {}
        for name, within, across in (
            ("answers_in_groups", ["group"], None),
            ("group_accuracy", ["group"], None),
            ("image_with_all_texts", ["group", "image"], "text"),
            ("text_with_all_images", ["group", "text"], "image"),
        ):
            parts = table
            if across is not None:
                of = table.groupby(within)
                differ = (of[across].transform("nunique") > 1) & (
                    of["label"].transform("nunique") > 1
                )
                parts = table[differ]
            if not len(parts):
                continue
            parts = parts.sort_values([*within, "example"])
            keys = parts[within].to_numpy()
            starts = np.flatnonzero((np.diff(keys, axis=0, prepend=-1) != 0).any(axis=1))
            owners = keys[starts, 0]
            examples = parts["example"].to_numpy()
            chances = [
                float(pd.Series(guessed).groupby(owners).mean().mean())
                for guessed in (
                    self._guessed(options, examples, starts, name != "answers_in_groups")
                    for options in (self._options, among_all)
                )
            ]
            found[name] = _Question(name, np.unique(owners), examples, starts, owners, *chances)
        return found

    def _about_order(self, table: pd.DataFrame) -> dict[str, _Question]:
        quads, owners = [], []
        sizes = table.groupby("group")["example"].transform("size")
        for group, pairs in table[sizes == _PAIRS].groupby("group"):
            quad = _quad(pairs)
            if quad is not None:
                quads.append(quad)
                owners.append(group)
        if not quads:
            return {}
        examples, numbers = np.concatenate(quads), np.array(owners)
        starts = _PAIRS * np.arange(len(owners))
        return {
            name: _Question(name, numbers, examples, starts, numbers, chance, chance)
            for name, chance in _GUESSED_ORDER.items()
        }

    def scored(self, question: _Question) -> dict[str, Scored]:
        """Return the values of each group by row, as scores whose mean the metric is."""
        rows = ROWS_OF_ANSWERS if question.of_answers else ROWS_OF_ORDER
        return {
            row: _as_scored(self._values(question, np.asarray(self._fixed[row])[None])[0])
            for row in rows
        }

    def _values(self, question: _Question, scores: Array) -> Array:
        """Return the value of each group, shape (B, G), by scores of shape (B, N, C)."""
        if not question.of_answers:
            # Two scores, each within a rounding of what it stands for.
            noise = 2.0 * float(self._decomposition.noise[0])
            return question.ordered(scores[..., 0], noise)
        answered = Scored(self._labels, scores, self._task, self._space)
        return question.values(right(answered))

    def replicates(
        self, grid: Any, n_resamples: int, seed: int
    ) -> dict[tuple[str, str], Replicates]:
        """Return what each metric of each row was in resamples of whole groups."""
        rng = np.random.default_rng(seed)
        fixed = {name: self.scored(question) for name, question in self.questions.items()}
        found = {
            (name, row): Replicates(self.questions[name].n_groups)
            for name, rows in fixed.items()
            for row in rows
        }
        with ThreadPoolExecutor() as pool:
            for weights in self.units.resamples(n_resamples, rng):
                for some, projected, mixtures in self._projected(grid, weights, rng, pool):
                    for (name, row), replicates in found.items():
                        question = self.questions[name]
                        of_groups = some[:, question.of_each]
                        scored = projected.get((name, row), fixed[name][row])
                        replicates.add(_evaluated(name, scored, of_groups))
                        if mixtures is not None and (name, row) in projected:
                            of_question = Mixtures(mixtures[:, question.groups])
                            replicates.add_mixed(of_question.evaluate(metric(name), scored))
        return found

    def _projected(
        self, grid: Any, weights: Array, rng: np.random.Generator, pool: ThreadPoolExecutor
    ) -> Any:
        """Yield weights, the values of projected rows, and mixtures of the resamples."""
        if grid is None:
            yield weights, {}, None
            return

        def read(scores: dict[str, Array]) -> dict[tuple[str, str], Array]:
            return {
                (name, row): self._values(question, scores[row])
                for name, question in self.questions.items()
                for row in (ROWS_OF_ANSWERS if question.of_answers else ROWS_OF_ORDER)
                if row in scores
            }

        for some in reproject(grid, self._decomposition, weights):
            parts = some.read(read, pool)
            values = {key: _as_scored(np.concatenate([p[key] for p in parts])) for key in parts[0]}
            size, units = len(some.weights), self.units.size
            places = rng.permuted(np.tile(np.arange(size)[:, None], (1, units)), axis=0)
            yield some.weights, values, places if size > 1 else None


def _evaluated(name: str, scored: Scored, weights: Array) -> Array:
    # A resample may contain no group for the metric.
    some = weights.sum(axis=1) > 0
    values = evaluate_scored(metric(name), scored, np.where(some[:, None], weights, 1.0))
    return np.where(some, values, np.nan)


def _as_scored(values: Array) -> Scored:
    """Return values of groups, shape (..., G), as scores whose mean a metric of groups is."""
    return Scored(np.ones(values.shape[-1], dtype=np.intp), values[..., None], "binary", "logits")


def _quad(pairs: pd.DataFrame) -> Index | None:
    """Return the four pairs of a group in order: its own, text and image exchanged, the others."""
    by_pair = {(row.text, row.image): row for row in pairs.itertuples()}
    matched = [pair for pair, row in by_pair.items() if row.label == 1]
    if len(by_pair) < _PAIRS or len(matched) != 2:
        return None
    (text, image), (other_row, other_column) = matched
    order = [(text, image), (other_row, image), (text, other_column), (other_row, other_column)]
    if any(pair not in by_pair for pair in order):
        return None
    return np.array([by_pair[pair].example for pair in order])


def _notes(table: pd.DataFrame) -> list[str]:
    shared = [
        f"{side}s"
        for side in ("text", "image")
        if (table.groupby(side)["group"].nunique() > 1).any()
    ]
    if not shared:
        return []
    return [
        f"Some {' and '.join(shared)} are in several groups, which are therefore not independent: "
        f"limits are for new groups of these {' and '.join(shared)}."
    ]
