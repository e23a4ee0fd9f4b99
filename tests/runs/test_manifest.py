import json
import re

import pytest
from bad_inputs.make import MANIFEST

from emap_core.errors import RunError
from emap_core.runs.folder import RunFolder, describe_run, list_runs
from emap_core.runs.manifest import KEYS, checked_event, checked_manifest
from emap_core.runs.run import Run

OTHERS = [None, True, 3, -1, 2.5, 10**18, float("nan"), "three", "\ud800", [], [[]], {}]


def other_values(name):
    return [v for v in OTHERS if repr(v) != repr(MANIFEST.get(name, KEYS[name].default))]


def test_a_manifest_that_fits_comes_back_with_what_older_runs_lack():
    found = checked_manifest(MANIFEST, "it")
    assert {**found, **MANIFEST, "settings": None} == {**found, "settings": None}
    assert set(found) == set(KEYS)
    assert found["resampling"] == {"cluster": "auto", "n_resamples": 1000, "seed": 0}
    assert found["skipped"] == [] and found["has_threshold"] is True
    assert found["settings"]["repeats"] == 10


def test_keys_of_a_later_version_are_kept_and_do_no_harm():
    more = {"description": "late fusion", "origin": {"a": [1]}}
    found = checked_manifest(MANIFEST | more, "it")
    assert more.items() <= found.items()


@pytest.mark.parametrize("name", KEYS)
def test_a_value_of_any_other_kind_is_refused_by_name_or_harmless(name):
    refused = 0
    for value in other_values(name):
        try:
            found = checked_manifest(MANIFEST | {name: value}, "it")
        except RunError as error:
            assert re.search(rf"in run.json {name}|in run.json n_|has format", str(error))
            assert "\n" not in str(error) and len(str(error)) < 300
            refused += 1
        else:
            assert json.dumps(found)
    assert refused >= 5


@pytest.mark.parametrize("name", [name for name in MANIFEST if name not in ("format",)])
def test_a_manifest_without_what_every_run_has_is_refused(name):
    less = {key: value for key, value in MANIFEST.items() if key != name}
    with pytest.raises(RunError, match=f"in run.json {name} is missing"):
        checked_manifest(less, "it")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_classes": 1_000_000_000}, "n_classes is 1000000000; expected 3, as many as classes"),
        ({"classes": ["yes"]}, "n_classes is 3; expected 1"),
        ({"task": "binary"}, "expected two names and one output"),
        ({"n_texts": 61}, "n_texts is 61; expected at most 60, as n_examples says"),
        ({"metrics": ["accuracy", "r2"]}, r"metrics\[1\] is 'r2'; expected"),
        ({"keep": "classes"}, "kept_classes is None"),
        ({"keep": "classes", "kept_classes": [0, 3]}, "kept_classes is"),
        ({"keep": "classes", "kept_classes": [1, 1]}, "kept_classes is"),
        ({"resampling": {"n_resamples": 10**9}}, "resampling.n_resamples is 1000000000"),
        ({"resampling": {"threads": 2}}, "resampling.threads is 2; expected no such key"),
        ({"settings": {"part": [3, 2]}}, "settings.part is"),
        ({"method": "subsample"}, "settings.subsample_size is None"),
        ({"format": 2}, "has format 2, but this version reads up to 1; update EMAP Lens"),
    ],
)
def test_what_keys_say_against_each_other_is_refused(changes, words):
    with pytest.raises(RunError, match=words):
        checked_manifest(MANIFEST | changes, "it")


def test_a_damaged_run_is_listed_with_why_and_beside_the_others(tmp_path):
    for name, changes in (("good", {}), ("bad", {"created": 3}), ("odd", {"model": ["x"]})):
        RunFolder(tmp_path / name).write_manifest(MANIFEST | changes)
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "run.json").write_text('{"format": 1')
    found = {info.id: (info.status, info.error) for info in list_runs(tmp_path)}
    assert found["good"] == ("finished", None)
    assert {name: status for name, (status, _) in found.items() if name != "good"} == dict.fromkeys(
        ("bad", "odd", "torn"), "damaged"
    )
    assert "created is 3; expected a date and time" in found["bad"][1]
    with pytest.raises(RunError, match="run 'odd' is damaged"):
        Run.load(tmp_path / "odd")


def test_a_progress_event_of_another_kind_is_as_good_as_none(tmp_path):
    folder = RunFolder(tmp_path / "it")
    folder.write_manifest(MANIFEST | {"status": "failed"})
    for content in ({"event": 3}, {"pairs_done": 1}, {"event": "progress", "pairs_done": "many"}):
        folder.write_progress(content)
        assert describe_run(folder.path).progress is None
    (folder.path / "progress.json").write_text("{")
    assert describe_run(folder.path).status == "failed"
    event = {"event": "encoding", "what": "texts", "done": 1, "total": 2, "more": 3}
    assert checked_event(event) == event
