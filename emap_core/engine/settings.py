"""What a caller can ask of `compute`, checked before anything is loaded."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import Any

from emap_core import methods
from emap_core.engine.evaluate import PRECISIONS
from emap_core.errors import SettingError
from emap_core.inference.metrics import metric
from emap_core.inference.resamples.population import (
    LEAST_RESAMPLES,
    MOST_RESAMPLES,
    N_RESAMPLES,
)
from emap_core.models.base import OUTPUTS, Output
from emap_core.option_names import UNKNOWN_LABELS, UnknownLabels, option, option_name
from emap_core.runs.annotations import checked_name, checked_tags
from emap_core.types import SPACES, Cluster

KEEPS = ("auto", "grid", "sums")
ENGINES = ("local", "ray")
DENSITIES = ("off", "encodings")
_LEAST = {
    "seed": 0,
    "images_per_text": 1,
    "batch_size": 1,
    "grid_budget": 1,
    "picture_budget": 0,
    "keep_classes": 1,
    "subsample_size": 1,
    "repeats": 1,
    "n_resamples": LEAST_RESAMPLES,
    "cpus_per_worker": 1,
    "step": 0,
}
_WHY = {"n_resamples": ", because with fewer the limits depend on chance"}
_MOST = {
    # What every generator of random numbers takes, scikit-learn's included.
    "seed": 2**32 - 1,
    "n_resamples": MOST_RESAMPLES,
    # What trackers and figures take.
    "step": 2**63 - 1,
}


@dataclass(frozen=True)
class Settings:
    """Keyword arguments of `compute`; see there."""

    method: str = methods.DEFAULT
    images_per_text: int | None = None
    until: float | None = None
    subsample_size: int | None = None
    repeats: int = 10
    seed: int = 0
    output: Output | None = None
    allow_noise: bool = False
    space: Output = "logits"
    keep: str = "auto"
    keep_classes: int | str | None = None
    grid_budget: int = 2 * 2**30
    picture_budget: int = 128 * 10**6
    batch_size: int | None = None
    device: str = "auto"
    precision: str = "float32"
    shard: tuple[int, int] | None = None
    engine: str = "local"
    address: str | None = None
    cpus_per_worker: int = 1
    metrics: tuple[str, ...] = ()
    cluster: Cluster = "auto"
    n_resamples: int = N_RESAMPLES
    density: str = "off"
    fingerprint: str | None = None
    unknown_labels: UnknownLabels = "error"
    name: str | None = None
    tags: tuple[str, ...] = ()
    step: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "keep_classes", _classes_to_keep(self.keep_classes))
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if name == "keep_classes" and isinstance(value, str):
                continue
            if value is not None or getattr(Settings, name) is not None:
                found = whole_number(name, value, least, _WHY.get(name, ""))
                object.__setattr__(self, name, found)
        for name, most in _MOST.items():
            if (value := getattr(self, name)) is not None and value > most:
                raise SettingError(
                    f"{option_name(name)} is {value}; expected a whole number from "
                    f"{_LEAST[name]} to {most}"
                )
        for name, known in (
            ("method", methods.NAMES),
            ("space", SPACES),
            ("keep", KEEPS),
            ("precision", PRECISIONS),
            ("engine", ENGINES),
            ("unknown_labels", UNKNOWN_LABELS),
            ("density", DENSITIES),
        ):
            value = getattr(self, name)
            if not isinstance(value, str) or value not in known:
                raise SettingError(
                    f"{option_name(name)} is {value!r}; expected one of {', '.join(known)}"
                )
        if self.output is not None and self.output not in OUTPUTS:
            raise SettingError(
                f"{option_name('output')} is {self.output!r}; expected one of "
                f"{', '.join(OUTPUTS)}, what the model returns"
            )
        object.__setattr__(self, "name", checked_name(self.name))
        object.__setattr__(self, "tags", tuple(checked_tags(self.tags)))
        if self.shard is not None:
            object.__setattr__(self, "shard", _shard(self.shard, self.method, self.batch_size))
        if self.keep_classes is not None and self.keep == "sums":
            raise SettingError(
                f"{option('keep_classes', of='run')} says which grid to keep, but "
                f"{option('keep', 'sums', 'run')} keeps none; choose one of the two"
            )
        all_pairs = methods.method(self.method).scores_all_pairs
        if self.density != "off" and (not all_pairs or self.shard is not None):
            raise SettingError(
                f"{option('density', of='run')} reads the whole grid, which only "
                f"{option('method', methods.DEFAULT, of='run')} computes, but not in shards; leave "
                "it out"
            )
        if self.until is not None:
            try:
                object.__setattr__(self, "until", float(self.until))
            except (TypeError, ValueError):
                raise SettingError(
                    f"{option_name('until')} is {self.until!r}; expected a number above 0"
                ) from None
            if not 0 < self.until < inf:
                raise SettingError(
                    f"{option_name('until')} is {self.until!r}; expected a number above 0"
                )
        for method in methods.methods():
            method.check(self)

    @classmethod
    def of(cls, arguments: dict[str, Any]) -> Settings:
        """Return settings from keyword arguments; refuse unknown ones by name."""
        known = {f.name for f in dataclasses.fields(cls)}
        for name in arguments:
            if name not in known:
                raise SettingError(
                    f"there is no setting {name!r}; choose one of {', '.join(sorted(known))}"
                )
        metrics = arguments.get("metrics") or ()
        if isinstance(metrics, str):
            metrics = (metrics,)
        if not isinstance(metrics, Iterable) or not all(isinstance(one, str) for one in metrics):
            raise SettingError(f"{option_name('metrics')} is {metrics!r}; expected a list of names")
        # A run's record has one name for each metric, however it was requested.
        names = tuple(dict.fromkeys(metric(name).name for name in metrics))
        return cls(**{**arguments, "metrics": names})

    @property
    def resampling(self) -> dict[str, Any]:
        """How intervals are to be computed."""
        return {"cluster": self.cluster, "n_resamples": self.n_resamples, "seed": self.seed}

    def identity(self) -> dict[str, Any]:
        """Return the settings that change what a run holds, for its id and for resuming."""
        used = {"method", "space", "keep", "precision"}
        used |= methods.method(self.method).identity
        if self.keep_classes is not None:
            used.add("keep_classes")
        if self.unknown_labels != "error":
            used.add("unknown_labels")
        if self.density != "off":
            used |= {"density", "seed"}
        if self.output is not None:
            used.add("output")
        return {key: value for key, value in dataclasses.asdict(self).items() if key in used}


def whole_number(name: str, value: Any, least: int, why: str = "") -> int:
    """Return a whole number of any such type, NumPy's included; `why` is for the message.

    Raises
    ------
    SettingError
        If it is not a whole number, or is below the least.
    """
    try:
        # True would count as 1.
        found = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        found = None
    if found is None or found < least:
        raise SettingError(
            f"{option_name(name)} is {value!r}; expected a whole number of at least {least}{why}"
        )
    return found


def _shard(shard: Any, method: str, batch_size: int | None) -> tuple[int, int]:
    try:
        number, of = (operator.index(one) for one in shard)
    except (TypeError, ValueError):
        number, of = 0, 0
    if not 1 <= number <= of:
        raise SettingError(
            f"{option_name('shard')} is {shard!r}; expected (number, of how many), such as (1, 8)"
        )
    if not methods.method(method).scores_all_pairs:
        raise SettingError(f"only the {methods.DEFAULT} method has shards, not {method}")
    if batch_size is None:
        raise SettingError(
            f"a shard needs {option('batch_size', of='run')}, the same for all shards: a measured "
            "one would cut the grid into different tiles on another machine"
        )
    return number, of


def _classes_to_keep(given: Any) -> Any:
    """Return a number of classes, or names of classes with commas between them."""
    if isinstance(given, (list, tuple)):
        given = ",".join(map(str, given))
    if not isinstance(given, str):
        return given
    if given.strip().isdecimal():
        return int(given)
    names = [name.strip() for name in given.split(",") if name.strip()]
    if not names:
        raise SettingError(
            f"{option_name('keep_classes')} is {given!r}; expected a whole number, or names of "
            "classes with commas"
        )
    return ",".join(names)
