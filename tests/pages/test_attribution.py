"""Which words with which regions, on the Examples page."""

from __future__ import annotations

import time

import pytest
from samples import as_callable, make_examples

import emap_core as emap
from emap_core import jobs
from emap_core.probes.ask import with_largest_interaction
from emap_core.probes.attribution import Attribution, attributed_examples
from emap_core.probes.probe_folder import ProbeFolder
from emap_core.probes.words_over_examples import words_over_examples


@pytest.fixture(scope="module")
def asked_run(tmp_path_factory):
    """A run whose second example has been asked about, in a folder of runs of its own."""
    root = tmp_path_factory.mktemp("asked")
    run = emap.compute("demo:concat", "demo:easy-vqa", data_args={"limit": 60}, out=root / "demo")
    run.probe("attribution", example=1)
    return run


@pytest.fixture
def runs_here(asked_run, monkeypatch):
    monkeypatch.setenv("EMAP_RUNS", str(asked_run.path.parent))
    return asked_run


def test_what_is_known_is_said_and_shown(open_page, words, runs_here):
    app = open_page("examples", run=runs_here.id, example=runs_here.ids[1])
    found = runs_here.probe("attribution", example=1)
    said = words(app)
    assert found.sentence in said
    for detail in found.details:
        assert detail in said
    w, p = found.strongest(1)[0]
    assert f"“{found.words[w]}” with the {found.where(p)} ({found.regions[p]})" in said
    assert [b for b in app.button if b.label == "Find out"] == []


def test_a_word_and_a_region_are_chosen_and_stay_in_the_link(open_page, words, runs_here):
    app = open_page("examples", run=runs_here.id, example=runs_here.ids[1])
    found = runs_here.probe("attribution", example=1)
    (pills,) = [one for one in app.get("button_group") if one.key == "attribution-word"]
    pills.set_value(0).run()
    assert app.query_params["view"] == f"pair.1:0:{found.region_of(0)}"
    (regions,) = [one for one in app.selectbox if one.key == "attribution-region"]
    assert regions.value == found.region_of(0)
    regions.set_value(7).run()
    assert app.query_params["view"] == "pair.1:0:7"
    # Another visitor with this link sees the same.
    again = open_page("examples", **{key: app.query_params[key] for key in app.query_params})
    (regions,) = [one for one in again.selectbox if one.key == "attribution-region"]
    assert regions.value == 7
    words(again)


def test_a_class_is_chosen_and_stays_in_the_link(open_page, words, runs_here):
    app = open_page("examples", run=runs_here.id, example=runs_here.ids[1])
    (classes,) = [one for one in app.selectbox if one.key == "attribution-class"]
    predicted = int(runs_here.decomposition.logits[1].argmax())
    assert classes.value == predicted and classes.options[0].endswith(" (predicted)")
    other = (predicted + 1) % len(runs_here.classes)
    classes.set_value(other).run()
    assert app.query_params["view"] == f"of.1:{other}"
    # Nobody has asked about this one.
    assert "pairs to score" in words(app)
    found = runs_here.probe("attribution", example=1, class_name=runs_here.classes[other])
    again = open_page("examples", **{key: app.query_params[key] for key in app.query_params})
    assert found.sentence in words(again)
    (classes,) = [one for one in again.selectbox if one.key == "attribution-class"]
    classes.set_value(predicted).run()
    assert "view" not in again.query_params
    # In a link of another example it means nothing, nor does what is not a class.
    for view in (f"of.0:{other}", "of.1:99", "of.1:x", "of.x"):
        app = open_page("examples", run=runs_here.id, example=runs_here.ids[1], view=view)
        (classes,) = [one for one in app.selectbox if one.key == "attribution-class"]
        assert classes.value == predicted


def test_a_link_to_a_pair_that_is_not_there_shows_the_strongest(open_page, words, runs_here):
    found = runs_here.probe("attribution", example=1)
    for pair in ("1:99:0", "1:0:999", "0:0:0", "1:-1:0", "x", "1:²:0"):
        app = open_page("examples", run=runs_here.id, example=runs_here.ids[1], view=f"pair.{pair}")
        words(app)
        (regions,) = [one for one in app.selectbox if one.key == "attribution-region"]
        assert regions.value == found.strongest(1)[0][1]


