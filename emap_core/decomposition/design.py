"""Which cells of a large grid are evaluated: a balanced, connected, seeded incomplete layout.

Source of incomplete two-way layouts: John & Williams, "Cyclic and Computer Generated Designs",
2nd edition, 1995.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emap_core.decomposition.projection import example_shares
from emap_core.errors import SettingError
from emap_core.types import Array, Index

MATCHED = -1
"""Round of a cell that an example sits in; such cells are evaluated whatever the rounds are."""

FEWEST_IMAGES_PER_TEXT = 4
"""Two halves that each connect all texts and images need two images per text."""


@dataclass(frozen=True, eq=False)
class Design:
    """Cells to evaluate, sorted by text, then by image, each of them once.

    Attributes
    ----------
    texts, images : ndarray of shape (M,), int32
        The cells.
    rounds : ndarray of shape (M,), int32
        The round that drew each cell, from 0; `MATCHED` for the cells of the examples. Every
        round gives each text one image, so that even and odd rounds are disjoint halves.
    text_index, image_index : ndarray of shape (N,)
        The cell of each example.
    example_cells : ndarray of shape (N,)
        Where the cell of each example stands among the M.
    text_share, image_share : ndarray of shape (U_t,) and (U_v,)
        Shares of the examples that use each text and each image.
    images_per_text : int
        Rounds, at most U_v; then the layout is the whole grid.
    seed : int
    """

    texts: NDArray[np.int32]
    images: NDArray[np.int32]
    rounds: NDArray[np.int32]
    text_index: Index
    image_index: Index
    example_cells: Index
    text_share: Array
    image_share: Array
    images_per_text: int
    seed: int

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def shape(self) -> tuple[int, int]:
        """Unique texts and unique images."""
        return len(self.text_share), len(self.image_share)

    @property
    def fraction(self) -> float:
        """Chance that a cell without an example is evaluated."""
        return self.images_per_text / len(self.image_share)

    @property
    def inclusion(self) -> Array:
        """Chance that each cell is evaluated, shape (M,); 1 for the cells of the examples."""
        return np.where(self.rounds == MATCHED, 1.0, self.fraction)

    @property
    def weights(self) -> Array:
        """What each cell stands for in sums over all recombinations, p_u q_w / chance, (M,)."""
        shares = self.text_share[self.texts] * self.image_share[self.images]
        return np.asarray(shares / self.inclusion)

    def find(self, other: Design) -> Index:
        """Return the place of each cell among those of a design of the same grid, else -1."""
        wanted, known = (d.texts.astype(np.int64) * d.shape[1] + d.images for d in (self, other))
        place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        return np.where(known[place] == wanted, place, -1)


def design(
    n_texts: int,
    n_images: int,
    text_index: ArrayLike,
    image_index: ArrayLike,
    images_per_text: int,
    seed: int = 0,
) -> Design:
    """Choose the cells to evaluate so that every text meets `images_per_text` images.

    Every image meets about as many texts as any other. The cells of the examples come on top.
    A layout with more images per text and the same seed holds all cells of one with fewer; with
    as many as there are images it is the whole grid.

    Parameters
    ----------
    n_texts, n_images : int
        Unique texts and images; each is used by an example.
    text_index, image_index : array of shape (N,)
        The cell of each example.
    images_per_text : int
    seed : int

    Raises
    ------
    SettingError
        If `images_per_text` is under 4 and under the number of images.
    """
    k = min(images_per_text, n_images)
    if k < min(FEWEST_IMAGES_PER_TEXT, n_images):
        raise SettingError(
            f"images_per_text is {images_per_text}; expected at least "
            f"{min(FEWEST_IMAGES_PER_TEXT, n_images)}, so that halves of the cells still "
            "connect all texts and images"
        )
    a, b = np.asarray(text_index, dtype=np.intp), np.asarray(image_index, dtype=np.intp)
    rng = np.random.default_rng(seed)
    offsets = _offsets(n_texts, n_images, k, rng)
    text_order = rng.permutation(n_texts).astype(np.int32)
    image_order = rng.permutation(n_images).astype(np.int32)

    # A cyclic layout under random names: row i of a cycle meets image i + offset, so that each
    # round is a permutation, and every cell has the same chance.
    slots = np.arange(n_texts, dtype=np.int32)
    keys = np.empty((n_texts, k), dtype=np.int64)
    for j in range(k):
        met = image_order[(slots + offsets[slots // n_images, j]) % n_images]
        keys[text_order, j] = text_order.astype(np.int64) * n_images + met
    order = np.argsort(keys, axis=1)
    drawn = np.take_along_axis(keys, order, axis=1).ravel()
    rounds = order.astype(np.int32).ravel()

    own = a.astype(np.int64) * n_images + b
    matched = np.unique(own)
    place = np.searchsorted(drawn, matched)
    already = drawn[np.minimum(place, len(drawn) - 1)] == matched
    rounds[place[already]] = MATCHED
    cells = np.insert(drawn, place[~already], matched[~already])
    rounds = np.insert(rounds, place[~already], MATCHED)
    p, q = example_shares(a, b, n_texts, n_images)
    return Design(
        texts=(cells // n_images).astype(np.int32),
        images=(cells % n_images).astype(np.int32),
        rounds=rounds,
        text_index=a,
        image_index=b,
        example_cells=np.searchsorted(cells, own),
        text_share=p,
        image_share=q,
        images_per_text=k,
        seed=seed,
    )


def _offsets(n_texts: int, n_images: int, k: int, rng: np.random.Generator) -> NDArray[np.int32]:
    """Return how far each cycle of texts is shifted in each round, shape (cycles, k)."""
    cycles, rest = divmod(n_texts, n_images)
    # One generator a cycle: with more rounds each continues where it stopped with fewer.
    generators = rng.spawn(cycles + (rest > 0))
    chosen = np.empty((len(generators), k), dtype=np.int32)
    for c in range(cycles):
        chosen[c] = _connecting(generators[c].permutation(n_images))[:k]
    if rest:
        chosen[-1] = _spread_offsets(rest, n_images, k, generators[-1])
    return chosen


def _connecting(order: NDArray[np.intp]) -> NDArray[np.intp]:
    # Neighbouring shifts chain all texts, once within the even rounds and once within the odd.
    n = len(order)
    if n < FEWEST_IMAGES_PER_TEXT:
        return order
    first = int(order[0])
    second = next(int(o) for o in order[1:] if (o - first) % n not in (1, n - 1))
    head = [first, second, (first + 1) % n, (second + 1) % n]
    return np.concatenate([head, order[~np.isin(order, head)]])


def _spread_offsets(
    n_texts: int, n_images: int, k: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Return shifts of a block of fewer texts than images that cover the images evenly."""
    chosen = _connecting(rng.permutation(n_images))[: min(k, FEWEST_IMAGES_PER_TEXT)].tolist()
    met = np.zeros(n_images, dtype=np.int64)
    free = np.ones(n_images, dtype=bool)
    for j in range(k):
        if j == len(chosen):
            ahead = np.concatenate([[0], np.cumsum(np.concatenate([met, met[:n_texts]]))])
            total = ahead[n_texts : n_texts + n_images] - ahead[:n_images]
            least = total[free].min()
            chosen.append(int(rng.choice(np.flatnonzero(free & (total == least)))))
        met[(chosen[j] + np.arange(n_texts)) % n_images] += 1
        free[chosen[j]] = False
    return np.array(chosen)
