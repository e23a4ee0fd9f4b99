"""The arrays that a run keeps of a decomposition: their names on disk, and what each must be.

Names on disk are written out here, apart from the attributes that they are read into: what is
renamed in the code stays what it is in the runs that people have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emap_core.decomposition.projection import PARTS, TEXT_AND_IMAGE, Kind
from emap_core.decomposition.recombined import Recombined

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Layout:
    """How an array has to be.

    Attributes
    ----------
    axes : str or tuple
        One letter or number per axis; a letter is a size of the run, or of whatever array is the
        first to have it. N examples, C classes, T texts, V images.
    counts : str
        The letter of what its whole numbers count, from 0; none of floating-point numbers.
    finite : bool
        Whether all its numbers are.
    optional : bool
        Whether a run of an earlier version, say, may lack it.
    """

    axes: str | tuple[str | int, ...]
    counts: str = ""
    finite: bool = True
    optional: bool = False


DECOMPOSITION = {
    "text_order": Layout("T", counts="T"),
    "text_index": Layout("N", counts="T"),
    "image_index": Layout("N", counts="V"),
    "logits": Layout("NC"),
    "mean": Layout("C"),
    "text_mean": Layout("TC"),
    "image_mean": Layout("VC"),
    "text_share": Layout("T"),
    "image_share": Layout("V"),
    "sums_of_squares": Layout((len(PARTS), "C")),
    "centred_variance": Layout("C"),
    # Runs of earlier versions hold none: that of float32 logits is right for them.
    "noise": Layout("C", optional=True),
}
"""Of every method; ``text_order`` is that of the rows of a kept grid."""


DECOMPOSITION_FIELDS = {
    "logits": "logits",
    "mean": "mean",
    "text_mean": "text_mean",
    "image_mean": "image_mean",
    "text_share": "text_share",
    "image_share": "image_share",
    "text_index": "text_index",
    "image_index": "image_index",
    "sums_of_squares": "sums_of_squares",
    "centred_variance": "centred_variance",
    "noise": "noise",
}
"""Names on disk to attributes of any decomposition."""

RECOMBINED = {
    "recombined_text_decisions": Layout("TK", optional=True),
    "recombined_image_decisions": Layout("VK", optional=True),
    "recombined_text_probabilities": Layout("TK", optional=True),
    "recombined_image_probabilities": Layout("VK", optional=True),
    "recombined_entropy": Layout("", optional=True),
}
"""Answers over all recombinations, K classes: of runs that read them, and keep no whole grid."""


def decomposition_of(arrays: Arrays, kind: type[Kind], further: Mapping[str, str]) -> Kind:
    """Return the decomposition that `arrays_of` took `DECOMPOSITION_FIELDS` from.

    Parameters
    ----------
    arrays : mapping
    kind : type
        `Decomposition`, or one with fields of its own.
    further : mapping of str to str
        Names on disk of these to attributes.
    """
    kept = fields_of(arrays, DECOMPOSITION_FIELDS)

    def sides(what: str) -> tuple[NDArray[Any], ...]:
        return tuple(kept[f"{side}_{what}"] for side in TEXT_AND_IMAGE)

    return kind(
        sides=TEXT_AND_IMAGE,
        index=sides("index"),
        shares=sides("share"),
        side_means=sides("mean"),
        **{
            name: kept[name]
            for name in ("logits", "mean", "sums_of_squares", "centred_variance", "noise")
        },
        **fields_of(arrays, further),
    )


def recombined_arrays(recombined: Recombined | None) -> dict[str, NDArray[Any]]:
    """Return what is kept of the answers over all recombinations, if they were read."""
    return {} if recombined is None else dict(recombined.arrays())


def arrays_of(source: object, fields: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    """Return the attributes of an object by their names on disk.

    Parameters
    ----------
    source : object
    fields : mapping of str to str
        Names on disk to attributes.
    """
    return {name: np.asarray(getattr(source, attribute)) for name, attribute in fields.items()}


def fields_of(arrays: Arrays, fields: Mapping[str, str]) -> dict[str, Any]:
    """Return arrays by the attributes that `arrays_of` took them from; None where missing.

    Layouts say which may be missing; they were checked when the arrays were read.
    """
    return {attribute: arrays.get(name) for name, attribute in fields.items()}
