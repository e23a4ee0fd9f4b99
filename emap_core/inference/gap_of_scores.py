"""The gap between other scores of the same examples, said like a gap that is known already."""

from __future__ import annotations

from dataclasses import replace

from numpy.typing import ArrayLike

from emap_core.inference.difference import paired_difference
from emap_core.inference.gap import Gap
from emap_core.inference.metrics import evaluate
from emap_core.inference.population import Population
from emap_core.inference.scores import Space, Task


def gap_of_scores(
    like: Gap,
    labels: ArrayLike,
    scores: ArrayLike,
    projected: ArrayLike,
    task: Task,
    space: Space,
    population: Population,
    how: str,
) -> Gap:
    """Return the gap between two sets of scores that stay as they are in every resample.

    Parameters
    ----------
    like : Gap
        Says the metric, the projection, and how many resamples there are.
    labels, task, space
        As for `evaluate`.
    scores, projected : array of shape (N, C)
        Of the model and of its projection.
    population : Population
        Of the examples.
    how : str
        What is special about the scores, for `Gap.method`.
    """
    full, other = (evaluate(like.metric, labels, s, task, space) for s in (scores, projected))
    found = paired_difference(
        like.metric,
        labels,
        scores,
        projected,
        task,
        space,
        population,
        n_resamples=like.n_resamples * len(population.draws),
        seed=like.seed,
    )
    return replace(
        like,
        full=full,
        projected=other,
        difference=found.value,
        low=found.low,
        high=found.high,
        p_value=found.p_value,
        standard_error=found.standard_error,
        degrees_of_freedom=found.degrees_of_freedom,
        method=f"{how}; {like.n_resamples:,} bootstrap resamples of {population.drawn_words}, of "
        "the scores alone; test of the same limits",
    )
