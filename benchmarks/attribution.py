"""Whether the probe finds what is known to be there, on easy-VQA, which says where the shape is.

``python -m benchmarks.attribution [pointing|deletion|passes] [MODEL …]`` prints one of the tables.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import emap_core as emap
from benchmarks.tables import NotMeasuredError, markdown
from emap_core.probes.attribution import FINE, masks_for
from emap_core.probes.bilinear_fit import agreement, fit_bilinear
from emap_core.probes.maskable_units import Places, Words
from emap_core.probes.masked_grid import MaskedItems
from emap_core.probes.masks import ALL, Masks, draw_masks

MODELS = ("concat", "cross-attention", "self-attention")
N_EXAMPLES = 200
N_DRAWS = 8
_COLOURS = {"red", "green", "blue", "black", "gray", "teal", "brown", "yellow"}
_SHAPES = {"circle", "rectangle", "triangle"}
Array = NDArray[np.float64]


def attribution(models: tuple[str, ...] = MODELS, n_examples: int = N_EXAMPLES) -> str:
    """Say how often the strongest region of the strongest word lies on the shape."""
    rows = []
    for name in models:
        model, found = emap.load_model(f"demo:{name}"), []
        for text, picture, colour in examples(n_examples):
            began = time.perf_counter()
            words, places, again = (
                Words(text, 12),
                Places(picture, 7, "mean colour", colour),
                Places(picture, 7, "blur", colour),
            )
            rows_of, columns, fewer = masks_for(len(words.names), 49, FINE, 0)
            grid = outputs(model, words, places, rows_of, columns)
            fitted = fit_bilinear(grid, rows_of, columns)
            took = time.perf_counter() - began
            blurred = fit_bilinear(outputs(model, words, again, *fewer), *fewer).interactions
            size = np.abs(fitted.interactions)
            word = int(size.max(axis=1).argmax())
            on_shape = covered(picture, places)
            found.append(
                (
                    float(on_shape[int(size[word].argmax())] > 0),
                    float((on_shape > 0).mean()),
                    float(size[word][on_shape > 0].sum() / size[word].sum()),
                    fitted.explained,
                    agreement(fitted.interactions, blurred),
                    took,
                )
            )
        hits, chance, mass, *rest = np.array(found).T
        rows.append(
            [
                f"demo:{name}",
                len(found),
                f"{hits.mean():.1%}",
                f"{chance.mean():.1%}",
                f"{mass.mean():.1%}",
                *(float(np.median(one)) for one in rest),
            ]
        )
    return markdown(
        "Which words with which regions",
        "Questions of easy-VQA whose answer is a colour or a shape. Pointing: how often the "
        "region of the largest interaction overlaps the shape; by chance: the share of regions "
        "that overlap it. Mass: how much of that word's absolute interactions lies on such "
        "regions. R² is that on held-out masks. Agreement is the correlation with interactions "
        "where regions are blurred, not painted in the mean colour. Seconds are for as many "
        "masks as by default, with encoders and fit. These three are medians.",
        ["model", "examples", "pointing", "by chance", "mass", "R²", "agreement", "seconds"],
        rows,
    )


def deletion(models: tuple[str, ...] = MODELS, n_examples: int = 60) -> str:
    """Say how much interaction is left without the strongest pairs, and without random ones."""
    counts, rows = (1, 2, 4, 8), []
    partners = [(text, picture) for text, picture, _ in examples(16, first=N_EXAMPLES)]
    for name in models:
        model = emap.load_model(f"demo:{name}")
        left: dict[str, list[Array]] = {"strongest": [], "random": []}
        draws = np.random.default_rng(0)
        for text, picture, colour in examples(n_examples):
            words, places = Words(text, 12), Places(picture, 7, "mean colour", colour)
            shape = len(words.names), len(places.names)
            drawn = masks_for(*shape, FINE, 0)[:2]
            fitted = fit_bilinear(outputs(model, words, places, *drawn), *drawn).interactions
            whole = (np.ones(shape[0], dtype=bool), np.ones(shape[1], dtype=bool))
            sign = np.sign(_interactions(model, words, places, [whole], partners)[0])
            order = np.argsort(-sign * fitted, axis=None)
            strongest = [_without(order[:n], shape) for n in counts]
            # As many words and as many regions are gone each time.
            random = [
                (draws.permutation(keep_words), draws.permutation(keep_places))
                for _ in range(N_DRAWS)
                for keep_words, keep_places in strongest
            ]
            found = _interactions(model, words, places, [whole, *strongest, *random], partners)
            shares = found[1:] / found[0]
            left["strongest"].append(shares[: len(counts)])
            left["random"].append(shares[len(counts) :].reshape(N_DRAWS, -1).mean(axis=0))
        for kind, values in left.items():
            rows.append([f"demo:{name}, {kind}", *np.median(values, axis=0).tolist()])
        first = (np.array(left["strongest"]) < np.array(left["random"])).mean(axis=0)
        rows.append([f"demo:{name}, less left than at random", *(f"{x:.0%}" for x in first)])
    return markdown(
        "What is left of the interaction",
        "How much of an example's interaction (with 16 partners on either side) is left if the "
        "words and regions of its strongest pairs are deleted, and if as many are deleted at "
        f"random, the mean of {N_DRAWS} draws. It is negative if the interaction changes its "
        "sign. The strongest pairs are those that add most to the example's interaction, with "
        f"its sign. Medians of {n_examples} examples, and in how many of them less is left than "
        "at random.",
        ["deleted", *(f"{count} pair{'s' if count > 1 else ''}" for count in counts)],
        rows,
    )


def passes(models: tuple[str, ...] = MODELS, n_examples: int = 20) -> str:
    """Say how far estimates are from all masks at equal passes, those of shapiq beside ours."""
    if find_spec("shapiq") is None:
        raise NotMeasuredError("shapiq is not installed; run `pip install shapiq`")
    rows = []
    for side, n_masks, n_exact in ((3, 64, 512), (3, 128, 512), (7, 256, 8192)):
        # Of so many regions, shapiq fits each example for half a minute.
        n = n_examples if side == 3 else n_examples // 4
        for name in models:
            model = emap.load_model(f"demo:{name}")
            errors: dict[str, list[float]] = {"this probe": [], "shapiq": []}
            for seed, (text, picture, colour) in enumerate(examples(n)):
                words, places = Words(text, 5), Places(picture, side, "mean colour", colour)
                texts = draw_masks(len(words.names), 32)
                every = texts, draw_masks(side**2, n_exact)
                exact = fit_bilinear(outputs(model, words, places, *every), *every).interactions
                drawn = texts, draw_masks(side**2, n_masks, seed)
                grid = outputs(model, words, places, *drawn)
                found = fit_bilinear(grid, *drawn).interactions
                errors["this probe"].append(_error(found, exact))
                other = _of_shapiq(model, words, places, grid.size)
                errors["shapiq"].append(_error(other, exact))
            size = f"{side} × {side}", f"32 × {n_masks + 1}", n
            row: list[object] = [f"demo:{name}", *size]
            for middle in (np.median, np.mean):
                ours, theirs = (float(middle(one)) for one in errors.values())
                row += [ours, theirs, ours / theirs]
            rows.append(row)
    return markdown(
        "Error at equal passes",
        "Questions of 5 words or groups of words. The root mean square error of interactions of "
        "words and regions, divided by the root mean square of the exact ones, which come from "
        "all masks (8,192 for 7 × 7 regions). shapiq's RegressionFBII estimates the same index "
        "from as many passes. Medians and means over examples.",
        [
            *("model", "regions", "passes", "examples"),
            *("median, this probe", "shapiq", "ratio"),
            *("mean, this probe", "mean, shapiq", "of means"),
        ],
        rows,
    )


def examples(count: int, first: int = 0) -> Iterator[tuple[str, Any, Array]]:
    """Yield text, picture and the data's mean colour of questions about colour or shape."""
    data = emap.load_dataset("demo:easy-vqa")
    colour = np.mean([np.asarray(data.images[i], float).mean((0, 1)) for i in range(0, 640, 10)], 0)
    rows = np.random.default_rng(0).permutation(len(data))
    asked = (int(i) for i in rows if data.labels[i] in _COLOURS | _SHAPES)
    for i in islice(asked, first, first + count):
        yield data.texts[i], data.images[i], colour


