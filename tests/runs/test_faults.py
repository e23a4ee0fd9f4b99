"""What goes wrong with disks and folders is told in one line, and loses nothing."""

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import filelock
import pytest
from samples import Staged, make_examples

import emap_core as emap
from emap_core.engine.sums import TileSums
from emap_core.errors import RunError
from emap_core.runs import Run
from emap_core.runs.checksummed_results import read_sealed, write_sealed
from emap_core.runs.folder import RunFolder, describe_run

HOUSE = Path(__file__).parents[2]
USES = {
    "record": lambda run: run.record(),
    "examples": lambda run: run.examples(),
    "pair": lambda run: run.pair(0, 0),
    "thumbnail": lambda run: run.thumbnail(0),
    "texts": lambda run: run.texts,
}


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "it"
    run = emap.compute(Staged(), make_examples(), keep="grid", out=path)
    run.record()
    return run


@pytest.fixture
def copy(original, tmp_path):
    shutil.copytree(original.path, tmp_path / "it")
    return tmp_path / "it"


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("sums.npz", "record"),
        ("labels.npy", "record"),
        ("examples.parquet", "examples"),
        ("texts.parquet", "texts"),
        ("images/part-000000.parquet", "thumbnail"),
        ("grid.zarr/zarr.json", "pair"),
        ("grid.zarr/c/0/0/0", "pair"),
    ],
)
@pytest.mark.parametrize("damage", ["cut", "empty", "gone"])
def test_a_damaged_file_is_told_and_the_rest_still_works(name, use, damage, copy):
    content = (copy / name).read_bytes()
    (copy / name).unlink()
    if damage != "gone" or name == "labels.npy":
        (copy / name).write_bytes(content[: len(content) // 2 if damage == "cut" else 0])
    run = Run.load(copy)
    with pytest.raises(RunError) as error:
        USES[use](run)
    assert "\n" not in str(error.value)
    assert describe_run(copy).status == "finished"
    for other, still in USES.items():
        if other not in ("record", "examples", "pair", use):
            still(run)


@pytest.mark.parametrize(
    ("name", "content", "use", "words"),
    [
        (
            "sums.npz",
            b"\1",
            "record",
            "sums.npz of run 'it' cannot be read: File is not a zip file",
        ),
        ("labels.npy", b"\1", "record", "labels.npy of run 'it' cannot be read: it is not a file"),
        ("grid.zarr/zarr.json", b"3", "pair", "the grid of run 'it' cannot be opened: "),
    ],
)
def test_a_file_of_another_kind_is_told(name, content, use, words, copy):
    (copy / name).write_bytes(content)
    with pytest.raises(RunError) as error:
        USES[use](Run.load(copy))
    assert words in str(error.value)
    # NumPy and zarr would say how to read it all the same.
    assert "pickle" not in str(error.value)


@pytest.mark.parametrize("name", ["points", "intervals", "kind_shares", "flip_shares"])
def test_intervals_that_are_damaged_are_computed_again(name, copy, original):
    path = copy / "inference" / f"{name}.json"
    path.write_text(path.read_text()[:100])
    assert Run.load(copy).record() == original.record()
    json.loads(path.read_text())


@pytest.mark.parametrize("change", [{"version": 1}, {"cluster": "none"}, {"seed": 5}])
def test_intervals_of_older_code_or_other_settings_are_computed_again(change, copy, original):
    path = copy / "inference" / "intervals.json"
    kept = json.loads(path.read_text())
    kept["intervals"]["gaps"]["accuracy"]["emap"]["low"] = -123.0
    del kept["sha256"]
    run = original.manifest["created"]
    write_sealed(path, kept | change, run)
    assert read_sealed(path, run) == kept | change
    assert not Run.load(copy).has_intervals
    assert Run.load(copy).record() == original.record()
    del kept["version"]
    write_sealed(path, kept, run)
    assert not Run.load(copy).has_intervals


def test_scores_of_older_code_are_computed_again(copy, original):
    path, run = copy / "inference" / "points.json", original.manifest["created"]
    kept = read_sealed(path, run)
    kept["accuracy"]["emap"] = 0.123
    write_sealed(path, kept, run)
    assert Run.load(copy).table().accuracy["emap"] == 0.123
    write_sealed(path, kept | {"version": kept["version"] - 1}, run)
    assert Run.load(copy).record() == original.record()


def test_shares_of_kinds_are_kept_until_the_resampling_is_another(copy, original):
    path, run = copy / "inference" / "kind_shares.json", original.manifest["created"]
    kept = read_sealed(path, run)
    kept["kind_shares"]["redundant"]["low"] = 0.0123
    write_sealed(path, kept, run)
    assert Run.load(copy).proportions("kind")["redundant"].low == 0.0123
    write_sealed(path, kept | {"cluster": "none"}, run)
    assert Run.load(copy).proportions("kind") == original.proportions("kind")


def test_a_run_that_is_deleted_while_it_is_open_says_so(copy):
    run = Run.load(copy)
    shutil.rmtree(copy)
    for use in USES.values():
        with pytest.raises(RunError):
            use(run)
    assert not copy.exists()


def test_two_that_compute_the_same_folder_do_not_meet(tmp_path, monkeypatch):
    monkeypatch.setattr("emap_core.engine.driver.LOCK_SECONDS", 0.1)
    folder = RunFolder(tmp_path / "it")
    with (
        filelock.FileLock(folder.lock().lock_file),
        pytest.raises(RunError, match="is being computed by another process"),
    ):
        emap.compute(Staged(), make_examples(), out=folder.path)
    assert emap.compute(Staged(), make_examples(), out=folder.path).metrics


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EROFS, "can no longer be written: Read-only file system"),
        (errno.EACCES, "can no longer be written: Permission denied"),
        (errno.EDQUOT, "the disk of run 'it' is full"),
    ],
)
def test_a_store_that_fails_half_way_keeps_what_was_finished(number, words, tmp_path, monkeypatch):
    save, written = TileSums.save, []

    def fail(self, path):
        if len(written) == 3:
            raise OSError(number, os.strerror(number))
        written.append(path)
        save(self, path)

    settings = {"out": tmp_path / "it", "batch_size": 23}
    monkeypatch.setattr(TileSums, "save", fail)
    with pytest.raises(RunError, match=words):
        emap.compute(Staged(), make_examples(), **settings)
    assert len(list((tmp_path / "it" / "tiles").glob("*.npz"))) == 3
    monkeypatch.undo()
    model = Staged()
    run = emap.compute(model, make_examples(), **settings)
    whole = emap.compute(Staged(), make_examples(), out=tmp_path / "whole", batch_size=23)
    assert model.pairs_scored < 11 * 23
    assert run.record()["metrics"] == whole.record()["metrics"]


