"""Tiles shared out to the workers of a real Ray instance."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import emap_core as emap
from emap_core.engine import ray_workers
from emap_core.engine.noise import FEW
from emap_core.errors import ModelError, RunError, SettingError
from emap_core.runs import describe_run

ray = pytest.importorskip("ray", reason="the package ray is not installed")
pytestmark = pytest.mark.ray

HOUSE = Path(__file__).parents[2]

MODULE = """
import os, signal
from pathlib import Path
from samples import WithGrid, make_examples

HERE = Path(__file__).parent

class Fragile(WithGrid):
    fingerprint = "fragile"

    def __init__(self, wait=0.0):
        super().__init__()
        self.wait = wait

    def encode_texts(self, texts):
        self._count("text", len(texts))
        return super().encode_texts(texts)

    def encode_images(self, images):
        self._count("image", len(images))
        return super().encode_images(images)

    def score_grid(self, t, v):
        import time
        time.sleep(self.wait)
        hold = HERE / "hold"
        while hold.exists() and len(list(Path(hold.read_text()).glob("*.npz"))) >= 2:
            time.sleep(0.01)
        self._count("pair", len(t["t"]) * len(v[0]))
        deadly = HERE / "deadly"
        if deadly.exists() and float(deadly.read_text()) in v[0][:, 0].tolist():
            os.kill(os.getpid(), signal.SIGKILL)
        if len(t["t"]):
            try:
                (HERE / "once").unlink()
            except FileNotFoundError:
                pass # it is not there, or another worker was first
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().score_grid(t, v)

    def _count(self, what, n):
        with (HERE / "counts").open("a") as file:
            file.write(f"{what} {n}\\n")

def load(wait=0.0):
    return Fragile(float(wait))

def wrong():
    model = Fragile()
    model.score_grid = lambda t, v: super(Fragile, model).score_grid(t, v) * float("nan")
    return model

def data():
    return make_examples()
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, warm_popen):
    """Two cores of a local Ray whose workers find the module beside the tests' own."""
    folder = tmp_path_factory.mktemp("ray")
    (folder / "fragile_model.py").write_text(MODULE)
    python = f"{sys.executable} {HOUSE / 'tests' / 'warm_ray_worker.py'} {warm_popen.address}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, (folder, HOUSE / "tests", HOUSE))))
        patch.syspath_prepend(folder)
        # Read by every driver, also one that is another process.
        job = {"runtime_env": {"py_executable": python}}
        patch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps(job))
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            # Workers that are started ahead do not begin warm.
            _system_config={"prestart_worker_first_driver": False},
        )
        yield folder
        ray.shutdown()


@pytest.fixture
def module(cluster):
    """The folder of the model, with nothing in it that kills, holds or was counted."""
    for name in ("deadly", "once", "hold", "counts"):
        (cluster / name).unlink(missing_ok=True)
    return cluster


@pytest.fixture(scope="module")
def alone(cluster, tmp_path_factory):
    """The same work on the local engine, with the same plan."""
    out = tmp_path_factory.mktemp("alone") / "run"
    return emap.compute("fragile_model:load", "fragile_model:data", out=out, batch_size=20)


def with_ray(out, model="fragile_model:load", **settings):
    settings = {"batch_size": 20, "engine": "ray", **settings}
    return emap.compute(model, "fragile_model:data", out=out, **settings)


def assert_same(a, b):
    assert a.decomposition.equals(b.decomposition)
    np.testing.assert_array_equal(a.grid.load(), b.grid.load())


def counted(module):
    total = {"text": 0, "image": 0, "pair": 0}
    for line in (module / "counts").read_text().splitlines():
        what, n = line.split()
        total[what] += int(n)
    return total


def test_two_workers_of_which_one_is_killed_give_the_bits_of_the_local_engine(
    module, alone, tmp_path
):
    events = []

    def listen(event):
        if event.get("pairs_done") and not any(one.get("pairs_done") for one in events):
            (module / "once").touch()
        events.append(event)

    # Slow enough for a worker to be killed over a tile.
    run = with_ray(tmp_path / "run", model_args={"wait": "0.1"}, listener=listen)
    assert not (module / "once").exists()
    assert_same(run, alone)
    # The kill of a worker costs its tile.
    assert 11 * 23 <= counted(module)["pair"] <= 11 * 23 + 20
    # A few pairs are encoded twice, to see whether the model says the same.
    assert (counted(module)["text"], counted(module)["image"]) == (11 + FEW, 23 + FEW)
    assert events[-1]["event"] == "finished"


