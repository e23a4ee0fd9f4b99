"""How often models are right with one, two and all three sides together, on two digits.

python examples/three_sides.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import emap_core as emap
from emap_core.datasets.demo_digits import load

MODELS = ("digits-additive", "digits-pairs", "digits-joint")


def main() -> None:
    """Print accuracies and shares of the three demo models."""
    data = load("test")
    sizes = [len(items) for items in data.items.values()]
    shape = " × ".join(f"{side} ({size})" for side, size in zip(data.items, sizes, strict=True))
    print(f"{len(data)} examples; {shape}: {np.prod(sizes):,} combinations, all of them scored")
    for name in MODELS:
        result = decomposed(f"demo:{name}", data)
        print(f"\n{name}")
        print_accuracies(result, data)
        print_shares(result)


def decomposed(spec: str, data) -> emap.Decomposition:
    """Return the decomposition of a model on every question with every image and every sound."""
    model = emap.load_model(spec)
    encoded = [model.encoders[side](data.items[side]) for side in model.sides]
    return emap.decompose(model.score_grid(*encoded), index=data.index)


def print_accuracies(result: emap.Decomposition, data) -> None:
    """Print how often each order of the projection is right, by kind of question.

    The example's own cell is included: there are only these six questions, and each has a sixth of
    the weight.
    """
    is_yes = np.array(data.labels) == "yes"
    orders = {
        "one side at a time": result.projection(1),
        "and pairs of sides": result.projection(2),
        "all together": result.logits,
    }
    kinds = data.columns["kind"].to_numpy()
    print(f"  {'accuracy':20}{'all':>10}" + "".join(f"{k:>10}" for k in np.unique(kinds)))
    for words, scores in orders.items():
        right = (scores[:, 0] > 0) == is_yes
        means = [right.mean(), *(right[kinds == kind].mean() for kind in np.unique(kinds))]
        print(f"  {words:20}" + "".join(f"{mean:10.3f}" for mean in means))


def print_shares(result: emap.Decomposition) -> None:
    """Print the share of the variance that each set of sides carries."""
    print("  share of the variance")
    for sides, (share,) in result.terms.items():
        print(f"    {' × '.join(sides):28}{share:7.3f}")


if __name__ == "__main__":
    main()
