import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
from samples import picture

from emap_core.access import Policy, check_host, is_loopback
from emap_core.datasets import load_dataset
from emap_core.datasets.preview import preview_elsewhere, preview_table
from emap_core.errors import AccessError, DatasetError, SettingError, SpecError
from emap_core.models import load_model

NAMES = ("EMAP_MODE", "EMAP_ROOTS", "EMAP_ALLOW_CODE", "EMAP_ALLOWED_EMAILS", "EMAP_EDITS")


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch, tmp_path):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EMAP_RUNS", str(tmp_path / "runs"))
    (tmp_path / "open").mkdir()
    (tmp_path / "closed").mkdir()
    for folder in ("open", "closed"):
        (tmp_path / folder / "data.csv").write_text("text,image\n")
        (tmp_path / folder / "data-1.tar").write_text("")


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("::1", True),
        ("127.8.0.9", True),
        (None, False),
        ("", False),
        ("0.0.0.0", False),  # noqa: S104 - what is asked is whether this counts as open
        ("::", False),
        ("10.0.0.5", False),
        ("lens.example.org", False),
    ],
)
def test_beyond_this_computer_a_server_only_shows_unless_told_otherwise(address, here, monkeypatch):
    assert is_loopback(address) is here
    assert Policy.from_environment(address).viewer is not here
    monkeypatch.setenv("EMAP_MODE", "full")
    policy = Policy.from_environment(address)
    assert not policy.viewer
    assert policy.roots == (None if here else ())
    monkeypatch.setenv("EMAP_MODE", "viewer")
    assert Policy.from_environment(address).viewer


def test_a_server_of_this_computer_alone_goes_by_no_other_name(monkeypatch):
    for host in ("localhost:8501", "127.0.0.1", "127.0.0.1:8501", "[::1]:8501", "LOCALHOST", None):
        check_host("127.0.0.1", host)
    strange = ("evil.example.org:8501", "127.0.0.1.evil.org", "localhost@evil.org", "[::1", "")
    for host in strange:
        with pytest.raises(AccessError, match="only for this computer, but the browser asked for"):
            check_host("localhost", host)
        check_host("10.0.0.5", host)
    monkeypatch.setenv("EMAP_MODE", "viewer")
    check_host("127.0.0.1", "lens.example.org")


@pytest.mark.parametrize(
    ("name", "value"), [("EMAP_MODE", "open"), ("EMAP_ALLOW_CODE", "yes"), ("EMAP_EDITS", "all")]
)
def test_a_setting_that_is_mistyped_is_no_permission(name, value, monkeypatch):
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingError, match=f"{name} is {value!r}; expected"):
        Policy.from_environment("127.0.0.1")


@pytest.mark.parametrize(
    ("mode", "edits", "allowed"),
    [
        ("full", "", ["annotate", "archive", "delete"]),
        ("full", "archive", ["annotate", "archive"]),
        ("full", "annotate", ["annotate"]),
        ("full", "none", []),
        ("viewer", "delete", []),
    ],
)
def test_the_operator_says_what_visitors_do_to_runs(mode, edits, allowed, monkeypatch):
    monkeypatch.setenv("EMAP_MODE", mode)
    monkeypatch.setenv("EMAP_EDITS", edits)
    policy = Policy.from_environment("127.0.0.1")
    for edit in ("annotate", "archive", "delete"):
        assert policy.may(edit) is (edit in allowed)
        if edit in allowed:
            policy.check_edit(edit)
        else:
            by = "EMAP_MODE" if mode == "viewer" else "EMAP_EDITS"
            with pytest.raises(AccessError, match=f"may not {edit} a run; .* with {by}"):
                policy.check_edit(edit)


def test_a_viewer_can_start_nothing():
    policy = Policy(viewer=True, allow_code=True)
    for ask in (
        lambda: policy.check_work("demo:concat", "demo:easy-vqa", {}),
        lambda: policy.check_model("demo:concat"),
        lambda: policy.check_data("demo:easy-vqa"),
    ):
        with pytest.raises(AccessError, match="only shows finished runs"):
            ask()


@pytest.mark.parametrize(
    "spec", ["os:system", "my_model:load", "torchscript:m.pt", "export:m.pt2", "DEMO:concat", "x"]
)
def test_code_needs_the_operators_word(spec):
    with pytest.raises(AccessError, match="is code, which a browser may not start here"):
        Policy().check_model(spec)
    Policy(allow_code=True).check_model(spec)


def test_data_can_be_code_too():
    with pytest.raises(AccessError, match="dataset 'my_data:load' is code"):
        Policy().check_work("demo:concat", "my_data:load", {})
    with pytest.raises(AccessError, match="dataset 'my_data:load' is code"):
        Policy().check_work("demo:concat", "demo:easy-vqa", {"train_data": "my_data:load"})


