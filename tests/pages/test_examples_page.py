from __future__ import annotations

import re

import numpy as np
import pytest
from samples import as_callable, make_examples, picture

import emap_core as emap
from emap_core.runs.slices import ranked
from pages.shared.url_selection import view_key

AWKWARD = (
    "<script>alert(1)</script> <b>bold</b>",
    "# not a heading **nor bold** [no link](http://x.y) :smile: $x$",
    "هل توجد دائرة حمراء في الصورة؟",
    "画像に赤い円がありますか？",
    "red " * 2_000,
    "",
)


@pytest.fixture(scope="module")
def awkward_run(tmp_path_factory):
    texts = [t for t in AWKWARD for _ in range(4)]
    data = make_examples(
        24,
        texts=texts,
        images=[picture(i) for i in range(24)],
        image_keys=None,
        labels=[0, 1, 2] * 8,
        classes=["<i>one</i>", "**two**", "三"],
    )
    folder = tmp_path_factory.mktemp("awkward") / "run"
    return emap.compute(as_callable, data, out=folder)


def test_the_first_example_is_the_flip_with_the_largest_interaction(
    open_page, words, runs_with_one
):
    app = open_page("examples", run=runs_with_one.id)
    examples = runs_with_one.examples()
    order = ranked(examples, np.ones(len(examples), dtype=bool))
    first = examples.iloc[order[0]]
    assert first.flip != "same"
    said = words(app)
    assert f"The model answers “{first.prediction}”" in said
    assert f"Without interactions it would answer “{first.prediction_emap_leave_one_out}”" in said
    assert f"1 of {len(examples)}" in said
    app = open_page("examples", run=runs_with_one.id, view=view_key(where="answer_type=shape"))
    n_shapes = (examples["data.answer_type"] == "shape").sum()
    assert f"{n_shapes} of {len(examples)}: answer_type shape" in words(app)


def test_next_and_previous_follow_the_list_and_the_link(open_page, words, runs_with_one):
    app = open_page("examples", run=runs_with_one.id, view="show.flips")
    examples = runs_with_one.examples()
    order = ranked(examples, (examples["flip"] != "same").to_numpy())
    buttons = {b.label: b for b in app.button}
    buttons["Next →"].click().run()
    assert app.query_params["example"] == examples.id[order[1]]
    assert f"2 of {len(order)}" in words(app)
    for _ in range(2):
        next(b for b in app.button if b.label == "← Previous").click().run()
    assert app.query_params["example"] == examples.id[order[-1]]
    assert f"{len(order)} of {len(order)}" in words(app)


def test_what_if_shows_real_answers_of_the_grid(open_page, words, runs_with_one):
    run = runs_with_one
    app = open_page("examples", run=run.id, example=run.ids[0])
    d = run.decomposition
    u, w = d.row_index[0], d.column_index[0]
    said = words(app)
    column = run.grid.column(w)
    shown = [text for i, text in enumerate(run.texts) if i != u and f">{text}</td>" in said]
    assert len(shown) == 8
    for text in shown:
        answer = run.classes[int(column[run.texts.index(text)].argmax())]
        assert (
            f"{text}</td>" in said and f"{answer}</bdi> (" in said.split(f">{text}</td>")[1][:200]
        )


