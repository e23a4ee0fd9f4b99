"""Which answer the first token of a text begins, and each answer's likelihood from that."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from emap_core.errors import ModelError
from emap_core.option_names import option
from emap_core.types import Array

_AROUND = " \t\n\r▁Ġ\"'“”‘’*_`(["
"""Characters that may come before an answer without being part of it."""
_AFTER = _AROUND + ".,:;!?)]"
_NEVER = -1_000.0
"""Servers give impossible tokens a log-probability below this."""


class FirstTokens:
    """Answers that differ in their first token.

    A token counts for an answer if it is the answer or its beginning, ignoring blanks, quotation
    marks and case; a single letter counts as written. Only the longest listed beginning counts,
    since a tokenizer has one way to write a word.

    Parameters
    ----------
    answers : sequence of str

    Raises
    ------
    ModelError
        If one of them begins another, or is empty.
    """

    def __init__(self, answers: Sequence[str]) -> None:
        plain = [" ".join(answer.split()) for answer in answers]
        folded = [_folded(answer) for answer in plain]
        # If answers differ only in case, case counts.
        self._answers = folded if len(set(folded)) == len(folded) else plain
        for place, answer in enumerate(self._answers):
            if not answer:
                raise ModelError("an answer is empty; give it a name")
            for other, longer in enumerate(self._answers):
                if place != other and longer.startswith(answer):
                    raise ModelError(
                        f"the answer {answers[place]!r} is also how {answers[other]!r} begins, so "
                        "their first tokens cannot tell them apart; give "
                        f"{option('answers', 'letters', 'model')}, which lists them by letters"
                    )
        self._folds = self._answers is folded

    def scores(self, tokens: Sequence[tuple[str, float]]) -> tuple[Array, int]:
        """Return the log-probability of each answer, shape (C,), and how many were listed.

        An answer that is not listed gets the largest value it can have: the smallest listed one, or
        all remaining probability, if that is less.

        Parameters
        ----------
        tokens : sequence of (str, float)
            The likeliest first tokens with their log-probabilities.

        Raises
        ------
        ModelError
            If tokens that begin several answers outweigh those that begin only one.
        """
        known = [(token, value) for token, value in tokens if value > _NEVER]
        found: list[dict[str, list[float]]] = [{} for _ in self._answers]
        shared = list[float]()
        for token, value in known:
            begun, places = self._begun_by(token)
            if len(places) > 1:
                shared.append(value)
            for place in places if len(places) == 1 else ():
                found[place].setdefault(begun, []).append(value)
        values = [_sum(of_one[max(of_one, key=len)]) if of_one else -math.inf for of_one in found]
        if shared and _sum(shared) > max(values):
            raise ModelError(
                "the server's model writes tokens that several of the answers begin with; give "
                f"{option('answers', 'letters', 'model')}, which lists them by letters"
            )
        left = max(1.0 - sum(math.exp(value) for _, value in known), 1e-12)
        least = min([value for _, value in known], default=0.0)
        at_most = min(least, math.log(left))
        scores = np.array([value if value > -math.inf else at_most for value in values])
        return scores, sum(value > -math.inf for value in values)

    def _begun_by(self, token: str) -> tuple[str, list[int]]:
        """Return a token in the form for comparison, and the numbers of the answers it begins."""
        word = " ".join(token.lstrip(_AROUND).split())
        word = word.rstrip(_AFTER) or word
        word = _folded(word) if self._folds else word
        whole = [place for place, answer in enumerate(self._answers) if answer == word]
        if whole or not word or (len(word) == 1 and word.isascii()):
            return word, whole
        return word, [n for n, answer in enumerate(self._answers) if answer.startswith(word)]


def _folded(word: str) -> str:
    # "a" is an article, not the answer "A".
    return word if len(word) == 1 else word.casefold()


def _sum(values: Sequence[float]) -> float:
    return float(np.logaddexp.reduce(values))
