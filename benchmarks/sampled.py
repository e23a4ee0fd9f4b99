"""How well some of the pairs of a grid tell the gap of the whole grid.

``python -m benchmarks.sampled`` runs all tables, one process; names as arguments choose single
ones, ``--designs R`` fewer designs. ``--kinds``, ``--partners`` and ``--seed`` choose lines of
``coverage``, ``shared`` and ``sides``, and other populations. A full run writes
benchmarks/sampled.md.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import emap_core as emap
from benchmarks.coverage import IMAGE, MIXED, N_FEATURES, TEXT, noisy_labels
from benchmarks.tables import machine, markdown
from emap_core.decomposition import Decomposition, decompose
from emap_core.decomposition.design import design
from emap_core.decomposition.design_of_sides import design_of_sides
from emap_core.decomposition.incomplete import fit
from emap_core.decomposition.incomplete_sides import fit_sides
from emap_core.decomposition.predicted_interactions import EncodingVectors
from emap_core.decomposition.projection import item_shares
from emap_core.decomposition.random_subsamples import combine, subsamples
from emap_core.engine.binding import bind
from emap_core.engine.request import Request
from emap_core.engine.settings import Settings
from emap_core.engine.warm_up import score_warm_up
from emap_core.inference import Gap
from emap_core.inference.intervals.extrapolation import sampled_gap
from emap_core.inference.intervals.subsamples import (
    projections_of_subsamples,
    subsample_intervals,
    subsample_scores,
)

Array = NDArray[Any]
PROJECTION = "emap_leave_one_out"
INTERACTIONS = {
    "rank 2": "two products of normal scores a class",
    "decaying": "thirty products per class, each .8 of the one before",
    "full rank": "independent normal numbers in every cell",
    "sparse": "normal numbers in every 25th cell, five times as large, and 0 in the others",
}


def population(kind: str, n: int, n_classes: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return a grid with as much text, image and interaction variance, and noisy labels."""
    grid = random_grid(kind, (n, n), n_classes, rng)
    own = grid[np.arange(n), np.arange(n)]
    return grid, (own + rng.gumbel(size=own.shape)).argmax(axis=1)


def random_grid(
    kind: str, shape: tuple[int, int], n_classes: int, rng: np.random.Generator
) -> Array:
    """Return a grid of texts and images."""
    texts, images = (rng.normal(size=(n, n_classes)).astype(np.float32) for n in shape)
    if kind == "full rank":
        grid = rng.normal(size=(*shape, n_classes)).astype(np.float32)
    elif kind == "sparse":
        grid = 5 * rng.normal(size=(*shape, n_classes)).astype(np.float32)
        grid *= rng.random((*shape, 1)) < 0.04
    else:
        strength = np.ones(2) if kind == "rank 2" else 0.8 ** np.arange(30)
        strength = (strength / np.linalg.norm(strength)).astype(np.float32)
        left, right = (
            rng.normal(size=(n_classes, n, len(strength))).astype(np.float32) for n in shape
        )
        grid = np.stack([(left[c] * strength) @ right[c].T for c in range(n_classes)], axis=-1)
    grid += texts[:, None] + images[None]
    return grid


def accuracy_of(labels: Array) -> Any:
    """Return the metric of scores for these labels."""
    return lambda scores: float((scores.argmax(axis=1) == labels).mean())