def test_paths_have_to_lead_into_the_roots(tmp_path, monkeypatch):
    monkeypatch.setenv("EMAP_ROOTS", f"{tmp_path / 'open'}{os.pathsep}{tmp_path / 'more'}")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "open" / "link").symlink_to(tmp_path / "closed")
    (tmp_path / "open-too").mkdir()
    policy = Policy.from_environment("127.0.0.1")
    for name in (
        "csv:open/data.csv",
        f"csv:{tmp_path}/open/data.csv",
        "csv:open/there/../data.csv",
        f"webdataset:{tmp_path}/open/*.tar",
        f"webdataset:{tmp_path}/open/{{a,b}}-{{0..3}}.tar::open/x.tar",
        "imagefolder:more/photos",
        "parquet:runs/.uploads/0123/data.parquet",
        "hf:some-name/of-the-hub@main",
        "demo:easy-vqa",
    ):
        policy.check_data(name)
    for name in (
        "csv:closed/data.csv",
        "csv:/etc/passwd",
        "csv:open/../closed/data.csv",
        "csv:open/link/data.csv",
        "csv:open-too/data.csv",
        "csv:open/data.csv\0",
        "csv:~/data.csv",
        "imagefolder:.",
        "webdataset:*/*.tar",
        "webdataset:open/../closed/*.tar",
        "webdataset:open/*/data-1.tar",
        "webdataset:open/data.tar::closed/data-1.tar",
        "webdataset:{open,closed}/data-1.tar",
        "webdataset:{open/data.tar,/etc/passwd}",
        "webdataset:{open/{a,../closed/data}-1.tar,x}",
        # A link among the folders that fit: the same whether or not it holds such a file.
        "webdataset:open/*/none.tar",
        "json:closed/data.json",
        "hf:/etc",
        "hf:../elsewhere",
        "hf:runs/.uploads/0123",
    ):
        with pytest.raises(AccessError, match="outside the folders that may be opened"):
            policy.check_data(name)
    for name in ("onnx:closed/m.onnx", "logits:/tmp/grid.npz", "hf:runs/.uploads/0123/model"):
        with pytest.raises(AccessError, match="outside the folders"):
            policy.check_model(name)


@pytest.fixture
def asked_of_the_hub(monkeypatch):
    """Let no download leave this machine; return the ids that were asked for."""
    asked = []

    def refuse(hub_id, **_):
        asked.append(hub_id)
        raise OSError("nothing there")

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    return asked


