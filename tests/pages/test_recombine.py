from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

import emap_core as emap
from emap_core.models.base import Scorer


def _of_label(widgets, start):
    return next(widget for widget in widgets if widget.label.startswith(start))


def test_a_link_to_a_pair_shows_it_with_the_models_own_answer(open_page, words, runs_with_one):
    run = runs_with_one
    u, w = len(run.texts) - 1, 3
    said = words(open_page("recombine", run=run.id, view=f"pair.{u},{w}"))
    answer = run.classes[int(np.argmax(run.grid.cell(u, w)))]
    assert f"“{run.texts[u]}” with image {w + 1}" in said
    assert f"the model answers {answer}" in said


def test_another_text_and_another_image_are_taken_into_the_url(open_page, words, runs_with_one):
    run = runs_with_one
    app = open_page("recombine", run=run.id)
    _of_label(app.selectbox, "Another text").select(5).run()
    _of_label(app.number_input, "Another image").set_value(8).run()
    assert app.query_params["view"] == "pair.5,7"
    assert f"“{run.texts[5]}” with image 8" in words(app)


@pytest.mark.parametrize(
    "view",
    ["pair.9999,0", "pair.x", f"pair.{'9' * 5_000},0", "pair.1,x", "window.5,2,0,1", "order.no"],
)
def test_a_link_that_fits_no_longer_shows_the_page_all_the_same(
    open_page, words, runs_with_one, view
):
    said = words(open_page("recombine", run=runs_with_one.id, view=view))
    assert f"“{runs_with_one.texts[0]}” with image 1" in said


def test_an_example_that_is_chosen_is_the_pair_to_start_from(open_page, words, runs_with_one):
    run = runs_with_one
    d = run.decomposition
    said = words(open_page("recombine", run=run.id, example=run.ids[20]))
    assert (
        f"“{run.texts[d.row_index[20]]}” with image {d.column_index[20] + 1} (in the data)" in said
    )


def test_a_run_of_sums_alone_says_what_to_do(open_page, words, sums_only_run):
    said = words(open_page("recombine", run=sums_only_run.id))
    assert "This run kept only sums" in said
    assert "keep the grid" in said


def test_a_grid_of_some_classes_is_read_for_these_alone(open_page, words, tmp_path, monkeypatch):
    monkeypatch.setenv("EMAP_RUNS", str(tmp_path))
    data = {"limit": 40}
    run = emap.compute(
        "demo:concat", "demo:easy-vqa", data_args=data, keep_classes=2, out=tmp_path / "two"
    )
    names = [run.classes[c] for c in run.kept_classes]
    missing = next(name for name in run.classes if name not in names)
    for page in ("recombine", "modes"):
        app = open_page(page, run=run.id, **{"class": missing})
        words(app)
        assert app.selectbox(key="class-choice").options == names
    assert "the interaction adds" in words(open_page("recombine", run=run.id))
    assert "kept only the grid of some classes" in words(open_page("examples", run=run.id))


def test_a_typed_text_with_an_uploaded_image_is_answered_by_the_model(open_page, runs_with_one):
    picture = Image.new("RGB", (64, 64), "white")
    ImageDraw.Draw(picture).rectangle((10, 10, 50, 50), fill=(0, 128, 0))
    written = io.BytesIO()
    picture.save(written, "PNG")
    app = open_page("recombine", run=runs_with_one.id)
    app.session_state["own-pair"] = True
    app.run()
    app.text_input(key="own-text").set_value("what shape is in the image?").run()
    app.file_uploader(key="own-image").set_value(
        ("mine.png", written.getvalue(), "image/png")
    ).run()
    assert not app.exception and not app.error
    answers = app.dataframe[-1].value
    model = emap.load_model("demo:concat")
    scores = Scorer(model).score_tile(
        model.encode_texts(["what shape is in the image?"]), model.encode_images([picture]), 1
    )[0, 0]
    best = int(np.argmax(scores))
    assert answers.iloc[0]["class"] == runs_with_one.classes[best]
    assert answers.iloc[0]["model"] == pytest.approx(scores[best], rel=1e-5)

    app.file_uploader(key="own-image").set_value(("torn.png", b"not a png", "image/png")).run()
    assert len(app.error) == 1 and "\n" not in app.error[0].value


def test_without_a_run_the_way_to_one_is_shown(open_page, words, no_runs):
    assert "There is no finished run yet." in words(open_page("recombine"))


@pytest.fixture
def sums_only_run(tmp_path, monkeypatch):
    monkeypatch.setenv("EMAP_RUNS", str(tmp_path))
    return emap.compute(
        "demo:concat",
        "demo:easy-vqa",
        data_args={"limit": 20},
        out=tmp_path / "sums",
        keep="sums",
    )
