from __future__ import annotations

from samples import Staged, make_examples

import emap_core as emap


def test_the_page_says_what_the_run_says(open_page, words, runs_with_one):
    found = runs_with_one.measures()
    app = open_page("measures", run=runs_with_one.id)
    said = words(app)
    assert found.sentence in said and found.population in said
    # The model can be asked again without a picture; its classes are no similarities.
    assert "What does it answer with a side taken away?" in said
    assert "Where do the two towers lie?" not in said
    assert [one.label for one in app.button if one.key == "blind-rows-start"] == ["Find out"]
    assert next(iter(app.table[0].value["Measure"])) == "Perceptual score of the text"


def test_the_navigation_offers_the_page_to_runs_that_it_says_something_of(
    open_page, runs_with_one, tmp_path, monkeypatch
):
    def offered(app):
        return {link.proto.label for link in app.get("page_link")}

    assert "Measures" in offered(open_page("overview", run=runs_with_one.id))
    monkeypatch.setenv("EMAP_RUNS", str(tmp_path))
    data = make_examples(labels=None, task="multilabel")
    run = emap.compute(Staged(), data, out=tmp_path / "many")
    app = open_page("overview", run=run.id)
    assert "Overview" in offered(app) and "Measures" not in offered(app)


def test_groups_are_counted_where_somebody_asks(open_page, words, runs_with_one):
    said = words(open_page("measures", run=runs_with_one.id))
    assert "Are whole groups right?" in said and "Whole groups:" not in said
    app = open_page("measures", run=runs_with_one.id, view="together.text")
    assert runs_with_one.group_scores("text").sentence in words(app)


def test_a_run_that_chooses_no_class_is_told_so(open_page, words, tmp_path, monkeypatch):
    monkeypatch.setenv("EMAP_RUNS", str(tmp_path))
    data = make_examples(labels=None, task="multilabel")
    run = emap.compute(Staged(), data, out=tmp_path / "many")
    assert "choose one of several classes" in words(open_page("measures", run=run.id))
