"""The arrays that a run keeps of a decomposition: their names on disk, and what each must be.

Names on disk are written out here, separately from attribute names: a rename in the code does not
change the runs that people have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emap_core.decomposition.projection import PARTS, TEXT_AND_IMAGE, Decomposition, Kind
from emap_core.decomposition.recombined import Recombined
from emap_core.decomposition.sets_of_sides import Sides, all_sets
from emap_core.types import Array

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Layout:
    """Requirements on an array.

    Attributes
    ----------
    axes : str or tuple
        One letter or number per axis; a letter is a size of the run, or of the first array that has
        it. N examples, C classes, T texts, V images, U0, U1, … items of sides.
    counts : str
        The letter of what its whole numbers count, from 0; empty for floating-point numbers.
    finite : bool
        Whether all its numbers must be finite.
    optional : bool
        Whether it may be missing, for example in a run of an earlier version.
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
    # Runs of earlier versions lack it: that of float32 logits is right for them.
    "noise": Layout("C", optional=True),
}
"""For every method; ``text_order`` is the order of the rows of a kept grid."""


DECOMPOSITION_FIELDS = {
    "logits": "logits",
    "mean": "mean",
    "text_mean": "row_mean",
    "image_mean": "column_mean",
    "text_share": "row_share",
    "image_share": "column_share",
    "text_index": "row_index",
    "image_index": "column_index",
    "sums_of_squares": "sums_of_squares",
    "centred_variance": "centred_variance",
    "noise": "noise",
}
"""Maps names on disk to attributes of any decomposition."""

RECOMBINED = {
    "recombined_text_decisions": Layout("TK", optional=True),
    "recombined_image_decisions": Layout("VK", optional=True),
    "recombined_text_probabilities": Layout("TK", optional=True),
    "recombined_image_probabilities": Layout("VK", optional=True),
    "recombined_entropy": Layout("", optional=True),
}
"""Answers over all recombinations, K classes: for runs that read them without keeping the grid."""


def decomposition_of(arrays: Arrays, kind: type[Kind], further: Mapping[str, str]) -> Kind:
    """Return the decomposition whose `DECOMPOSITION_FIELDS` `arrays_of` stored.

    Parameters
    ----------
    arrays : mapping
    kind : type
        `Decomposition`, or one with fields of its own.
    further : mapping of str to str
        Maps further names on disk to attributes.
    """
    kept = fields_of(arrays, DECOMPOSITION_FIELDS)

    def sides(what: str) -> tuple[NDArray[Any], ...]:
        return tuple(kept[f"{axis}_{what}"] for axis in ("row", "column"))

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


_OF_ALL_SIDES = ("logits", "mean", "centred_variance", "noise")


def layouts_of_sides(n_sides: int) -> dict[str, Layout]:
    """Return the arrays of a decomposition of more than two sides, numbered from 0."""
    found = layouts_of_single_sides(n_sides)
    found["sums_of_squares"] = Layout((2**n_sides - 1, "C"))
    for name in _joint_names(tuple(map(str, range(n_sides)))).values():
        found |= {f"{name}_mean": Layout("NC"), f"{name}_centred_squares": Layout("C")}
    return found


def layouts_of_single_sides(n_sides: int) -> dict[str, Layout]:
    """Return those arrays that do not depend on sets of several sides."""
    found = {
        "text_order": Layout((size_of_side(0),), counts=size_of_side(0)),
        "logits": Layout("NC"),
        "mean": Layout("C"),
        "centred_variance": Layout("C"),
        "noise": Layout("C"),
    }
    for side in range(n_sides):
        size = size_of_side(side)
        found |= {
            f"side_{side}_index": Layout("N", counts=size),
            f"side_{side}_mean": Layout((size, "C")),
            f"side_{side}_share": Layout((size,)),
        }
    return found


def size_of_side(place: int) -> str:
    """Return the layouts' letter for a side's number of items, given its place from 0."""
    return f"U{place}"