@pytest.mark.library
@pytest.mark.parametrize("roots", ["open", ""])
def test_whether_a_path_elsewhere_exists_cannot_be_asked_as_a_hub_id(
    roots, tmp_path, monkeypatch, asked_of_the_hub
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMAP_ROOTS", roots)
    saved = Path(__file__).parent / "datasets" / "written_elsewhere" / "datasets_one"
    shutil.copytree(saved, tmp_path / "closed" / "saved")
    (tmp_path / "closed" / "file").write_text("")
    (tmp_path / "open" / "saved").symlink_to(tmp_path / "closed" / "saved")
    policy = Policy.from_environment("127.0.0.1")
    names = ("closed/saved", "closed/file", "closed/none", "closed", "none", "open/saved")
    for name in names:
        spec = f"hf:{name}"
        policy.check_work(spec, spec, {})
        assert preview_elsewhere(spec, roots=policy.roots) is None
        assert preview_table(spec) is None
        for load in (load_dataset, load_model):
            asked_of_the_hub.clear()
            with pytest.raises(SpecError) as refused:
                load(spec)
            assert str(refused.value).replace(name, "NAME") == (
                "NAME is not in a folder of EMAP_ROOTS, and the hub has no such "
                f"{'dataset' if load is load_dataset else 'checkpoint'}: nothing there"
            )
            assert asked_of_the_hub == [name]
    for name in ("a/b@../../closed", "a/b@x/../y"):
        with pytest.raises(AccessError, match="outside the folders"):
            policy.check_model(f"hf:{name}")


@pytest.mark.process
def test_in_the_roots_a_name_is_a_path_first(tmp_path, monkeypatch, asked_of_the_hub):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMAP_ROOTS", "open")
    saved = Path(__file__).parent / "datasets" / "written_elsewhere" / "datasets_one"
    shutil.copytree(saved, tmp_path / "open" / "saved")
    roots = Policy.from_environment("127.0.0.1").roots
    assert len(load_dataset("hf:open/saved")) == 4
    assert preview_elsewhere("hf:open/saved", roots=roots).n_rows == 4
    assert asked_of_the_hub == []
    for load in (load_dataset, load_model):
        with pytest.raises(SpecError, match="folder open/none does not exist, and the hub"):
            load("hf:open/none")


@pytest.mark.parametrize(
    ("folder", "link"),
    [
        ("datasets_one", "state.json"),
        ("datasets_one", "data-00000-of-00002.arrow"),
        ("datasets_splits", "dataset_dict.json"),
        ("datasets_splits", "train"),
    ],
)
def test_a_link_in_a_saved_dataset_leads_nowhere_else(folder, link, tmp_path, monkeypatch):
    saved = Path(__file__).parent / "datasets" / "written_elsewhere" / folder
    shutil.copytree(saved, tmp_path / "open" / "saved")
    (tmp_path / "open" / "saved" / link).rename(tmp_path / "closed" / "it")
    (tmp_path / "open" / "saved" / link).symlink_to(tmp_path / "closed" / "it")
    settings = {"split": "train"} if folder == "datasets_splits" else {}
    spec = f"hf:{tmp_path / 'open' / 'saved'}"
    expected = load_dataset(spec, **settings).texts
    monkeypatch.setenv("EMAP_ROOTS", str(tmp_path / "open"))
    for read in (lambda: load_dataset(spec, **settings), lambda: preview_table(spec)):
        with pytest.raises(AccessError, match="outside the folders that may be opened"):
            read()
    monkeypatch.setenv("EMAP_ROOTS", f"{tmp_path / 'open'}{os.pathsep}{tmp_path / 'closed'}")
    assert load_dataset(spec, **settings).texts == expected


def test_a_link_to_the_table_of_an_image_folder_leads_nowhere_else(tmp_path, monkeypatch):
    (tmp_path / "open" / "metadata.csv").symlink_to(tmp_path / "closed" / "data.csv")
    monkeypatch.setenv("EMAP_ROOTS", str(tmp_path / "open"))
    with pytest.raises(AccessError, match="outside the folders that may be opened"):
        load_dataset(f"imagefolder:{tmp_path / 'open'}")


def test_options_name_no_paths_elsewhere(tmp_path):
    policy = Policy(roots=(tmp_path / "open",))
    inside = f"head={tmp_path}/open/head.safetensors"
    policy.check_work("demo:concat", "demo:easy-vqa", {"model_arg": [inside, "template=a/b {x}"]})
    for argument in (
        "head=/etc/shadow",
        "head=../closed/head.safetensors",
        "head=~/x",
        'head="/etc/shadow"',
        'head="\\u002fetc/shadow"',
        "head=closed.safetensors",
        'head="closed.safetensors"',
        'head=["/etc/shadow"]',
        'columns={"a": [{"b": "/etc/shadow"}]}',
    ):
        for side in ("model_arg", "data_arg", "train_arg"):
            with pytest.raises(AccessError, match=r"option .* is outside the folders"):
                policy.check_work("demo:concat", "demo:easy-vqa", {side: [argument]})


def test_tables_name_images_in_their_own_folder_and_the_roots_alone(tmp_path, monkeypatch):
    picture(0).save(tmp_path / "closed" / "secret.png")
    picture(1).save(tmp_path / "open" / "1.png")
    table = tmp_path / "open" / "table.csv"

    def images(*names):
        pd.DataFrame({"text": list("ab"), "image": names}).to_csv(table, index=False)
        return load_dataset(f"csv:{table}").images

    other = str(tmp_path / "closed" / "secret.png")
    assert len(images("1.png", other)) == 2, "without roots a table may name any file"
    monkeypatch.setenv("EMAP_ROOTS", "")
    assert len(images("1.png", "./1.png")) == 2
    for name in (other, "../closed/secret.png"):
        with pytest.raises(DatasetError, match=r"column 'image': .* outside the table's folder"):
            images("1.png", name)
    monkeypatch.setenv("EMAP_ROOTS", str(tmp_path / "closed"))
    assert len(images("1.png", other)) == 2
    monkeypatch.setenv("EMAP_IMAGE_ROOTS", "")
    with pytest.raises(DatasetError, match="outside the table's folder"):
        images("1.png", other)


def test_a_child_process_is_held_to_the_roots_and_an_uploaded_table_to_its_own(tmp_path):
    uploaded = f"csv:{tmp_path}/runs/.uploads/0123/table.csv"
    free, held = Policy(), Policy(roots=(tmp_path / "open", tmp_path / "more"))
    public = {"EMAP_FETCH": "public"}
    assert free.environment("csv:table.csv") == public
    assert free.environment(uploaded) == {"EMAP_IMAGE_ROOTS": ""} | public
    both = os.pathsep.join([str(tmp_path / "open"), str(tmp_path / "more")])
    everywhere = {"EMAP_ROOTS": both, "EMAP_IMAGE_ROOTS": both} | public
    assert held.environment("csv:table.csv") == everywhere
    # What the model names, such as a head, may lie in the roots whatever the data are.
    for data in ([uploaded], ["csv:table.csv", uploaded]):
        assert held.environment(*data) == everywhere | {"EMAP_IMAGE_ROOTS": ""}
    assert Policy(roots=()).environment("csv:table.csv")["EMAP_ROOTS"] == ""


def test_only_people_on_the_list_come_in(monkeypatch):
    assert Policy().admits("anybody@example.org")
    monkeypatch.setenv("EMAP_ALLOWED_EMAILS", "Ada@example.org, @lab.example.org,")
    policy = Policy.from_environment("0.0.0.0")  # noqa: S104 - an open server is the case
    assert policy.admits("ada@example.org") and policy.admits("bob@LAB.example.org")
    for email in ("eve@example.org", "ada@example.org.evil.com", "", None, "@", "lab.example.org"):
        assert not policy.admits(email)
    monkeypatch.setenv("EMAP_ALLOWED_EMAILS", "")
    assert not Policy.from_environment(None).admits("ada@example.org")
