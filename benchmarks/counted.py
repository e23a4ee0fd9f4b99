"""A slow model that writes down how much it encodes and scores, for runs that are killed."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from benchmarks.models import Bilinear, distinct_examples


class Counted(Bilinear):
    """`Bilinear` that takes a twentieth of a second per batch and counts in the file ``COUNTS``."""

    def __init__(self) -> None:
        super().__init__()
        self._counts = Path(os.environ["COUNTS"])

    def encode_texts(self, texts: list[str]) -> Any:
        """Count and encode."""
        self._add("text", len(texts))
        return super().encode_texts(texts)

    def encode_images(self, images: list[Any]) -> Any:
        """Count and encode."""
        self._add("image", len(images))
        return super().encode_images(images)

    def score(self, texts: Any, images: Any) -> Any:
        """Count, wait and score."""
        time.sleep(0.05)
        self._add("pair", len(texts))
        return super().score(texts, images)

    def _add(self, what: str, n: int) -> None:
        with self._counts.open("a") as file:
            file.write(f"{what} {n}\n")


def model() -> Counted:
    """Return the model."""
    return Counted()


def data() -> Any:
    """Return 200 examples, all different."""
    return distinct_examples(200, 10)
