from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from emap_core import jobs
from emap_core.errors import RunError
from emap_core.runs.folder import RunFolder
from pages.shared import visitor

HOUSE = Path(__file__).parents[2]
DRAW = """
import sys
from streamlit.testing.v1 import AppTest
app = AppTest.from_file("app.py", default_timeout=60).run()
assert not app.exception, app.exception
bodies = [element.body for element in app.get("html")]
assert any(sys.argv[1] in body for body in bodies), "no card has the verdict"
app.switch_page("pages/run.py").run()
assert not app.exception, app.exception
print(sorted({"pandas", "torch", "sklearn", "zarr"} & set(sys.modules)))
"""


@pytest.mark.process
def test_a_list_of_runs_and_the_form_wait_for_no_library_of_tables(runs_with_one):
    verdict = runs_with_one.verdict().sentence[:20]
    environment = os.environ | {"PYTHONPATH": str(HOUSE)}
    drawn = subprocess.run(
        [sys.executable, "-c", DRAW, verdict],
        cwd=HOUSE,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert drawn.stdout.splitlines()[-1:] == ["[]"], drawn.stderr


def test_with_no_run_one_button_runs_the_demo_and_shows_how_far_it_is(open_page, words, no_runs):
    app = open_page("start")
    button, other = app.button
    assert button.label == "Run the demo"
    assert other.label == "Try three sides"
    other.click().run()
    (of_three,) = jobs.list_jobs()
    jobs.cancel(of_three)
    assert (of_three.work.model, of_three.work.data) == ("demo:digits-joint", "demo:digits")
    app = open_page("start")
    app.button[0].click().run()
    (job,) = (one for one in jobs.list_jobs() if one.id != of_three.id)
    try:
        asked = job.work
        assert (asked.model, asked.data) == ("demo:concat", "demo:easy-vqa")
        assert "The demo is running" in words(app)
        assert any(button.label == "Cancel" for button in app.button)
        app.button[0].click().run()
        end = time.monotonic() + 60
        while jobs.follow(job.id).alive and time.monotonic() < end:
            time.sleep(0.2)
        app.run()
        assert "The demo was cancelled" in words(app)
        assert replace(jobs.follow(job.id), state="failed").became == "failed"
        assert any(button.label == "Run the demo" for button in app.button)
    finally:
        jobs.cancel(jobs.follow(job.id))


def test_what_shows_a_run_is_imported_while_it_is_computed(open_page, no_runs, monkeypatch):
    begun = threading.Event()
    monkeypatch.setattr(visitor, "import_what_shows_a_run", begun.set)
    open_page("start").button[0].click().run()
    (job,) = jobs.list_jobs()
    jobs.cancel(job)
    assert begun.wait(10)


def test_beside_other_peoples_runs_the_demos_are_folded_away(
    open_page, words, runs_with_one, monkeypatch
):
    app = open_page("start")
    (folded,) = (one for one in app.expander if one.label == "New here? Try a demo")
    assert not folded.proto.expanded
    assert [button.label for button in folded.button] == ["Run the demo", "Try three sides"]
    started = []
    monkeypatch.setattr("pages.shared.start", lambda work: started.append(work) or no_job())
    folded.button[0].click().run()
    (work,) = started
    assert (work.model, work.data) == ("demo:concat", "demo:easy-vqa")
    monkeypatch.setenv("EMAP_MODE", "viewer")
    app = open_page("start")
    assert "60 examples" in words(app)
    assert not app.expander and not any("demo" in button.label for button in app.button)


def no_job():
    raise RunError("there is no room for another job")


def test_finished_runs_are_listed_and_a_damaged_one_says_so(open_page, words, runs_with_one):
    broken = runs_with_one.path.parent / "another"
    shutil.copytree(runs_with_one.path, broken)
    try:
        shutil.rmtree(broken / "images")
        app = open_page("start")
        said = words(app)
    finally:
        shutil.rmtree(broken)
    assert "60 examples" in said
    assert "part-000000.parquet of run 'another' cannot be read: No such file" in said
    assert any("Open" in link.label for link in app.get("page_link"))


def test_a_card_without_a_verdict_says_how_to_get_it(open_page, words, finished_run, no_runs):
    shutil.copytree(finished_run.path, no_runs / "older")
    # What an earlier version computed may mean something else by now, so it counts for nothing.
    shutil.rmtree(no_runs / "older" / "inference", ignore_errors=True)
    assert "Open the run to compute it" in words(open_page("start"))
    open_page("overview", run="older")
    assert "Open the run to compute it" not in words(open_page("start"))


def test_a_run_from_a_terminal_is_told_as_long_as_somebody_holds_its_lock(
    open_page, finished_run, no_runs
):
    shutil.copytree(finished_run.path, no_runs / "elsewhere")
    folder = RunFolder(no_runs / "elsewhere")
    folder.update_manifest(status="running")
    done = {"event": "progress", "run": folder.id, "pairs_done": 40, "pairs_total": 90}
    folder.write_progress(done)

    def told(page):
        links = [link.label.replace("\\", "") for link in open_page(page).get("page_link")]
        return [label for label in links if "concat on easy-vqa" in label]

    with folder.lock():
        said = "A run is still running: concat on easy-vqa: 40 of 90 pairs"
        assert told("start")[0] == told("overview")[0] == said
        assert told("run") == ["concat on easy-vqa: 40 of 90 pairs"]
    # What took the lock along is gone: the run was cut off.
    assert told("start") == []
    unfinished = [link.label for link in open_page("start").get("page_link")]
    assert "elsewhere was interrupted" in unfinished
    assert told("run")[0].startswith("concat on easy-vqa was interrupted · ")


def test_what_pages_import_is_kept_out_of_the_collections_after_clicks(open_page, no_runs):
    open_page("overview")
    assert gc.get_freeze_count() > 10_000


def open_menu(app, folder):
    app.session_state[f"menu-{folder.name}-{RunFolder(folder).manifest()['created']}"] = True
    return app.run()


def field(widgets, name):
    return next(widget for widget in widgets if (widget.key or "").startswith(name))


def test_what_people_say_of_a_run_is_changed_beside_it_and_shown(
    open_page, words, finished_run, no_runs
):
    shutil.copytree(finished_run.path, no_runs / "one")
    app = open_menu(open_page("start"), no_runs / "one")
    field(app.text_input, "name-one").set_value("late fusion").run()
    field(app.text_area, "comment-one").set_value("of *May*").run()
    field(app.multiselect, "tags-one").set_value(["paper", "[x](y)"]).run()
    manifest = RunFolder(no_runs / "one").manifest()
    assert (manifest["name"], manifest["comment"]) == ("late fusion", "of *May*")
    assert manifest["tags"] == ["paper", "[x](y)"]
    for page in ("start", "overview", "examples"):
        said = words(open_page(page))
        assert "late fusion · 60 examples" in said and "of *May*" in said
        assert ":gray-badge[paper] :gray-badge[[x](y)]" in said
    field(app.text_input, "name-one").set_value("a\x07").run()
    assert RunFolder(no_runs / "one").manifest()["name"] == "late fusion"


def test_an_archived_run_is_in_no_list_until_it_is_listed_again(
    open_page, words, finished_run, no_runs
):
    shutil.copytree(finished_run.path, no_runs / "one")
    shutil.copytree(finished_run.path, no_runs / "two")
    app = open_menu(open_page("start"), no_runs / "one")
    field(app.button, "archive-one").click().run()
    assert "1 archived run" in {block.label for block in app.expander}
    assert "· one" not in words(app) and "· two" in words(app)
    assert "archived" in words(open_page("overview", run="one"))
    app.session_state["archived-runs"] = True
    app = open_menu(app.run(), no_runs / "one")
    field(app.button, "archive-one").click().run()
    assert "· one" in words(app)
    assert "1 archived run" not in {block.label for block in app.expander}


def test_a_run_is_deleted_by_who_is_sure_where_visitors_may(
    open_page, words, finished_run, no_runs, monkeypatch
):
    shutil.copytree(finished_run.path, no_runs / "one")
    shutil.copytree(finished_run.path, no_runs / "two")
    app = open_menu(open_page("start"), no_runs / "one")
    assert field(app.button, "delete-one").disabled
    field(app.checkbox, "sure-one").check().run()
    monkeypatch.setenv("EMAP_EDITS", "archive")
    field(app.button, "delete-one").click().run()
    assert (no_runs / "one").exists(), "what was drawn before the operator changed it"
    monkeypatch.delenv("EMAP_EDITS")
    app = open_menu(open_page("start"), no_runs / "one")
    field(app.checkbox, "sure-one").check().run()
    field(app.button, "delete-one").click().run()
    assert not (no_runs / "one").exists() and (no_runs / "two").exists()
    for name, value, there in (
        ("EMAP_EDITS", "archive", {"archive-two"}),
        ("EMAP_EDITS", "annotate", set()),
    ):
        monkeypatch.setenv(name, value)
        app = open_menu(open_page("start"), no_runs / "two")
        keys = {"-".join(button.key.split("-")[:2]) for button in app.button if button.key}
        assert there == {key for key in keys if key.endswith("-two")}
    monkeypatch.setenv("EMAP_MODE", "viewer")
    assert not open_page("start").get("popover")


def test_runs_are_found_and_ordered_from_ten_on_and_the_link_keeps_it(
    open_page, words, finished_run, no_runs
):
    for number in range(9):
        shutil.copytree(finished_run.path, no_runs / f"copy-{number}")
    assert not open_page("start").text_input
    shutil.copytree(finished_run.path, no_runs / "last")
    RunFolder(no_runs / "last").update_manifest(name="Zebra", tags=["paper"])
    RunFolder(no_runs / "copy-3").update_manifest(name="Ape", tags=["paper"])
    app = open_page("start")
    field(app.text_input, "view-find").set_value("paper").run()
    assert "2 of 10 runs" in words(app)
    field(app.selectbox, "view-order").set_value("name").run()
    view = app.query_params["view"]
    said = words(open_page("start", view=view))
    assert said.index("Ape ·") < said.index("Zebra ·") and "copy-4" not in said
    assert "None of 10 runs has all these words: *x*" in words(
        open_page("start", view="find.%2Ax%2A")
    )
    app = open_page("start", view="order.gap~find.e")
    assert field(app.selectbox, "view-order").value == "gap" and "Zebra" in words(app)


def test_more_runs_are_drawn_once_somebody_unfolds_them(open_page, finished_run, no_runs):
    for number in range(13):
        shutil.copytree(finished_run.path, no_runs / f"copy-{number:02d}")
    app = open_page("start")
    assert len(app.get("popover")) == 12
    app.session_state["more-runs"] = True
    app.run()
    assert len(app.get("popover")) == 13
    assert sum("60 examples" in link.label for link in app.get("page_link")) == 1


def test_the_sentence_on_a_card_is_the_one_of_the_whole_verdict(finished_run):
    assert finished_run.verdict_sentence == finished_run.verdict().sentence
