"""What a job is asked to do: a model, a dataset and settings, as the command line takes them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Work:
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
        work["settings"].pop("name", None)
        return hashlib.sha256(json.dumps(work, sort_keys=True).encode()).hexdigest()[:8]

    def arguments(self) -> list[str]:
        """Return the work as arguments of the command line."""
        # "--flag=value" keeps a value that starts with a dash from being taken for a flag.
        found = [f"--model={self.model}", f"--data={self.data}"]
        for name, value in sorted(self.settings.items()):
            several = value if isinstance(value, list | tuple) else [value]
            flag = f"--{name.replace('_', '-')}"
            found += [
                flag if one is True else f"{flag}={one}" for one in several if one is not None
            ]
        return found
