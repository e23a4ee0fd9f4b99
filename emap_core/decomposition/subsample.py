"""The protocol in use for large data: the projection on random sub-samples of the examples.

Source: Hessel & Lee, EMNLP 2020 (arXiv 2010.06572), section 4, for large evaluation sets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emap_core.decomposition.exact import Decomposition, Index, decompose
from emap_core.errors import SettingError


def subsamples(
    cells: Callable[[Index, Index], NDArray[np.floating]],
    text_index: ArrayLike,
    image_index: ArrayLike,
    size: int,
    repeats: int = 10,
    seed: int = 0,
) -> Iterator[tuple[Index, Decomposition]]:
    """Yield examples drawn without replacement and the decomposition of their grid alone.

    A metric of the projection is averaged over the repeats.

    Parameters
    ----------
    cells : callable
        From numbers of unique texts, shape (A,), and of unique images, shape (B,), to the grid of
        all their recombinations, shape (A, B, C).
    text_index, image_index : array of shape (N,)
        The cell of each example.
    size : int
        Examples in a sub-sample.
    repeats : int
    seed : int

    Raises
    ------
    SettingError
        If `size` is under 2 or over N, or `repeats` is under 1.
    """
    texts, images = np.asarray(text_index, dtype=np.intp), np.asarray(image_index, dtype=np.intp)
    if not 2 <= size <= len(texts):
        raise SettingError(
            f"subsample_size is {size}; expected 2 to {len(texts)}, the number of examples"
        )
    if repeats < 1:
        raise SettingError(f"repeats is {repeats}; expected at least 1")
    rng = np.random.default_rng(seed)
    for _ in range(repeats):
        examples = np.sort(rng.choice(len(texts), size, replace=False))
        some_texts, text_place = np.unique(texts[examples], return_inverse=True)
        some_images, image_place = np.unique(images[examples], return_inverse=True)
        grid = cells(some_texts, some_images)
        yield examples, decompose(grid, text_place, image_place)
