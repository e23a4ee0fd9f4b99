"""What to call a run: the name a person gave it, or one that starts with what differs."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from emap_core.runs import Run
from emap_core.runs.folder import list_runs

Json = Mapping[str, Any]

_LONGEST_FILE_NAME = 80
_ORDER = ("model", "data", "train", "n_examples", "method", "setting", "weights", "created")
"""First words of what tells runs apart, in the order in which people ask."""


def run_title(manifest: Json) -> str:
    """Return a run's given name, or its model on its data."""
    return str(manifest.get("name") or f"{manifest.get('model')} on {manifest.get('dataset')}")


def run_titles(manifests: Mapping[str, Json]) -> dict[str, str]:
    """Return a label for each run, all different.

    Parameters
    ----------
    manifests : mapping of str to dict
        The manifest of each run, by id.

    Returns
    -------
    dict of str to str
        The title. Runs with the same title start with what tells them apart (arguments, weights,
        method, number of examples, date), or, if nothing does, the id.
    """
    alike = defaultdict(list)
    for run_id, manifest in manifests.items():
        alike[run_title(manifest)].append(run_id)
    labels = {}
    for title, ids in alike.items():
        if len(ids) == 1:
            labels[ids[0]] = title
            continue
        facts = {i: _facts(manifests[i]) for i in ids}
        every = dict.fromkeys(name for own in facts.values() for name in own)
        # A run may have facts that the first one lacks, which must not come after its date.
        names = sorted(every, key=lambda name: _ORDER.index(name.split()[0]))
        differing: list[str] = []
        told = dict.fromkeys(ids, "")
        for name in names:
            more = {i: _told(facts[i], [*differing, name]) for i in ids}
            # A detail that tells no more of them apart would only make the titles longer.
            if len(set(more.values())) > len(set(told.values())):
                differing, told = [*differing, name], more
        for i in ids:
            unique = list(told.values()).count(told[i]) == 1
            labels[i] = " · ".join([*filter(None, [told[i]]), title, *([] if unique else [i])])
    return {run_id: labels[run_id] for run_id in manifests}


def title_beside_others(run: Run) -> str:
    """Return the title of a run among the finished runs in its folder."""
    beside = list_runs(run.path.parent)
    finished = {info.id: info.manifest for info in beside if info.status == "finished"}
    return run_titles({**finished, run.id: run.manifest})[run.id]


def file_name(title: str, what: str) -> str:
    """Return a name for a file about a run, safe on any disk: its title, then what the file is."""
    readable = re.sub(r"[^\w.,=+-]+", "-", title)[:_LONGEST_FILE_NAME].strip("-. ")
    return f"{readable or 'run'}-{what}"


def made_from(manifest: Json) -> dict[str, str]:
    """Return in words what a run was made from: specs and arguments of model and data, the code."""
    made: Json = manifest.get("provenance") or {}
    found = {}
    for side, name in (("model", "Model"), ("data", "Data"), ("train", "Training data")):
        one = made.get(side)
        if one:
            found[name] = _in_words(one)
    description: Json = (made.get("model") or {}).get("description") or {}
    for key, value in description.items():
        if value is not None:
            found[f"Model, {key.replace('_', ' ')}"] = str(value)
    # A server does not say what it computes with.
    if (types := _types(manifest)) and "server" not in description:
        found["Number types"] = types
    code = made.get("code") or {}
    if code:
        found["EMAP Lens"] = f"{code.get('version')} ({code.get('source')})"
    return found


def _types(manifest: Json) -> str:
    told = (("weights", "dtype"), ("computed in", "computed_dtype"), ("outputs", "output_dtype"))
    return ", ".join(f"{words} {manifest[key]}" for words, key in told if manifest.get(key))


def _in_words(one: Json) -> str:
    arguments = ", ".join(f"{key}={value}" for key, value in (one.get("arguments") or {}).items())
    return f"{one.get('spec')} ({arguments})" if arguments else str(one.get("spec"))


def _told(facts: Mapping[str, str], names: list[str]) -> str:
    return ", ".join(facts[name] for name in names if name in facts)


def _facts(manifest: Json) -> dict[str, str]:
    """Return what may tell runs with the same title apart, in the order in which people ask."""
    made: Json = manifest.get("provenance") or {}
    found = {}
    for side in ("model", "data", "train"):
        one: Json = made.get(side) or {}
        for name, value in (one.get("arguments") or {}).items():
            found[f"{side} {name}"] = f"{name}={value}"
        if one.get("spec"):
            found[f"{side} spec"] = str(one["spec"])
    weights = (manifest.get("fingerprints") or {}).get("model")
    settings: Json = manifest.get("settings") or {}
    found["n_examples"] = f"{manifest.get('n_examples', 0):,} examples"
    found["method"] = str(manifest.get("method"))
    for name, value in settings.items():
        if value is not None:
            found[f"setting {name}"] = f"{name.replace('_', ' ')} {value}"
    if weights:
        found["weights"] = f"weights {str(weights)[:8]}"
    found["created"] = str(manifest.get("created", ""))[:16].replace("T", " ")
    return found
