"""Which words interact with which places, over the examples asked about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from emap_core.figures import Chart
from emap_core.figures.words_by_place import words_by_place
from emap_core.inference.number_format import percent
from emap_core.probes.attribution import Attributed
from emap_core.probes.maskable_units import PLACES
from emap_core.themes import LIGHT, Theme
from emap_core.types import Array

_SHOWN = 12


@dataclass(frozen=True, eq=False)
class WordsOverExamples:
    """Words of several examples, each with everything it interacts with.

    Attributes
    ----------
    words : tuple of str
        In lower case and without punctuation; the largest total interactions come first.
    counts : ndarray of int, shape (W,)
        Number of examples with each word.
    sizes : ndarray of shape (W,)
        The mean over these examples of its interactions' absolute values, summed over regions.
    size_errors : ndarray of shape (W,)
        Standard errors of `sizes` over examples; NaN if there is only one.
    by_place : ndarray of shape (W, 9)
        `sizes` by the place of the regions, one of `emap_core.probes.maskable_units.PLACES`.
    added : ndarray of shape (W,)
        The mean of the signed interactions, summed over regions, for each example's predicted
        class: if it is small compared with `sizes`, they cancel.
    examples : tuple of Attributed
        The single results, in the given order.
    unit : str
    """

    words: tuple[str, ...]
    counts: Array
    sizes: Array
    size_errors: Array
    by_place: Array
    added: Array
    examples: tuple[Attributed, ...]
    unit: str

    @property
    def n_examples(self) -> int:
        """How many examples there are."""
        return len(self.examples)

    @property
    def shares(self) -> Array:
        """Each word's share of all absolute interactions of all examples, shape (W,)."""
        in_all: Array = self.sizes * self.counts
        total = float(in_all.sum())
        return in_all / total if total > 0 else in_all

    @property
    def sentence(self) -> str:
        """Which words interact most, and where."""
        if not self.words or not np.any(self.sizes > 0):
            return f"In {self.n_examples:,} examples, no word interacts with any region."
        said = (
            f"Over {_examples(self.n_examples)}, “{self.words[0]}” has the largest part of what "
            f"words and regions add together, {percent(self.shares[0])}: it is in "
            f"{_examples(int(self.counts[0]))}, and meets the "
            f"{PLACES[int(self.by_place[0].argmax())]} most."
        )
        others = [
            f"“{word}” ({percent(share)}, in {count:,})"
            for word, share, count in zip(
                self.words[1:3], self.shares[1:3], self.counts[1:3].tolist(), strict=True
            )
        ]
        return (
            f"{said} Next {'is' if len(others) == 1 else 'are'} {' and '.join(others)}."
            if others
            else said
        )

    def __str__(self) -> str:
        shown = self.table[
            ["word", "examples", "share", "size", "standard error", "with signs"]
        ].head(_SHOWN)
        return f"{self.sentence}\n{shown.round(3).to_string(index=False)}"

    @property
    def table(self) -> pd.DataFrame:
        """One row per word."""
        found = pd.DataFrame(
            {
                "word": self.words,
                "examples": self.counts,
                "share": self.shares,
                "size": self.sizes,
                "standard error": self.size_errors,
                "with signs": self.added,
            }
        )
        for k, place in enumerate(PLACES):
            found[place] = self.by_place[:, k]
        return found

    def chart(self, theme: Theme = LIGHT, most: int = _SHOWN) -> Chart:
        """Draw the words that interact most, and with which places in the image."""
        return words_by_place(
            [
                f"{word} ({count:,})"
                for word, count in zip(self.words[:most], self.counts[:most], strict=True)
            ],
            PLACES,
            self.by_place[:most],
            table=self.table,
            message=self.sentence,
            unit=self.unit,
            theme=theme,
        )


def words_over_examples(found: Sequence[Attributed]) -> WordsOverExamples:
    """Merge the results of several examples by word.

    Parameters
    ----------
    found : sequence of Attributed
        At least one. A word that occurs twice in an example counts once, with the sum.
    """
    sizes: dict[str, list[Array]] = defaultdict(list)
    added: dict[str, list[float]] = defaultdict(list)
    for one in found:
        at = np.array([PLACES.index(one.where(p)) for p in range(len(one.regions))])
        of_example: dict[str, Array] = defaultdict(lambda: np.zeros(1 + len(PLACES)))
        for word, row in zip(one.words, one.interactions, strict=True):
            of_example[_merged(word)] += [
                row.sum(),
                *np.bincount(at, np.abs(row), minlength=len(PLACES)),
            ]
        for word, both in of_example.items():
            added[word].append(float(both[0]))
            sizes[word].append(both[1:])
    in_all = {word: np.sum(places, axis=1) for word, places in sizes.items()}
    ranked = sorted(in_all, key=lambda word: -float(in_all[word].sum()))
    return WordsOverExamples(
        words=tuple(ranked),
        counts=np.array([len(in_all[word]) for word in ranked]),
        sizes=np.array([in_all[word].mean() for word in ranked]),
        size_errors=np.array([_error(in_all[word]) for word in ranked]),
        by_place=np.array([np.mean(sizes[word], axis=0) for word in ranked]),
        added=np.array([np.mean(added[word]) for word in ranked]),
        examples=tuple(found),
        unit=found[0].unit,
    )


def _error(values: Array) -> float:
    """Return the standard error of a mean; NaN for one value."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def _merged(word: str) -> str:
    """Return a word in the form for comparison."""
    bare = word.casefold().strip("".join(c for c in word if not c.isalnum()))
    return bare or word


def _examples(count: int) -> str:
    return f"{count:,} example{'' if count == 1 else 's'}"
