"""What a job is asked to do, as the command line takes it: a run, or a question about one."""

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
        Flags of ``python -m emap_core run`` without their dashes: ``limit``, ``keep``, …;
        None leaves one out, True gives it without a value, a list gives it several times.
    """

    model: str
    data: str
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Eight hexadecimal digits that are the same for the same work, whatever it is called."""
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
        Flags of ``python -m emap_core probe``, as those of `RunSpecification`.
    """

    run: str
    probe: str
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Eight hexadecimal digits that are the same for the same question."""
        return _digits(asdict(self))

    def arguments(self) -> list[str]:
        """Return the question as arguments of the command line."""
        # Ids may start with a dash, too.
        return [*_flags(self.settings), "--", self.run, self.probe]


def _digits(asked: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:8]


def _flags(settings: dict[str, Any]) -> list[str]:
    # "--flag=value" keeps a value that starts with a dash from being taken for a flag.
    found = []
    for name, value in sorted(settings.items()):
        several = value if isinstance(value, list | tuple) else [value]
        flag = f"--{name.replace('_', '-')}"
        found += [flag if one is True else f"{flag}={one}" for one in several if one is not None]
    return found
