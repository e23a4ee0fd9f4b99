"""How much of a difference between logits is rounding, and what decides a tie within it.

A model computes its logits in 16 or 32 bits. An exactly additive model therefore differs from its
projection by roundings, and two classes that tie in the model tie in the projection only up to
roundings: without care, decisions and ranks would depend on them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emap_core.types import Array

RESOLUTION = {"float16": 2.0**-10, "bfloat16": 2.0**-7}
"""Relative distance of neighbouring numbers, for types with fewer bits than their storage."""

_FLOAT32, _FLOAT64 = 2.0**-23, 2.0**-52
# An interaction is F − r − c + μ: four numbers, each off by at most half a unit in the last place.
_TERMS = 4
# What a network's layers lose before the last one, in units of its logits' differences.
_LAYERS = 8.0
# In 64 bits, the means of many cells lose more than the model.
_MEANS = 2.0**10


def noise_of_logits(logits: Array, dtype: str = "float32") -> Array:
    """Return the size below which an interaction is only rounding, shape (C,).

    An offset that all logits share only costs digits in their last rounding.

    Parameters
    ----------
    logits : ndarray of shape (N, C)
    dtype : str
        The type they were computed in. Other than 16 bits, it counts as float32 if every logit of
        the class is a 32-bit number, and otherwise as float64.
    """
    high, low = logits.max(axis=0), logits.min(axis=0)
    largest, spread = np.maximum(np.abs(high), np.abs(low)), high - low
    if dtype in RESOLUTION:
        return np.asarray(_TERMS / 2 * RESOLUTION[dtype] * largest + _LAYERS * _FLOAT32 * spread)
    with np.errstate(over="ignore"):
        of_32_bits = (logits == logits.astype(np.float32)).all(axis=0)
    return np.asarray(
        np.where(
            of_32_bits,
            _TERMS / 2 * _FLOAT32 * largest + _LAYERS * _FLOAT32 * spread,
            _TERMS * _TERMS * _FLOAT64 * largest + _MEANS * _FLOAT64 * spread,
        )
    )


def settle(projected: Array, logits: Array, noise: Array) -> Array:
    """Return projected scores in which no decision depends on rounding.

    A score within rounding noise of the model's own becomes the model's own, and so does its lead
    over a class that the model's decision leads by as much. A tie of the projection alone goes to
    the first class, as in exact arithmetic: a projection that knows nothing must not be given
    the model's answer.

    Parameters
    ----------
    projected : ndarray of shape (..., N, C)
    logits : ndarray of shape (N, C)
        The model's own predictions of the same examples.
    noise : ndarray of shape (C,)
        See `noise_of_logits`.
    """
    decided = logits.argmax(axis=-1)[:, None]
    offset = projected - logits
    place = np.broadcast_to(decided, (*projected.shape[:-1], 1))
    # What is added to all classes of an example changes no decision between them.
    common = np.take_along_axis(offset, place, axis=-1)
    common = np.where(np.abs(common) <= noise[decided], 0.0, common)
    alike = np.abs(offset - common) <= noise
    kept = alike & ((common == 0.0) | (alike.sum(axis=-1, keepdims=True) > 1))
    settled = np.where(kept, logits + common, projected)
    highest = settled.max(axis=-1, keepdims=True)
    tied = highest - settled <= noise
    of_projection = (tied & ~alike).any(axis=-1, keepdims=True)
    return np.asarray(np.where(tied & of_projection, highest, settled))


def may_tie(logits: Array, noise: Array) -> NDArray[np.bool_]:
    """Return which examples the model decides within rounding noise, shape (N,).

    Against another class, or against a threshold of 0 or of probability one half.
    """
    wide = 2.0 * noise
    rivals = logits.max(axis=-1, keepdims=True) - logits <= wide
    near = rivals.sum(axis=-1) > 1
    for threshold in (0.0, 0.5, float(np.log(0.5))):
        near |= (np.abs(logits - threshold) <= wide).any(axis=-1)
    return np.asarray(near)