def error(n_designs: int) -> str:
    """Compare with sub-sampling at 6.4% of the pairs of 2,000 texts and images, 5 classes."""
    n, n_classes, k, a_population = 2000, 5, 127, 20
    rows = []
    for kind in INTERACTIONS:
        errors: dict[str, list[float]] = {}
        for r in range(n_designs):
            if r % a_population == 0:
                rng = np.random.default_rng([1, r])
                grid, labels = population(kind, n, n_classes, rng)
                exact = decompose(grid)
                accuracy = accuracy_of(labels)
                truth = accuracy(exact.logits) - accuracy(getattr(exact, PROJECTION))
            chosen = design(n, n, np.arange(n), np.arange(n), k, seed=r)
            found = sampled_gap(fit(chosen, grid[chosen.rows, chosen.columns]), accuracy)
            errors.setdefault("uncorrected", []).append(found.uncorrected - truth)
            errors.setdefault("corrected", []).append(found.difference - truth)
            errors.setdefault("holds", []).append(found.low <= truth <= found.high)
            for repeats in (1, 10):
                size = int(np.sqrt(len(chosen) / repeats))
                gaps = [
                    accuracy_of(labels[i])(d.logits)
                    - accuracy_of(labels[i])(getattr(d, PROJECTION))
                    for i, d in subsamples(
                        lambda t, v: grid[np.ix_(t, v)],  # noqa: B023 - used at once
                        np.arange(n),
                        np.arange(n),
                        size,
                        repeats,
                        seed=r,
                    )
                ]
                errors.setdefault(f"sub {repeats}", []).append(float(np.mean(gaps)) - truth)
            if r % a_population == a_population - 1:
                print(kind, r + 1, {e: np.sqrt(np.mean(np.square(v))) for e, v in errors.items()})
        holds = np.mean(errors.pop("holds"))
        rmse = {name: float(np.sqrt(np.mean(np.square(e)))) for name, e in errors.items()}
        rows.append(
            [
                kind,
                *(f"{rmse[name]:.4f}" for name in ("sub 1", "sub 10", "uncorrected", "corrected")),
                f"{rmse['corrected'] / rmse['sub 1']:.2f}",
                f"{rmse['corrected'] / rmse['sub 10']:.2f}",
                f"{np.mean(errors['corrected']):+.4f}",
                f"{holds:.3f}",
            ]
        )
        print(rows[-1], flush=True)
    return markdown(
        "Error at 6.4% of the pairs",
        f"Root mean square error of the leave-one-out gap in accuracy against the exact one; {n:,} "
        f"texts and images, {n_classes} classes, {n_designs} designs, a new population every "
        f"{a_population}. Sub-sampling has as many evaluations.",
        [
            "interaction",
            "one sub-sample of 505",
            "ten of 160",
            "design, uncorrected",
            "design, corrected",
            "÷ one",
            "÷ ten",
            "bias",
            "interval holds",
        ],
        rows,
    )


def coverage(
    n_designs: int,
    kinds: Sequence[str] = tuple(INTERACTIONS),
    partners: Sequence[int] = (8, 12, 32),
    seed: int = 2,
) -> str:
    """Count how often the interval holds the exact gap, and compare stated bias with true bias.

    Each design has a population of its own.
    """
    n, n_classes = 300, 3
    rows = []
    for kind in kinds:
        for k in partners:
            holds, errors, found_all = [], [], []
            for r in range(n_designs):
                rng = np.random.default_rng([seed, k, r])
                grid, labels = population(kind, n, n_classes, rng)
                exact, accuracy = decompose(grid), accuracy_of(labels)
                truth = accuracy(exact.logits) - accuracy(getattr(exact, PROJECTION))
                chosen = design(n, n, np.arange(n), np.arange(n), k, seed=seed + r)
                found = sampled_gap(fit(chosen, grid[chosen.rows, chosen.columns]), accuracy)
                holds.append(found.low <= truth <= found.high)
                errors.append((found.difference - truth, found.uncorrected - truth))
                found_all.append(found)
            corrected, plain = np.array(errors).T
            bias = corrected.mean()
            stated = np.array([found.bias for found in found_all])
            known = np.array([found.bias_standard_error for found in found_all])
            rows.append(
                [
                    kind,
                    k,
                    f"{np.mean(holds):.3f}",
                    f"{plain.mean():+.4f}",
                    f"{bias:+.4f} ± {corrected.std(ddof=1) / np.sqrt(n_designs):.4f}",
                    f"{stated.mean():+.4f} ± {np.sqrt(np.mean(known**2)):.4f}",
                    f"{np.mean(np.abs(stated - bias) <= 2 * known):.2f}",
                    f"{corrected.std(ddof=1):.4f}",
                    f"{np.sqrt(np.mean([found.standard_error**2 for found in found_all])):.4f}",
                ]
            )
            print(rows[-1], flush=True)
    return markdown(
        "Coverage of the 95% interval from pair sampling, and its bias",
        f"{n} texts and images, {n_classes} classes, K images per text, {n_designs} designs, each "
        "of a population of its own; no encodings. The bias is that of the gap in accuracy; "
        "what a run states is the mean over runs, its standard error the root mean square one.",
        [
            "interaction",
            "K",
            "holds the exact gap",
            "bias, uncorrected",
            "bias left",
            "bias stated",
            "stated within 2 of its standard errors",
            "spread of the error",
            "standard error",
        ],
        rows,
    )


