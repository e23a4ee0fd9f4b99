"""What is measured in the earlier version and in this one, and which goals it has."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One row of a table of two versions.

    Attributes
    ----------
    name : str
        What chooses the row on the command line.
    what : str
        What is measured, in words.
    unit : str
        Of both values and of the goal: "s" is seconds by the clock, with all cores.
    goal : float
        Where the row should be, at most.
    command : str
        As a person types it; it prints a line ``value: number`` for each of its values.
    value : str
        Which of its values the row shows.
    rounds, rounds_before : int
        How often this version and the earlier one run the command; the best counts.
    """

    name: str
    what: str
    unit: str
    goal: float
    command: str
    value: str = "seconds"
    rounds: int = 3
    rounds_before: int = 3


_TIMED = "python -m benchmarks.timed."
_ONE_THREAD = f"OMP_NUM_THREADS=1 {_TIMED}"

ROWS = (
    Row(
        "easy-vqa",
        "the demo in a terminal: all of easy-VQA, from the start of `run` to the verdict with its "
        "intervals, which are for new texts and new images (before, for new images alone)",
        "s",
        12,
        f"{_TIMED}easy_vqa",
    ),
    Row(
        "verdict",
        "the demo in a browser, on a server that has just started, from its button to the verdict",
        "s",
        12,
        f"{_TIMED}demo",
        "verdict",
    ),
    Row(
        "first-score",
        "the same to the first score (before, scores came with the verdict)",
        "s",
        6,
        f"{_TIMED}demo",
        "first score",
    ),
    Row(
        "resamples",
        "1,000 resamples that compute the projection again, N = 1,000, 10 classes, 3 metrics",
        "processor s",
        1,
        f"{_ONE_THREAD}resamples",
    ),
    Row(
        "fit",
        "the fit to 100,000 examples, sampled, K = 32, 5 classes (before, measured once)",
        "processor s",
        40,
        f"{_ONE_THREAD}sampled 100000",
        "fit",
        rounds_before=1,
    ),
    Row(
        "sampled-intervals",
        "intervals of 100,000 sampled examples on one thread, with the default number of "
        "resamples, 400 (before, 1,000, measured once)",
        "s",
        60,
        f"{_ONE_THREAD}sampled 100000",
        "intervals",
        rounds_before=1,
    ),
    Row(
        "floor-pairs",
        "engine ÷ floor: two-tower head by pairs, 3,000 × 3,000",
        "÷ floor",
        1.1,
        f"{_TIMED}floor pairs",
        "ratio",
        rounds=2,
        rounds_before=2,
    ),
    Row(
        "floor-grid",
        "engine ÷ floor: two-tower head by grid, 4,000 × 4,000",
        "÷ floor",
        1.1,
        f"{_TIMED}floor grid",
        "ratio",
        rounds=2,
        rounds_before=2,
    ),
    Row(
        "floor-self-attention",
        "engine ÷ floor: demo:self-attention, 1,500 examples of easy-VQA",
        "÷ floor",
        1.1,
        f"{_TIMED}floor self-attention",
        "ratio",
        rounds=2,
        rounds_before=2,
    ),
    Row(
        "floor-mlp",
        "`compute` ÷ floor: MLP head of .8 MFLOP, 700 × 700 pairs",
        "÷ floor",
        1.15,
        f"{_TIMED}floor mlp",
        "ratio",
        rounds=2,
        rounds_before=2,
    ),
    Row(
        "cold-page",
        "start of the server to the first button of the page Run in a browser",
        "s",
        3,
        f"{_TIMED}first_button",
        "cold",
    ),
    Row(
        "warm-page",
        "a click in the navigation to the first button of the page Run, median of 5",
        "s",
        0.3,
        f"{_TIMED}first_button",
        "warm",
    ),
    Row(
        "start-page",
        "the page Start with 300 runs, in a process that has not drawn a page yet",
        "processor s",
        1.5,
        f"{_ONE_THREAD}start_page 300",
    ),
    Row("import", "`import emap_core`, a whole process", "s", 0.04, f"{_TIMED}imported"),
    Row("show", "`show` of a finished run, a whole process", "s", 1, f"{_TIMED}show"),
    Row(
        "part",
        "images that `--part 20/64` of easy-VQA decodes; the data has 1,000, and the part scores "
        "16. Images are encoded 64 at a time, so the goal allows the rest of a chunk",
        "images",
        80,
        f"{_TIMED}part",
        "decoded",
        rounds=1,
        rounds_before=1,
    ),
)

SUITES = (
    Row("all-tests", "`make test`", "s", 300, f"{_TIMED}suite", "whole", 1, 1),
    Row(
        "quick-tests",
        "`make quick` (before, all tests, since no others were marked as quick)",
        "s",
        60,
        f"{_TIMED}suite",
        "quick",
        1,
        1,
    ),
    Row("slowest-test", "the slowest single test", "s", 15, f"{_TIMED}suite", "slowest", 1, 1),
)
