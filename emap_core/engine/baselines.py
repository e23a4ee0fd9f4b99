"""Linear models trained on a training split's encoded texts, images, or both."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emap_core.datasets.base import find_cells
from emap_core.engine.encoded_items import (
    UniqueImages,
    encoded_images,
    encoded_texts,
    images_per_chunk,
)
from emap_core.engine.problem import Problem
from emap_core.engine.space import to_space
from emap_core.errors import DatasetError
from emap_core.inference.baselines import linear_baseline


def linear_baselines(problem: Problem, train: Any) -> dict[str, NDArray[np.float64]]:
    """Return what linear models say about the examples, each of shape (N, C).

    They see what the model's encoders make of the text (``linear_text``), of the image
    (``linear_image``) and of both side by side (``linear_both``), and are trained on another
    dataset: unimodal baselines as papers mean them, for encoders that stay as they are.

    Parameters
    ----------
    problem : Problem
        Its model has encoders; its texts and images are encoded.
    train : Dataset
        With labels.
    """
    cells = find_cells(train)
    labels = problem.labels_of(train)
    if labels is None:
        raise DatasetError("the training data has no labels")
    if problem.task == "multiclass" and labels.ndim == 2:
        labels = labels.argmax(axis=1)
    images = UniqueImages(
        train.images,
        getattr(train, "image_inputs", None),
        cells.image_examples,
        images_per_chunk(train.images[int(cells.image_examples[0])]),
    )
    try:
        train_text = encoded_texts(problem.scorer, cells.texts).vectors()[cells.text_index]
        train_image = encoded_images(problem.scorer, images).vectors()[cells.image_index]
    finally:
        images.close()
    test_text = problem.evaluator.texts.vectors()[problem.targets.row_index]
    test_image = problem.evaluator.images.vectors()[problem.targets.column_index]
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
                problem.task,
                problem.n_classes,
                # Examples of one image are not independent.
                groups=cells.image_index,
                seed=problem.settings.seed,
            ),
            "logits",
            problem.settings.space,
            problem.task,
        )
        for name, (trained_on, tested_on) in sides.items()
    }