def controls(n_designs: int) -> str:
    """Compare the error of EMAP scores with and without each control variate."""
    rows = []
    for name, (grid, encodings, texts, images) in {
        "demo:concat on 600 examples of demo:easy-vqa": _demo_grid("demo:concat", 600),
        "demo:cross-attention on the same": _demo_grid("demo:cross-attention", 600),
        "a network of 64 hidden units on encodings of 32 numbers": _network_grid(300),
    }.items():
        exact = decompose(grid, texts, images)
        for k in (6, 12, 24, 48):
            ways: dict[str, dict[str, Any]] = {
                "neither": {"low_rank": False},
                "low-rank": {},
                "encodings": {"low_rank": False, "encodings": encodings},
                "both": {"encodings": encodings},
            }
            squares: dict[str, list[float]] = {way: [] for way in ways}
            seconds = dict.fromkeys(ways, 0.0)
            for seed in range(n_designs):
                chosen = design(*grid.shape[:2], texts, images, k, seed)  # type: ignore[call-arg]
                values = grid[chosen.rows, chosen.columns]
                for way, options in ways.items():
                    start = time.process_time()
                    found = fit(chosen, values, **options, seed=seed).decomposition
                    seconds[way] += (time.process_time() - start) / n_designs
                    squares[way].append(float(np.mean((found.emap - exact.emap) ** 2)))
            rows.append(
                [
                    name,
                    k,
                    f"{len(chosen):,}",
                    *(f"{np.sqrt(np.mean(of_way)):.3f}" for of_way in squares.values()),
                    f"{seconds['neither']:.2f}, {seconds['both']:.2f}",
                ]
            )
            print(rows[-1], flush=True)
    return markdown(
        "Error of EMAP scores with and without each control variate",
        f"Root mean square error of the logits of EMAP against the exact ones, {n_designs} "
        "designs of K images per text. Low-rank products are fitted from 24 partners on.",
        ["grid", "K", "pairs", "neither", "low-rank", "encodings", "both", "fit, processor s"],
        rows,
    )


def _demo_grid(model: str, limit: int) -> tuple[Array, EncodingVectors, Array, Array]:
    settings = Settings.of({"device": "cpu"})
    bound = bind(Request(model, "demo:easy-vqa", settings, data_args={"limit": limit}))
    try:
        score_warm_up(bound)
        place = np.argsort(bound.row_order)
        sides = bound.evaluator.row_items, bound.evaluator.column_items
        grid = bound.evaluator.cells(*(slice(0, side.n_items) for side in sides))
        texts, images = (side.vectors() for side in sides)
        index = bound.cells.row_index, bound.cells.column_index
        return grid[place].astype(float), EncodingVectors(texts[place], images), *index
    finally:
        bound.close()


def _network_grid(n: int) -> tuple[Array, EncodingVectors, Array, Array]:
    rng = np.random.default_rng(6)
    texts, images = rng.normal(size=(2, n, 32)) * 0.9 ** np.arange(32)
    hidden = (
        (texts @ rng.normal(size=(32, 64)))[:, None] + (images @ rng.normal(size=(32, 64)))[None]
    ) / 4
    grid = np.tanh(hidden) @ rng.normal(size=(64, 5))
    return grid, EncodingVectors(texts, images), np.arange(n), np.arange(n)


