import shutil

import pytest
from samples import Staged, make_examples

import emap_core as emap
from emap_core.cli import main
from emap_core.errors import RunError
from emap_core.runs.check import CHECKSUMS, check_run
from emap_core.runs.folder import RunFolder


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
    assert "every file of" in capsys.readouterr().out


def test_other_wishes_on_a_finished_run_are_no_damage(run):
    emap.compute(Staged(), make_examples(), keep="grid", out=run, metrics=("f1_macro",))
    assert "f1_macro" in emap.Run.load(run).metrics
    assert check_run(run) == []


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
        "examples.parquet cannot be read: No such file or directory",
        "labels.npy has changed",
        f"sums.npz is cut off: {size:,} bytes of {size + 100:,}",
        "texts.parquet is missing",
        "more.txt does not belong there",
    ]
    assert main(["check", str(run)]) == 2
    said = capsys.readouterr()
    assert "labels.npy has changed\n" in said.out
    assert said.err == f"error: run {run} is damaged: 5 files, see above\n"


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


def test_what_has_no_checksums_is_said_and_not_called_whole(run):
    (run / CHECKSUMS).unlink()
    with pytest.raises(RunError, match="has no checksums: it was computed by an older version"):
        check_run(run)
    for content in ('{"sha256": 3}', '{"sha256": {"run.json": 1}}', "{}"):
        (run / CHECKSUMS).write_text(content)
        with pytest.raises(RunError, match="holds no checksums"):
            check_run(run)
    (run / CHECKSUMS).write_text("{")
    with pytest.raises(RunError, match=r"checksums.json .* cannot be read"):
        check_run(run)


def test_a_newer_format_and_an_unfinished_run_are_refused(run):
    folder = RunFolder(run)
    manifest = folder.manifest()
    folder.write_manifest({**manifest, "format": 99})
    with pytest.raises(RunError, match="has format 99; this version reads up to 1: update"):
        check_run(run)
    folder.write_manifest({**manifest, "status": "running"})
    with pytest.raises(RunError, match="is not finished but interrupted"):
        check_run(run)
    with pytest.raises(RunError, match="there is no run"):
        check_run(run.parent / "none")