def outputs(model: Any, words: Words, places: Places, rows: Masks, columns: Masks) -> Array:
    """Return the predicted class minus the mean of classes for masked pairs."""
    with torch.inference_mode():
        texts = model.encode_texts(list(MaskedItems(words, rows)))
        found, masked = [], MaskedItems(places, columns)
        for start in range(0, len(columns), 1024):
            some = [masked[k] for k in range(start, min(start + 1024, len(columns)))]
            found.append(model.score_grid(texts, model.encode_images(some)).double().numpy())
    scores = np.concatenate(found, axis=1)
    # The first masks keep all.
    c = int(scores[ALL, ALL].argmax())
    return np.asarray(scores[..., c] - scores.mean(axis=-1))


def covered(picture: Any, places: Places) -> Array:
    """Return the share of each region that is the shape; the ground has the corner's colour."""
    pixels = np.asarray(picture, int)
    shape = np.abs(pixels - pixels[0, 0]).sum(axis=2) > 60
    height, width = shape.shape
    return np.array(
        [
            shape[
                _first(top * height) : _first(lower * height),
                _first(left * width) : _first(right * width),
            ].mean()
            for left, top, right, lower in places.boxes
        ]
    )


def _first(edge: float) -> int:
    """Return the first pixel at or beyond an edge."""
    return int(np.ceil(edge - 1e-9))


