"""How well a part of the grid gives the gap of the whole one.

``python -m benchmarks.sampled`` runs all tables, one process; names as arguments choose single
ones, ``--designs R`` fewer designs. ``--kinds``, ``--partners`` and ``--seed`` choose lines of
``coverage`` and ``shared``, and other populations. A full run writes benchmarks/sampled.md.
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

from benchmarks.coverage import IMAGE, MIXED, N_FEATURES, TEXT, noisy_labels
from benchmarks.tables import machine, markdown
from emap_core.decomposition import decompose
from emap_core.decomposition.design import design
from emap_core.decomposition.incomplete import fit
from emap_core.decomposition.predicted_interactions import EncodingVectors
from emap_core.decomposition.subsets import combine, subsamples
from emap_core.engine.binding import bind
from emap_core.engine.request import Request
from emap_core.engine.settings import Settings
from emap_core.engine.warm_up import score_warm_up
from emap_core.inference import Gap
from emap_core.inference.intervals.extrapolation import sampled_gap
from emap_core.inference.intervals.subsamples import subsample_intervals, subsample_scores

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
    """Count how often the interval holds the exact gap, and hold its stated bias to the true one.

    A new population for every design.
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
    """Count the same where many examples share a text, a new population for every design."""
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
                        np.mean(fitted.column_standard_error**2),
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


def protocol(n_data_sets: int) -> str:
    """Count how often the sub-sampling protocol's interval holds what the protocol comes to."""
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
        *2 * [np.arange(len(used))],
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


TABLES: dict[str, tuple[Callable[..., str], int]] = {
    "error": (error, 200),
    "controls": (controls, 3),
    "coverage": (coverage, 100),
    "shared": (shared, 500),
    "protocol": (protocol, 500),
    "size": (size, 1),
}


def main() -> None:
    """Print the tables asked for; a run of all of them is written down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", choices=[[], *TABLES])
    parser.add_argument("--designs", type=int)
    parser.add_argument("--kinds", nargs="+", default=list(INTERACTIONS), choices=INTERACTIONS)
    parser.add_argument("--partners", type=int, nargs="+", default=[8, 12, 32])
    parser.add_argument("--seed", type=int)
    arguments = parser.parse_args()
    seeds = {} if arguments.seed is None else {"seed": arguments.seed}
    chosen: dict[str, dict[str, Any]] = {
        "coverage": {"kinds": arguments.kinds, "partners": arguments.partners, **seeds},
        "shared": {"kinds": arguments.kinds, **seeds},
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
