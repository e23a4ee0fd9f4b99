"""Whether a gap is as large as required, for checks in continuous integration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from xml.etree import ElementTree

from emap_core.errors import SettingError
from emap_core.inference import metric as metric_named
from emap_core.inference.number_format import bracket, change, whole
from emap_core.presentation.run_titles import run_title
from emap_core.runs import Run
from emap_core.runs.store import replacing
from emap_core.untrusted_text import visible


@dataclass(frozen=True)
class RequiredGap:
    """A leave-one-out gap and the smallest accepted one.

    Attributes
    ----------
    of : str
        The title of the run.
    requirement : str
        What is required, in words.
    holds : bool
        Whether the lower limit of the 95% interval is at least the required gap. A gap without an
        interval, or one that cannot be measured on this data, does not hold.
    sentence : str
        The result, in one line.
    """

    of: str
    requirement: str
    holds: bool
    sentence: str

    def write_junit(self, path: Path) -> None:
        """Write the check as a JUnit file with one test, for continuous integration to list."""
        told = {"tests": "1", "failures": str(int(not self.holds)), "errors": "0"}
        suites = ElementTree.Element("testsuites")
        suite = ElementTree.SubElement(suites, "testsuite", {"name": "emap-lens", **told})
        test = ElementTree.SubElement(suite, "testcase", name=self.requirement, classname=self.of)
        if self.holds:
            ElementTree.SubElement(test, "system-out").text = self.sentence
        else:
            ElementTree.SubElement(test, "failure", message=self.sentence)
        with replacing(path) as temporary:
            ElementTree.ElementTree(suites).write(temporary, "utf-8", xml_declaration=True)


def check_requirement(required: float, metrics: Sequence[str], metric: str | None = None) -> None:
    """Check that a run with these metrics can be checked against a requirement.

    Parameters
    ----------
    required : float
        The smallest accepted gap, in units of the metric.
    metrics : sequence of str
        The run's metrics.
    metric : str, optional
        The metric of the gap; the first by default.

    Raises
    ------
    SettingError
        If there are no metrics because there are no labels, or no gap can be this large.
    """
    if not metrics:
        raise SettingError("--fail-under needs labels, and this data has none; leave it out")
    which = metric_named(metrics[0] if metric is None else metric)
    lowest, highest = which.range
    if not (isfinite(required) and abs(required) < highest - lowest):
        hint = "; 0.05 is 5 points" if which.unit == "points" else ""
        below = f" below {highest - lowest:g}" if isfinite(highest - lowest) else ""
        raise SettingError(
            f"--fail-under is {required:g}; expected a number{below}, in units of "
            f"{which.label}{hint}"
        )


def required_gap(run: Run, required: float, metric: str | None = None) -> RequiredGap:
    """Return whether the gap of a run is as large as required.

    Parameters
    ----------
    run : Run
    required : float
        The smallest accepted gap, in units of the metric; below 0 to accept some loss.
    metric : str, optional
        One of the run's; the first by default.

    Raises
    ------
    SettingError
        If the run has no labels, or no gap can be as large as `required`.
    RunError
        If the run has no such metric.
    """
    check_requirement(required, run.metrics, metric)
    gap = run.gap(run.metrics[0] if metric is None else metric)
    which = metric_named(gap.metric)
    least = whole(required, which.unit).replace("-", "−")
    requirement = f"the gap in {which.label} is at least {least}"
    if run.shared_by_all is not None:
        holds, why = False, f"all examples share one {run.shared_by_all}, so it is not measurable"
    elif not isfinite(gap.low):
        holds, why = False, f"it is {change(gap.difference, which.unit)} and has no interval"
    else:
        holds = gap.low >= required
        why = (
            f"it is {change(gap.difference, which.unit)} "
            f"{bracket(gap.low, gap.high, which.unit, (0.0, required))}, and the lower limit is "
            f"{'not ' if holds else ''}below {least}"
        )
    return RequiredGap(
        of=visible(run_title(run.manifest)),
        requirement=requirement,
        holds=holds,
        sentence=f"{'passed' if holds else 'failed'}: {requirement}: {why}",
    )
