"""Figures: data in, a `Chart` out; pure and deterministic."""

from emap_core.figures.chart import Chart
from emap_core.figures.contributions import contributions
from emap_core.figures.gap_dumbbell import gap_dumbbell
from emap_core.figures.style import DARK, LIGHT, Theme, theme_named
from emap_core.figures.variance_shares import variance_shares
from emap_core.figures.waterfall import top_classes, waterfall

__all__ = [
    "DARK",
    "LIGHT",
    "Chart",
    "Theme",
    "contributions",
    "gap_dumbbell",
    "theme_named",
    "top_classes",
    "variance_shares",
    "waterfall",
]
