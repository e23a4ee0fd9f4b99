"""The pairs that a sampled run needs, so that they can be scored elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emap_core import datasets
from emap_core.datasets import with_prefix
from emap_core.datasets.grid_cells import Cells, find_cells
from emap_core.decomposition.design import Design, design
from emap_core.errors import DatasetError
from emap_core.models import load_model


def pairs_to_score(
    dataset: Any,
    images_per_text: int | None = None,
    *,
    seed: int = 0,
    data_args: dict[str, Any] | None = None,
    there: str | Path | None = None,
    there_args: dict[str, Any] | None = None,
) -> pd.DataFrame:
    """Return the pairs of texts and images that a run scores, one per row.

    With a column for each class added, saved as .parquet, ``logits:FILE`` reads them for a run of
    the same data with ``method="sampled"``, the same `images_per_text` and `seed`.

    Parameters
    ----------
    dataset : Dataset or str
        As for `compute`.
    images_per_text : int, optional
        For a sampled run; by default all pairs, for an exact one.
    seed : int
    data_args : dict, optional
        Keyword arguments of the loader of the data.
    there : str or Path, optional
        A .parquet file of pairs that are already scored: only others are returned, named as in that
        file, to be added to it.
    there_args : dict, optional
        What ``logits:`` takes for it: ``text_id_column``, ``image_id_column``.

    Returns
    -------
    DataFrame
        ``text_id`` and ``image_id``, numbered as the data first show them, the ``text``, and
        ``image_of``, the id of an example that shows the image.

    Raises
    ------
    EmapError
        If the data or the file cannot be loaded, or `images_per_text` is too small.
    """
    if isinstance(dataset, str | Path):
        dataset = with_prefix(str(dataset))
    loaded: Any = datasets.load_dataset(dataset, **(data_args or {}))
    cells = find_cells(loaded)
    if len(cells.sides) > 2:
        raise DatasetError(
            f"the data has {len(cells.sides)} sides, but pairs have two; score the model itself"
        )
    rows: NDArray[Any]
    columns: NDArray[Any]
    if images_per_text is None:
        rows, columns = (index.ravel() for index in np.indices(cells.shape))
    else:
        chosen = sample_of(cells, images_per_text, seed)
        rows, columns = chosen.rows, chosen.columns
    called: dict[str, NDArray[Any]] = {
        "text_id": np.arange(cells.shape[0]),
        "image_id": np.arange(cells.shape[1]),
    }
    if there is not None:
        model = load_model(f"logits:{there}", **(there_args or {}))
        missing = np.isnan(model.grid_for(cells, loaded)).any(axis=2)[rows, columns]
        rows, columns = rows[missing], columns[missing]
        called = model.names_for(cells, loaded) or called
    (text_id, texts), (image_id, images) = called.items()
    shown = [str(loaded.ids[int(i)]) for i in cells.sides[1].examples]
    return pd.DataFrame(
        {
            text_id: texts[rows],
            image_id: images[columns],
            "text": np.array(cells.row_words, dtype=object)[rows],
            "image_of": np.array(shown, dtype=object)[columns],
        }
    )


def sample_of(cells: Cells, images_per_text: int, seed: int) -> Design:
    """Return the pairs of a sampled run."""
    return design(*cells.shape, cells.row_index, cells.column_index, images_per_text, seed)