def _without(
    pairs: NDArray[np.intp], shape: tuple[int, int]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which words and which regions are kept without those of some pairs, by number."""
    words, places = np.unravel_index(pairs, shape)
    return ~np.isin(np.arange(shape[0]), words), ~np.isin(np.arange(shape[1]), places)


def _interactions(
    model: Any,
    words: Words,
    places: Places,
    kept: list[tuple[NDArray[np.bool_], NDArray[np.bool_]]],
    partners: list[tuple[str, Any]],
) -> Array:
    """Return the interaction of an example with these words and regions kept, all of them first."""
    n = len(kept)
    with torch.inference_mode():
        texts = model.encode_texts(
            [words.masked(keep) for keep, _ in kept] + [text for text, _ in partners]
        )
        images = model.encode_images(
            [places.masked(keep) for _, keep in kept] + [image for _, image in partners]
        )
        scores = model.score_grid(texts, images).double()
    c = int(scores[0, 0].argmax())
    values = (scores[..., c] - scores.mean(-1)).numpy()
    return np.asarray(
        np.diag(values[:n, :n])
        - values[:n, n:].mean(axis=1)
        - values[n:, :n].mean(axis=0)
        + values[n:, n:].mean()
    )


def _of_shapiq(model: Any, words: Words, places: Places, budget: int) -> Array:
    import shapiq

    w, p = len(words.names), len(places.names)

    def game(coalitions: NDArray[np.bool_]) -> Array:
        chosen = np.atleast_2d(coalitions).astype(bool)
        sides = [
            # All of them first, which says whose output it is.
            np.unique(np.vstack([np.ones(side.shape[1], dtype=bool), side]), axis=0)[::-1]
            for side in (chosen[:, :w], chosen[:, w:])
        ]
        grid = outputs(model, words, places, *(Masks(side, exhaustive=True) for side in sides))
        at = [{tuple(keep): k for k, keep in enumerate(side)} for side in sides]
        return np.array([grid[at[0][tuple(one[:w])], at[1][tuple(one[w:])]] for one in chosen])

    approximator = shapiq.approximator.RegressionFBII(n=w + p, max_order=2, random_state=0)
    values = approximator.approximate(budget, game)
    return np.array([[values[(i, w + j)] for j in range(p)] for i in range(w)])


def _error(found: Array, exact: Array) -> float:
    return float(np.sqrt(((found - exact) ** 2).mean() / (exact**2).mean()))


if __name__ == "__main__":
    which = sys.argv[1] if len(sys.argv) > 1 else "pointing"
    table = {"pointing": attribution, "deletion": deletion, "passes": passes}[which]
    print(table(tuple(sys.argv[2:])) if sys.argv[2:] else table())
