"""Texts as a model reads them: tokenised, cut if too long, with a count of those cut."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import nn

from emap_core.errors import EmapError, ModelError

NO_LIMIT = 10**9
"""More tokens than any text has."""
_NEAR = 8
"""Tokens that a text may lose or gain at its ends inside a prompt."""


@contextlib.contextmanager
def in_one_line(what: str, kind: type[EmapError] = ModelError) -> Iterator[None]:
    """Raise `kind` with one line instead of whatever a library raises.

    A panic in a Rust library is not an ordinary Python exception, and running out of memory does
    not say where.
    """
    try:
        yield
    except (EmapError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except MemoryError as error:
        raise kind(f"{what}: it needs more memory than this machine has") from error
    except BaseException as error:
        said = (str(error).strip().splitlines() or [""])[0]
        raise kind(f"{what}: {said or type(error).__name__}") from error


class Tokens:
    """A tokenizer, with the number of tokens of a text that its model reads.

    Parameters
    ----------
    tokenizer : tokenizer of transformers
    limit : int
        Number of tokens, special ones included.
    """

    def __init__(self, tokenizer: Any, limit: int = NO_LIMIT) -> None:
        self._tokenizer = tokenizer
        self.limit = min(limit, tokenizer.model_max_length)

    def read(self, texts: list[str], padding: bool | str = True) -> Any:
        """Return the texts' token numbers as tensors, cut for long texts."""
        return self._call(
            texts, padding=padding, truncation=True, max_length=self.limit, return_tensors="pt"
        )

    def read_pairs(self, first: list[str], second: list[str]) -> Any:
        """Return each pair of texts as one sequence; in a long pair, the longer text is cut."""
        return self._call(
            first,
            text_pair=second,
            padding=True,
            truncation=True,
            max_length=self.limit,
            return_tensors="pt",
        )

    @property
    def special_of_pair(self) -> int:
        """How many tokens are around and between the two texts of a pair."""
        return int(self._tokenizer.num_special_tokens_to_add(pair=True))

    def numbers(self, texts: list[str], *, special: bool = False) -> list[list[int]]:
        """Return the numbers of all tokens, without cutting."""
        numbers: list[list[int]] = self._call(texts, add_special_tokens=special, verbose=False)[
            "input_ids"
        ]
        return numbers

    def count(self, texts: list[str]) -> list[int]:
        """Return how many tokens each text has, special ones included."""
        return [len(one) for one in self.numbers(texts, special=True)]

    def n_long(self, texts: list[str]) -> int:
        """Return how many texts `read` cuts."""
        return sum(n > self.limit for n in self.count(texts))

    def fit(
        self, texts: Sequence[str], render: Callable[[str], list[str]], limit: int | None = None
    ) -> list[str]:
        """Return the longest beginnings of texts whose prompts the model can read whole.

        Parameters
        ----------
        texts : sequence of str
        render : callable
            Takes a text; returns the prompts that contain it, longest first.
        limit : int, optional
            Most tokens of a prompt, if less than the model reads.

        Raises
        ------
        ModelError
            If a prompt is too long even without the text.
        """
        most = self.limit if limit is None else min(limit, self.limit)
        counts = self.count([render(text)[0] for text in texts]) if texts else []
        return [
            text if n <= most - _NEAR else self._fit(text, render, most)
            for text, n in zip(texts, counts, strict=True)
        ]

    def _fit(self, text: str, render: Callable[[str], list[str]], most: int) -> str:
        def longest(stop: int) -> int:
            return max(self.count(render(text[:stop])))

        if longest(len(text)) <= most:
            return text
        if longest(0) > most:
            raise ModelError(
                f"the prompt {_short(render('')[0])} has {longest(0)} tokens without the text, but "
                f"the model reads {most}; shorten the template or the class names"
            )
        low, high = 0, len(text)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if longest(middle) <= most else (low, middle)
        return text[:low]

    def _call(self, texts: list[str], **options: Any) -> Any:
        with in_one_line("the model's tokenizer cannot read these texts"):
            return self._tokenizer(texts, **options)


def most_tokens(model: Any) -> int:
    """Return how many tokens of a text a transformers model has positions for."""
    config = getattr(model.config, "text_config", None) or model.config
    found = [getattr(config, "max_position_embeddings", None) or NO_LIMIT]
    for name, layer in model.named_modules():
        is_of_places = name.endswith("position_embeddings") and isinstance(layer, nn.Embedding)
        # RoBERTa and its descendants count positions from the padding's onwards.
        if is_of_places and layer.padding_idx is not None:
            found.append(layer.num_embeddings - layer.padding_idx - 1)
    return min(found)


def note_on_cut(n_cut: int, n_texts: int, limit: int, kept: str = "") -> list[str]:
    """Return a sentence on texts that were too long, or nothing if there are none."""
    if n_cut == 0:
        return []
    are = "is" if n_cut == 1 else "are"
    return [
        f"{n_cut:,} of {n_texts:,} different texts {are} longer than the {limit:,} tokens that the "
        f"model reads, and {are} cut{kept}."
    ]


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:59]}…")
