"""Ask a run one of the probes: what is kept is read, what is not is computed and kept."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from emap_core import specs
from emap_core.errors import Cancelled, EmapError, SettingError
from emap_core.probes.base import Answer, Probe
from emap_core.probes.probe_folder import ProbeFolder
from emap_core.probes.subject import Subject
from emap_core.runs import Run

PROBES = {
    "attribution": "emap_core.probes.attribution:Attribution",
    "blind-rows": "emap_core.probes.blind_rows:BlindRows",
    "two-towers": "emap_core.probes.two_towers:TwoTowers",
}
"""Name and class of each probe."""


def probe_named(name: str, **choices: Any) -> Probe:
    """Return a probe by its name, with what is chosen of it.

    Raises
    ------
    SettingError
        If there is none of that name, or it does not take a choice.
    """
    _check_name(name)
    kind = specs.import_name(PROBES[name])
    specs.check_arguments(f"probe {name!r}", kind, (), choices)
    probe: Probe = kind(**choices)
    return probe


def asks_about_examples(name: str) -> bool:
    """Return whether a probe is about one example, and not about the run."""
    _check_name(name)
    return "example" in specs.import_name(PROBES[name]).__dataclass_fields__


def _check_name(name: str) -> None:
    if name not in PROBES:
        raise SettingError(f"there is no probe {name!r}; choose one of {', '.join(PROBES)}")


def finished(run: Run, probe: Probe) -> Answer | None:
    """Return what a probe found, None where it was not asked or is not finished.

    Raises
    ------
    RunError
        If what is kept is damaged.
    """
    found = ProbeFolder(run, probe).read()
    return None if found is None else probe.read(found)


def ask(
    subject: Subject,
    probe: Probe,
    *,
    listener: Callable[[dict[str, Any]], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    queue: bool = False,
) -> Answer:
    """Return what a probe finds, from its folder or else from the model.

    Parameters
    ----------
    subject : Subject
    probe : Probe
    listener, cancelled : callable, optional
        As for `emap_core.compute`.
    queue : bool
        Wait until no queued run uses the device.

    Raises
    ------
    EmapError
        If the run cannot be asked, or the probe is cancelled; what is done of it is kept.
    """
    from emap_core.engine.device_queue import device_turn
    from emap_core.engine.progress import Progress

    run, folder = subject.run, ProbeFolder(subject.run, probe)
    progress = Progress(run.id, listener, cancelled)
    found = folder.read()
    if found is None:
        reason = probe.needs(subject)
        if reason is not None:
            raise SettingError(f"run {run.id!r} cannot be asked {probe.question!r}: {reason}")
        try:
            with folder.held():
                found = folder.read()
                if found is None:
                    device = subject.scorer.device
                    with device_turn(device, progress) if queue else contextlib.nullcontext():
                        result = probe.answer(subject, folder, progress)
                    found = result.to_json()
                    folder.write(found)
        except EmapError as error:
            event = "cancelled" if isinstance(error, Cancelled) else "failed"
            progress.tell(event, message=str(error))
            raise
    progress.tell("finished", pairs_done=progress.pairs_total, pairs_total=progress.pairs_total)
    return probe.read(found)
