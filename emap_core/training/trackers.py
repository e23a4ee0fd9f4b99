"""The numbers of a run for training trackers, and finished runs sent to one."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import isfinite
from pathlib import Path

from emap_core.errors import EmapError, MissingExtraError, SettingError
from emap_core.installation import with_extra
from emap_core.presentation.run_details import facts
from emap_core.presentation.run_titles import run_title
from emap_core.runs import Run
from emap_core.untrusted_text import visible

Numbers = dict[str, float]

_USER_OF_ADDRESS = re.compile(r"//[^/\s]*@")
_LAST_STEP = 2**63 - 1


def numbers_of(run: Run) -> Numbers:
    """Return a run's main numbers by the names they are logged under, without NaN.

    See `GapInTraining.__call__`; the names after ``emap/`` are those of the table of `compare`.
    """
    found = {"emap/n_examples": float(run.manifest["n_examples"])}
    found["emap/interaction_share"] = float(run.shares.pooled_shares[-1])
    for name in run.metrics:
        gap = run.gap(name)
        found |= {
            f"emap/{name}": gap.full,
            f"emap/{name}_emap": gap.projected,
            f"emap/{name}_gap": gap.difference,
            f"emap/{name}_gap_low": gap.low,
            f"emap/{name}_gap_high": gap.high,
        }
    return {name: float(value) for name, value in found.items() if isfinite(value)}


def log_run(run: Run, to: str, *, step: int | None = None, folder: Path | None = None) -> str:
    """Send the numbers, the verdict and the facts of a finished run to a tracker.

    Parameters
    ----------
    run : Run
    to : str
        One of `TRACKERS`. It is found as usual: by ``MLFLOW_TRACKING_URI``, ``WANDB_PROJECT`` and
        so on.
    step : int, optional
        The training step; by default the run's, or 0.
    folder : Path, optional
        Folder of TensorBoard's files; by default one in ``tensorboard``, named after the run.

    Returns
    -------
    str
        Where it went, in words.

    Raises
    ------
    SettingError
        If there is no such tracker, it does not take a folder or this step, or it does not answer.
    MissingExtraError
        If its library is not installed.
    """
    if to not in TRACKERS:
        raise SettingError(f"--to is {to!r}; choose one of {', '.join(TRACKERS)}")
    if folder is not None and to != "tensorboard":
        raise SettingError("--out is for the files of TensorBoard; leave it out")
    if step is None:
        step = run.manifest["settings"].get("step") or 0
    if not 0 <= step <= _LAST_STEP:
        raise SettingError(
            f"--step is {step}; expected a whole number from 0 to {_LAST_STEP:,}, the last that "
            "all trackers take"
        )
    try:
        return without_password(TRACKERS[to](run, step, folder))
    except EmapError:
        raise
    except Exception as error:
        # Each library has its own errors for a server that is down or wants a login.
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise SettingError(f"{to} did not accept the run: {without_password(said)}") from error


def without_password(said: str) -> str:
    """Return a sentence without users and passwords in addresses."""
    return _USER_OF_ADDRESS.sub("//…@", said)


def _missing(name: str, library: str) -> MissingExtraError:
    return MissingExtraError(f"logging to {name} needs {library}: {with_extra(library)}")


def _to_tensorboard(run: Run, step: int, folder: Path | None) -> str:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise _missing("TensorBoard", "tensorboard") from None
    place = folder or Path("tensorboard") / run.id
    with SummaryWriter(str(place)) as writer:
        for name, value in numbers_of(run).items():
            writer.add_scalar(name, value, step)
        told = "\n".join(f"- {name}: {value}" for name, value in _told(run).items())
        writer.add_text("emap/run", told, step)
    return str(place)


def _to_mlflow(run: Run, step: int, _: Path | None) -> str:
    try:
        import mlflow
    except ImportError:
        raise _missing("MLflow", "mlflow") from None
    with mlflow.start_run(run_name=_title(run), description=str(run.verdict())) as begun:
        mlflow.log_metrics(numbers_of(run), step=step)
        mlflow.set_tags({f"emap.{_plain(name)}": value for name, value in _told(run).items()})
    return f"run {begun.info.run_id} of {mlflow.get_tracking_uri()}"


def _to_wandb(run: Run, step: int, _: Path | None) -> str:
    try:
        import wandb
    except ImportError:
        raise _missing("Weights & Biases", "wandb") from None
    begun = wandb.init(name=_title(run), notes=str(run.verdict()), config=_told(run))
    begun.log(numbers_of(run), step=step)
    where = begun.url or begun.dir
    begun.finish()
    return str(where)


TRACKERS: dict[str, Callable[[Run, int, Path | None], str]] = {
    "mlflow": _to_mlflow,
    "tensorboard": _to_tensorboard,
    "wandb": _to_wandb,
}
"""Trackers that finished runs can be sent to."""


def _title(run: Run) -> str:
    return visible(run_title(run.manifest))


def _told(run: Run) -> dict[str, str]:
    told = {"Verdict": str(run.verdict()), **facts(run)}
    return {name: visible(value) for name, value in told.items()}


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name).lower()
