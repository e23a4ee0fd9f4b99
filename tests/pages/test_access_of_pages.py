import sys
import time
import zipfile

import filelock
import pytest
from streamlit.testing.v1 import AppTest
from streamlit.user_info import UserInfoProxy

from emap_core import jobs
from emap_core.errors import AccessError, RunError
from pages import FOLDER, page_names


@pytest.fixture
def visitor(monkeypatch):
    """Let somebody be signed in as Streamlit would tell it."""

    def sign_in(**claims):
        monkeypatch.setattr(
            UserInfoProxy, "get", lambda _self, name, default=None: claims.get(name, default)
        )

    sign_in()
    return sign_in


@pytest.fixture
def with_sign_in(monkeypatch):
    from pages.shared import visitor

    monkeypatch.setattr(visitor, "_has_sign_in", lambda: True)


def labels(app):
    return [button.label for button in app.button]


def test_a_viewer_sees_runs_and_can_start_nothing(runs_with_one, open_page, words, monkeypatch):
    monkeypatch.setenv("EMAP_MODE", "viewer")
    app = open_page("run")
    assert "this server only shows finished runs" in words(app)
    assert labels(app) == [] and not app.selectbox and not app.get("file_uploader")
    for page in ("overview", "report"):
        assert "60 examples" in words(open_page(page, run="small-demo"))
    app = open_page("recombine", run="small-demo")
    app.session_state["own-pair"] = True
    app.run()
    assert "only shows finished runs" in words(app) and not app.get("file_uploader")


def test_a_viewer_is_not_offered_the_demo(no_runs, open_page, words, monkeypatch):
    assert "Run the demo" in labels(open_page("start"))
    monkeypatch.setenv("EMAP_MODE", "viewer")
    app = open_page("start")
    assert labels(app) == []
    assert "There is nothing to see yet" in words(app)


def test_a_server_for_others_shows_runs_only(no_runs, open_page, words, monkeypatch):
    import streamlit as st

    asked = st.get_option
    monkeypatch.setattr(
        st, "get_option", lambda name: None if name == "server.address" else asked(name)
    )
    assert "only shows finished runs" in words(open_page("run"))
    monkeypatch.setenv("EMAP_MODE", "full")
    assert "New run" in words(open_page("run"))


@pytest.mark.parametrize(
    ("model", "data", "message"),
    [
        ("os:getcwd", "demo:easy-vqa", "model 'os:getcwd' is code"),
        ("torchscript:a.pt", "demo:easy-vqa", "is code, which a browser may not start"),
        ("demo:concat", "csv:/etc/passwd", "outside the folders that may be opened here"),
        ("onnx:/etc/passwd", "demo:easy-vqa", "outside the folders that may be opened here"),
    ],
)
def test_what_is_not_allowed_is_said_and_starts_no_process(
    model, data, message, no_runs, monkeypatch, tmp_path
):
    from pages import shared

    monkeypatch.setenv("EMAP_ROOTS", str(tmp_path / "open"))
    for command in ("plan", "run"):
        with pytest.raises(AccessError, match=message):
            shared.start(jobs.RunSpecification(model, data), command)
    assert not (no_runs / ".jobs").exists()


def test_a_setting_that_is_mistyped_stops_every_page(no_runs, open_page, words, monkeypatch):
    monkeypatch.setenv("EMAP_MODE", "open")
    assert words(open_page("run")).strip() == "EMAP_MODE is 'open'; expected full or viewer"


def test_nobody_comes_in_unsigned(runs_with_one, open_page, words, with_sign_in, visitor):
    for page in ("run", "overview"):
        app = open_page(page, run="small-demo")
        assert labels(app) == ["Sign in"]
        assert "examples" not in words(app)


@pytest.mark.slow
@pytest.mark.parametrize("page", page_names())
def test_a_page_that_runs_by_itself_asks_who_comes_too(
    page, runs_with_one, words, with_sign_in, visitor
):
    """Streamlit does that for a link's address until app.py has run once."""
    from streamlit.runtime.pages_manager import PagesManager

    app = AppTest.from_file(str(FOLDER / f"{page}.py"), default_timeout=60)
    PagesManager.uses_pages_directory = False
    app.query_params["run"] = "small-demo"
    app.run()
    assert labels(app) == ["Sign in"]
    assert [title.value for title in app.title] == ["EMAP Lens"]
    assert "examples" not in words(app)


def test_without_the_packages_for_it_nobody_signs_in_and_it_says_what_to_install(
    runs_with_one, open_page, words, with_sign_in, visitor, monkeypatch
):
    monkeypatch.setitem(sys.modules, "authlib.integrations", None)
    app = open_page("overview", run="small-demo")
    assert labels(app) == []
    assert "pip install '.[sign-in]'" in words(app)