@pytest.mark.process
def test_a_disk_that_is_full_at_any_point_loses_nothing(tmp_path):
    """On a real disk of so many kilobytes, which then gets the room that it lacked."""
    code = """
import shutil, subprocess, sys
from pathlib import Path
from samples import Staged, make_examples
import emap_core as emap
from emap_core.runs.checksums import check_run

disk, run = Path(sys.argv[1]), Path(sys.argv[1]) / "it"

def compute():
    model = Staged()
    settings = {"keep": "grid", "batch_size": 23, "n_resamples": 100}
    metrics = emap.compute(model, make_examples(), out=run, **settings)
    return model.pairs_scored, metrics.record()["metrics"]

def resize(kilobytes):
    subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", disk], check=True)

subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", disk], check=True)
pairs, truth = compute()
for kilobytes in (4, 8, 16, 28, 36, 40, 44, 84, 140, 172):
    shutil.rmtree(run)
    resize(kilobytes)
    try:
        compute()
        raise AssertionError(f"{kilobytes} kB are enough")
    except emap.EmapError as error:
        assert "the disk of run 'it' is full" in str(error), error
    resize(4096)
    scored, metrics = compute()
    assert metrics == truth and check_run(run) == [], kilobytes
    assert scored < pairs or kilobytes < 84, (kilobytes, scored, pairs)
"""
    alone = ["unshare", "--mount", "--map-root-user"]
    try:
        subprocess.run([*alone, "mount", "-t", "tmpfs", "none", tmp_path], check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no disk can be mounted here")
    done = subprocess.run(
        [*alone, sys.executable, "-c", code, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": f"{HOUSE}{os.pathsep}{HOUSE / 'tests'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_what_is_cut_off_at_its_very_first_file_is_no_foreign_folder(tmp_path):
    (tmp_path / "it").mkdir()
    (tmp_path / "it" / ".run.json.4711.tmp").write_text("{")
    (tmp_path / "it" / ".lock").write_text("")
    assert emap.compute(Staged(), make_examples(), out=tmp_path / "it").metrics
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("")
    with pytest.raises(RunError, match="is not empty and not a run"):
        emap.compute(Staged(), make_examples(), out=tmp_path / "other")
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["thesis.tex"]


def test_a_folder_that_is_deleted_while_it_is_computed_ends_the_run_with_a_message(tmp_path):
    class Deletes(Staged):
        def score(self, text_encodings, image_encodings):
            if self.pairs_scored > 100:
                shutil.rmtree(tmp_path / "it", ignore_errors=True)
            return super().score(text_encodings, image_encodings)

    with pytest.raises(RunError):
        emap.compute(Deletes(), make_examples(), out=tmp_path / "it", batch_size=23)
    assert describe_run(tmp_path / "it").status != "finished"


@pytest.mark.process
def test_a_run_on_a_read_only_disk_can_be_read(original):
    prefix = []
    if os.getuid() == 0:
        # No mode of a file keeps root from writing, unless it gives that right up.
        if shutil.which("setpriv") is None:
            pytest.skip("there is no setpriv here, and root may write everywhere")
        rights = "-dac_override,-dac_read_search"
        prefix = ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}"]
    with tempfile.TemporaryDirectory() as shelter:
        run = Path(shelter) / "it"
        shutil.copytree(original.path, run)
        shutil.rmtree(run / "inference")
        for path in (run, *run.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        Path(shelter).chmod(0o555)
        code = (
            "import sys, emap_core as emap; from emap_core.runs import Run; "
            "run = Run.load(sys.argv[1]); run.record(); run.thumbnail(0); print(run.verdict())\n"
            "from pathlib import Path; from emap_core.engine import compute\n"
            "try: compute('demo:concat', 'demo:easy-vqa', data_args={'limit': 9},"
            " out=Path(sys.argv[1]).parent / 'new')\n"
            "except emap.EmapError as error: print(error)"
        )
        done = subprocess.run(
            [*prefix, sys.executable, "-c", code, str(run)],
            cwd=HOUSE,
            capture_output=True,
            text=True,
            check=False,
        )
        for path in (Path(shelter), run, *run.rglob("*")):
            path.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert "interactions" in done.stdout
    assert "new cannot be written" in done.stdout
    assert "is read-only here" in done.stdout
