"""Performance metrics by their standard names, as scikit-learn defines them.

A metric is a formula in `formulas` and an entry in `registry`; `evaluation` computes any of them.
"""

from emap_core.inference.metrics.evaluation import (
    difference,
    evaluate,
    evaluate_resamples,
    evaluate_scored,
    evaluate_shuffled,
    read_for,
    why_undefined,
)
from emap_core.inference.metrics.formulas import vqa_credit
from emap_core.inference.metrics.registry import (
    METRICS,
    RANKINGS,
    Metric,
    check,
    check_use,
    default_metrics,
    metric,
)

__all__ = [
    "METRICS",
    "RANKINGS",
    "Metric",
    "check",
    "check_use",
    "default_metrics",
    "difference",
    "evaluate",
    "evaluate_resamples",
    "evaluate_scored",
    "evaluate_shuffled",
    "metric",
    "read_for",
    "vqa_credit",
    "why_undefined",
]