def shared(n_designs: int, kinds: Sequence[str] = tuple(INTERACTIONS), seed: int = 4) -> str:
    """Count the same where many examples share a text; each design has its own population."""
    shape, n_classes, k = (60, 300), 3, 60
    rows = []
    for kind in kinds:
        for n in (300, 1200):
            found = []
            for r in range(n_designs):
                rng = np.random.default_rng([seed, r])
                grid = random_grid(kind, shape, n_classes, rng)
                texts, images = rng.permutation(n) % shape[0], rng.permutation(n) % shape[1]
                own = grid[texts, images]
                accuracy = accuracy_of((own + rng.gumbel(size=own.shape)).argmax(axis=1))
                exact = decompose(grid, texts, images)
                truth = accuracy(exact.logits) - accuracy(getattr(exact, PROJECTION))
                chosen = design(*shape, texts, images, k, seed=seed + r)
                fitted = fit(chosen, grid[chosen.rows, chosen.columns])
                gap = sampled_gap(fitted, accuracy)
                off = fitted.decomposition.column_mean - exact.column_mean
                found.append(
                    (
                        gap.low <= truth <= gap.high,
                        gap.difference - truth,
                        gap.standard_error**2,
                        np.mean(off**2),
                        np.mean(fitted.standard_errors[1] ** 2),
                    )
                )
            holds, errors, squares, off_squares, image_squares = np.array(found, dtype=float).T
            rows.append(
                [
                    kind,
                    n,
                    f"{holds.mean():.3f}",
                    f"{errors.mean():+.4f}",
                    f"{errors.std():.4f}",
                    f"{np.sqrt(squares.mean()):.4f}",
                    f"{np.sqrt(off_squares.mean()):.4f}",
                    f"{np.sqrt(image_squares.mean()):.4f}",
                ]
            )
            print(rows[-1], flush=True)
    return markdown(
        "Coverage where examples share texts",
        f"{shape[0]} texts and {shape[1]} images, {n_classes} classes, {k} images per text, so "
        f"that an image meets 12 texts; {n_designs} designs.",
        [
            "interaction",
            "examples",
            "holds the exact gap",
            "bias",
            "spread of the error",
            "standard error",
            "error of an image mean",
            "its standard error",
        ],
        rows,
    )


THREE_SIDES = {
    "weak pairs": "two products of normal scores for every two sides, an eighth of the variance",
    "parity": "one product of three random signs of size 1.7, half of the variance",
    "all orders": "ten products for every two sides and ten for all three, half of the variance",
}


class ProductsOfSides:
    """A scorer of three sides: a sum of products of scores, all of whose means are known."""

    def __init__(self, kind: str, sizes: Sequence[int], n_classes: int, rng: Any) -> None:
        self._sizes = tuple(sizes)

        def scores(side: int, scale: float = 1.0, signs: bool = False) -> Array:
            shape = (sizes[side], n_classes)
            drawn = rng.choice([-1.0, 1.0], size=shape) if signs else rng.normal(size=shape)
            return np.asarray(scale * drawn)

        def products(sides: tuple[int, ...], n: int, scale: float, signs: bool = False) -> None:
            for _ in range(n):
                factors = [scores(side, signs=signs) for side in sides]
                factors[0] *= scale / np.sqrt(n)
                self._terms.append((sides, factors))

        self._terms: list[tuple[tuple[int, ...], list[Array]]] = []
        for side in range(3):
            products((side,), 1, 1.0)
        pairs, rank = {"weak pairs": (0.4, 2), "parity": (0.0, 0), "all orders": (0.5, 10)}[kind]
        for two in ((0, 1), (0, 2), (1, 2)):
            products(two, rank, pairs)
        if kind == "parity":
            products((0, 1, 2), 1, 1.7, signs=True)
        elif kind == "all orders":
            products((0, 1, 2), 10, 1.5)

    def at(self, items: Sequence[Array]) -> Array:
        """Return the outputs of some cells, shape (K, C)."""
        found = np.zeros((len(items[0]), self._terms[0][1][0].shape[1]))
        for sides, factors in self._terms:
            parts = [factor[items[side]] for side, factor in zip(sides, factors, strict=True)]
            found += np.prod(parts, axis=0)
        return found

    def exact(self, index: Sequence[Array]) -> Decomposition:
        """Return the decomposition of the whole grid, as far as EMAP needs it."""
        shares = item_shares(index, self._sizes)
        own = self.at(index)
        mean, side_means = (
            np.zeros(own.shape[1]),
            [np.zeros((n, own.shape[1])) for n in self._sizes],
        )
        for sides, factors in self._terms:
            means = [shares[side] @ factor for side, factor in zip(sides, factors, strict=True)]
            mean += np.prod(means, axis=0)
            for side, found in enumerate(side_means):
                others = [m for k, m in zip(sides, means, strict=True) if k != side]
                rest = np.prod(others, axis=0) if others else 1.0
                found += factors[sides.index(side)] * rest if side in sides else rest
        nothing = np.zeros((7, own.shape[1]))
        return Decomposition(
            sides=SIDES,
            logits=own,
            mean=mean,
            side_means=tuple(side_means),
            shares=shares,
            index=tuple(index),
            sums_of_squares=nothing,
            centred_variance=nothing[0],
        )