def test_a_tile_that_kills_its_workers_is_named_and_the_rest_is_kept(
    module, alone, tmp_path, monkeypatch
):
    # A worker takes seconds to start, so the tile has no third one.
    monkeypatch.setattr(ray_workers, "ATTEMPTS", 2)
    deadly = alone.decomposition.column_index.max()
    example = int(np.flatnonzero(alone.decomposition.column_index == deadly)[0])
    image = emap.load_dataset("fragile_model:data").images[example]
    (module / "deadly").write_text(repr(float(np.asarray(image).reshape(-1)[0] / 255)))
    shown = []
    with pytest.raises(
        RunError, match=r"tile \d+, from the text '.*crashed 2 workers.*kept"
    ) as caught:
        with_ray(tmp_path / "run", cpus_per_worker=2, preview=shown.append)
    # Before it started, a worker said what it thinks of the first examples.
    here = emap.estimate("fragile_model:load", "fragile_model:data", n_previews=2, batch_size=20)
    assert [found.previews for found in shown] == [here.previews]
    assert shown[0].device == "one worker (cpu)"
    assert "example" in str(caught.value)
    assert describe_run(tmp_path / "run").status == "failed"
    assert list((tmp_path / "run" / "tiles").glob("*.npz"))
    (module / "deadly").unlink()
    (module / "counts").unlink()
    # What is kept is kept for either engine.
    assert_same(with_ray(tmp_path / "run", engine="local"), alone)
    assert counted(module)["pair"] < 11 * 23, "finished tiles are not computed again"
    # A few are encoded again, at first and at the end, to see whether it is the same model.
    assert (counted(module)["text"], counted(module)["image"]) == (2 * FEW, 2 * FEW)


def killed_driver(module, out, popen):
    """Kill the driver while tiles are being stored; give how many are."""
    command = [sys.executable, "-m", "emap_core", "run", "--model", "fragile_model:load"]
    command += ["--data", "fragile_model:data", "--batch-size", "20", "--engine", "ray"]
    command += ["--address", ray.get_runtime_context().gcs_address, "--progress", "none"]
    # A single worker, as each takes seconds to start.
    command += ["--cpus-per-worker", "2", "--out", str(out)]
    # The worker scores no further tile once two are stored.
    (module / "hold").write_text(str(out / "tiles"))
    process = popen(command, cwd=HOUSE, stdout=subprocess.DEVNULL)
    while len(list(out.glob("tiles/*.npz"))) < 2 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    (module / "hold").unlink()
    return len(list(out.glob("tiles/*.npz")))


def test_the_driver_may_be_killed(module, alone, tmp_path, warm_popen):
    stored = killed_driver(module, tmp_path / "run", warm_popen)
    assert stored >= 2
    assert describe_run(tmp_path / "run").status == "interrupted"
    assert_same(with_ray(tmp_path / "run", cpus_per_worker=2), alone)
    # It costs the tile of its worker, and one that was finished but not stored.
    assert counted(module)["pair"] <= 11 * 23 + 2 * 20


def test_samples_are_shared_out_too(module, tmp_path):
    settings = {"method": "sampled", "images_per_text": 6}
    here = emap.compute(
        "fragile_model:load", "fragile_model:data", out=tmp_path / "a", batch_size=20, **settings
    )
    there = with_ray(tmp_path / "b", cpus_per_worker=2, **settings)
    for name in ("logits", "row_mean", "column_mean"):
        ours, theirs = getattr(here.decomposition, name), getattr(there.decomposition, name)
        np.testing.assert_array_equal(ours, theirs)


def test_a_models_mistake_is_told_as_by_the_local_engine(module, tmp_path):
    with pytest.raises(ModelError, match="the model returned nan for the text"):
        with_ray(tmp_path / "run", model="fragile_model:wrong", cpus_per_worker=2)


def test_a_cluster_that_is_not_there_is_told(module, tmp_path):
    with pytest.raises(SettingError, match="there is no Ray cluster at"):
        with_ray(tmp_path / "run", address="127.0.0.1:1")


def test_what_cannot_be_sent_is_told(module, tmp_path):
    model = emap.load_model("fragile_model:load")
    model.lock = __import__("threading").Lock()
    with pytest.raises(SettingError, match="cannot be sent to workers"):
        emap.compute(model, "fragile_model:data", out=tmp_path / "run", engine="ray")
