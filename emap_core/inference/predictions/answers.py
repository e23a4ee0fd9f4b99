"""Read answers, decisions and probabilities, from the outputs of many cells at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from emap_core.decomposition.recombined import Recombined
from emap_core.inference.predictions.scores import predict, probabilities
from emap_core.types import Array, Index, Space, Task

_BLOCK_BYTES = 2**19
_SMALLEST = np.float32(1e-30)
_NATS_PER_BIT = np.float32(np.log(2.0))


def n_answers(task: Task, n_outputs: int) -> int | None:
    """Return among how many classes a cell's outputs decide, None where they choose no single one.

    Parameters
    ----------
    task : str
    n_outputs : int
        Size of the model's last axis.
    """
    if task == "binary":
        return 2
    return n_outputs if task == "multiclass" and n_outputs > 1 else None


def read_answers(
    cells: NDArray[Any], task: Task, space: Space
) -> tuple[NDArray[np.intp], NDArray[np.float32], NDArray[np.float32]]:
    """Return decisions (…), probabilities (K, …) and entropies in bits (…) of outputs (…, C).

    The task is multiclass or binary. Classes come first and numbers are of single precision: what
    is done for all cells of a class at a time takes a fifth of the time.
    """
    if task == "multiclass" and space == "logits":
        values = np.moveaxis(cells, -1, 0).astype(np.float32, order="C")
        highest = values.max(axis=0)
        decisions = np.zeros(highest.shape, dtype=np.intp)
        # The first class of several that are highest, as everywhere.
        for c in reversed(range(len(values))):
            np.copyto(decisions, c, where=values[c] == highest)
        values -= highest
        found = np.exp(values)
        total = found.sum(axis=0)
        found /= total
        values *= found
        entropies = (np.log(total) - values.sum(axis=0)) / _NATS_PER_BIT
        return decisions, found, entropies
    found = np.moveaxis(probabilities(cells, task, space), -1, 0).astype(np.float32, order="C")
    if task == "binary":
        found = np.concatenate([1.0 - found, found])
    entropies = -(found * np.log2(np.maximum(found, _SMALLEST))).sum(axis=0)
    return predict(cells, task, space), found, entropies


def recombine(
    cells: NDArray[Any], text_share: Array, image_share: Array, task: Task, space: Space
) -> Recombined:
    """Return the sums of the answers of cells, shape (A, B, C), see `Recombined`.

    Parameters
    ----------
    cells : ndarray of shape (A, B, C)
    text_share, image_share : ndarray of shape (A,) and (B,)
    task, space : str
        The task is multiclass or binary.
    """
    n_texts, n_images, n_outputs = cells.shape
    found = Recombined.zero(n_texts, n_images, n_answers(task, n_outputs) or n_outputs)
    # Small enough for the cache.
    step = max(1, _BLOCK_BYTES // (4 * n_images * n_outputs))
    for start in range(0, n_texts, step):
        texts = slice(start, min(start + step, n_texts))
        read = read_answers(cells[texts], task, space)
        found.add(texts, slice(None), Recombined.of_cells(*read, text_share[texts], image_share))
    return found


def recombine_grid(
    strips: Iterable[tuple[Index, NDArray[Any]]],
    text_share: Array,
    image_share: Array,
    task: Task,
    space: Space,
    n_outputs: int,
) -> Recombined:
    """Return the sums of the answers of a whole grid, given in strips of whole rows.

    Parameters
    ----------
    strips : iterable of (ndarray, ndarray)
        Numbers of the texts, and their cells, shape (A, U_v, C).
    text_share, image_share : ndarray of shape (U_t,) and (U_v,)
    task, space : str
    n_outputs : int
        Size of the last axis, C.
    """
    n_classes = n_answers(task, n_outputs) or n_outputs
    found = Recombined.zero(len(text_share), len(image_share), n_classes)
    for texts, cells in strips:
        part = recombine(cells, text_share[texts], image_share, task, space)
        found.add(texts, slice(None), part)
    return found


def recombine_sample(
    values: NDArray[Any],
    texts: NDArray[np.integer],
    images: NDArray[np.integer],
    weights: Array,
    shape: tuple[int, int],
    task: Task,
    space: Space,
) -> Recombined:
    """Return what answers of single cells say of the whole grid.

    The mean of each text and each image is that of its cells, by their weights (Hájek's ratio).

    Parameters
    ----------
    values : ndarray of shape (M, C)
    texts, images : ndarray of shape (M,)
        The cells.
    weights : ndarray of shape (M,)
        What each cell stands for, its shares over the chance that it is drawn.
    shape : (int, int)
        Unique texts and unique images.
    task, space : str
    """
    decisions, found, entropies = read_answers(values, task, space)
    n_classes = len(found)
    means = []
    for index, size in zip((texts, images), shape, strict=True):
        total = np.bincount(index, weights, size)[:, None]
        place = index.astype(np.intp) * n_classes + decisions
        decided = np.bincount(place, weights, size * n_classes).reshape(size, n_classes)
        by_item = scipy.sparse.csr_matrix(
            (weights, (index, np.arange(len(weights)))), (size, len(weights))
        )
        means.append((decided / total, by_item @ found.T / total))
    (text_decisions, text_found), (image_decisions, image_found) = means
    entropy = np.asarray(weights @ entropies.astype(np.float64) / weights.sum())
    return Recombined(text_decisions, image_decisions, text_found, image_found, entropy)
