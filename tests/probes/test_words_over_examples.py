"""Words merged over examples, against sums by hand."""

from dataclasses import replace

import numpy as np
import pytest
from samples import Staged, make_examples

import emap_core as emap
from emap_core.presentation.report import report_html
from emap_core.probes.ask import finished, probe_named
from emap_core.probes.attribution import attributed_examples
from emap_core.probes.units import PLACES
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
    by_place = dict(zip(PLACES, found.values[0], strict=True))
    assert by_place["upper left"] == 2.5 and by_place["lower right"] == -0.25
    assert by_place["centre"] == 0
    assert found.sentence.startswith(
        "Of the words of 2 examples, “red” interacts most with what is in the image: 3.25"
    )
    assert "most with the upper left (+2.5" in found.sentence
    drawn = found.chart()
    np.testing.assert_allclose(drawn.figure.data[0].z, found.values)
    assert list(drawn.table.word) == list(found.words)


def test_examples_that_were_asked_about_stand_in_the_order_of_the_run(run):
    assert [one.example for one in attributed_examples(run)] == [run.ids[1], run.ids[3]]
    fresh = emap.load_run(run.path)
    assert len(attributed_examples(fresh)) == 2


def test_report_and_notebook_show_what_was_asked(run):
    assert len(run.figure("attribution", example=run.ids[3]).data) > 0
    with pytest.raises(emap.EmapError, match="about which nobody asked"):
        run.figure("attribution", example=run.ids[0])
    words = words_over_examples(attributed_examples(run))
    np.testing.assert_allclose(run.figure("words-over-examples").data[0].z, words.values[:12])
    shown = report_html(run)
    assert "Which words meet which places, over examples" in shown
    assert shown.count("Which words with which regions") == 1