def arrays_of_sides(decomposition: Decomposition) -> dict[str, NDArray[Any]]:
    """Return a decomposition of more than two sides by names on disk."""
    found = arrays_of_single_sides(decomposition)
    found["sums_of_squares"] = decomposition.sums_of_squares
    for some, name in _joint_names(decomposition.sides).items():
        found[f"{name}_mean"] = decomposition.joint_means[some]
        found[f"{name}_centred_squares"] = decomposition.centred_joint_squares[some]
    return found


def arrays_of_single_sides(decomposition: Decomposition) -> dict[str, NDArray[Any]]:
    """Return those arrays that do not depend on sets of several sides."""
    found = {name: np.asarray(getattr(decomposition, name)) for name in _OF_ALL_SIDES}
    for side in range(len(decomposition.sides)):
        found |= {
            f"side_{side}_index": decomposition.index[side],
            f"side_{side}_mean": decomposition.side_means[side],
            f"side_{side}_share": decomposition.shares[side],
        }
    return found


MOST_BYTES_OF_MEANS = 2**28
"""Larger means over pairs of sides are not kept; they may be as large as the grid."""


def means_of_two_on_disk(means: Mapping[Sides, Array], sides: Sides) -> dict[str, Array]:
    """Return the means of every two sides over the others by names on disk; none if too large."""
    if sum(one.nbytes for one in means.values()) > MOST_BYTES_OF_MEANS:
        return {}
    return {
        name_of_means(sides.index(first), sides.index(second)): found
        for (first, second), found in means.items()
    }


def name_of_means(first: int, second: int) -> str:
    """Return the names on disk of the means of two sides over the others, by places."""
    return f"means_{first}_{second}"


def layout_of_means(first: int, second: int) -> Layout:
    """Return the layouts of the means of two sides over the others, by places."""
    return Layout((size_of_side(first), size_of_side(second), "C"), optional=True)


def decomposition_of_sides(arrays: Arrays, sides: Sides) -> Decomposition:
    """Return the decomposition that `arrays_of_sides` stored."""
    joint = _joint_names(sides)
    return Decomposition(
        sides=sides,
        sums_of_squares=arrays["sums_of_squares"],
        joint_means={some: arrays[f"{name}_mean"] for some, name in joint.items()},
        centred_joint_squares={
            some: arrays[f"{name}_centred_squares"] for some, name in joint.items()
        },
        **single_sides_of(arrays, len(sides)),
    )


def single_sides_of(arrays: Arrays, n_sides: int) -> dict[str, Any]:
    """Return by attribute what `arrays_of_single_sides` stored of a decomposition."""

    def by_side(what: str) -> tuple[NDArray[Any], ...]:
        return tuple(arrays[f"side_{side}_{what}"] for side in range(n_sides))

    by_sides = {
        "index": by_side("index"),
        "shares": by_side("share"),
        "side_means": by_side("mean"),
    }
    return by_sides | {name: arrays[name] for name in _OF_ALL_SIDES}


def _joint_names(sides: Sides) -> dict[Sides, str]:
    """Return the names on disk of the sets of more than one side and fewer than all."""
    places = {side: str(place) for place, side in enumerate(sides)}
    return {
        some: "joint_" + "_".join(places[side] for side in some)
        for some in all_sets(sides)[:-1]
        if len(some) > 1
    }


def recombined_arrays(recombined: Recombined | None) -> dict[str, NDArray[Any]]:
    """Return the arrays of the answers over all recombinations, if they were read."""
    return {} if recombined is None else dict(recombined.arrays())


def arrays_of(source: object, fields: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    """Return the attributes of an object by their names on disk.

    Parameters
    ----------
    source : object
    fields : mapping of str to str
        Maps names on disk to attributes.
    """
    return {name: np.asarray(getattr(source, attribute)) for name, attribute in fields.items()}


def fields_of(arrays: Arrays, fields: Mapping[str, str]) -> dict[str, Any]:
    """Return arrays by the attributes that `arrays_of` stored; None if missing.

    Layouts say which may be missing; they were checked when the arrays were read.
    """
    return {attribute: arrays.get(name) for name, attribute in fields.items()}
