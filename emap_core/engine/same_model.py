"""Whether the model is still the one that began a run."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emap_core.engine.binding import Binding
from emap_core.engine.measure import WarmUp
from emap_core.engine.noise import pairs_to_score_again, rounding_of
from emap_core.engine.warm_up import encode_anew, warm_up_area
from emap_core.errors import ModelError, RunError
from emap_core.option_names import option
from emap_core.runs.store import replacing
from emap_core.types import Index


@dataclass(frozen=True, eq=False)
class FirstOutputs:
    """What a model returned for a few pairs when its run began.

    Attributes
    ----------
    rows, columns : ndarray of shape (k,)
        The pairs; rows in plan order.
    values : ndarray of shape (k, C)
        As the model returned them.
    computed_dtype : str
        As in `WarmUp`.
    tolerance : float
        How far other outputs for the same pairs may be from them by rounding.
    """

    rows: Index
    columns: Index
    values: NDArray[Any]
    computed_dtype: str
    tolerance: float

    @classmethod
    def of(cls, binding: Binding, warm_up: WarmUp) -> FirstOutputs:
        """Choose some pairs of the warm-up tile."""
        rows, columns = pairs_to_score_again(warm_up)
        top, left = (side.start for side in warm_up_area(binding))
        return cls(
            rows + top,
            columns + left,
            warm_up.raw[rows, columns],
            warm_up.computed_dtype,
            rounding_of(warm_up.raw, warm_up.computed_dtype, binding.device),
        )

    def save(self, path: Path) -> None:
        """Write them in one step."""
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **vars(self))

    @classmethod
    def load(cls, path: Path) -> FirstOutputs | None:
        """Return those of an interrupted run; None if an earlier version began it.

        Raises
        ------
        RunError
            If the file is damaged.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                return cls(
                    stored["rows"],
                    stored["columns"],
                    stored["values"],
                    str(stored["computed_dtype"]),
                    float(stored["tolerance"]),
                )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise RunError(
                f"{path.name} of run {path.parent.name!r} cannot be read: {error}; delete the "
                "run's folder and start it again"
            ) from error


def may_be_asked_again(binding: Binding) -> bool:
    """Say whether a model should answer the same each time, and another answer costs nothing."""
    costs = binding.scorer.stated_speed is not None
    return not (binding.is_lookup or binding.settings.allow_noise or costs)


def check_same_model(binding: Binding, first: FirstOutputs, resumed: bool) -> None:
    """Refuse a model that scores differently from when its run began.

    Parameters
    ----------
    binding : Binding
    first : FirstOutputs
    resumed : bool
        Whether an interrupted run is about to be resumed; else all pairs have been scored, and the
        model changed meanwhile.

    Raises
    ------
    ModelError
    """
    why = _changed(binding, first)
    if why is None:
        return
    if resumed:
        advice = f"load the model as it was, or choose another {option('out', of='run')}"
    else:
        advice = (
            "correct what changes in the model while it scores, then start the run again, or set "
            f"{option('allow_noise', 'true', 'run')}"
        )
    raise ModelError(f"{why}; {advice}")


def _changed(binding: Binding, first: FirstOutputs) -> str | None:
    """Score the first pairs again; say what has changed, if anything has."""
    encoded = encode_anew(binding, first.rows, first.columns)
    with binding.scorer.anew():
        now = binding.evaluator.raw_pairs(*encoded)
    before, after = first.values.shape[-1], now.shape[-1]
    if before != after:
        return f"the model returned {before} classes when the run began, but {after} now"
    # Another device may round more.
    rounding = rounding_of(first.values, first.computed_dtype, binding.device)
    apart = np.abs(now.astype(np.float64) - first.values.astype(np.float64)).max()
    # NaN is not within it either.
    if apart <= max(first.tolerance, rounding):
        return None
    return (
        "the model's outputs for the same pairs have changed since the run began, by up to "
        f"{apart:.3g}, which would count as interaction"
    )
