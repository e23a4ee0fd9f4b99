"""Does a summary belong to a name? A model of two texts, on Python's own documentation.

python examples/two_texts.py

The data is real and comes with Python: functions and classes of its standard library, each with the
first sentence of its documentation. Half of the examples pair a name with its own sentence, the
other half with the sentence of another name. So neither text alone gives the answer away.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import emap_core as emap

MODULES = (
    "argparse array ast asyncio bisect calendar collections copy csv datetime decimal difflib "
    "email.utils fileinput fnmatch fractions functools gzip heapq http.client imaplib inspect io "
    "ipaddress itertools json locale logging mailbox math mimetypes operator os os.path pathlib "
    "pickle platform plistlib pprint queue random re secrets select shelve shlex shutil smtplib "
    "socket ssl stat statistics string struct subprocess sys sysconfig tarfile tempfile textwrap "
    "threading time timeit tokenize traceback types unicodedata unittest.mock urllib.parse "
    "urllib.request uuid warnings wave weakref xml.etree.ElementTree zipfile zlib builtins"
)
N_TEST = 400
N_PIECES = 2048
PIECES = HashingVectorizer(
    n_features=N_PIECES, analyzer="char_wb", ngram_range=(3, 4), alternate_sign=False
)
"""Counts pieces of three or four letters, each under one of `N_PIECES` numbers."""


class NameAndSummary:
    """A logistic regression on the letter sequences of both texts, (B, D) each.

    Parameters
    ----------
    joint : bool
        Whether pieces that are in both texts have weights too. Without these, the model is additive
        by construction.
    """

    sides = ("name", "summary")
    classes = ("no", "yes")

    def __init__(self, joint: bool) -> None:
        self.encoders = {"name": self.encode, "summary": self.encode}
        self.fingerprint = f"name and summary, {joint}"
        self._joint = joint

    def fit(self, names: list[str], summaries: list[str], is_own: list[bool]) -> NameAndSummary:
        """Learn from examples."""
        first, second = self.encode(names), self.encode(summaries)
        features = np.hstack([first, second, *([first * second] if self._joint else [])])
        found = LogisticRegression(C=30, max_iter=1000).fit(features, is_own)
        self._weights = [torch.tensor(part).float() for part in found.coef_.reshape(-1, N_PIECES)]
        self._offset = float(found.intercept_[0])
        return self

    def encode(self, texts: list[str]) -> torch.Tensor:
        """Return the share of each piece in each text, shape (B, D)."""
        return torch.from_numpy(PIECES.transform(texts).toarray()).float()

    def score(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Return the logits of B pairs, shape (B, 1)."""
        found = self._each(first, 0) + self._each(second, 1)
        if self._joint:
            found += (first * self._weights[2] * second).sum(-1)
        return found[:, None]

    def score_grid(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Return the logits of A names with B summaries, shape (A, B, 1)."""
        found = self._each(first, 0)[:, None] + self._each(second, 1)
        if self._joint:
            found += (first * self._weights[2]) @ second.T
        return found[:, :, None]

    def _each(self, encoded: torch.Tensor, side: int) -> torch.Tensor:
        return encoded @ self._weights[side] + self._offset / 2


def documented() -> tuple[list[str], list[str]]:
    """Return names in the standard library, split into words, and the first sentence on each."""
    found: dict[str, str] = {}
    for module in MODULES.split():
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            members = dict(inspect.getmembers(importlib.import_module(module), callable))
            for one in list(members.values()):
                if inspect.isclass(one):
                    members |= dict(inspect.getmembers(one, callable))
        for name, one in members.items():
            said = getattr(one, "__doc__", None)
            if name.startswith("_") or not isinstance(said, str):
                continue
            summary = " ".join(re.split(r"\n\s*\n|\.\s|\.$", said.strip())[0].split())
            # Shorter ones say little, longer ones are rarely a sentence, and some are signatures.
            if 25 <= len(summary) <= 160 and not re.match(r"[\w.]+\(", summary):
                found.setdefault(summary, name)
    words = [" ".join(re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+", name)) for name in found.values()]
    return words, list(found)


def examples(names: list[str], summaries: list[str]) -> tuple[list[str], list[str], list[bool]]:
    """Return every name once with its own summary and once with another's, shuffled."""
    rng = np.random.default_rng(0)
    order = rng.permutation(len(names))
    other = dict(zip(order, np.roll(order, 1), strict=True))
    pairs = [(k, k) for k in range(len(names))] + [(k, other[k]) for k in range(len(names))]
    pairs = [pairs[place] for place in rng.permutation(len(pairs))]
    is_own = [bool(a == b) for a, b in pairs]
    return [names[a] for a, _ in pairs], [summaries[b] for _, b in pairs], is_own


def main() -> None:
    """Train both models on most of the names, and print what each loses without interactions."""
    names, summaries = documented()
    order = np.random.default_rng(0).permutation(len(names))
    names, summaries = ([texts[k] for k in order] for texts in (names, summaries))
    first, second, is_own = examples(names[:N_TEST], summaries[:N_TEST])
    data = {
        "sides": {"name": first, "summary": second},
        "labels": ["yes" if own else "no" for own in is_own],
        "classes": ["no", "yes"],
        "task": "binary",
    }
    print(f"{len(names) - N_TEST} names to learn from, {N_TEST} to test on")
    for title, joint in (
        ("Each text on its own", False),
        ("Pieces in both texts have weights too", True),
    ):
        model = NameAndSummary(joint).fit(*examples(names[N_TEST:], summaries[N_TEST:]))
        run = emap.compute(model, data)
        print(f"\n{title}\n{run.table()['accuracy'].round(3).to_string(header=False)}")
        print(run.verdict().sentence)


if __name__ == "__main__":
    main()
