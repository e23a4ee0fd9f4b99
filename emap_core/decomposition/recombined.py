"""What a model answers over all recombinations: weighted sums of a part of the grid.

An answer is a decision for one of K classes and a probability for each of them. Both are read
from the outputs of a cell; their means over the grid cannot be had from the means of the outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emap_core.types import Array, Index


@dataclass(frozen=True, eq=False)
class Recombined:
    """Answers of a model, averaged over one side of the grid, or over both.

    Attributes
    ----------
    text_decisions : ndarray of shape (U_t, K)
        Share of the images, weighted by their shares, with which a text gets each class.
    image_decisions : ndarray of shape (U_v, K)
        Share of the texts with which an image gets each class.
    text_probabilities : ndarray of shape (U_t, K)
        Mean probability of each class over all images.
    image_probabilities : ndarray of shape (U_v, K)
        Mean probability of each class over all texts.
    entropy : ndarray of shape ()
        Mean entropy of a cell's probabilities over all recombinations, in bits.
    """

    text_decisions: Array
    image_decisions: Array
    text_probabilities: Array
    image_probabilities: Array
    entropy: Array

    @classmethod
    def zero(cls, n_texts: int, n_images: int, n_classes: int) -> Recombined:
        """Return the sums of no cells at all, to `add` to."""
        of_texts, of_images = (n_texts, n_classes), (n_images, n_classes)
        return cls(
            np.zeros(of_texts),
            np.zeros(of_images),
            np.zeros(of_texts),
            np.zeros(of_images),
            np.zeros(()),
        )

    @classmethod
    def of_cells(
        cls,
        decisions: NDArray[np.integer],
        probabilities: NDArray[np.floating],
        entropies: NDArray[np.floating],
        text_share: Array,
        image_share: Array,
    ) -> Recombined:
        """Return the sums of A × B cells, each weighing the shares of its text and its image.

        Parameters
        ----------
        decisions : ndarray of shape (A, B)
            Numbers of classes.
        probabilities : ndarray of shape (K, A, B)
        entropies : ndarray of shape (A, B)
            In bits.
        text_share : ndarray of shape (A,)
        image_share : ndarray of shape (B,)
        """
        n_classes, n_texts, n_images = probabilities.shape
        text_weights, image_weights = np.broadcast_arrays(text_share[:, None], image_share)
        by_text = decisions + n_classes * np.arange(n_texts)[:, None]
        by_image = decisions + n_classes * np.arange(n_images)
        # In the type of the probabilities, which is several times faster than in float64.
        p, q = (share.astype(probabilities.dtype) for share in (text_share, image_share))
        return cls(
            _counted(by_text, image_weights, (n_texts, n_classes)),
            _counted(by_image, text_weights, (n_images, n_classes)),
            (probabilities @ q).T.astype(np.float64),
            (p @ probabilities).T.astype(np.float64),
            np.asarray(text_share @ entropies.astype(np.float64) @ image_share),
        )

    def add(self, texts: slice | Index, images: slice | Index, part: Recombined) -> None:
        """Take in the sums of some texts with some images."""
        for rows, found in ((texts, "text"), (images, "image")):
            for what in ("decisions", "probabilities"):
                getattr(self, f"{found}_{what}")[rows] += getattr(part, f"{found}_{what}")
        self.entropy[...] += part.entropy

    def texts_in_order(self, order: Index) -> Recombined:
        """Return the same with text i moved to row ``order[i]``."""
        place = np.argsort(order)
        return Recombined(
            self.text_decisions[place],
            self.image_decisions,
            self.text_probabilities[place],
            self.image_probabilities,
            self.entropy,
        )

    def arrays(self) -> dict[str, Array]:
        """Return its arrays by the names under which runs keep them."""
        return {f"recombined_{one.name}": getattr(self, one.name) for one in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Recombined | None:
        """Return what `arrays` gave, None where a run keeps none."""
        names = {one.name: f"recombined_{one.name}" for one in fields(cls)}
        if not all(name in arrays for name in names.values()):
            return None
        return cls(**{field: arrays[name] for field, name in names.items()})


def _counted(
    decisions: NDArray[np.integer], weights: NDArray[Any], shape: tuple[int, int]
) -> Array:
    """Return the summed weights of each class in each row, shape (rows, K)."""
    counted = np.bincount(decisions.ravel(), weights.ravel(), shape[0] * shape[1])
    return np.asarray(counted.reshape(shape), dtype=np.float64)
