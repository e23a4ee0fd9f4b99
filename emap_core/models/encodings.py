"""Encoded texts and images: tensors, arrays or lists, nested in tuples and dicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Encodings = Any
"""A tensor, array or list whose first axis counts items, or a (nested) tuple or dict of them."""


def map_leaves(function: Callable[..., Any], encodings: Encodings, *others: Encodings) -> Encodings:
    """Apply `function` to every leaf of `encodings` (and the same leaves of `others`)."""
    if isinstance(encodings, dict):
        return {
            key: map_leaves(function, encodings[key], *(o[key] for o in others))
            for key in encodings
        }
    if isinstance(encodings, tuple):
        return tuple(map_leaves(function, *parts) for parts in zip(encodings, *others, strict=True))
    return function(encodings, *others)


def leaves(encodings: Encodings) -> list[Any]:
    """Return the tensors, arrays and lists of `encodings` in a fixed order."""
    found: list[Any] = []
    map_leaves(found.append, encodings)
    return found


def count(encodings: Encodings) -> int:
    """Return the number of items on the first axis."""
    return len(leaves(encodings)[0])


@dataclass(frozen=True, eq=False)
class Product:
    """Every combination of items of several sides; the last side varies fastest.

    Attributes
    ----------
    sides : tuple of encodings
        Encodings of some items of each side; the number of combinations is the product of theirs.
    """

    sides: tuple[Encodings, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of items of each side."""
        return tuple(map(count, self.sides))

    def __len__(self) -> int:
        return prod(self.sizes)

    def aligned(self) -> tuple[Encodings, ...]:
        """Return the encodings of each side, one item per combination."""
        places = np.unravel_index(np.arange(len(self)), self.sizes)
        return tuple(take(one, index) for one, index in zip(self.sides, places, strict=True))

    def blocks(self, most: int) -> list[Product]:
        """Split into products of at most `most` combinations each, in order."""
        return [
            Product(tuple(take(one, part) for one, part in zip(self.sides, parts, strict=True)))
            for parts in _blocks(self.sizes, most)
        ]


def boxes(start: int, stop: int, sizes: Sequence[int]) -> list[tuple[slice, ...]]:
    """Return the whole products that make up a range of combinations, in order.

    Parameters
    ----------
    start, stop : int
        A range among all combinations of `sizes` items; the last side varies fastest.
    sizes : sequence of int

    Examples
    --------
    >>> [[(part.start, part.stop) for part in box] for box in boxes(2, 7, (3, 3))]
    [[(0, 1), (2, 3)], [(1, 2), (0, 3)], [(2, 3), (0, 1)]]
    """
    if len(sizes) == 1:
        return [(slice(start, stop),)] if start < stop else []
    rest = sizes[1:]
    inner = prod(rest)
    first, last = -(-start // inner), stop // inner
    if first > last:
        # Within one item of the first side.
        within = boxes(start - last * inner, stop - last * inner, rest)
        return [(slice(last, first), *one) for one in within]
    before = boxes(start - (first - 1) * inner, inner, rest) if first * inner > start else []
    after = boxes(0, stop - last * inner, rest)
    whole = [(slice(first, last), *(slice(0, n) for n in rest))] if first < last else []
    return [
        *((slice(first - 1, first), *one) for one in before),
        *whole,
        *((slice(last, last + 1), *one) for one in after),
    ]


def _blocks(sizes: Sequence[int], most: int) -> list[tuple[slice, ...]]:
    rest = sizes[1:]
    inner = prod(rest)
    if inner <= most:
        step = max(most // inner, 1)
        return [
            (slice(start, min(start + step, sizes[0])), *(slice(0, n) for n in rest))
            for start in range(0, sizes[0], step)
        ]
    within = _blocks(rest, most)
    return [(slice(k, k + 1), *one) for k in range(sizes[0]) for one in within]


def take(encodings: Encodings, index: Sequence[int] | NDArray[np.intp] | slice) -> Encodings:
    """Return the items at `index` (positions or a slice)."""

    def pick(leaf: Any) -> Any:
        if isinstance(leaf, list):
            return leaf[index] if isinstance(index, slice) else [leaf[i] for i in index]
        if isinstance(index, slice):
            return leaf[index]
        if isinstance(leaf, torch.Tensor):
            return leaf.index_select(0, torch.as_tensor(index, device=leaf.device))
        return leaf[np.asarray(index)]

    return map_leaves(pick, encodings)


def concatenate(parts: Sequence[Encodings]) -> Encodings:
    """Join several encodings along their first axis; their other axes must agree."""

    def join(*same: Any) -> Any:
        if isinstance(same[0], list):
            return [item for part in same for item in part]
        return torch.cat(same) if isinstance(same[0], torch.Tensor) else np.concatenate(same)

    return parts[0] if len(parts) == 1 else map_leaves(join, *parts)


def item_shapes(encodings: Encodings) -> tuple[tuple[int, ...], ...]:
    """Return the shape of one item in every leaf; encodings of the same shapes can be joined."""
    return tuple(
        () if isinstance(leaf, list) else tuple(leaf.shape[1:]) for leaf in leaves(encodings)
    )


def n_bytes(encodings: Encodings) -> int:
    """Return the memory of the encodings, in bytes."""
    total = 0
    for leaf in leaves(encodings):
        if isinstance(leaf, torch.Tensor):
            total += leaf.element_size() * leaf.nelement()
        elif isinstance(leaf, np.ndarray):
            total += leaf.nbytes
        else:
            total += sum(_size_of_item(item) for item in leaf)
    return total


def to_device(encodings: Encodings, device: str | torch.device) -> Encodings:
    """Move tensors to `device`; arrays and lists stay as they are."""
    return map_leaves(
        lambda leaf: leaf.to(device, non_blocking=True) if isinstance(leaf, torch.Tensor) else leaf,
        encodings,
    )


def pinned(encodings: Encodings) -> Encodings:
    """Return tensors in pinned host memory, from which a device copies by itself."""
    return map_leaves(
        lambda leaf: leaf.cpu().pin_memory() if isinstance(leaf, torch.Tensor) else leaf, encodings
    )


def _size_of_item(item: Any) -> int:
    width, height = getattr(item, "size", (0, 0)) if not isinstance(item, str) else (len(item), 1)
    return 4 * width * height