def test_one_side_by_itself_is_shown_without_a_choice_of_pairs(open_page, words, runs_here):
    for part in ("text", "image"):
        app = open_page("examples", run=runs_here.id, example=runs_here.ids[1], view=f"part.{part}")
        words(app)
        assert [one for one in app.selectbox if one.key == "attribution-region"] == []


def test_whoever_wants_to_know_sees_what_it_takes_starts_it_and_reads_the_answer(
    open_page, words, runs_here
):
    app = open_page("examples", run=runs_here.id, example=runs_here.ids[2])
    assert "pairs to score" in words(app)
    next(b for b in app.button if b.label == "Find out").click().run()
    words(app)
    (job,) = jobs.list_jobs("probe")
    for _ in range(600):
        if not jobs.follow(job.id).alive:
            break
        time.sleep(0.2)
    assert jobs.follow(job.id).state == "finished"
    app = open_page("examples", run=runs_here.id, example=runs_here.ids[2])
    assert runs_here.probe("attribution", example=2).sentence in words(app)


def test_many_are_asked_about_at_once(open_page, words, runs_here, monkeypatch):
    started = []
    monkeypatch.setattr(
        "emap_core.jobs.start", lambda work, command, **others: started.append(work)
    )
    largest = with_largest_interaction(runs_here, 3)
    app = open_page("examples", run=runs_here.id, view="many.3")
    words(app)
    unknown = [name for name in largest if name != runs_here.ids[1]]
    (button,) = [b for b in app.button if b.label.startswith("Ask about")]
    assert button.label == f"Ask about {len(unknown)} examples"
    button.click().run()
    assert [work.settings["example"] for work in started] == [unknown]
    assert f"--example={unknown[0]}" in started[0].arguments()
    # Of a list that is filtered, those in it.
    app = open_page("examples", run=runs_here.id, view="words.circle~many.2")
    next(b for b in app.button if b.label.startswith("Ask about")).click().run()
    chosen = [runs_here.ids.index(name) for name in started[1].settings["example"]]
    table = runs_here.examples()
    assert len(chosen) == 2
    for position in chosen:
        row = table.iloc[position]
        assert "circle" in f"{row.text} {row.label} {row.id}"


def test_what_many_words_meet_is_said_and_shown(open_page, words, runs_here):
    found = runs_here.probe("attribution", examples=[1, 2, 4])
    app = open_page("examples", run=runs_here.id, example=runs_here.ids[7])
    said = words(app)
    known = words_over_examples(attributed_examples(runs_here))
    assert known.n_examples >= found.n_examples == 3
    assert known.sentence in said


def test_a_viewer_sees_what_is_known_and_starts_nothing(open_page, words, runs_here, monkeypatch):
    monkeypatch.setenv("EMAP_MODE", "viewer")
    said = words(open_page("examples", run=runs_here.id, example=runs_here.ids[1]))
    assert runs_here.probe("attribution", example=1).sentence in said
    app = open_page("examples", run=runs_here.id, example=runs_here.ids[3])
    assert "only shows finished runs" in words(app)
    assert [b for b in app.button if b.label == "Find out"] == []


def test_code_is_not_started_from_a_browser(open_page, words, runs_here, monkeypatch):
    made = runs_here.manifest["provenance"]
    monkeypatch.setitem(made["model"], "spec", "evil.module:load")
    from pages.shared import visitor

    with pytest.raises(emap.EmapError, match="is code, which a browser may not start"):
        visitor.ask(runs_here, "attribution", example=runs_here.ids[0])


def test_a_run_of_objects_says_that_it_cannot_be_asked(open_page, words, tmp_path, monkeypatch):
    run = emap.compute(as_callable, make_examples(12), out=tmp_path / "objects")
    monkeypatch.setenv("EMAP_RUNS", str(tmp_path))
    app = open_page("examples", run=run.id, example=run.ids[0])
    assert "This run cannot be asked: the model was a Python object" in words(app)
    assert [b for b in app.button if b.label == "Find out"] == []


def test_a_damaged_answer_is_said_to_be(open_page, words, runs_here):
    path = ProbeFolder(runs_here, Attribution(1)).path / "result.json"
    whole = path.read_text()
    path.write_text(whole.replace("mean colour", "meen colour"))
    said = words(open_page("examples", run=runs_here.id, example=runs_here.ids[1]))
    path.write_text(whole)
    assert "is damaged" in said
