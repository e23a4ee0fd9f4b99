"""The arrays that a run keeps of a decomposition: their names on disk, and what each must be.

Names on disk are written out here, apart from the attributes that they are read into: what is
renamed in the code stays what it is in the runs that people have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from emap_core.decomposition import Decomposition
from emap_core.decomposition.projection import PARTS

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Layout:
    """How an array has to be.

    Attributes
    ----------
    axes : str or tuple
        A letter or a number an axis; a letter is a size of the run, or of whatever array is the
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


def decomposition_arrays(decomposition: Decomposition) -> dict[str, NDArray[Any]]:
    """Return what is kept of any decomposition."""
    return {
        "logits": decomposition.logits,
        "mean": decomposition.mean,
        "text_mean": decomposition.text_mean,
        "image_mean": decomposition.image_mean,
        "text_share": decomposition.text_share,
        "image_share": decomposition.image_share,
        "text_index": decomposition.text_index,
        "image_index": decomposition.image_index,
        "sums_of_squares": decomposition.sums_of_squares,
        "centred_variance": decomposition.centred_variance,
        "noise": decomposition.noise,
    }


def decomposition_fields(arrays: Arrays) -> dict[str, Any]:
    """Return the fields of any decomposition from what `decomposition_arrays` kept of it."""
    return {
        "logits": arrays["logits"],
        "mean": arrays["mean"],
        "text_mean": arrays["text_mean"],
        "image_mean": arrays["image_mean"],
        "text_share": arrays["text_share"],
        "image_share": arrays["image_share"],
        "text_index": arrays["text_index"],
        "image_index": arrays["image_index"],
        "sums_of_squares": arrays["sums_of_squares"],
        "centred_variance": arrays["centred_variance"],
        "noise": arrays.get("noise"),
    }
