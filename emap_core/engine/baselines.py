"""Linear models trained on a training split's encoded texts, images, or both."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emap_core.datasets.base import find_cells
from emap_core.engine.space import to_space
from emap_core.engine.states import (
    EncodedItems,
    UniqueImages,
    encoded_images,
    encoded_texts,
    images_per_chunk,
)
from emap_core.engine.work import Work
from emap_core.errors import DatasetError
from emap_core.inference.baselines import linear_baseline


def linear_baselines(work: Work, train: Any) -> dict[str, NDArray[np.float64]]:
    """Return what linear models say about the examples, each of shape (N, C).

    They see what the model's encoders make of the text (``linear_text``), of the image
    (``linear_image``) and of both side by side (``linear_both``), and are trained on another
    dataset: unimodal baselines as papers mean them, for encoders that stay as they are.

    Parameters
    ----------
    work : Work
        Its model has encoders; its texts and images are encoded.
    train : Dataset
        With labels.
    """
    cells = find_cells(train)
    labels = work.labels_of(train)
    if labels is None:
        raise DatasetError("the training data has no labels")
    if work.task == "multiclass" and labels.ndim == 2:
        labels = labels.argmax(axis=1)
    images = UniqueImages(
        train.images,
        getattr(train, "image_inputs", None),
        cells.image_examples,
        images_per_chunk(train.images[int(cells.image_examples[0])]),
    )
    try:
        train_text = _vectors(encoded_texts(work.scorer, cells.texts))[cells.text_index]
        train_image = _vectors(encoded_images(work.scorer, images))[cells.image_index]
    finally:
        images.close()
    test_text = _vectors(work.evaluator.texts)[work.targets.row_index]
    test_image = _vectors(work.evaluator.images)[work.targets.column_index]
    sides = {
        "linear_text": (train_text, test_text),
        "linear_image": (train_image, test_image),
        "linear_both": (
            np.concatenate([train_text, train_image], axis=1),
            np.concatenate([test_text, test_image], axis=1),
        ),
    }
    return {
        name: to_space(
            linear_baseline(
                trained_on,
                labels,
                tested_on,
                work.task,
                work.n_classes,
                # Examples of one image are not independent.
                groups=cells.image_index,
                seed=work.settings.seed,
            ),
            "logits",
            work.settings.space,
            work.task,
        )
        for name, (trained_on, tested_on) in sides.items()
    }


def _vectors(items: EncodedItems) -> NDArray[np.float32]:
    """Return one vector an item: every floating leaf, averaged over its middle axes."""
    rows = []
    for number in range(items.n_chunks):
        leaves = [leaf for leaf in items.leaves(number) if np.issubdtype(leaf.dtype, np.floating)]
        pooled = [
            leaf.reshape(len(leaf), -1)
            if leaf.ndim <= 2
            else leaf.mean(axis=tuple(range(1, leaf.ndim - 1)))
            for leaf in leaves
        ]
        if not pooled:
            raise DatasetError("the model's states hold no numbers to train a linear model on")
        rows.append(np.concatenate(pooled, axis=1).astype(np.float32))
    return np.concatenate(rows)
