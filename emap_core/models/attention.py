"""Attention between words and picture, taken apart: quadrants of the weights, averaged.

After the softmax, each weight belongs to a query (a word or a place in the picture) and a key of
either kind. Averaging a quadrant gives each of its keys the mean of the keys that the query may
see, so the query can no longer choose among them: QUAG (Rawal et al., ICML 2024, arXiv 2306.08889,
section 2). The total that a row gives to each kind of key stays the same.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

Side = Literal["text", "image"]
Quadrant = tuple[Side, Side]
"""Side of the query, side of the key."""

IMPAIRMENTS: dict[str, frozenset[Quadrant]] = {
    "unimodal": frozenset({("text", "text"), ("image", "image")}),
    "crossmodal": frozenset({("text", "image"), ("image", "text")}),
    "text": frozenset({("text", "text"), ("image", "text")}),
    "image": frozenset({("image", "image"), ("text", "image")}),
}
"""Which quadrants are averaged, by name: within the sides, across them, all text keys, all image
keys."""

_SOFTMAX = {torch.softmax, functional.softmax, torch.Tensor.softmax}
_ATTENTION = functional.scaled_dot_product_attention
# Masks are added to scores as numbers far below any score.
_HIDDEN = 1_000.0


@dataclass(frozen=True, eq=False)
class AttentionSite:
    """A module whose forward pass computes attention weights.

    Attributes
    ----------
    module : Module
    layer : int
        Counted from 0.
    calls : sequence of (side, side)
        Sides of queries and keys, ``text``, ``image`` or ``both``, for each call on a pair in turn;
        if queries are of both, they are the last ones of the sequence.
    """

    module: nn.Module
    layer: int
    calls: Sequence[tuple[str, str]] = (("both", "both"),)


@runtime_checkable
class ReachableAttention(Protocol):
    """A staged model that says where its attention is, and which positions are words or picture.

    If the score continues where `encode_images` stopped (from a cache, for example), the model also
    has ``image_positions_of_prefix(n_keys)``, shape (1, n_keys), for the encoding of images. A
    model that takes only one pair at a time says ``pairs_at_a_time = 1``.
    """

    def attention_sites(self) -> list[AttentionSite]:
        """Return all places in `score` that compute attention weights."""

    def image_positions(self, text_encodings: Any, image_encodings: Any) -> torch.Tensor:
        """Return which positions of sequences of both sides belong to the image, bool (B, length).

        Later positions belong to the text.
        """


class ImpairedAttention(TorchFunctionMode):
    """Averages quadrants of attention weights while a model scores pairs.

    Parameters
    ----------
    sites : sequence of AttentionSite
    quadrants : set of (side, side)
        What is averaged; nothing by default.
    layers : set of int, optional
        In which layers; all by default.

    Attributes
    ----------
    positions : callable
        Takes a number of keys; returns which belong to the image, shape (B, keys) or (1, keys).
    seen : dict
        The quadrants with weights, for each layer in which weights were seen.
    watch : callable, optional
        Called with the original weights, those that queries may see, and the sides of queries and
        keys as booleans that are true for the image.
    """

    def __init__(
        self,
        sites: Sequence[AttentionSite],
        quadrants: frozenset[Quadrant] = frozenset(),
        layers: frozenset[int] | None = None,
    ) -> None:
        super().__init__()
        self.quadrants, self.layers = quadrants, layers
        self.positions: Callable[[int], torch.Tensor] | None = None
        self.seen: dict[int, set[Quadrant]] = {}
        self.watch: Callable[..., None] | None = None
        self._sites = sites
        self._current: tuple[int, str, str] | None = None

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Call the function, and change the result of a softmax over scores."""
        given = kwargs or {}
        if self._current is None:
            return func(*args, **given)
        if func is _ATTENTION:
            return self._attend(*args, **given)
        found = func(*args, **given)
        if func in _SOFTMAX and found.ndim == 4:
            scores = args[0] if args else given["input"]
            visible = scores > scores.amax(dim=-1, keepdim=True) - _HIDDEN
            return self._impaired(found, visible)
        return found

    @contextmanager
    def within(self, positions: Callable[[int], torch.Tensor]) -> Iterator[None]:
        """Impair what is computed within the block, given its image positions."""
        hooks = []
        for site in self._sites:
            hooks += self._hooks(site)
        self.positions = positions
        try:
            with self:
                yield
        finally:
            for hook in hooks:
                hook.remove()
            self._current = None

    def _hooks(self, site: AttentionSite) -> list[Any]:
        number = 0

        def enter(*_: Any) -> None:
            nonlocal number
            self._current = (site.layer, *site.calls[number % len(site.calls)])
            number += 1

        def leave(*_: Any) -> None:
            self._current = None

        return [
            site.module.register_forward_pre_hook(enter),
            site.module.register_forward_hook(leave),
        ]

    def _attend(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Compute `scaled_dot_product_attention` through its weights."""
        call = _SIGNATURE.bind(*args, **kwargs)
        call.apply_defaults()
        query, key, value = (call.arguments[name] for name in ("query", "key", "value"))
        mask, scale = call.arguments["attn_mask"], call.arguments["scale"]
        if query.ndim != 4:
            return torch.as_tensor(_ATTENTION(*args, **kwargs))
        if key.shape[1] != query.shape[1]:
            n_same = query.shape[1] // key.shape[1]
            key, value = (side.repeat_interleave(n_same, dim=1) for side in (key, value))
        scores = query @ key.transpose(-1, -2)
        scores = scores * (1.0 / math.sqrt(query.shape[-1]) if scale is None else scale)
        if call.arguments["is_causal"]:
            mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        if mask is not None and mask.dtype == torch.bool:
            scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
        elif mask is not None:
            scores = scores + mask
        visible = scores > scores.amax(dim=-1, keepdim=True) - _HIDDEN
        attended: torch.Tensor = self._impaired(scores.softmax(dim=-1), visible) @ value
        return attended

    def _impaired(self, weights: torch.Tensor, visible: torch.Tensor) -> torch.Tensor:
        if self._current is None or self.positions is None:
            return weights
        layer, queries, keys = self._current
        n_queries, n_keys = weights.shape[-2:]
        of_both = self.positions(n_keys).to(weights.device)
        key_sides = _sides(keys, of_both, n_keys)
        query_sides = _sides(queries, of_both[:, -n_queries:], n_queries)
        self.seen.setdefault(layer, set()).update(_quadrants(query_sides, key_sides))
        if self.watch is not None:
            self.watch(weights, visible, query_sides, key_sides)
        if not self.quadrants or (self.layers is not None and layer not in self.layers):
            return weights
        return averaged(weights, visible, query_sides, key_sides, self.quadrants)


_SIGNATURE = inspect.Signature(
    [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default)
        for name, default in (
            *(("query", None), ("key", None), ("value", None), ("attn_mask", None)),
            *(("dropout_p", 0.0), ("is_causal", False), ("scale", None), ("enable_gqa", False)),
        )
    ]
)


def averaged(
    weights: torch.Tensor,
    visible: torch.Tensor,
    query_is_image: torch.Tensor,
    key_is_image: torch.Tensor,
    quadrants: frozenset[Quadrant],
) -> torch.Tensor:
    """Return attention weights with some quadrants averaged.

    Parameters
    ----------
    weights : tensor of shape (B, heads, queries, keys)
    visible : bool tensor of the same shape
        Keys that are not masked.
    query_is_image, key_is_image : bool tensor of shape (B or 1, queries) and (B or 1, keys)
    quadrants : set of (side, side)
    """
    result = weights
    for of_image, side in ((False, "text"), (True, "image")):
        keys = (key_is_image == of_image)[:, None, None] & visible
        rows = torch.zeros_like(query_is_image)
        if ("text", side) in quadrants:
            rows = rows | ~query_is_image
        if ("image", side) in quadrants:
            rows = rows | query_is_image
        total = (weights * keys).sum(dim=-1, keepdim=True)
        mean = total / keys.sum(dim=-1, keepdim=True).clamp(min=1)
        result = torch.where(rows[:, None, :, None] & keys, mean, result)
    return result


def padded(positions: torch.Tensor, n_keys: int) -> torch.Tensor:
    """Return the image positions among a number of keys; keys after the known ones are words."""
    return functional.pad(positions[:, :n_keys], (0, max(0, n_keys - positions.shape[1])))


def _sides(side: str, of_both: torch.Tensor, size: int) -> torch.Tensor:
    if side == "both":
        return of_both
    return torch.full((1, size), side == "image", device=of_both.device)


def _quadrants(query_is_image: torch.Tensor, key_is_image: torch.Tensor) -> set[Quadrant]:
    def sides(of_image: torch.Tensor) -> list[Side]:
        found: list[Side] = []
        if not bool(of_image.all()):
            found.append("text")
        if bool(of_image.any()):
            found.append("image")
        return found

    return {(query, key) for query in sides(query_is_image) for key in sides(key_is_image)}
