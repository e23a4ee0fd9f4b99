"""Which words meet which places, over the examples that were asked about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from emap_core.figures import LIGHT, Chart, Theme
from emap_core.figures.words_by_place import words_by_place
from emap_core.inference.digits import number, signed
from emap_core.probes.attribution import Attributed
from emap_core.probes.units import PLACES
from emap_core.types import Array

_SHOWN = 12


@dataclass(frozen=True, eq=False)
class WordsOverExamples:
    """Words of several examples, each with all that it interacts with.

    Attributes
    ----------
    words : tuple of str
        In lower case and without punctuation; those with the largest interactions in all first.
    counts : ndarray of int, shape (W,)
        In how many examples each is.
    sizes : ndarray of shape (W,)
        The mean over these examples of its interactions' absolute values, summed over regions.
    size_errors : ndarray of shape (W,)
        Standard errors of `sizes`, over examples; NaN where there is one.
    values : ndarray of shape (W, 9)
        The mean over these examples of the sum of its interactions with the regions of each of
        `emap_core.probes.units.PLACES`: what they add to the class that the model predicts there.
    examples : tuple of Attributed
        Each by itself, in the order in which they were given.
    unit : str
    """

    words: tuple[str, ...]
    counts: Array
    sizes: Array
    size_errors: Array
    values: Array
    examples: tuple[Attributed, ...]
    unit: str

    @property
    def n_examples(self) -> int:
        """How many examples there are."""
        return len(self.examples)

    @property
    def sentence(self) -> str:
        """Which words interact most, and where."""
        if not self.words or not np.any(self.sizes > 0):
            return f"In {self.n_examples:,} examples no word meets any region."
        k = int(np.abs(self.values[0]).argmax())
        said = (
            f"Of the words of {_examples(self.n_examples)}, “{self.words[0]}” interacts most with "
            f"what is in the image: {number(self.sizes[0])} {self.unit} in all in the mean of the "
            f"{_examples(int(self.counts[0]))} that {'has' if self.counts[0] == 1 else 'have'} it, "
            f"most with the {PLACES[k]} ({signed(float(self.values[0, k]))})."
        )
        others = [
            f"“{word}” ({number(size)})"
            for word, size in zip(self.words[1:3], self.sizes[1:3], strict=True)
        ]
        return (
            f"{said} Next {'is' if len(others) == 1 else 'are'} {' and '.join(others)}."
            if others
            else said
        )

    def __str__(self) -> str:
        shown = self.table[["word", "examples", "size", "standard error"]].head(_SHOWN)
        return f"{self.sentence}\n{shown.round(3).to_string(index=False)}"

    @property
    def table(self) -> pd.DataFrame:
        """A word a row."""
        found = pd.DataFrame(
            {
                "word": self.words,
                "examples": self.counts,
                "size": self.sizes,
                "standard error": self.size_errors,
            }
        )
        for k, place in enumerate(PLACES):
            found[place] = self.values[:, k]
        return found

    def chart(self, theme: Theme = LIGHT, most: int = _SHOWN) -> Chart:
        """Draw the words that interact most, and with which places of the image."""
        return words_by_place(
            [
                f"{word} ({count:,})"
                for word, count in zip(self.words[:most], self.counts[:most], strict=True)
            ],
            PLACES,
            self.values[:most],
            table=self.table,
            message=self.sentence,
            unit=self.unit,
            theme=theme,
        )


def words_over_examples(found: Sequence[Attributed]) -> WordsOverExamples:
    """Return what the words of examples have in common, merged over the examples that have them.

    Parameters
    ----------
    found : sequence of Attributed
        At least one. A word that an example has twice counts once for it, with the sum.
    """
    sizes: dict[str, list[float]] = defaultdict(list)
    values: dict[str, list[Array]] = defaultdict(list)
    for one in found:
        at = np.array([PLACES.index(one.where(p)) for p in range(len(one.regions))])
        of_example: dict[str, Array] = defaultdict(lambda: np.zeros(1 + len(PLACES)))
        for word, row in zip(one.words, one.interactions, strict=True):
            of_example[_merged(word)] += [
                np.abs(row).sum(),
                *np.bincount(at, row, minlength=len(PLACES)),
            ]
        for word, both in of_example.items():
            sizes[word].append(float(both[0]))
            values[word].append(both[1:])
    ranked = sorted(sizes, key=lambda word: -sum(sizes[word]))
    with_spread = (np.array(sizes[word]) for word in ranked)
    return WordsOverExamples(
        words=tuple(ranked),
        counts=np.array([len(sizes[word]) for word in ranked]),
        sizes=np.array([np.mean(sizes[word]) for word in ranked]),
        size_errors=np.array(
            [one.std(ddof=1) / np.sqrt(len(one)) if len(one) > 1 else np.nan for one in with_spread]
        ),
        values=np.array([np.mean(values[word], axis=0) for word in ranked]),
        examples=tuple(found),
        unit=found[0].unit,
    )


def _merged(word: str) -> str:
    """Return a word as it is compared with others."""
    bare = word.casefold().strip("".join(c for c in word if not c.isalnum()))
    return bare or word


def _examples(count: int) -> str:
    return f"{count:,} example{'' if count == 1 else 's'}"
