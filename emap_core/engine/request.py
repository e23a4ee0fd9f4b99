"""What the engine is asked to do, and who hears about progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emap_core.datasets import with_prefix
from emap_core.engine.progress import Listener
from emap_core.engine.settings import Settings
from emap_core.errors import SettingError
from emap_core.option_names import DATA_ARGUMENTS

if TYPE_CHECKING:
    from emap_core.engine.cost import Estimate


@dataclass(frozen=True)
class Request:
    """A model, data and settings as given; nothing is loaded yet.

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

    @classmethod
    def of(
        cls,
        model: Any,
        dataset: Any,
        *,
        model_args: dict[str, Any] | None = None,
        data_args: dict[str, Any] | None = None,
        train: Any = None,
        train_args: dict[str, Any] | None = None,
        **settings: Any,
    ) -> Request:
        """Return a request from the arguments of `compute`.

        Parameters
        ----------
        model, dataset, model_args, data_args, train, train_args
            As for `compute`.
        **settings
            Those of `Settings`, and `DATA_ARGUMENTS`, which go to the loader of the data.

        Raises
        ------
        SettingError
            If a setting is unknown, or an option of the data is given twice.
        """
        given = data_args or {}
        own = {name: value for name, value in settings.items() if name in DATA_ARGUMENTS}
        for name in own.keys() & given.keys():
            raise SettingError(f"{name} is given twice, here and in data_args; leave one out")
        rest = {name: value for name, value in settings.items() if name not in own}
        if "limit" in own:
            own["seed"] = settings.get("seed", 0)
        of_data = {**own, **given} or None
        return cls(model, dataset, Settings.of(rest), model_args, of_data, train, train_args)

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
    """Who hears from a run while it is computed.

    Attributes
    ----------
    listener : callable or None
        Gets every progress event; see `Progress`.
    preview : callable or None
        Gets what a new run would cost, before it starts.
    cancelled : callable or None
        Asked after every tile whether to stop.
    """

    listener: Listener | None = None
    preview: Callable[[Estimate], None] | None = None
    cancelled: Callable[[], bool] | None = None
