"""Ask a run one of the probes: read a kept result, or compute and keep it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from emap_core import specs
from emap_core.errors import Cancelled, EmapError, SettingError
from emap_core.option_names import option_name
from emap_core.probes.base import Answer, Probe
from emap_core.probes.probe_folder import ProbeFolder
from emap_core.probes.probed_run import ProbedRun
from emap_core.runs import Run
from emap_core.types import Mask

Listener = Callable[[dict[str, Any]], None]

PROBES = {
    "attention": "emap_core.probes.averaged_attention:Attention",
    "attribution": "emap_core.probes.attribution:Attribution",
    "blind-rows": "emap_core.probes.blind_rows:BlindRows",
    "two-towers": "emap_core.probes.gap_between_towers:TwoTowers",
}
"""Name and class of each probe."""


def probe_named(name: str, **choices: Any) -> Probe:
    """Return a probe by name, with its settings.

    Raises
    ------
    SettingError
        If there is no such probe, or it does not take a setting.
    """
    _check_name(name)
    kind = specs.import_name(PROBES[name])
    specs.check_arguments(f"probe {name!r}", kind, (), choices)
    probe: Probe = kind(**choices)
    return probe


def asks_about_examples(name: str) -> bool:
    """Return whether a probe is about one example rather than the run."""
    _check_name(name)
    return "example" in specs.import_name(PROBES[name]).__dataclass_fields__


def _check_name(name: str) -> None:
    if name not in PROBES:
        raise SettingError(f"there is no probe {name!r}; choose one of {', '.join(PROBES)}")


def probes_named(
    run: Run,
    name: str,
    *,
    example: str | int | None = None,
    examples: Sequence[str | int] | None = None,
    largest: int | None = None,
    **choices: Any,
) -> list[Probe]:
    """Return a probe for each example asked about, or the one probe of a whole run.

    Parameters
    ----------
    run : Run
    name : str
    example : str or int, optional
        Its id, or its position in the run.
    examples : sequence, optional
        Several examples.
    largest : int, optional
        Instead of naming any: this many examples with the largest interaction.
    **choices
        Settings of the probe, the same for each.

    Raises
    ------
    SettingError
        If no example is given, or one is given for a probe of the whole run.
    """
    given = {"example": example, "examples": examples, "largest": largest}
    said = [option_name(one) for one, value in given.items() if value is not None]
    if not asks_about_examples(name):
        if said:
            raise SettingError(f"probe {name!r} is about the whole run; leave {said[0]} out")
        return [probe_named(name, **choices)]
    if len(said) != 1:
        # Report a mistyped name first.
        probe_named(name, example="", **choices)
        raise SettingError(
            f"{option_name('example')} says which example to ask about, {option_name('largest')} "
            "how many of those with the largest interaction; give one of the two"
        )
    if largest is not None:
        examples = with_largest_interaction(run, largest)
    elif example is not None:
        examples = [example]
    if not examples:
        raise SettingError(f"{option_name('examples')} is empty; name at least one example")
    asked = [probe_named(name, example=one, **choices) for one in examples]
    # An example named twice, by id and by position, counts once.
    return list({probe.key(run): probe for probe in asked}.values())


def with_largest_interaction(run: Run, count: int, among: Mask | None = None) -> list[str]:
    """Return the ids of the examples with the largest interaction; skip those without words.

    Parameters
    ----------
    run : Run
    count : int
    among : ndarray of bool, shape (N,), optional
        Only of these.

    Raises
    ------
    SettingError
        If the count is not at least 1.
    """
    if count < 1:
        raise SettingError(
            f"{option_name('largest')} is {count}; expected a whole number of at least 1"
        )
    table = run.examples()
    asked = table["text"].str.strip() != ""
    table = table[asked if among is None else asked & among]
    ranked = table.sort_values("interaction_size", ascending=False, kind="stable")
    return [str(one) for one in ranked["id"].head(count)]


def finished(run: Run, probe: Probe) -> Answer | None:
    """Return what a probe found, or None if it was not asked or is not finished.

    Raises
    ------
    RunError
        If the kept result is damaged.
    """
    found = ProbeFolder(run, probe).read()
    return None if found is None else probe.read(found)


def ask(
    probed: ProbedRun,
    probe: Probe,
    *,
    listener: Listener | None = None,
    cancelled: Callable[[], bool] | None = None,
    queue: bool = False,
) -> Answer:
    """Return what a probe finds, from its folder or from the model.

    Parameters
    ----------
    probed : ProbedRun
    probe : Probe
    listener, cancelled : callable, optional
        As for `emap_core.compute`.
    queue : bool
        Wait until no queued run uses the device.

    Raises
    ------
    EmapError
        If the run cannot be asked, or the probe is cancelled; finished work is kept.
    """
    from emap_core.engine.device_queue import device_turn
    from emap_core.engine.progress import Progress

    run, folder = probed.run, ProbeFolder(probed.run, probe)
    progress = Progress(run.id, listener, cancelled)
    found = folder.read()
    if found is None:
        reason = probe.needs(probed)
        if reason is not None:
            raise SettingError(f"run {run.id!r} cannot be asked {probe.question!r}: {reason}")
        try:
            with folder.held():
                found = folder.read()
                if found is None:
                    device = probed.scorer.device
                    with device_turn(device, progress) if queue else contextlib.nullcontext():
                        result = probe.answer(probed, folder, progress)
                    found = result.to_json()
                    folder.write(found)
        except EmapError as error:
            event = "cancelled" if isinstance(error, Cancelled) else "failed"
            progress.tell(event, message=str(error))
            raise
    progress.tell("finished", pairs_done=progress.pairs_total, pairs_total=progress.pairs_total)
    return probe.read(found)


def ask_each(
    probed: ProbedRun,
    probes: Sequence[Probe],
    *,
    listener: Listener | None = None,
    cancelled: Callable[[], bool] | None = None,
    queue: bool = False,
    then: Callable[[Answer], None] | None = None,
) -> list[Answer]:
    """Return what several probes find, as `ask` does, with one count of pairs for all.

    Parameters
    ----------
    probed, listener, cancelled, queue
        As for `ask`.
    probes : sequence of Probe
    then : callable, optional
        Called with each answer as soon as it is found.
    """
    costs = [probe.cost(probed.run).passes for probe in probes]
    found: list[Answer] = []
    for place, probe in enumerate(probes):
        told = listener and _one_of_several(listener, costs, place)
        found.append(ask(probed, probe, listener=told, cancelled=cancelled, queue=queue))
        if then is not None:
            then(found[-1])
    return found


def _one_of_several(listener: Listener, costs: Sequence[int], place: int) -> Listener:
    """Return a listener that turns the events of one of several probes into those of all."""
    before, total = sum(costs[:place]), sum(costs)

    def told(event: dict[str, Any]) -> None:
        event = {**event, "pairs_total": total}
        if event["event"] == "finished":
            event["pairs_done"] = before + costs[place]
            if place + 1 < len(costs):
                event |= {"event": "progress", "gap": None}
        elif event["event"] == "progress":
            event["pairs_done"] += before
            rate = event["pairs_per_second"]
            event["seconds_left"] = (total - event["pairs_done"]) / rate if rate > 0 else None
        elif place and event["event"] in ("checking", "asking"):
            return
        listener(event)

    return told
