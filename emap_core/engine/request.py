"""What the engine is asked for, and who is told how it goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emap_core.datasets import with_prefix
from emap_core.engine.progress import Listener
from emap_core.engine.settings import Settings

if TYPE_CHECKING:
    from emap_core.engine.cost import Estimate


@dataclass(frozen=True)
class Request:
    """A model, data and settings as they were given; nothing is loaded yet.

    Attributes
    ----------
    model, dataset : object or str
        As for `compute`.
    settings : Settings
    model_args, data_args, train_args : dict or None
        Keyword arguments of the loaders.
    train : Dataset, str or None
        A training split.
    """

    model: Any
    dataset: Any
    settings: Settings
    model_args: dict[str, Any] | None = None
    data_args: dict[str, Any] | None = None
    train: Any = None
    train_args: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        for name in ("dataset", "train"):
            given = getattr(self, name)
            if isinstance(given, (str, Path)):
                object.__setattr__(self, name, with_prefix(str(given)))

    def for_workers(self) -> Request:
        """Return what workers need to score pairs; linear probes are trained here."""
        return replace(self, train=None, train_args=None)

    def on_device(self, device: str) -> Request:
        """Return the same work for another device."""
        return replace(self, settings=replace(self.settings, device=device))


@dataclass(frozen=True)
class Callbacks:
    """Whom a run talks to while it is computed.

    Attributes
    ----------
    listener : callable or None
        Gets every progress event, see `Progress`.
    preview : callable or None
        Gets what a new run would cost, before it starts.
    cancelled : callable or None
        Asked after every tile whether to stop.
    """

    listener: Listener | None = None
    preview: Callable[[Estimate], None] | None = None
    cancelled: Callable[[], bool] | None = None