SIDES = ("one", "two", "three")


def sides(
    n_designs: int,
    partners: Sequence[int] = (16, 32, 64),
    kinds: Sequence[str] = tuple(THREE_SIDES),
    seed: int = 11,
) -> str:
    """Count how often the interval of three sides holds the gap of the exact grid."""
    n_classes, n = 3, 300
    rows = []
    for sizes in ((300, 300, 300), (60, 300, 300)):
        for kind in kinds:
            for k in partners:
                began, found = time.perf_counter(), []
                for r in range(n_designs):
                    rng = np.random.default_rng([seed, r])
                    scorer = ProductsOfSides(kind, sizes, n_classes, rng)
                    index = [rng.permutation(n) % size for size in sizes]
                    exact = scorer.exact(index)
                    noisy = exact.logits + rng.gumbel(size=exact.logits.shape)
                    accuracy = accuracy_of(noisy.argmax(axis=1))
                    truth = accuracy(exact.logits) - accuracy(getattr(exact, PROJECTION))
                    chosen = design_of_sides(index, sizes, k, seed + r)
                    fitted = fit_sides(chosen, SIDES, scorer.at(chosen.items), seed=seed)
                    gap = sampled_gap(fitted, accuracy)
                    found.append(
                        (
                            gap.low <= truth <= gap.high,
                            gap.uncorrected - truth,
                            gap.difference - truth,
                            gap.standard_error**2,
                            truth,
                        )
                    )
                holds, plain, errors, squares, truths = np.array(found, dtype=float).T
                rows.append(
                    [
                        kind,
                        " × ".join(map(str, sizes)),
                        k,
                        f"{len(chosen):,}",
                        f"{truths.mean():.3f}",
                        f"{holds.mean():.3f}",
                        f"{plain.mean():+.4f}",
                        f"{errors.mean():+.4f} ± {errors.std() / np.sqrt(n_designs):.4f}",
                        f"{errors.std():.4f}",
                        f"{np.sqrt(squares.mean()):.4f}",
                    ]
                )
                print(rows[-1], f"{time.perf_counter() - began:.0f} s", flush=True)
    described = "; ".join(f"{kind}: {what}" for kind, what in THREE_SIDES.items() if kind in kinds)
    return markdown(
        "Three sides",
        f"{n} examples, {n_classes} classes, every item in K combinations or more, "
        f"{n_designs} designs, each of a population of its own: {described}. The exact gap is that "
        "of the whole grid, 27 million combinations of 300 items a side, from products of means.",
        [
            "interactions",
            "items",
            "K",
            "combinations",
            "exact gap",
            "holds it",
            "bias, uncorrected",
            "bias left",
            "spread of the error",
            "standard error",
        ],
        rows,
    )


