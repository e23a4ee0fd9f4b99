"""At which steps of a training to measure."""

from __future__ import annotations

from emap_core.errors import SettingError


def check_every(every: int) -> None:
    """Raise a SettingError unless `every` is a number of steps."""
    if isinstance(every, bool) or not isinstance(every, int) or every < 1:
        raise SettingError(f"every is {every!r}; expected a whole number of at least 1")


def due(step: int, every: int, last: int = 0) -> bool:
    """Return whether a step is a multiple of `every`, or the last one."""
    return step > 0 and (step % every == 0 or step == last)
