"""The real server with the settings that are shipped, asked as a browser of somebody else would."""

from __future__ import annotations

import http.client
import os
import re
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from served import serve_app, until_at_rest, visit, words
from streamlit.proto.BackMsg_pb2 import BackMsg
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from emap_core.runs import list_runs
from emap_core.runs.checksums import check_run

pytestmark = pytest.mark.process

OURS = re.compile(r"STREAMLIT_|EMAP_")


@contextmanager
def serve(folder, runs, popen=subprocess.Popen, **more):
    """Serve the app, with nothing said but where its runs are, on which port, and `more`."""
    folder.mkdir(exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if not OURS.match(name)}
    environment |= {"EMAP_RUNS": str(runs), "HOME": str(folder), **more}
    with serve_app(folder / "log", environment, popen=popen) as port:
        yield port


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    with serve(folder, folder / "runs") as port:
        yield port


def ask(port, method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, named)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, dict(answer.headers), content


def test_only_this_computer_reaches_it(port):
    listening = []
    for name, width in (("tcp", 8), ("tcp6", 32)):
        table = Path("/proc/net", name)
        if not table.exists():
            continue
        for line in table.read_text().splitlines()[1:]:
            place, state = line.split()[1], line.split()[3]
            if state == "0A" and int(place[width + 1 :], 16) == port:
                listening.append(place[:width])
    # 0A is "listens"; the bytes of an address stand there in the order of the machine.
    assert listening == ["0100007F"], "127.0.0.1, and no other"


def test_a_page_of_somebody_else_cannot_talk_to_it(port):
    for origin in ("https://evil.example.org", "http://127.0.0.1.evil.org", "null"):
        with pytest.raises(InvalidStatus) as refused:
            visit(port, origin=origin)
        assert refused.value.response.status_code == 403
    visit(port, origin=f"http://127.0.0.1:{port}")
    for path in ("/_stcore/health", "/_stcore/host-config"):
        headers = ask(port, "GET", path, Origin="https://evil.example.org")[1]
        assert "access-control-allow-origin" not in {name.lower() for name in headers}


def test_a_name_that_was_made_to_lead_here_shows_nothing(port):
    for page in ("", "run", "overview"):
        host = "evil.example.org"
        _, said = visit(port, "", page, host, origin=f"http://{host}:{port}")
        shown = words(said)
        assert "but the browser asked for 'evil.example.org'" in shown.replace("\\", "")
        assert "New run" not in shown and "Run the demo" not in shown


def test_no_statistics_of_use_are_sent(port):
    session, _ = visit(port, origin=f"http://127.0.0.1:{port}")
    assert session.HasField("config") and session.config.gather_usage_stats is False


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_an_upload_without_the_token_of_the_page_is_refused(method, port):
    path = "/_stcore/upload_file/anybody/file"
    assert ask(port, method, path, b"x")[0] == 403
    cookie = dict(ask(port, "GET", "/_stcore/health")[1])["set-cookie"].partition(";")[0]
    assert cookie.startswith("_streamlit_xsrf=")
    assert ask(port, method, path, b"x", Cookie=cookie)[0] == 403
    forged = {"Cookie": cookie, "X_Xsrftoken": "2|00000000|00000000|1"}
    assert ask(port, method, path, b"x", **forged)[0] == 403
    true = {"Cookie": cookie, "X_Xsrftoken": cookie.partition("=")[2]}
    assert ask(port, method, path, b"x", **true)[0] != 403


@pytest.mark.parametrize(
    ("settings", "taken"),
    [
        ({"EMAP_MODE": "viewer"}, False),
        ({"EMAP_MODE": "full"}, True),
        # By itself, before any page is served.
        ({"EMAP_MODE": "full", "STREAMLIT_SERVER_MAX_UPLOAD_SIZE": "0"}, False),
    ],
)
def test_a_server_that_shows_runs_alone_takes_no_upload_of_a_visitor(
    settings, taken, tmp_path, warm_popen
):
    with serve(tmp_path / "it", tmp_path / "runs", warm_popen, **settings) as port:
        cookie = dict(ask(port, "GET", "/_stcore/health")[1])["set-cookie"].partition(";")[0]
        true = {"Cookie": cookie, "X_Xsrftoken": cookie.partition("=")[2]}
        true["Content_Type"] = "multipart/form-data; boundary=x"
        body = (
            b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\nabc\r\n--x--\r\n'
        )
        sock = socket.create_connection(("127.0.0.1", port))
        with connect(f"ws://127.0.0.1:{port}/_stcore/stream", max_size=None, sock=sock) as browser:
            wish = BackMsg()
            wish.rerun_script.query_string = ""
            browser.send(wish.SerializeToString())
            said = until_at_rest(browser)
            session = next(m.new_session for m in said if m.WhichOneof("type") == "new_session")
            path = f"/_stcore/upload_file/{session.initialize.session_id}/file"
            status = ask(port, "PUT", path, body, **true)[0]
        assert status == (204 if taken else 413)


def test_programs_cannot_drive_the_pages_past_the_browser(port):
    for name in ("interact", "mcp"):
        status, _, content = ask(port, "POST", f"/_stcore/agent/{name}", b"{}")
        assert status in (400, 403) and b"does not serve the agent API" in content


@pytest.mark.parametrize(
    "path",
    ["/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/app/static/../app.py", "//etc/passwd"],
)
def test_an_address_names_no_file(path, port):
    status, _, content = ask(port, "GET", path)
    assert b"root:" not in content and b"set_page_config" not in content
    assert status >= 400 or content.lstrip().lower().startswith(b"<!doctype html")


@pytest.mark.parametrize(
    "query",
    [
        "run=../../etc",
        "run=%2e%2e%2f%2e%2e%2fetc",
        "run=/etc/passwd",
        "run=a%00b",
        "run=" + "x" * 50_000,
        "run=memory://x/y",
        "run=%ff%fe",
        "run=os:system",
        "run=",
        "run=a&run=b",
        "example=%00&class=" + "y" * 5_000,
    ],
)
def test_a_strange_link_gives_a_calm_page(query, port):
    for page in ("overview", "run"):
        _, said = visit(port, query, page, origin=f"http://127.0.0.1:{port}")
        shown = words(said)
        assert "exception" not in shown.lower()
        assert "root:" not in shown
        assert "there is no run" in shown or "no finished run" in shown or "New run" in shown


def test_two_servers_of_one_folder_compute_what_both_are_asked_for_once(tmp_path, warm_popen):
    runs = tmp_path / "runs"
    with (
        serve(tmp_path / "a", runs, warm_popen) as one,
        serve(tmp_path / "b", runs, warm_popen) as two,
    ):
        with ThreadPoolExecutor() as visitors:
            said = list(visitors.map(lambda port: visit(port, click="Run the demo")[1], [one, two]))
        assert all("The demo is running" in words(answer) for answer in said)
        end = time.monotonic() + 120
        # A run is finished a moment before its checksums are written.
        while not list(runs.glob("*/checksums.json")):
            assert time.monotonic() < end, list_runs(runs)
            time.sleep(0.2)
        (run,) = list_runs(runs)
        assert check_run(run.path) == []
        for port in (one, two):
            shown = words(visit(port, f"run={run.id}", "examples")[1])
            assert "Why this prediction?" in shown and "exception" not in shown
