"""What a reader has to know besides a run's numbers, in sentences."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emap_core.inference.predictions.column_order import better_order
from emap_core.modalities.side_names import cells_of
from emap_core.runs.reader import RunReader


def notes_of(run: RunReader) -> list[str]:
    """Return a sentence for each thing to know, starting with notes from the run's start."""
    told = (unknown_labels_note(run), _noise_note(run), _order_note(run))
    return [*(run.manifest.get("notes") or []), *(note for note in told if note)]


def noise_share(run: RunReader) -> float | None:
    """Return the share of the variance that is noise, for a model that was allowed to be noisy.

    It is measured on pairs that were scored twice, and counts as interaction. None if noise was not
    allowed, or nothing varies.
    """
    noise = run.manifest["noise"]
    total = float(run.shares.variance.sum())
    # Measured on few pairs, it may come out above 1.
    return None if noise is None or total == 0 else min(noise["variance"] / total, 1.0)


def unknown_labels_note(run: RunReader) -> str:
    """Return how many labels are not classes of the model, and what the run did with them."""
    told = run.manifest["unknown_labels"] or {"rule": "error"}
    left_out = ("It was left out.", "They were left out.")
    not_right = ("It counts as wrong.", "They count as wrong.")

    def sentence(n: int, whose: str, done: tuple[str, str]) -> str:
        if n == 1:
            return f"1 {whose}example has a label that is not a class of the model. {done[0]}"
        return f"{n:,} {whose}examples have labels that are not classes of the model. {done[1]}"

    n, n_training = told.get("n_examples", 0), told.get("n_training", 0)
    said = [sentence(n, "", left_out if told["rule"] == "skip" else not_right)] * bool(n)
    said += [sentence(n_training, "training ", left_out)] * bool(n_training)
    return " ".join(said)


def _noise_note(run: RunReader) -> str:
    share = noise_share(run)
    if share is None:
        return ""
    n = run.manifest["noise"]["n_pairs"]
    return (
        f"The model was allowed to be noisy. Noise makes up about {share:.0%} of the variance "
        f"of its outputs, measured on {n:,} {cells_of(len(run.sides))} that were scored twice, "
        "and counts as interaction."
    )


def _order_note(run: RunReader) -> str:
    """Return a note if outputs in another order fit far better; empty if they do not."""
    labels = run.true_classes
    if labels is None or not run.decides or run.task != "multiclass":
        return ""
    found = better_order(run.decomposition.logits, labels)
    if found is None:
        return _chance_note(run, labels) if run.manifest["classes_guessed"] else ""
    order, before, after = found
    names = np.array(run.classes, dtype=object)[np.argsort(order)]
    listed = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    return (
        f"The model's outputs may be in another order than its classes: its accuracy is "
        f"{before:.0%}, but {after:.0%} if they are {listed}, in this order."
    )


def _chance_note(run: RunReader, labels: NDArray[np.intp]) -> str:
    """Return a note if a model is right less often than a constant; empty if it is not."""
    right = float((run.decomposition.logits.argmax(axis=1) == labels).mean())
    most = float(np.bincount(labels[labels >= 0], minlength=1).max() / len(labels))
    if right >= most:
        return ""
    return (
        f"The model is right in {right:.0%} of the examples, but the most frequent label alone "
        f"would be right in {most:.0%}: check that its outputs are in the order of the labels' "
        "names."
    )
