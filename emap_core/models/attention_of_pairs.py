"""Scores of pairs with quadrants of a model's attention averaged; encoders stay whole."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emap_core.errors import ModelError
from emap_core.models import encodings as trees
from emap_core.models.attention import (
    IMPAIRMENTS,
    ImpairedAttention,
    Quadrant,
    ReachableAttention,
    padded,
)
from emap_core.models.base import Scorer

NOT_REACHED = (
    "the model's attention between words and picture is out of reach: it does not say where it is "
    "(attention_sites and image_positions)"
)


class AttentionOfPairs:
    """Aligned pairs of texts and images, scored with the model's attention impaired.

    Parameters
    ----------
    scorer : Scorer
    texts : list of str
    images : list
        As the model takes them.

    Attributes
    ----------
    n_layers : int
    seen : dict
        For each layer in which weights were seen, the quadrants that have any.

    Raises
    ------
    ModelError
        If the model does not say where its attention is.
    """

    def __init__(self, scorer: Scorer, texts: list[str], images: Sequence[Any]) -> None:
        model = scorer.model
        if not (scorer.staged and isinstance(model, ReachableAttention)):
            raise ModelError(NOT_REACHED)
        self._scorer, self._model = scorer, model
        self._images = list(images)
        self._texts = scorer.encode_texts(texts)
        self._sites = model.attention_sites()
        self.n_layers = 1 + max((site.layer for site in self._sites), default=-1)
        self.seen: dict[int, set[Quadrant]] = {}
        # If scoring continues from the encoded image, impair from there, and encode it again.
        self._prefix = getattr(model, "image_positions_of_prefix", None)
        self._encoded = scorer.encode_images(self._images)

    @property
    def quadrants(self) -> set[Quadrant]:
        """The quadrants that have weights."""
        return set().union(*self.seen.values())

    def scores(
        self,
        impairment: str | None = None,
        layers: Collection[int] | None = None,
        *,
        rows: Sequence[int] | None = None,
        columns: Sequence[int] | None = None,
        watch: Callable[..., None] | None = None,
    ) -> NDArray[Any]:
        """Return the outputs of the pairs, shape (B, C).

        Parameters
        ----------
        impairment : str, optional
            One of `IMPAIRMENTS`; nothing by default.
        layers : collection of int, optional
            In which layers, all by default.
        rows, columns : sequence of int, optional
            The text and the image of each pair, instead of the aligned ones.
        watch : callable, optional
            See `ImpairedAttention`.

        Raises
        ------
        ModelError
            If no attention weights were seen.
        """
        mode = ImpairedAttention(
            self._sites,
            frozenset() if impairment is None else IMPAIRMENTS[impairment],
            None if layers is None else frozenset(layers),
        )
        mode.watch = watch
        images = self._encoded if impairment is None else self._read(mode)
        texts = self._texts
        if rows is not None and columns is not None:
            texts = trees.take(texts, np.asarray(rows))
            images = trees.take(images, np.asarray(columns))
        n_pairs = trees.count(texts)
        step = getattr(self._model, "pairs_at_a_time", None) or n_pairs
        found = []
        for start in range(0, n_pairs, step):
            part = slice(start, start + step)
            found.append(self._score(mode, trees.take(texts, part), trees.take(images, part)))
        for layer, quadrants in mode.seen.items():
            self.seen.setdefault(layer, set()).update(quadrants)
        if not mode.seen:
            raise ModelError(
                "no attention weights were seen while the model scored, so none can be averaged: "
                "expected a softmax over scores of shape (pairs, heads, queries, keys); load the "
                "model with eager attention"
            )
        return np.concatenate(found)

    def _score(self, mode: ImpairedAttention, texts: Any, images: Any) -> NDArray[Any]:
        positions = self._model.image_positions(texts, images)
        with mode.within(lambda n_keys: padded(positions, n_keys)):
            return self._scorer.score_pairs(texts, images, trees.count(texts))

    def _read(self, mode: ImpairedAttention) -> Any:
        if self._prefix is None:
            return self._encoded
        with mode.within(self._prefix):
            return self._scorer.encode_images(self._images)
