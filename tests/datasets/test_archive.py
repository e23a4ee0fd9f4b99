import io
import os
import stat
import tarfile
import zipfile
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emap_core.datasets.archive import Limits, unpack
from emap_core.errors import DatasetError, SettingError


def zipped(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def tarred(path, *members, mode="w"):
    with tarfile.open(path, mode) as file:
        for member, content in members:
            member = tarfile.TarInfo(member) if isinstance(member, str) else member
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return path


def special(name, kind, target=""):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def refusal(archive, tmp_path, limits=None):
    """Return the one line that an archive is refused with; nothing may be left of it."""
    folder = tmp_path / "within" / "unpacked"
    with pytest.raises(DatasetError) as error:
        unpack(archive, folder, limits)
    assert not folder.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({archive.name, "within"})
    message = str(error.value)
    assert "\n" not in message
    assert archive.name in message
    return message


@pytest.mark.parametrize("mode", ["zip", "w", "w:gz", "w:bz2", "w:xz"])
def test_what_was_packed_comes_out(mode, tmp_path):
    content = {"data.csv": b"a,b\n1,2\n", "img/1.png": os.urandom(3000), "img/deep/2.png": b""}
    if mode == "zip":
        archive = zipped(tmp_path / "it", **content)
    else:
        archive = tarred(tmp_path / "it", *content.items(), mode=mode)
    unpack(archive, tmp_path / "out")
    found = {
        str(path.relative_to(tmp_path / "out")): path.read_bytes()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    assert found == content


@pytest.mark.parametrize(
    "name",
    ["../evil", "a/../../evil", "/etc/evil", "..\\evil", "C:\\evil", "C:/evil", "\\\\host\\evil"],
)
def test_a_member_that_climbs_out_is_refused(name, tmp_path):
    archive = zipped(tmp_path / "a", good="x", **{name: "x"})
    assert "would be written outside its folder" in refusal(archive, tmp_path)
    archive = tarred(tmp_path / "a", ("good", b"x"), (name, b"x"))
    assert "would be written outside its folder" in refusal(archive, tmp_path)


@pytest.mark.parametrize(
    ("kind", "what"),
    [(stat.S_IFLNK, "a link"), (stat.S_IFIFO, "a device"), (stat.S_IFCHR, "a device")],
)
def test_links_and_devices_in_a_zip_are_refused(kind, what, tmp_path):
    member = zipfile.ZipInfo("odd")
    member.create_system, member.external_attr = 3, (kind | 0o777) << 16
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(member, "/etc/passwd")
    assert f"holds 'odd', {what}" in refusal(archive, tmp_path)


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (tarfile.SYMTYPE, "a link"),
        (tarfile.LNKTYPE, "a link"),
        (tarfile.FIFOTYPE, "a device"),
        (tarfile.CHRTYPE, "a device"),
    ],
)
def test_links_and_devices_in_a_tar_are_refused(kind, what, tmp_path):
    archive = tarred(tmp_path / "a.tar", (special("odd", kind, "/etc/passwd"), b""))
    assert f"holds 'odd', {what}" in refusal(archive, tmp_path)


def test_what_grows_out_of_all_proportion_is_refused_unread(tmp_path):
    zeros = bytes(30 << 20)
    archive = zipped(tmp_path / "a.zip", bomb=zeros)
    assert "holds 'bomb', which would grow to 31,457,280 bytes" in refusal(archive, tmp_path)
    archive.unlink()
    archive = tarred(tmp_path / "a.tar.gz", ("bomb", zeros), mode="w:gz")
    assert "more than 200 times its packed size" in refusal(archive, tmp_path)


def test_a_size_that_is_not_true_does_not_get_past(tmp_path):
    archive = zipped(tmp_path / "a.zip", bomb=bytes(1 << 20))
    raw = archive.read_bytes()
    true_size = (1 << 20).to_bytes(4, "little")
    assert raw.count(true_size) == 2
    archive.write_bytes(raw.replace(true_size, (100).to_bytes(4, "little")))
    assert "cannot be unpacked" in refusal(archive, tmp_path)


def test_there_is_a_limit_on_files_and_on_bytes(tmp_path, monkeypatch):
    archive = zipped(tmp_path / "a.zip", **{f"f{i}": "12345" for i in range(9)})
    assert "more than the 8 files" in refusal(archive, tmp_path, Limits(files=8))
    message = refusal(archive, tmp_path, Limits(total_bytes=42))
    assert "holds 'f8', which makes it larger than 42 bytes" in message
    monkeypatch.setenv("EMAP_MAX_FILES", "7")
    assert "more than the 7 files" in refusal(archive, tmp_path)
    monkeypatch.setenv("EMAP_MAX_FILES", "many")
    with pytest.raises(SettingError, match="EMAP_MAX_FILES is 'many'"):
        unpack(archive, tmp_path / "x")


def test_a_header_that_would_fill_memory_is_refused(tmp_path):
    header = special("long", tarfile.GNUTYPE_LONGNAME)
    archive = tarred(tmp_path / "a.tar.gz", (header, bytes(3 << 20)), ("x", b""), mode="w:gz")
    assert "header in it is far too long" in refusal(archive, tmp_path)


def test_an_encrypted_member_a_second_one_and_one_below_a_file_are_refused(tmp_path):
    archive = zipped(tmp_path / "a.zip", private="x")
    raw = bytearray(archive.read_bytes())
    raw[6] |= 1
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(raw)
    assert "needs a password" in refusal(archive, tmp_path)
    archive.unlink()
    assert "which is there twice" in refusal(
        tarred(tmp_path / "a.tar", ("x", b"1"), ("./x", b"2")), tmp_path
    )
    assert "cannot be unpacked" in refusal(
        tarred(tmp_path / "a.tar", ("x", b"1"), ("x/y", b"2")), tmp_path
    )


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 no more", b"\x1f\x8b", b"BZh91AY"])
def test_what_is_no_archive_is_refused(content, tmp_path):
    archive = tmp_path / "a.zip"
    archive.write_bytes(content)
    assert "a.zip cannot be unpacked: " in refusal(archive, tmp_path)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_archive_gives_files_within_the_folder_or_a_refusal(tmp_path_factory, data):
    """Whatever byte is changed or cut off, nothing lies outside and no other error comes."""
    tmp_path = tmp_path_factory.mktemp("damaged")
    kind = data.draw(st.sampled_from(["zip", "w", "w:gz"]))
    members = {"a/b.txt": zlib.compress(b"one"), "c.txt": b"two" * 50}
    if kind == "zip":
        archive = zipped(tmp_path / "a", **members)
    else:
        archive = tarred(tmp_path / "a", *members.items(), mode=kind)
    raw = bytearray(archive.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    archive.write_bytes(raw[: data.draw(st.integers(len(raw) // 2, len(raw)))])
    try:
        unpack(archive, tmp_path / "within" / "out")
    except DatasetError as error:
        assert "\n" not in str(error)
        assert not (tmp_path / "within" / "out").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"a", "within"}
    assert {path.name for path in (tmp_path / "within").iterdir()} <= {"out"}
