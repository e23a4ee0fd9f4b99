"""What a decomposition says about performance, and how certain it is: arrays in, numbers out."""

from emap_core.inference.comparisons.difference import (
    GapDifference,
    gap_difference,
    paired_difference,
)
from emap_core.inference.comparisons.multiple_testing import holm
from emap_core.inference.example_kinds import FLIPS, KINDS, earned, flips, kinds, proportions
from emap_core.inference.gap import Gap, Interval, Intervals
from emap_core.inference.intervals.table_intervals import intervals
from emap_core.inference.metrics import (
    RANKINGS,
    Metric,
    check_use,
    default_metrics,
    difference,
    evaluate,
    metric,
    vqa_credit,
    why_undefined,
)
from emap_core.inference.predictions.label_names import label_names, prediction_names
from emap_core.inference.predictions.scores import predict, probabilities
from emap_core.inference.robustness.cautions import cautions
from emap_core.inference.table.rows import (
    LINEAR_PROBES,
    PROJECTIONS,
    ROWS,
    Row,
    projections_of,
    rows_of,
)
from emap_core.inference.table.score_table import projections, score_table
from emap_core.inference.verdict import (
    SHARE_THAT_MATTERS,
    PairError,
    Verdict,
    default_margin,
    self_term_note,
    verdict,
)

__all__ = [
    "FLIPS",
    "KINDS",
    "LINEAR_PROBES",
    "PROJECTIONS",
    "RANKINGS",
    "ROWS",
    "SHARE_THAT_MATTERS",
    "Gap",
    "GapDifference",
    "Interval",
    "Intervals",
    "Metric",
    "PairError",
    "Row",
    "Verdict",
    "cautions",
    "check_use",
    "default_margin",
    "default_metrics",
    "difference",
    "earned",
    "evaluate",
    "flips",
    "gap_difference",
    "holm",
    "intervals",
    "kinds",
    "label_names",
    "metric",
    "paired_difference",
    "predict",
    "prediction_names",
    "probabilities",
    "projections",
    "projections_of",
    "proportions",
    "rows_of",
    "score_table",
    "self_term_note",
    "verdict",
    "vqa_credit",
    "why_undefined",
]
