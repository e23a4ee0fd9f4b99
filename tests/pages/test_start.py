from __future__ import annotations

import gc
import shutil
import time

from emap_core import jobs
from emap_core.runs.folder import RunFolder
from pages.shared.runs import forget_lists


def test_with_no_run_one_button_runs_the_demo_and_shows_how_far_it_is(open_page, words, no_runs):
    app = open_page("start")
    (button,) = app.button
    assert button.label == "Run the demo"
    button.click().run()
    (job,) = jobs.list_jobs()
    try:
        asked = job.work
        assert (asked.model, asked.data) == ("demo:concat", "demo:easy-vqa")
        assert "The demo is running" in words(app)
        assert any(button.label == "Cancel" for button in app.button)
        app.button[0].click().run()
        end = time.monotonic() + 60
        while jobs.list_jobs()[0].alive and time.monotonic() < end:
            time.sleep(0.2)
        app.run()
        assert "The demo was cancelled" in words(app)
        assert any(button.label == "Run the demo" for button in app.button)
    finally:
        jobs.cancel(jobs.list_jobs()[0])


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
        return [label for label in links if "concat on easy-vqa: " in label]

    with folder.lock():
        said = "A run is still running: concat on easy-vqa: 40 of 90 pairs"
        assert told("start")[0] == told("overview")[0] == said
        assert told("run") == ["concat on easy-vqa: 40 of 90 pairs"]
    # What took the lock along is gone: the run was cut off.
    assert told("start") == []
    assert told("run")[0].startswith("concat on easy-vqa: interrupted · ")


def test_what_pages_import_is_kept_out_of_the_collections_after_clicks(open_page, no_runs):
    open_page("overview")
    assert gc.get_freeze_count() > 10_000


def test_a_run_can_be_renamed_and_deleted_where_visitors_may_do_more_than_look(
    open_page, words, runs_with_one, monkeypatch
):
    copy = runs_with_one.path.parent / "copy"
    shutil.copytree(runs_with_one.path, copy)
    forget_lists()
    try:
        app = open_page("start")
        box = next(b for b in app.text_input if "copy" in b.key)
        box.set_value("late fusion").run()
        assert "late fusion · 60 examples" in words(app)
        next(b for b in app.checkbox if "copy" in b.key).check().run()
        next(b for b in app.button if "copy" in (b.key or "")).click().run()
        assert not copy.exists() and runs_with_one.path.exists()
        assert "late fusion" not in words(app)
    finally:
        shutil.rmtree(copy, ignore_errors=True)
    monkeypatch.setenv("EMAP_MODE", "viewer")
    app = open_page("start")
    assert not app.text_input and not app.checkbox


def test_older_runs_are_drawn_once_somebody_unfolds_them(open_page, finished_run, no_runs):
    for number in range(13):
        shutil.copytree(finished_run.path, no_runs / f"copy-{number:02d}")
    app = open_page("start")
    menus = {box.key for box in app.text_input}
    assert len(menus) == 12
    app.session_state["older-runs"] = True
    app.run()
    assert menus < {box.key for box in app.text_input}
    assert sum("60 examples" in link.label for link in app.get("page_link")) == 1


def test_the_sentence_on_a_card_is_the_one_of_the_whole_verdict(finished_run):
    assert finished_run.verdict_sentence == finished_run.verdict().sentence
