"""Numbers as people read them: three figures, points for differences of shares, limits in brackets.

Rounding must not change what a limit says. A limit gets more digits if it would otherwise seem to
be on a line (0, the equivalence margin) when it is only near it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

_MOST_DIGITS = 9
# Limits this close to a line, in its own units, differ from it only by rounding.
_SAME = 1e-9
# Takes a number and how many digits to show; returns the text, and the number it stands for.
_Form = Callable[[float, int], tuple[str, float]]


def number(value: float, beside: Sequence[float] = ()) -> str:
    """Return three significant figures: 0.0123, 1.23, 12.3, 1,230.

    Parameters
    ----------
    value : float
    beside : sequence of float
        Lines; the digits must show on which side of them the value is.
    """
    if not math.isfinite(value):
        return "not defined"
    return _telling(value, beside, 3, _figures)


def signed(value: float) -> str:
    """Return three significant figures with their sign: +1.23, −0.0456."""
    return f"+{number(value)}" if value > 0 else number(value)


def percent(share: float) -> str:
    """Return a share of 1 as a percentage with one decimal: 42.1%."""
    return f"{100 * share:.1f}%".replace("-", "−") if math.isfinite(share) else "not defined"


def measured(value: float, unit: str) -> str:
    """Return a metric's value: a percentage if its differences are points, otherwise a number."""
    return percent(value) if unit == "points" else number(value)


def change(value: float, unit: str) -> str:
    """Return a signed difference of two values: ``+19.0 points``, ``−0.0123``."""
    if unit != "points" or not math.isfinite(value):
        return signed(value)
    return f"{'+' if value > 0 else ''}{points(value)} points"


def whole(value: float, unit: str) -> str:
    """Return a difference without a sign or needless zeros: ``1 point``, ``0.5 points``, ``0.02``.

    For numbers that somebody chose, which are round.
    """
    shown = f"{100 * value if unit == 'points' else value:.3g}"
    return shown if unit != "points" else f"{shown} point{'' if shown == '1' else 's'}"


def limit(value: float, unit: str, beside: Sequence[float] = ()) -> str:
    """Return a limit for use in brackets: in points if the unit is points."""
    return points(value, beside) if unit == "points" else number(value, beside)


def bracket(low: float, high: float, unit: str = "", beside: Sequence[float] = (0.0,)) -> str:
    """Return an interval: ``[18.2, 19.8]``, in points if the unit is points."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return "[no interval]"
    return f"[{limit(low, unit, beside)}, {limit(high, unit, beside)}]"


def points(share: float, beside: Sequence[float] = ()) -> str:
    """Return hundredths of a share with one decimal, or more near a line in `beside`."""
    return _telling(100 * share, [100 * line for line in beside], 1, _decimals)


def amount(value: float, unit: str) -> str:
    """Return a difference of two values without a plus sign: ``19.0 points``, ``−0.0123``."""
    return f"{points(value)} points" if unit == "points" and math.isfinite(value) else number(value)


def with_interval(value: float, low: float, high: float, unit: str) -> str:
    """Return a metric's value with its interval, if it has one: ``84.0% [80.8, 86.8]``."""
    if not math.isfinite(value):
        return "not defined"
    limits = math.isfinite(low) and math.isfinite(high)
    return measured(value, unit) + (f" {bracket(low, high, unit)}" if limits else "")


def p_value(value: float) -> str:
    """Return a p-value with its letter: ``p = 0.012``, ``p < 0.001``."""
    if math.isnan(value):
        return "not tested"
    return f"p {p_cell(value)}" if value < 0.001 else f"p = {p_cell(value)}"


def p_cell(value: float) -> str:
    """Return a p-value for a column of them: ``0.012``, ``< 0.001``, ``–``."""
    if math.isnan(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _telling(value: float, beside: Sequence[float], digits: int, show: _Form) -> str:
    for more in range(digits, _MOST_DIGITS + 1):
        shown, rounded = show(value, more)
        if all(_side(rounded, line) == _side(value, line) for line in beside):
            break
    return shown


def _side(value: float, line: float) -> int:
    if abs(value - line) <= _SAME * max(1.0, abs(line)):
        return 0
    return 1 if value > line else -1


def _decimals(value: float, places: int) -> tuple[str, float]:
    # "+ 0.0" turns −0.04 into 0.0, not −0.0.
    rounded = round(value, places) + 0.0
    return f"{rounded:.{places}f}".replace("-", "−"), rounded


def _figures(value: float, digits: int) -> tuple[str, float]:
    magnitude = abs(value)
    if magnitude == 0:
        return "0", 0.0
    rounded = float(f"{value:.{digits - 1}e}")
    if magnitude < 1e-4 or magnitude >= 1e7:
        return f"{value:.{digits - 1}e}".replace("-", "−"), rounded
    places = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    return f"{value:,.{places}f}".replace("-", "−"), float(f"{value:.{places}f}")
