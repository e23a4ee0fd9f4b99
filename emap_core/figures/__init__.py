"""Figures: data in, a `Chart` out; pure and deterministic."""

from emap_core.figures.attribution_map import attribution_map
from emap_core.figures.chart import Chart
from emap_core.figures.confusion_pair import confusion_pair
from emap_core.figures.contributions import contributions, rows_of_traces
from emap_core.figures.gap_dumbbell import gap_dumbbell
from emap_core.figures.gap_over_training import gap_over_training
from emap_core.figures.interaction_heatmap import (
    interaction_heatmap,
    marked_window,
    window_within,
)
from emap_core.figures.interaction_sizes import interaction_sizes
from emap_core.figures.measure_dots import measure_dots
from emap_core.figures.mode_ends import mode_ends
from emap_core.figures.mode_scree import mode_scree
from emap_core.figures.polygon import inside
from emap_core.figures.shares_of_sets import shares_of_sets
from emap_core.figures.style import Look, column_names, looks_of
from emap_core.figures.variance_shares import variance_shares
from emap_core.figures.waterfall import top_classes, waterfall

__all__ = [
    "Chart",
    "Look",
    "attribution_map",
    "column_names",
    "confusion_pair",
    "contributions",
    "gap_dumbbell",
    "gap_over_training",
    "inside",
    "interaction_heatmap",
    "interaction_sizes",
    "looks_of",
    "marked_window",
    "measure_dots",
    "mode_ends",
    "mode_scree",
    "rows_of_traces",
    "shares_of_sets",
    "top_classes",
    "variance_shares",
    "waterfall",
    "window_within",
]
