from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import emap_core as emap
from emap_core import jobs
from emap_core.errors import RunError
from emap_core.jobs import job as job_module
from emap_core.runs import Run
from pages import shared

pytestmark = pytest.mark.process
warm = pytest.mark.usefixtures("warm_processes")

SLOW = """
import time
import numpy as np
from PIL import Image
from emap_core.datasets.base import Examples

class Slow:
    classes, fingerprint = ["no", "yes"], "slow"
    def encode_texts(self, texts): return [len(t) for t in texts]
    def encode_images(self, images): return [i.getpixel((0, 0)) for i in images]
    def score(self, texts, images):
        time.sleep(0.01 * len(texts))
        return np.array([[t, i] for t, i in zip(texts, images)], float)

def data(n=60):
    return Examples(
        ["a" * (i + 1) for i in range(n)],
        [Image.new("L", (4, 4), i) for i in range(n)],
        labels=["no", "yes"] * (n // 2), classes=["no", "yes"], fingerprint=str(n),
    )

def wrong_labels():
    return Examples(["a", "b"], [Image.new("L", (4, 4), i) for i in range(2)],
                    labels=["no", "perhaps"], fingerprint="two")

def downloaded():
    from pathlib import Path
    from emap_core.downloads import Download
    Download("org/pets", "B").is_at(5_000_000, 20_000_000)
    while not Path("go on").exists():
        time.sleep(0.05)
    return data(6)

def killed():
    import os, signal
    os.kill(os.getpid(), signal.SIGKILL)
"""

QUICK = jobs.RunSpecification("demo:concat", "demo:easy-vqa", {"limit": 40})


@pytest.fixture
def slow(tmp_path, monkeypatch):
    (tmp_path / "slow_model.py").write_text(SLOW)
    monkeypatch.chdir(tmp_path)
    return jobs.RunSpecification("slow_model:Slow", "slow_model:data", {"batch_size": 60})


@pytest.fixture(autouse=True)
def runs_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("EMAP_RUNS", str(tmp_path / "runs"))
    yield tmp_path / "runs"
    for job in jobs.list_jobs():
        jobs.cancel(job)


