"""Runs behind URLs: found, locked, followed and shown as those in folders are."""

import errno
import html
import json
import os
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import filelock
import numpy as np
import pytest
from samples import Staged, make_examples

import emap_core as emap
from emap_core import jobs
from emap_core.cli import main
from emap_core.engine.progress import Progress
from emap_core.errors import Cancelled, RunError
from emap_core.runs import Run, describe_run, list_runs
from emap_core.runs.checksums import check_run
from emap_core.runs.folder import RunFolder
from emap_core.runs.store import (
    Lease,
    address,
    folder_of_this_machine,
    is_held,
    location,
    seconds_between_calls,
)

TOO_LONG = "a" * 300


@pytest.mark.parametrize(
    "command",
    [
        f"run --model no:model --data no:data --out {TOO_LONG}",
        f"merge one --out {TOO_LONG}",
        f"list {TOO_LONG}",
        f"app {TOO_LONG}",
        f"show {TOO_LONG}",
        f"report one --out {TOO_LONG}",
        # Its name is short enough, but not the one under which it is written first.
        f"report one --out {TOO_LONG[:250]}",
        f"report one --out {TOO_LONG}/report.html",
        f"show one --csv {TOO_LONG}",
        f"show one --fail-under 0 --junit {TOO_LONG}",
        f"figures one --out {TOO_LONG}",
        f"pairs --data no:data --out {TOO_LONG}.parquet",
    ],
)
def test_a_name_that_no_disk_allows_is_a_mistake_of_one_line(command, capsys):
    assert main(command.split()) == 2
    said = capsys.readouterr().err
    assert "File name too long; choose another path" in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_a_run_folder_that_cannot_be_made_is_told_with_the_reason(fault, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(fault, os.strerror(fault))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(RunError, match=f"cannot be written: {os.strerror(fault)}"):
        emap.compute(Staged(), make_examples(), out=tmp_path / "run", batch_size=20)


def test_a_folder_that_is_closed_to_this_user_is_told_as_such(tmp_path, monkeypatch):
    lstat = Path.lstat

    def closed(self):
        if self.name == "runs":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return lstat(self)

    monkeypatch.setattr(Path, "lstat", closed)
    with pytest.raises(RunError, match="runs cannot be opened: Permission denied"):
        location(str(tmp_path / "runs"))


@pytest.fixture
def run(store, monkeypatch):
    monkeypatch.setenv("EMAP_RUNS", address(store))
    return emap.compute(Staged(), make_examples(), keep="grid", batch_size=20)


def test_a_run_is_found_by_its_id_and_by_its_address(run, store):
    assert [info.id for info in list_runs()] == [run.id]
    assert Run.load(run.id).table().equals(run.table())
    assert Run.load(address(run.path)).table(intervals=True).equals(run.table(intervals=True))
    assert check_run(run.id) == []
    with pytest.raises(RunError, match="there is no run 'another'"):
        Run.load("another")


@pytest.mark.slow
def test_a_report_and_a_table_of_examples_are_written_to_disk(run, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    assert main(["report", run.id, "--out", str(out / "report.html")]) == 0
    assert main(["show", run.id, "--csv", str(out / "examples.csv")]) == 0
    assert html.escape(run.verdict().sentence) in (out / "report.html").read_text()
    assert len((out / "examples.csv").read_text().splitlines()) == 61


def test_a_file_url_is_a_folder(tmp_path):
    run = emap.compute(Staged(), make_examples(), out=f"file://{tmp_path}/run")
    assert (tmp_path / "run" / "run.json").exists()
    assert Run.load(f"file://{tmp_path}/run").table().equals(run.table())


def test_what_opens_a_url_may_be_missing(monkeypatch):
    with pytest.raises(RunError, match=r"nowhere://runs cannot be opened: .*pip install"):
        location("nowhere://runs")
    monkeypatch.setitem(sys.modules, "upath", None)
    with pytest.raises(RunError, match=r"s3://bucket/runs cannot be opened: .*pip install"):
        location("s3://bucket/runs")


def test_jobs_stay_on_this_machine(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    root = location("memory://elsewhere")
    assert folder_of_this_machine(root).is_relative_to(tmp_path)
    assert folder_of_this_machine(tmp_path / "runs") == tmp_path / "runs"
    monkeypatch.setenv("EMAP_RUNS", "memory://elsewhere")
    assert jobs.list_jobs() == []


def test_a_network_is_spared_many_small_calls(tmp_path):
    assert seconds_between_calls(tmp_path) == 0.0
    assert seconds_between_calls(location("memory://runs")) == 0.0

    written = []
    far = SimpleNamespace(path=SimpleNamespace(protocol="s3"), write_progress=written.append)
    progress = Progress("far", folder=far)
    for done in range(100):
        progress.tell("progress", pairs_done=done)
    progress.tell("finished")
    assert [event["event"] for event in written] == ["progress", "finished"]


def test_two_that_compute_the_same_run_do_not_meet(run, monkeypatch):
    folder = RunFolder(run.path)
    folder.update_manifest(status="running")
    assert describe_run(run.path).status == "interrupted"
    monkeypatch.setattr("emap_core.engine.driver.LOCK_SECONDS", 0.5)
    with folder.lock().acquire():
        assert describe_run(run.path).status == "running"
        with pytest.raises(RunError, match="is being computed by another process"):
            emap.compute(Staged(), make_examples(), keep="grid", batch_size=20)
    assert describe_run(run.path).status == "interrupted"


@pytest.fixture
def path(tmp_path):
    return location(f"memory://{tmp_path.name}/lock")


def test_a_lease_is_held_by_one_until_it_lets_go(path):
    first, second = Lease(path), Lease(path)
    with first.acquire():
        assert is_held(path)
        with pytest.raises(filelock.Timeout):
            second.acquire(timeout=0)
        waiting = threading.Thread(target=lambda: second.acquire(timeout=30))
        waiting.start()
    waiting.join(30)
    assert second.holder() is not None
    second.release()
    assert not is_held(path)
    assert not path.exists()


def test_a_lease_outlives_its_holder_only_for_a_while(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"holder": "gone", "until": time.time() - 1}))
    assert not is_held(path)
    path.write_text("{")
    assert not is_held(path)
    with Lease(path).acquire(timeout=0):
        assert is_held(path)


def test_a_living_holder_renews_its_lease(path):
    lease = Lease(path, seconds=0.6)
    with lease.acquire(timeout=0):
        until = json.loads(path.read_text())["until"]
        deadline = time.monotonic() + 20
        while json.loads(path.read_text())["until"] == until:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert is_held(path)


@pytest.fixture
def bucket(monkeypatch):
    """A bucket of a server that speaks S3."""
    s3fs = pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in (
        ("AWS_ENDPOINT_URL", f"http://{host}:{port}"),
        ("AWS_ACCESS_KEY_ID", "anybody"),
        ("AWS_SECRET_ACCESS_KEY", "anything"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem().mkdir("bucket")
    yield "s3://bucket/runs"
    server.stop()


def test_an_interrupted_run_in_an_object_store_goes_on_to_the_same_bits(
    bucket, tmp_path, monkeypatch
):
    data = make_examples(n=24, n_texts=6, n_images=8)
    settings = {"keep": "grid", "batch_size": 12, "n_resamples": 100}
    here = emap.compute(Staged(), data, out=tmp_path / "here", **settings)
    first, second = Staged(), Staged()
    asked = iter([False] * 3)
    out = f"{bucket}/there"
    with pytest.raises(Cancelled):
        emap.compute(first, data, out=out, cancelled=lambda: next(asked, True), **settings)
    there = emap.compute(second, data, out=out, **settings)
    assert 0 < second.pairs_scored < here.manifest["n_pairs_evaluated"]
    assert there.table(intervals=True).equals(here.table(intervals=True))
    np.testing.assert_array_equal(there.class_grid(1), here.class_grid(1))
    assert there.thumbnail(7) == here.thumbnail(7)
    assert check_run(out) == []
    monkeypatch.setenv("EMAP_RUNS", bucket)
    assert [(info.id, info.status) for info in list_runs()] == [("there", "finished")]


def test_a_place_at_home_is_at_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    for place in ("~/runs/it", Path("~/runs/it")):
        assert location(place) == tmp_path / "runs" / "it"
        run = emap.compute(Staged(), make_examples(), out=place)
        assert run.path == tmp_path / "runs" / "it"
        assert emap.load_run(place).path == run.path
    assert location("~nobody-of-this-name/x") == Path("~nobody-of-this-name/x")
    assert not list((tmp_path / "deep").iterdir())


@pytest.mark.library
def test_a_bucket_that_nobody_opens_is_not_an_empty_one(monkeypatch, capsys):
    s3fs = pytest.importorskip("s3fs")
    # Nobody listens there, and nobody waits for it.
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    # An instance of another test would still ask the server of that one.
    s3fs.S3FileSystem.clear_instance_cache()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "nobody")
    monkeypatch.setenv("EMAP_RUNS", "s3://locked/runs")
    for command in (["list"], ["show", "it"], ["show", "s3://locked/runs/it"]):
        assert main(command) == 2
        said = capsys.readouterr().err
        assert said.startswith("error: s3://locked cannot be reached: ")
