"""The pages, in navigation order: to add one, add a file beside this one and a line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emap_core.runs import Run

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Page:
    """A page of the dashboard.

    Attributes
    ----------
    name : str
        Name of its file, also in its address.
    title : str
        Its title in the navigation.
    icon : str
        A Material symbol.
    section : str
        Its section in the navigation; pages of one section stand together.
    folder : Path
        Where its file is.
    applies : callable
        Whether the page says anything about a given run; if not, the navigation leaves it out.
    """

    name: str
    title: str
    icon: str
    section: str = ""
    folder: Path = FOLDER
    applies: Callable[[Run], bool] = lambda run: True

    @property
    def path(self) -> Path:
        """Its file."""
        return self.folder / f"{self.name}.py"

    @property
    def of_a_run(self) -> bool:
        """Whether it shows a finished run."""
        return bool(self.section)


def _has_measures(run: Run) -> bool:
    # A single output may be the similarity of two towers, which the page can ask about.
    asked = run.manifest["n_classes"] == 1 and len(run.sides) == 2
    return run.why_no_measures is None or asked


PAGES = [
    Page("start", "Start", "home"),
    Page("run", "Run", "play_circle"),
    Page("overview", "Overview", "insights", "One model"),
    Page("contributions", "Contributions", "scatter_plot", "One model"),
    Page("examples", "Examples", "image_search", "One model"),
    Page("recombine", "Recombine", "grid_on", "One model"),
    Page("modes", "Modes", "linear_scale", "One model"),
    Page("measures", "Measures", "straighten", "One model", applies=_has_measures),
    Page("compare", "Compare", "stacked_bar_chart", "Share"),
    Page("report", "Report", "description", "Share"),
]
"""Visitors arrive at the first one."""


def page_names(*, of_a_run: bool = False) -> list[str]:
    """Return the names of all pages, or only of those that show a finished run."""
    return [page.name for page in PAGES if page.of_a_run or not of_a_run]
