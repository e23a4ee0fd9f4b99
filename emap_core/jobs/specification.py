"""What a job is asked to do, as the command line takes it: compute a run, or probe one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class RunSpecification:
    """A model on a dataset.

    Attributes
    ----------
    model, data : str
        Specs.
    settings : dict
        Flags of ``emap-lens run`` without their dashes: ``limit``, ``keep``, …; None leaves one
        out, True gives it without a value, a list gives it several times.
    """

    model: str
    data: str
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Eight hexadecimal digits, equal for equal work, whatever the run's name."""
        work = asdict(self)
        for name in ("name", "tag"):
            work["settings"].pop(name, None)
        return _digits(work)

    def arguments(self) -> list[str]:
        """Return the work as arguments of the command line."""
        return [f"--model={self.model}", f"--data={self.data}", *_flags(self.settings)]


@dataclass(frozen=True)
class ProbeSpecification:
    """A probe of a finished run.

    Attributes
    ----------
    run : str
        The run's id.
    probe : str
        The probe's name.
    settings : dict
        Flags of ``emap-lens probe``, as in `RunSpecification`.
    """

    run: str
    probe: str
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Eight hexadecimal digits, equal for equal questions."""
        return _digits(asdict(self))

    def arguments(self) -> list[str]:
        """Return the question as arguments of the command line."""
        # Ids may start with a dash, too.
        return [*_flags(self.settings), "--", self.run, self.probe]


def _digits(asked: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:8]


def _flags(settings: dict[str, Any]) -> list[str]:
    # With "--flag=value", a value that starts with a dash is not mistaken for a flag.
    found = []
    for name, value in sorted(settings.items()):
        several = value if isinstance(value, list | tuple) else [value]
        flag = f"--{name.replace('_', '-')}"
        found += [flag if one is True else f"{flag}={one}" for one in several if one is not None]
    return found
