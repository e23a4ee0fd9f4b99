"""What is drawn at random, and which population numbers therefore describe.

Where a text or an image serves several examples, these examples are not independent. The units
that are drawn are then whole texts, whole images, or both. For both, the variance of two-way
clusters is put together from three one-way ones: that of drawing texts, plus that of drawing
images, minus that of drawing pairs, which the first two both contain (Cameron, Gelbach & Miller,
Journal of Business & Economic Statistics 29, 2011). It is never below either of the first two.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emap_core.decomposition import Decomposition
from emap_core.errors import SettingError
from emap_core.types import Array, Cluster

CLUSTERS = ("auto", "none", "image", "text", "both")

N_RESAMPLES = 400
"""In all, shared out where there are several ways to draw: a variance needs no thousands."""
LEAST_RESAMPLES = 100
"""From fewer, shared out where there are several ways to draw, a standard error is off by more than
an eighth of itself by chance alone."""
MOST_RESAMPLES = 1_000_000

_ELEMENTS_OF_WEIGHTS = 2**23


@dataclass(frozen=True, eq=False)
class SamplingUnits:
    """One way to draw examples: whole groups of them.

    Attributes
    ----------
    name : str
        ``examples``, ``images``, ``texts`` or ``pairs``.
    groups : ndarray of int, shape (N,)
        The number of each example's unit.
    size : int
        How many units there are.
    """

    name: str
    groups: NDArray[np.intp]
    size: int

    def draw(self, n_resamples: int, rng: np.random.Generator) -> Array:
        """Return how often each example is drawn, shape (n_resamples, N), in whole units."""
        drawn = rng.integers(0, self.size, (n_resamples, self.size))
        drawn += self.size * np.arange(n_resamples)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=n_resamples * self.size)
        counts = counts.reshape(n_resamples, self.size).astype(np.float64)
        return np.take(counts, self.groups, axis=1)

    def resamples(self, n_resamples: int, rng: np.random.Generator) -> Iterator[Array]:
        """Yield `draw`, a bounded number of resamples at a time."""
        step = max(8, _ELEMENTS_OF_WEIGHTS // len(self.groups))
        for start in range(0, n_resamples, step):
            yield self.draw(min(step, n_resamples - start), rng)


@dataclass(frozen=True, eq=False)
class Population:
    """What is drawn from a data set, and what numbers about it speak of.

    Attributes
    ----------
    cluster : str
        ``none`` (examples), ``image``, ``text`` or ``both``.
    draws : tuple of SamplingUnits
        One way to draw, or three for ``both``: texts, images, and their pairs.
    n_units : int
        How many units there are; for ``both`` the fewer of texts and images.
    unit : str
        What they are called: ``examples``, ``texts`` or ``images``.
    words : str
        A phrase to put after a number: "for new texts and new images".
    """

    cluster: Cluster
    draws: tuple[SamplingUnits, ...]
    n_units: int
    unit: str
    words: str

    @property
    def degrees_of_freedom(self) -> int:
        """Of the variance: one less than the units."""
        return self.n_units - 1

    @property
    def drawn_words(self) -> str:
        """What is drawn, in words: "whole texts"."""
        if len(self.draws) > 1:
            return "whole texts, as many of whole images and of their pairs"
        return "examples" if self.cluster == "none" else f"whole {self.unit}"

    def share_out(self, n_resamples: int) -> int:
        """Return how many of so many resamples each way to draw takes."""
        return -(-n_resamples // len(self.draws))

    def variance(self, of_draws: Sequence[float]) -> float:
        """Return the variance that those of `draws`, in their order, come to."""
        if len(of_draws) == 1:
            return of_draws[0]
        texts, images, pairs = of_draws
        return max(texts + images - pairs, texts, images)

    def third_moment(self, of_draws: Sequence[float]) -> float:
        """Return the third central moment that those of `draws`, in their order, come to."""
        if len(of_draws) == 1:
            return of_draws[0]
        texts, images, pairs = of_draws
        return texts + images - pairs

    def fewest(self, chosen: NDArray[np.bool_]) -> int:
        """Return in how many units the chosen examples are; for ``both``, the fewer."""
        return min(len(np.unique(d.groups[chosen])) for d in self.draws if d.name != "pairs")


def population_of(decomposition: Decomposition, cluster: Cluster = "auto") -> Population:
    """Return what is drawn from the examples of a decomposition; see `population_of_items`."""
    return population_of_items(decomposition.text_index, decomposition.image_index, cluster)


def population_of_items(
    text_index: NDArray[np.intp], image_index: NDArray[np.intp], cluster: Cluster = "auto"
) -> Population:
    """Return what is drawn from examples with these texts and images.

    ``auto`` draws every side of which an item serves several examples. A side with a single item
    cannot be drawn. Where each text has images of its own, drawing texts draws these too, and the
    other way round; ``both`` comes down to that.

    Parameters
    ----------
    text_index, image_index : ndarray of int, shape (N,)
    cluster : {"auto", "none", "image", "text", "both"}

    Raises
    ------
    SettingError
        If `cluster` is unknown.
    """
    if cluster not in CLUSTERS:
        raise SettingError(f"cluster is {cluster!r}; expected one of {', '.join(CLUSTERS)}")
    texts, images = (
        SamplingUnits(name, *_numbered(index))
        for name, index in (("texts", text_index), ("images", image_index))
    )
    pairs = SamplingUnits("pairs", *_numbered(texts.groups * images.size + images.groups))
    examples = SamplingUnits("examples", np.arange(len(text_index)), len(text_index))
    chosen = _cluster(texts.size, images.size, pairs.size, examples.size, cluster)
    draws = {
        "none": (examples,),
        "text": (texts,),
        "image": (images,),
        "both": (texts, images, pairs),
    }[chosen]
    fewest = min((d for d in draws if d is not pairs), key=lambda d: d.size)
    # A side is drawn anew, too, where every unit that is drawn has items of its own.
    of_own = {"image": pairs.size, "text": pairs.size}.get(chosen, examples.size)
    new_texts = chosen in ("text", "both") or texts.size == of_own
    new_images = chosen in ("image", "both") or images.size == of_own
    return Population(
        cluster=chosen,
        draws=draws,
        n_units=fewest.size,
        unit=fewest.name,
        words=_words(chosen, texts.size, images.size, new_texts, new_images),
    )


def _numbered(index: NDArray[np.intp]) -> tuple[NDArray[np.intp], int]:
    different, numbers = np.unique(index, return_inverse=True)
    return np.asarray(numbers), len(different)


def _cluster(
    n_texts: int, n_images: int, n_pairs: int, n_examples: int, cluster: Cluster
) -> Cluster:
    if cluster not in ("auto", "both"):
        return cluster
    if min(n_texts, n_images) == 1:
        repeats = 1 < max(n_texts, n_images) < n_examples
        return ("text" if n_images == 1 else "image") if repeats else "none"
    if n_texts == n_pairs:
        return "none" if n_images == n_examples else "image"
    return "text" if n_images == n_pairs else "both"


def _words(cluster: Cluster, n_texts: int, n_images: int, new_texts: bool, new_images: bool) -> str:
    if cluster == "none" and new_texts and new_images:
        return "for new examples"
    if new_texts and new_images:
        return "for new texts and new images"
    texts = "new texts" if new_texts else _these(n_texts, "text")
    images = "new images" if new_images else _these(n_images, "image")
    whole = "for " if new_texts or new_images else "for new examples of "
    return f"{whole}{texts} and {images}"


def _these(n: int, what: str) -> str:
    return f"this one {what}" if n == 1 else f"these {n:,} {what}s"
