"""Which pairs a sampled run asks for, so that they can be scored elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from emap_core import datasets
from emap_core.datasets import with_prefix
from emap_core.datasets.base import Cells, find_cells
from emap_core.decomposition.design import Design, design


def pairs_to_score(
    dataset: Any,
    images_per_text: int,
    *,
    seed: int = 0,
    data_args: dict[str, Any] | None = None,
) -> pd.DataFrame:
    """Return the pairs of texts and images that the sampled method scores, one per row.

    With a column for each class added, saved as .parquet, ``logits:FILE`` reads them for a run of
    the same data with ``method="sampled"``, the same `images_per_text` and `seed`.

    Parameters
    ----------
    dataset : Dataset or str
        As for `compute`.
    images_per_text, seed : int
    data_args : dict, optional
        Keyword arguments of its loader.

    Returns
    -------
    DataFrame
        ``text_id`` and ``image_id``, numbered as the data first show them, the ``text``, and
        ``image_of``, the id of an example that shows the image.

    Raises
    ------
    EmapError
        If the data cannot be loaded, or `images_per_text` is too small.
    """
    if isinstance(dataset, str | Path):
        dataset = with_prefix(str(dataset))
    loaded: Any = datasets.load_dataset(dataset, **(data_args or {}))
    cells = find_cells(loaded)
    chosen = sample_of(cells, images_per_text, seed)
    shown = [str(loaded.ids[int(i)]) for i in cells.image_examples]
    return pd.DataFrame(
        {
            "text_id": chosen.texts,
            "image_id": chosen.images,
            "text": np.array(cells.texts, dtype=object)[chosen.texts],
            "image_of": np.array(shown, dtype=object)[chosen.images],
        }
    )


def sample_of(cells: Cells, images_per_text: int, seed: int) -> Design:
    """Return the pairs of a sampled run."""
    return design(*cells.shape, cells.text_index, cells.image_index, images_per_text, seed)
