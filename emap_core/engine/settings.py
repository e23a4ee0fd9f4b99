"""What a caller can ask of `compute`, checked before anything is loaded."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from emap_core.engine.evaluate import PRECISIONS
from emap_core.engine.space import SPACES
from emap_core.errors import SettingError
from emap_core.inference.population import CLUSTERS, Cluster
from emap_core.models.base import Output
from emap_core.options import UNKNOWN_LABELS, UnknownLabels, option
from emap_core.runs.labels import checked_name

Method = Literal["exact", "sampled", "subsample"]
METHODS = ("exact", "sampled", "subsample")
KEEPS = ("auto", "grid", "sums")
ENGINES = ("local", "ray")
DENSITIES = ("off", "encodings")


@dataclass(frozen=True)
class Settings:
    """Keyword arguments of `compute`; see there."""

    method: Method = "exact"
    images_per_text: int | None = None
    until: float | None = None
    subsample_size: int | None = None
    repeats: int = 10
    seed: int = 0
    space: Output = "logits"
    keep: str = "auto"
    keep_classes: int | None = None
    grid_budget: int = 2 * 2**30
    batch_size: int | None = None
    device: str = "auto"
    precision: str = "float32"
    part: tuple[int, int] | None = None
    engine: str = "local"
    address: str | None = None
    cpus_per_worker: int = 1
    metrics: tuple[str, ...] = ()
    cluster: Cluster = "auto"
    n_resamples: int = 1000
    density: str = "off"
    fingerprint: str | None = None
    unknown_labels: UnknownLabels = "error"
    name: str | None = None

    def __post_init__(self) -> None:
        for name, known in (
            ("method", METHODS),
            ("space", SPACES),
            ("keep", KEEPS),
            ("precision", PRECISIONS),
            ("engine", ENGINES),
            ("cluster", CLUSTERS),
            ("unknown_labels", UNKNOWN_LABELS),
            ("density", DENSITIES),
        ):
            if getattr(self, name) not in known:
                raise SettingError(
                    f"{name} is {getattr(self, name)!r}; expected one of {', '.join(known)}"
                )
        for name in (
            "images_per_text",
            "batch_size",
            "grid_budget",
            "keep_classes",
            "subsample_size",
            "repeats",
            "n_resamples",
            "cpus_per_worker",
        ):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise SettingError(f"{name} is {value!r}; expected a whole number of at least 1")
        object.__setattr__(self, "name", checked_name(self.name))
        if self.part is not None:
            _check_part(self.part, self.method, self.batch_size)
        if self.keep_classes is not None and self.keep == "sums":
            raise SettingError(
                "keep_classes says whose grid to keep, and keep='sums' that none is; give one"
            )
        if self.density != "off" and (self.method, self.part) != ("exact", None):
            raise SettingError(
                f"{option('density', of='run')} reads the whole grid, which only "
                f"{option('method', 'exact', of='run')} computes, and not in parts; leave it out"
            )
        if self.until is not None and not self.until > 0:
            raise SettingError(f"until is {self.until!r}; expected a number above 0")
        if self.method == "sampled" and self.images_per_text is None and self.until is None:
            raise SettingError(
                "method='sampled' needs images_per_text, how many images a text meets, or until, "
                "how well the gap is to be known"
            )
        if (self.method == "subsample") != (self.subsample_size is not None):
            raise SettingError(
                "subsample_size, how many examples a sub-sample has, and method='subsample' "
                "belong together; give both or neither"
            )

    @classmethod
    def of(cls, arguments: dict[str, Any]) -> Settings:
        """Return settings from keyword arguments, unknown ones refused by name."""
        known = {f.name for f in dataclasses.fields(cls)}
        for name in arguments:
            if name not in known:
                raise SettingError(
                    f"there is no setting {name!r}; known are {', '.join(sorted(known))}"
                )
        metrics = arguments.get("metrics") or ()
        if isinstance(metrics, str):
            metrics = (metrics,)
        return cls(**{**arguments, "metrics": tuple(metrics)})

    @property
    def resampling(self) -> dict[str, Any]:
        """How intervals are to be computed."""
        return {"cluster": self.cluster, "n_resamples": self.n_resamples, "seed": self.seed}

    def identity(self) -> dict[str, Any]:
        """Return the settings that change what a run holds, for its id and for resuming."""
        of_method = {
            "exact": set(),
            "sampled": {"images_per_text", "until", "seed"},
            "subsample": {"subsample_size", "repeats", "seed"},
        }
        used = {"method", "space", "keep", "precision"} | of_method[self.method]
        if self.keep_classes is not None:
            used.add("keep_classes")
        if self.unknown_labels != "error":
            used.add("unknown_labels")
        if self.density != "off":
            used |= {"density", "seed"}
        return {key: value for key, value in dataclasses.asdict(self).items() if key in used}


def _check_part(part: tuple[int, int], method: str, batch_size: int | None) -> None:
    if len(part) != 2 or not 1 <= part[0] <= part[1]:
        raise SettingError(f"part is {part!r}; expected which one of how many, from (1, n)")
    if method != "exact":
        raise SettingError(f"only the exact method has parts; this one is {method}")
    if batch_size is None:
        raise SettingError(
            "a part needs batch_size, the same for all parts: a measured one would cut the grid "
            "in other tiles elsewhere"
        )
