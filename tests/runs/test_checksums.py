import io
import os
import shutil
import zipfile

import numpy as np
import pytest
from samples import Staged, make_examples

import emap_core as emap
from emap_core.cli import main
from emap_core.errors import RunError
from emap_core.runs.checksums import CHECKSUMS, check_run
from emap_core.runs.folder import RunFolder
from emap_core.runs.store import zipped


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "it"
    return emap.compute(Staged(), make_examples(), keep="grid", out=path)


@pytest.fixture
def run(original, tmp_path):
    shutil.copytree(original.path, tmp_path / "it")
    return tmp_path / "it"


def test_a_run_is_as_it_was_written_and_stays_so_while_it_is_read(run, capsys):
    assert check_run(run) == []
    emap.Run.load(run).intervals()
    assert check_run(run) == []
    assert main(["check", str(run)]) == 0
    assert "match their checksums" in capsys.readouterr().out


def test_other_wishes_on_a_finished_run_are_no_damage(run):
    emap.compute(Staged(), make_examples(), keep="grid", out=run, metrics=("f1_macro",))
    assert "f1_macro" in emap.Run.load(run).metrics
    assert check_run(run) == []


@pytest.mark.parametrize("read", [emap.Run.load, check_run])
def test_a_run_that_finishes_while_it_is_looked_at_is_finished(run, read, monkeypatch):
    folder = RunFolder(run)
    folder.update_manifest(status="running")

    def finish(_):
        folder.update_manifest(status="finished")
        return False

    monkeypatch.setattr(RunFolder, "is_locked", finish)
    read(run)
    assert folder.status() == "finished"


def test_every_kind_of_damage_is_named(run, capsys):
    sums = run / "sums.npz"
    sums.write_bytes(sums.read_bytes()[:-100])
    labels = bytearray((run / "labels.npy").read_bytes())
    labels[-1] ^= 1
    (run / "labels.npy").write_bytes(labels)
    (run / "texts.parquet").unlink()
    (run / "examples.parquet").unlink()
    (run / "examples.parquet").symlink_to("/nowhere")
    (run / "more.txt").write_text("x")
    size = sums.stat().st_size
    assert check_run(run) == [
        "labels.npy has changed",
        f"sums.npz is cut off: {size:,} bytes of {size + 100:,}",
        "texts.parquet is missing",
        "more.txt does not belong there",
        "examples.parquet is a link and was not followed",
    ]
    assert main(["check", str(run)]) == 2
    said = capsys.readouterr()
    assert "labels.npy has changed\n" in said.out
    assert said.err == f"error: run {run} is damaged: 5 files, see above\n"


def test_a_missing_file_changes_no_number_unnoticed(run, capsys):
    def shown() -> tuple[int, str, str]:
        return main(["show", str(run), "--json"]), *capsys.readouterr()

    code, whole, _ = shown()
    assert code == 0
    refused = []
    for path in [path for path in sorted(run.rglob("*")) if path.is_file()]:
        if "inference" in path.parts or path.name == "run.json":
            continue
        content = path.read_bytes()
        path.unlink()
        code, said, error = shown()
        if code == 0:
            assert said == whole, path
        else:
            assert "the grid of" in error or f"{path.name} of run 'it' cannot be read" in error
            refused.append(path.name)
        path.write_bytes(content)
        # What was read from the others is kept; the next file must not profit from it.
        shutil.rmtree(run / "inference", ignore_errors=True)
    assert {"labels.npy", "sums.npz"} <= set(refused)


def test_a_byte_changed_anywhere_in_any_file_is_found(run):
    names = [
        path
        for path in sorted(run.rglob("*"))
        if path.is_file()
        and path.name not in (".lock", "progress.json", CHECKSUMS)
        and "inference" not in path.parts
    ]
    assert len(names) >= 8
    for path in names:
        if path.name == "run.json":
            continue
        before = path.read_bytes()
        position = len(before) // 2
        path.write_bytes(
            before[:position] + bytes([before[position] ^ 255]) + before[position + 1 :]
        )
        assert check_run(run) == [f"{path.relative_to(run)} has changed"]
        path.write_bytes(before)