def protocol(n_data_sets: int) -> str:
    """Count how often the interval of the sub-sampling protocol holds its mean result."""
    rows = []
    for strength, n, drawn, repeats in (
        (1.0, 400, 100, 10),
        (0.1, 400, 100, 10),
        (1.0, 400, 200, 10),
        (1.0, 1000, 100, 10),
        (1.0, 400, 100, 3),
    ):
        gaps = [_protocol_gap(strength, n, drawn, repeats, seed) for seed in range(n_data_sets)]
        values, low, high = np.array([(gap.difference, gap.low, gap.high) for gap in gaps]).T
        truth = values.mean()
        rows.append(
            [
                strength,
                f"{n:,}",
                drawn,
                repeats,
                f"{truth:.4f}",
                f"{values.std():.4f}",
                f"{(high - low).mean() / 2:.4f}",
                f"{((low <= truth) & (truth <= high)).mean():.3f}",
            ]
        )
        print(rows[-1], flush=True)
    return markdown(
        "The sub-sampling protocol",
        f"The leave-one-out gap in accuracy, averaged over sub-samples, of {n_data_sets} data sets "
        "from the population of `benchmarks.coverage`; its interval should hold the mean of them.",
        ["interaction", "N", "n", "repeats", "mean", "spread", "half-width", "holds the mean"],
        rows,
    )


def _protocol_gap(strength: float, n: int, drawn: int, repeats: int, seed: int) -> Gap:
    rng = np.random.default_rng([5, seed])
    x, z = rng.normal(size=(2, n, N_FEATURES))
    grid = (x @ TEXT)[:, None] + (z @ IMAGE)[None]
    grid += strength * np.einsum("ud,cde,we->uwc", x, MIXED, z, optimize=True)
    places = np.arange(n)
    labels = noisy_labels(grid[places, places], rng)
    blocks = list(
        subsamples(lambda t, v: grid[np.ix_(t, v)], places, places, drawn, repeats, seed=seed)
    )
    used = np.unique([examples for examples, _ in blocks])
    found = combine(
        [(np.searchsorted(used, examples), d) for examples, d in blocks],
        2 * [np.arange(len(used))],
        projections_of_subsamples([d for _, d in blocks], "multiclass"),
    )
    scores = subsample_scores(found, labels[used], "multiclass", ["accuracy"])
    return subsample_intervals(found, scores, n_available=n).gaps["accuracy"][PROJECTION]


def size(_: int) -> str:
    """Fit 100,000 texts and images with 32 images each, from a two-tower head."""
    n, n_classes, width, k = 100_000, 5, 64, 32
    rng = np.random.default_rng(3)
    texts, images = rng.normal(size=(2, n, width)).astype(np.float32)
    heads = rng.normal(size=(n_classes, width, width)).astype(np.float32) / width
    sides = rng.normal(size=(2, width, n_classes)).astype(np.float32) / np.sqrt(width)
    rows = []

    def step(name: str, start: tuple[float, float]) -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        wall, used = time.perf_counter() - start[0], time.process_time() - start[1]
        rows.append([name, f"{wall:.1f}", f"{used:.1f}", f"{peak:.2f}"])
        print(rows[-1], flush=True)

    def now() -> tuple[float, float]:
        return time.perf_counter(), time.process_time()

    start = now()
    chosen = design(n, n, np.arange(n), np.arange(n), k)
    step("design", start)
    start = now()
    values = np.empty((len(chosen), n_classes), dtype=np.float32)
    for begin in range(0, len(chosen), 2**16):
        part = slice(begin, begin + 2**16)
        t, v = texts[chosen.rows[part]], images[chosen.columns[part]]
        for c in range(n_classes):
            values[part, c] = np.einsum("md,md->m", t @ heads[c], v)
        values[part] += t @ sides[0] + v @ sides[1]
    step(f"head, {len(chosen):,} pairs", start)
    own = values[chosen.example_cells]
    labels = (own + rng.gumbel(size=own.shape)).argmax(axis=1)
    start = now()
    found = fit(chosen, values)
    step("fit", start)
    start = now()
    gap = sampled_gap(found, accuracy_of(labels))
    step("gap and its interval", start)
    return markdown(
        "Size",
        f"{n:,} texts and images, {n_classes} classes, {k} images per text, a bilinear head on "
        f"encodings of {width} numbers. Gap {gap.difference:.4f}, standard error from pair "
        f"sampling {gap.standard_error:.4f}, {gap.difference - gap.uncorrected:+.4f} by the "
        "correction.",
        ["step", "seconds", "processor seconds", "peak memory so far, GiB"],
        rows,
    )