@pytest.mark.parametrize("position", [0, 4, 8, 12, 16, 20])
def test_texts_of_any_kind_are_shown_as_what_they_are(
    open_page, words, awkward_run, monkeypatch, position
):
    monkeypatch.setenv("EMAP_RUNS", str(awkward_run.path.parent))
    app = open_page("examples", run=awkward_run.id, example=awkward_run.ids[position])
    said = words(app)
    raw = "".join(element.proto.body for element in app.get("html"))
    assert "<script>alert" not in raw and "<b>bold" not in raw and "<i>one" not in raw
    assert AWKWARD[position // 4].strip()[:5] in said.replace("&lt;", "<")
    for page in ("contributions", "overview"):
        assert words(open_page(page, run=awkward_run.id, example=awkward_run.ids[position]))


def test_an_example_that_the_filter_leaves_out_is_still_shown(open_page, words, runs_with_one):
    examples = runs_with_one.examples()
    same = examples.index[examples["flip"] == "same"][0]
    app = open_page("examples", run=runs_with_one.id, example=examples.id[same], view="show.flips")
    said = words(app)
    assert "not in this list" in said
    assert examples.text[same] in said


def test_a_link_to_an_example_of_another_run_says_so(open_page, words, runs_with_one):
    said = "This run has no example 'nowhere'; the first one is shown."
    for page in ("examples", "recombine"):
        assert said in words(open_page(page, run=runs_with_one.id, example="nowhere"))
    app = open_page("examples", run=runs_with_one.id, example=runs_with_one.ids[3])
    assert "the first one is shown" not in words(app)


def test_a_single_output_is_a_number_and_no_answer(open_page, words, monkeypatch, tmp_path):
    def one_output(texts, images):
        return as_callable(texts, images)[:, :1]

    data = make_examples(12, labels=None, classes=["score"])
    run = emap.compute(one_output, data, out=tmp_path / "one")
    monkeypatch.setenv("EMAP_RUNS", str(tmp_path))
    said = words(open_page("examples", run=run.id))
    assert "The model says" in said and "kind: " not in said and "(100.0%)" not in said
    assert "What kinds of examples" not in words(open_page("overview", run=run.id))
    said = words(open_page("contributions", run=run.id))
    assert "the logit of score" in said and "logit of the predicted class" not in said


def test_a_regression_speaks_of_predictions_and_an_empty_text_is_said(
    open_page, words, monkeypatch, tmp_path
):
    def one_number(texts, images):
        return as_callable(texts, images)[:, :1]

    data = make_examples(24, n_texts=4, n_images=6)
    data = make_examples(
        24,
        n_texts=4,
        n_images=6,
        texts=["" if text == data.texts[0] else text for text in data.texts],
        labels=[float(label) for label in data.labels],
        task="regression",
    )
    run = emap.compute(one_number, data, out=tmp_path / "one", keep="grid", n_resamples=100)
    monkeypatch.setenv("EMAP_RUNS", str(tmp_path))
    empty = data.ids[data.texts.index("")]
    for page in ("overview", "contributions", "examples", "recombine", "modes"):
        said = words(open_page(page, run=run.id, example=empty))
        assert "logit of" not in said and "class 0" not in said, page
        assert page == "overview" or "the prediction" in said or "The model says" in said
        assert page == "overview" or "(no text)" in said


def test_how_sure_an_answer_is_stands_beside_a_name_of_any_script(open_page, tmp_path, monkeypatch):
    names = ["دائرة", "<i>", "三"]
    data = make_examples(24, classes=names, labels=[0, 1, 2] * 8)
    run = emap.compute(as_callable, data, out=tmp_path / "runs" / "scripts")
    monkeypatch.setenv("EMAP_RUNS", str(tmp_path / "runs"))
    app = open_page("examples", run=run.id)
    drawn = " ".join(element.proto.body for element in app.get("html"))
    assert re.search(r"<bdi>(دائرة|三|&lt;i&gt;)</bdi> \(\d+\.\d%\)", drawn)
    assert not re.search(r"<bdi>[^<]*%", drawn)
    assert "<i>" not in drawn


def test_where_nothing_is_decided_no_page_speaks_of_flips(open_page, words, tmp_path, monkeypatch):
    def model(texts, images):
        return as_callable(texts, images)[:, :1] - 5

    data = make_examples(24, labels=None, classes=["score"])
    run = emap.compute(model, data, out=tmp_path / "runs" / "one", fingerprint="one")
    assert not run.decides
    monkeypatch.setenv("EMAP_RUNS", str(tmp_path / "runs"))
    for page in ("overview", "contributions", "examples"):
        said = words(open_page(page, run=run.id))
        for word in ("flips", "change the answer", "another one here", "says -"):
            assert word not in said, f"{page} says {word}"
    assert "The model says −" in said
