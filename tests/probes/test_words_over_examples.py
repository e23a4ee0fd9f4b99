"""Words merged over examples, against sums by hand."""

from dataclasses import replace

import numpy as np
import pytest
from samples import Staged, make_examples

import emap_core as emap
from emap_core.presentation.report import report_html
from emap_core.probes.ask import (
    ask_each,
    finished,
    probe_named,
    probes_named,
    with_largest_interaction,
)
from emap_core.probes.attribution import attributed_examples
from emap_core.probes.maskable_units import PLACES
from emap_core.probes.probed_run import ProbedRun
from emap_core.probes.words_over_examples import words_over_examples


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    data = make_examples()
    run = emap.compute(
        Staged(), data, out=tmp_path_factory.mktemp("runs") / "run", fingerprint="words"
    )
    for example in (3, 1):
        run.probe("attribution", example=example, model=Staged(), dataset=data)
    run.probe("attribution", example=0, class_name="two", model=Staged(), dataset=data)
    return run


def example_of(run, words, interactions):
    one = finished(run, probe_named("attribution", example=1))
    boxes = np.array([[0, 0, 0.3, 0.3], [0.7, 0.7, 1, 1], [0.6, 0.8, 1, 1]])
    return replace(
        one, words=words, regions=("a", "b", "c"), boxes=boxes, interactions=np.array(interactions)
    )


def test_words_are_merged_whatever_their_case_and_punctuation(run):
    one = example_of(run, ("Red", "shape?"), [[3.0, -1.0, 0.5], [0.0, 0.0, 0.25]])
    other = example_of(run, ("red?", "“red", "a"), [[1.0, 0, 0], [1.0, 0, 0], [0.0, 0.0, 0.125]])
    found = words_over_examples([one, other])
    assert found.words == ("red", "shape", "a")
    np.testing.assert_array_equal(found.counts, [2, 1, 1])
    # 4.5 in one example, 1 + 1 in the other.
    np.testing.assert_allclose(found.sizes, [3.25, 0.25, 0.125])
    np.testing.assert_allclose(found.size_errors, [1.25, np.nan, np.nan])
    by_place = dict(zip(PLACES, found.by_place[0], strict=True))
    assert by_place["upper left"] == 2.5 and by_place["lower right"] == 0.75
    assert by_place["centre"] == 0
    # 2.5 in one example, 2 in the other; 6.5 of 6.875 in all.
    np.testing.assert_allclose(found.added, [2.25, 0.25, 0.125])
    np.testing.assert_allclose(found.shares, [6.5 / 6.875, 0.25 / 6.875, 0.125 / 6.875])
    assert found.sentence.startswith("Over 2 examples, “red” has the largest part")
    assert "94.5%: it is in 2 examples, and meets the upper left most" in found.sentence
    assert found.sentence.endswith("Next are “shape” (3.6%, in 1) and “a” (1.8%, in 1).")
    drawn = found.chart()
    np.testing.assert_allclose(drawn.figure.data[0].z, found.by_place)
    assert list(drawn.table.word) == list(found.words)


def test_examples_that_were_asked_about_stand_in_the_order_of_the_run(run):
    assert [one.example for one in attributed_examples(run)] == [run.ids[1], run.ids[3]]
    fresh = emap.load_run(run.path)
    assert len(attributed_examples(fresh)) == 2


def test_what_is_kept_of_an_example_is_read_once(run, monkeypatch):
    fresh = emap.load_run(run.path)
    first, read = attributed_examples(fresh), []
    monkeypatch.setattr(
        "emap_core.probes.probe_folder._content",
        lambda path, created: read.append(path.name),
    )
    assert attributed_examples(fresh) == first and read == []
    (run.path / "probes" / "attribution-unfinished").mkdir()
    assert attributed_examples(fresh) == first and read == ["attribution-unfinished"]
    (run.path / "probes" / "attribution-unfinished").rmdir()


def test_many_examples_are_asked_about_at_once(tmp_path):
    data = make_examples()
    run = emap.compute(Staged(), data, out=tmp_path / "run", fingerprint="words")
    table = run.examples().sort_values("interaction_size", ascending=False)
    of_largest = run.probe("attribution", largest=2, model=Staged(), dataset=data)
    assert [one.example for one in of_largest.examples] == table.id.head(2).tolist()
    twice = [0, run.ids[4], run.ids[0], 4]
    named = run.probe("attribution", examples=twice, model=Staged(), dataset=data)
    assert [one.example for one in named.examples] == [run.ids[0], run.ids[4]]
    by_hand = words_over_examples(
        [run.probe("attribution", example=one.example) for one in named.examples]
    )
    np.testing.assert_array_equal(named.by_place, by_hand.by_place)
    for wrong, message in (
        ({}, "example says which example to ask about, largest how many"),
        ({"example": 0, "largest": 2}, "give one of the two"),
        ({"examples": []}, "examples is empty"),
        ({"largest": 0}, "largest is 0; expected a whole number"),
    ):
        with pytest.raises(emap.EmapError, match=message):
            run.probe("attribution", **wrong)
    with pytest.raises(emap.EmapError, match="is about the whole run; leave largest out"):
        run.probe("blind-rows", largest=2)


def test_several_probes_count_their_pairs_together(run):
    data, events = make_examples(), []
    probes = probes_named(run, "attribution", examples=[1, 5, 6])
    probed = ProbedRun(run, Staged(), data)
    found = ask_each(probed, probes, listener=events.append)
    total = sum(probe.cost(run).passes for probe in probes)
    done = [event["pairs_done"] for event in events if "pairs_done" in event]
    assert done == sorted(done) and done[-1] == total
    assert {event["pairs_total"] for event in events} == {total}
    # The first one was known, and the end of one is not that of all.
    assert [event["event"] for event in events].count("finished") == 1
    assert events[-1]["event"] == "finished" and len(found) == 3


def test_examples_without_words_are_not_asked_about(run):
    no_words = run.examples().assign(text="")
    table = run.examples()
    table.loc[table.interaction_size.idxmax(), "text"] = " "
    largest = table.sort_values("interaction_size", ascending=False)
    run = emap.load_run(run.path)
    run.examples = lambda: table
    assert with_largest_interaction(run, 2) == largest.id[1:3].tolist()
    among = np.arange(len(table)) % 2 == 0
    chosen = with_largest_interaction(run, len(table), among)
    assert set(chosen) == set(table.id[among & (table.text != " ")])
    run.examples = lambda: no_words
    assert with_largest_interaction(run, 2) == []


@pytest.mark.slow
def test_report_and_notebook_show_what_was_asked(run):
    assert len(run.figure("attribution", example=run.ids[3]).data) > 0
    with pytest.raises(emap.EmapError, match="about which nobody asked"):
        run.figure("attribution", example=run.ids[0])
    words = words_over_examples(attributed_examples(run))
    np.testing.assert_allclose(run.figure("words-over-examples").data[0].z, words.by_place[:12])
    shown = report_html(run)
    assert "Which words meet which places, over examples" in shown
    assert shown.count("Which words with which regions") == 1