class _VectorsOfThreeSides:
    """A model of three vectors with a few operations for each combination, 3 classes."""

    sides, fingerprint = ("first", "second", "third"), "three vectors"

    def __init__(self) -> None:
        self.encoders = dict.fromkeys(self.sides, np.stack)

    def score(self, first: Array, second: Array, third: Array) -> Array:
        """Return the logits of B combinations, shape (B, 3)."""
        return first + second + third + first * second * third


def size_of_sides(_: int) -> str:
    """Compute a run of 1,000 items on each of three sides, each in 32 combinations."""
    n, k = 1_000, 32
    rng = np.random.default_rng(5)
    model = _VectorsOfThreeSides()
    items = {side: list(rng.normal(size=(n, 3)).astype(np.float32)) for side in model.sides}
    own = model.score(*(np.stack(vectors) for vectors in items.values()))
    labels = (own + rng.gumbel(size=own.shape)).argmax(axis=1)
    data = {"sides": items, "labels": labels.tolist(), "classes": ["a", "b", "c"]}
    began = time.perf_counter()
    run = emap.compute(model, data, method="sampled", images_per_text=k, out=None)
    run.intervals()
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return markdown(
        "Size of three sides",
        f"{n:,} items on each of three sides, {k} combinations or more for each, 3 classes, a "
        "model of a few operations; from objects in memory to the intervals. Memory is that of "
        "the whole process, with Python and torch.",
        ["combinations scored", "of", "seconds", "peak memory, GiB"],
        [[f"{run.manifest['n_pairs_evaluated']:,}", f"{n**3:,}", f"{seconds:.1f}", f"{peak:.2f}"]],
    )


TABLES: dict[str, tuple[Callable[..., str], int]] = {
    "error": (error, 200),
    "controls": (controls, 3),
    "coverage": (coverage, 100),
    "shared": (shared, 500),
    "sides": (sides, 200),
    "protocol": (protocol, 500),
    "size": (size, 1),
    "size_of_sides": (size_of_sides, 1),
}


def main() -> None:
    """Print some tables; without names, print all and write them to their file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", choices=[[], *TABLES])
    parser.add_argument("--designs", type=int)
    parser.add_argument("--kinds", nargs="+", choices=[*INTERACTIONS, *THREE_SIDES])
    parser.add_argument("--partners", type=int, nargs="+")
    parser.add_argument("--seed", type=int)
    arguments = parser.parse_args()
    given = {name: getattr(arguments, name) for name in ("kinds", "partners", "seed")}
    given = {name: value for name, value in given.items() if value is not None}
    chosen: dict[str, dict[str, Any]] = {
        "coverage": given,
        "shared": {name: value for name, value in given.items() if name != "partners"},
        "sides": given,
    }
    found = []
    for name in arguments.tables or TABLES:
        table, n_designs = TABLES[name]
        found.append(table(arguments.designs or n_designs, **chosen.get(name, {})))
        print(found[-1], flush=True)
    if not arguments.tables:
        described = "; ".join(f"{kind}: {what}" for kind, what in INTERACTIONS.items())
        heading = (
            "# The sampled method\n\n`python -m benchmarks.sampled` prints these tables and "
            f"writes them here. Interactions carry a third of the variance: {described}. "
            f"Measured on {machine()}.\n\n"
        )
        Path(__file__).with_name("sampled.md").write_text(heading + "\n".join(found))


if __name__ == "__main__":
    main()