def test_every_flipped_bit_in_what_is_computed_later_is_found_and_not_believed(run, original):
    truth = emap.Run.load(run).record()
    names = [f"inference/{name}.json" for name in ("intervals", "points")]
    rng = np.random.default_rng(0)
    found = []
    for name in names:
        whole = (run / name).read_bytes()
        for position in rng.choice(len(whole), 14, replace=False):
            changed = bytearray(whole)
            changed[position] ^= 1 << rng.integers(8)
            (run / name).write_bytes(changed)
            found += [line.startswith(f"{name} has ") for line in check_run(run)]
        assert emap.Run.load(run).record() == truth
        assert check_run(run) == []
    assert found == [True] * 28


def test_what_is_computed_later_counts_for_its_own_run_and_name_alone(run, tmp_path):
    emap.Run.load(run).intervals()
    inside = run / "inference"
    shutil.copy(inside / "points.json", inside / "points (copy).json")
    other = emap.compute(Staged(), make_examples(seed=1), out=tmp_path / "other")
    other.intervals()
    manifest = RunFolder(other.path).manifest()
    RunFolder(other.path).write_manifest(manifest | {"created": "2020-01-01T00:00:00+00:00"})
    shutil.copy(inside / "intervals.json", other.path / "inference" / "intervals.json")
    assert check_run(run) == ["inference/points (copy).json has changed"]
    assert "inference/intervals.json has changed" in check_run(other.path)
    assert not emap.Run.load(other.path).has_intervals


def test_nothing_that_a_link_leads_to_is_read(run, tmp_path):
    emap.Run.load(run).intervals()
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key.json").write_text("{}")
    (run / "inference" / "key.json").symlink_to(secret / "key.json")
    (run / "inference" / "more").symlink_to(secret)
    (run / "images" / "all").symlink_to(secret)
    (run / "inference" / "notes.txt").write_text("x")
    os.mkfifo(run / "inference" / "pipe.json")
    os.mkfifo(run / "pipe")
    assert check_run(run) == [
        "images/all does not belong there",
        "pipe does not belong there",
        "images/all is a link and was not followed",
        "inference/key.json is a link and was not followed",
        "inference/more is a link and was not followed",
        "inference/notes.txt does not belong there",
        "inference/pipe.json has changed",
    ]


def test_a_run_as_zip_holds_its_own_files_and_what_no_link_leads_to(run, tmp_path):
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("secret")
    (run / "key").symlink_to(secret / "key")
    (run / "images" / "all").symlink_to(secret)
    os.mkfifo(run / "pipe")
    with zipfile.ZipFile(io.BytesIO(zipped(run))) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "elsewhere")
    assert not any("key" in name or "all" in name or "pipe" in name for name in names)
    assert check_run(tmp_path / "elsewhere" / "it") == []


def test_a_pipe_in_place_of_a_file_is_told_at_once(run):
    for name in ("sums.npz", "labels.npy", "examples.parquet", "progress.json"):
        (run / name).unlink()
        os.mkfifo(run / name)
    assert "labels.npy cannot be read: it is not a regular file" in check_run(run)
    with pytest.raises(RunError, match=r"sums.npz of run 'it' cannot be read: it is not a regular"):
        emap.Run.load(run).verify()


def test_what_has_no_checksums_is_said_and_not_called_whole(run):
    (run / CHECKSUMS).unlink()
    with pytest.raises(RunError, match="has no checksums: an older version computed it"):
        check_run(run)
    for content in ('{"sha256": 3}', '{"sha256": {"run.json": 1}}', "{}"):
        (run / CHECKSUMS).write_text(content)
        with pytest.raises(RunError, match="contains no checksums"):
            check_run(run)
    (run / CHECKSUMS).write_text("{")
    with pytest.raises(RunError, match=r"checksums.json .* cannot be read"):
        check_run(run)


def test_a_newer_format_and_an_unfinished_run_are_refused(run):
    folder = RunFolder(run)
    manifest = folder.manifest()
    folder.write_manifest({**manifest, "format": 99})
    with pytest.raises(RunError, match="has format 99, but this version reads up to 1; update"):
        check_run(run)
    folder.write_manifest({**manifest, "status": "running"})
    with pytest.raises(RunError, match="was interrupted; only finished runs"):
        check_run(run)
    with pytest.raises(RunError, match="there is no run"):
        check_run(run.parent / "none")