def wait(job_id, *states, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        job = jobs.follow(job_id)
        if job.state in states or (not states and not job.alive):
            return job
        assert job.alive, job
        time.sleep(0.05)
    raise AssertionError(f"{jobs.follow(job_id)} after {seconds} s")


@warm
def test_a_plan_tells_the_run_id_and_the_cost_that_the_run_then_has():
    plan = wait(jobs.start(QUICK, "plan").id, "finished")
    done = wait(jobs.start(QUICK).id, "finished")
    assert plan.run_id == done.run_id
    assert plan.event["n_pairs"] == Run.load(done.run_id).manifest["n_pairs_evaluated"]
    assert jobs.find(done.run_id) == done
    again = wait(jobs.start(QUICK).id)
    assert (again.state, again.run_id) == ("finished", done.run_id)


def test_what_is_scored_is_called_as_the_sides_of_the_run_have_it(tmp_path, monkeypatch):
    values = np.arange(12.0)[:, None]
    sides = {name: values[start : start + 10].tolist() for start, name in enumerate("abc")}
    three = emap.compute(
        lambda *of_sides: np.array(of_sides).sum(axis=0),
        {"sides": sides},
        out=tmp_path / "three",
        fingerprint="three",
    )
    monkeypatch.setenv("EMAP_RUNS", str(tmp_path))
    event = {"pairs_done": 100, "pairs_total": 1000, "pairs_per_second": 50.0, "gap": 0.25}
    job = jobs.Job("", "run", None, "running", three.id, event, None, 0.0)
    assert shared.headline(job) == "100 of 1,000 combinations"
    assert shared.details(job).startswith("50 combinations a second · gap so far 0.250 (an est")


@warm
@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_job_that_downloads_tells_how_far_that_is_before_it_has_a_run(slow, command):
    job = jobs.start(jobs.RunSpecification(slow.model, "slow_model:downloaded"), command)
    while (job := jobs.follow(job.id)).event.get("event") != "download":
        assert job.alive, job
        time.sleep(0.05)
    assert (job.state, job.run_id) == ("starting", None)
    assert shared.headline(job) == "Downloading org/pets: 5.0 MB of 20.0 MB"
    assert shared.done(job) == 0.25
    Path("go on").touch()
    assert "n_pairs" in wait(job.id, "finished").event or command == "run"


@warm
def test_the_same_work_is_started_once_and_found_by_another_process(slow):
    first = jobs.start(slow)
    assert jobs.start(slow).id == first.id
    running = wait(first.id, "running")
    assert jobs.find(running.run_id).id == first.id
    assert [job.id for job in jobs.list_jobs()] == [first.id]
    seen = subprocess.run(
        [sys.executable, "-c", "from emap_core import jobs; print(jobs.list_jobs()[0].state)"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
    )
    assert seen.stdout.strip() == "running", seen.stderr


@warm
def test_of_several_servers_that_start_the_same_work_at_once_one_does(slow, monkeypatch):
    started, popen = [], subprocess.Popen
    write = job_module.write_json  # type: ignore[attr-defined]
    monkeypatch.setattr(job_module, "write_json", lambda *a: (time.sleep(0.3), write(*a)))
    monkeypatch.setattr(
        subprocess, "Popen", lambda *a, **named: (started.append(a), popen(*a, **named))[1]
    )
    # A lock belongs to who opened the file, so threads meet at it as servers do.
    with ThreadPoolExecutor(8) as servers:
        found = list(servers.map(lambda _: jobs.start(slow), range(8)))
    assert len(started) == 1
    assert {job.id for job in found} == {f"run-{slow.key}"}


@warm
def test_a_job_outlives_whoever_started_it_and_can_be_cancelled_by_another(slow):
    code = (
        "from emap_core import jobs;"
        f"jobs.start(jobs.RunSpecification({slow.model!r}, {slow.data!r}, {slow.settings!r}))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    job = wait(f"run-{slow.key}", "running")
    jobs.cancel(job)
    assert wait(job.id).state == "cancelled"
    with pytest.raises(RunError, match="cancelled"):
        Run.load(job.run_id)


def test_a_mistake_found_before_there_is_a_run_comes_back_as_one_line(slow, runs_folder):
    wrong = jobs.RunSpecification(slow.model, "slow_model:wrong_labels")
    job = wait(jobs.start(wrong).id, "failed")
    assert "perhaps" in job.error and "\n" not in job.error
    assert not list(runs_folder.glob("*/run.json"))


@warm
def test_a_process_that_is_killed_is_seen_to_be_gone_and_can_be_started_again(slow):
    job = wait(jobs.start(jobs.RunSpecification(slow.model, "slow_model:killed")).id)
    assert job.state == "interrupted" and job.error

    job = wait(jobs.start(slow).id, "running")
    os.kill(int(Path(os.environ["EMAP_RUNS"], ".jobs", job.id, "pid").read_text()), signal.SIGKILL)
    assert wait(job.id).state == "interrupted"
    assert jobs.start(slow).alive


@warm
def test_a_run_started_on_a_terminal_is_found_and_cancelled_by_its_id(slow, runs_folder):
    terminal = subprocess.Popen(
        [sys.executable, "-m", "emap_core", "run", *slow.arguments()],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 60
    while not list(runs_folder.glob("*/progress.json")) and time.monotonic() < end:
        time.sleep(0.1)
    (path,) = runs_folder.glob("*/progress.json")
    job = jobs.find(path.parent.name)
    assert job.alive and job.work is None
    jobs.cancel(job)
    assert terminal.wait(60) == 130
    assert jobs.find(job.run_id).state == "cancelled"


def test_ids_that_lead_elsewhere_are_no_jobs(tmp_path):
    for name in ("../x", "nothing", "", "a\0b", "x" * 50_000, "ä" * 200):
        assert jobs.find(name) is None
        with pytest.raises(RunError):
            jobs.follow(name)


WORK = {"model": "demo:concat", "data": "demo:easy-vqa", "settings": {}}
STORED = {"command": "run", "work": WORK, "owner": None, "started": 1.0}


@pytest.mark.parametrize(
    "changes",
    [
        {"started": "soon"},
        {"command": 3},
        {"owner": ["ada"]},
        {"work": None},
        {"work": WORK | {"model": 3}},
        {"work": WORK | {"settings": []}},
        {"work": WORK | {"more": 1}},
        {"work": {}},
    ],
)
def test_a_job_that_is_damaged_is_left_out_and_told_in_a_line(changes, runs_folder):
    for name, stored in (("run-1", STORED), ("run-2", STORED | changes)):
        folder = runs_folder / ".jobs" / name
        folder.mkdir(parents=True)
        (folder / "job.json").write_text(json.dumps(stored))
    (runs_folder / ".jobs" / "run-3").mkdir()
    (runs_folder / ".jobs" / "run-3" / "job.json").write_text("[1]")
    assert [job.id for job in jobs.list_jobs()] == ["run-1"]
    with pytest.raises(RunError, match="job 'run-2' is damaged; delete"):
        jobs.follow("run-2")


def test_values_cannot_become_flags():
    work = jobs.RunSpecification(
        "--help", "b", {"limit": None, "metric": ["x", "y"], "keep": "sums"}
    )
    assert work.arguments() == [
        "--model=--help",
        "--data=b",
        "--keep=sums",
        "--metric=x",
        "--metric=y",
    ]
    assert (
        work.key == jobs.RunSpecification("--help", "b", dict(reversed(work.settings.items()))).key
    )


def test_a_question_about_a_run_is_a_job_that_is_found_again(tmp_path, monkeypatch):
    monkeypatch.setenv("EMAP_RUNS", str(tmp_path))
    asked = jobs.ProbeSpecification("no such run", "attribution", {"example": "--odd"})
    job = jobs.start(asked, "probe")
    for _ in range(600):
        if not jobs.follow(job.id).alive:
            break
        time.sleep(0.1)
    found = jobs.follow(job.id)
    assert found.state == "failed" and "there is no run 'no such run'" in (found.error or "")
    assert [one.work for one in jobs.list_jobs("probe")] == [asked]
    assert jobs.list_jobs("run") == []