@pytest.mark.parametrize(
    ("claims", "comes_in"),
    [
        ({"email": "ada@example.org", "email_verified": True}, True),
        ({"email": "ada@example.org", "email_verified": False}, False),
        ({"email": "ada@example.org", "email_verified": "false"}, False),
        ({"email": "eve@example.org"}, False),
        ({}, False),
    ],
)
def test_only_who_is_on_the_list_comes_in(
    claims, comes_in, runs_with_one, open_page, words, with_sign_in, visitor, monkeypatch
):
    monkeypatch.setenv("EMAP_ALLOWED_EMAILS", "ada@example.org")
    visitor(is_logged_in=True, **claims)
    app = open_page("overview", run="small-demo")
    assert "Sign out" in labels(app)
    assert ("is not on the list" in words(app)) is not comes_in
    assert ("Do interactions matter" in words(app)) is comes_in


def test_nobody_is_told_that_they_are_out_before_the_browser_has_been_sent_away(
    runs_with_one, open_page, words, with_sign_in, visitor, monkeypatch
):
    """Streamlit forgets who is here at once; the browser keeps its cookie a little longer."""
    import streamlit as st

    visitor(is_logged_in=True, email="ada@example.org")
    monkeypatch.setattr(st, "logout", visitor)
    app = open_page("overview", run="small-demo")
    next(button for button in app.button if button.label == "Sign out").click().run()
    assert "Signing out…" in words(app) and "examples" not in words(app)
    assert labels(app) == []
    assert labels(open_page("overview", run="small-demo")) == ["Sign in"]


def test_a_list_without_sign_in_lets_nobody_in(runs_with_one, open_page, words, monkeypatch):
    monkeypatch.setenv("EMAP_ALLOWED_EMAILS", "ada@example.org")
    assert "sign-in is not: add [auth]" in words(open_page("overview", run="small-demo"))


def test_a_job_is_cancelled_by_who_started_it_alone(no_runs, with_sign_in, visitor, monkeypatch):
    from pages import shared

    job = jobs.Job("run-1", "run", None, "running", None, {}, None, 0.0, owner="ada@example.org")
    visitor(is_logged_in=True, email="eve@example.org")
    assert not shared.may_cancel(job)
    with pytest.raises(Exception, match="only the person who started a job may cancel it"):
        shared.cancel(job)
    visitor(is_logged_in=True, email="ada@example.org")
    assert shared.may_cancel(job)


def said_of_runs(app):
    return "".join(link.proto.label.replace("\\", "") for link in app.get("page_link"))


def test_a_job_that_waits_is_seen_by_all_runs_once_and_is_cancelled_by_its_owner_alone(
    no_runs, open_page, words, with_sign_in, visitor, warm_processes
):
    from pages import shared

    visitor(is_logged_in=True, email="ada@example.org")
    work = jobs.RunSpecification("demo:concat", "demo:easy-vqa", {"limit": 40})
    no_runs.mkdir()
    end = time.monotonic() + 60
    with filelock.FileLock(no_runs / ".device-cpu.lock"):
        job = shared.start(work)
        while job.state == "starting" and time.monotonic() < end:
            time.sleep(0.1)
            job = jobs.follow(job.id)
        assert (job.state, job.owner) == ("queued", "ada@example.org")

        assert jobs.list_jobs(alive=True) == [job]
        told = "Your run is still running: demo:concat on demo:easy-vqa: Queued"
        assert told in said_of_runs(open_page("overview"))

        visitor(is_logged_in=True, email="eve@example.org")
        assert told not in said_of_runs(open_page("overview"))
        assert shared.start(work) == job, "asked for twice, it is there once and still Ada's"
        assert [one.id for one in jobs.list_jobs()] == [job.id]
        (link,) = open_page("run").main.get("page_link")
        assert link.label.replace("\\", "").startswith("demo:concat on demo:easy-vqa: Queued")
        app = open_page("run", run=job.run_id)
        assert "Queued: another run is using the device." in words(app)
        assert "Cancel" not in labels(app)

        visitor(is_logged_in=True, email="ada@example.org")
        app = open_page("run", run=job.run_id)
        next(button for button in app.button if button.label == "Cancel").click().run()
        while jobs.follow(job.id).alive and time.monotonic() < end:
            time.sleep(0.1)
    assert jobs.follow(job.id).state == "cancelled"


def test_a_link_leads_to_nothing_but_runs(runs_with_one, open_page, words):
    from pages import shared

    (runs_with_one.path.parent.parent / "run.json").write_text("{}")
    for name in ("..", ".", "../runs", "/etc", ".jobs", "a/b", "small-demo/..", ""):
        assert shared.run_info(name) is None
        assert jobs.find(name) is None
        with pytest.raises(RunError, match="there is no"):
            jobs.follow(name)
    assert "there is no run '..' here" in words(open_page("overview", run=".."))


def test_what_was_uploaded_may_name_its_own_images_alone(no_runs, warm_processes):
    from emap_core.datasets.upload import receive
    from pages import shared

    archive = no_runs.parent / "a.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("data.csv", "text,image\na,/etc/hostname\nb,/etc/hostname\n")
    spec = receive("a.zip", archive.read_bytes(), no_runs / ".uploads")
    job = shared.start(jobs.RunSpecification("demo:concat", spec), "plan")
    while job.alive:
        job = jobs.follow(job.id)
    assert "outside the table's folder" in job.error
