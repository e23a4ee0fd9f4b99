from __future__ import annotations

import io
import json
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from samples import picture, save_lxmert
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.testing.v1.element_tree import Selectbox

from emap_core import jobs
from emap_core.modalities.audio import Sound
from emap_core.runs import Run

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("warm_processes")]

# What the library datasets wrote.
SAVED = Path(__file__).parents[1] / "datasets" / "written_elsewhere" / "datasets_splits"


@pytest.fixture(autouse=True)
def nothing_left_running():
    yield
    for job in jobs.list_jobs():
        jobs.cancel(job)


def until(app, condition, seconds=90):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        app.run()
        if condition(app):
            return
        time.sleep(0.3)
    raise AssertionError("it did not come to that in time")


def button(app, label):
    return next(button for button in app.button if button.label == label)


def has_button(label):
    return lambda app: any(button.label == label for button in app.button)


def test_cost_first_then_start_then_the_way_to_the_overview(open_page, words, no_runs):
    app = open_page("run")
    app.number_input(key="run-limit").set_value(50).run()
    app.selectbox(key="run-keep").select("classes").run()
    app.number_input(key="run-keep-classes").set_value(3).run()
    button(app, "See what it costs").click().run()
    assert "Loading the model and the data" in words(app) or app.get("progress") or app.metric
    until(app, has_button("Start"))
    assert "The first of 50 examples" in words(app)
    assert "the model says:" in words(app)
    assert [metric.label for metric in app.metric] == [
        "Pairs to score",
        "Time, about",
        "Disk, about",
    ]
    assert app.metric[2].delta == "the grid of some classes"
    assert not list(no_runs.glob("*/run.json")), "nothing is computed before it is started"

    button(app, "Start").click().run()
    assert not has_button("Start")(app)
    until(app, lambda app: "finished" in words(app))
    # Where the button was that the person has just pressed, not above what they look at.
    said = words(app)
    assert said.index("The first of 50 examples") < said.index("This run is finished")
    (run,) = no_runs.glob("*/run.json")
    assert app.query_params["run"] == run.parent.name
    assert len(Run.load(run.parent).kept_classes) == 3


def test_a_cost_that_was_asked_for_is_not_shown_for_other_work(open_page, no_runs):
    app = open_page("run")
    app.number_input(key="run-limit").set_value(50).run()
    button(app, "See what it costs").click().run()
    until(app, has_button("Start"))
    app.selectbox(key="run-model").select("demo:additive").run()
    assert not has_button("Start")(app) and has_button("See what it costs")(app)


def test_a_mistake_is_said_in_one_line_and_nothing_starts(open_page, words, no_runs):
    app = open_page("run")
    app.selectbox(key="run-model").select("demo:additive")
    app.selectbox(key="run-data").select("demo:emoji-groups").run()
    button(app, "See what it costs").click().run()
    until(app, lambda app: app.error)
    assert len(app.error) == 1 and "\n" not in app.error[0].value
    assert "class" in app.error[0].value
    assert not has_button("Start")(app)


def test_a_run_can_be_left_come_back_to_and_cancelled_by_its_link(
    open_page, words, no_runs, monkeypatch, tmp_path
):
    (tmp_path / "slow_page_model.py").write_text(
        "import time\n"
        "from emap_core import load_model\n"
        "def slow():\n"
        "    model = load_model('demo:concat')\n"
        "    def score(texts, images):\n"
        "        time.sleep(0.02 * len(texts))\n"
        "        return model.score(model.encode_texts(texts), model.encode_images(images))\n"
        "    score.classes, score.fingerprint = model.classes, 'slow'\n"
        "    return score\n"
    )
    monkeypatch.chdir(tmp_path)
    work = jobs.RunSpecification(
        "slow_page_model:slow", "demo:easy-vqa", {"limit": 80, "batch_size": 32}
    )
    job = jobs.start(work)
    end = time.monotonic() + 60
    while jobs.follow(job.id).run_id is None and time.monotonic() < end:
        time.sleep(0.1)
    job = jobs.follow(job.id)
    assert job.alive, job

    app = open_page("run", run=job.run_id)
    assert "slow_page_model:slow" in words(app)
    button(app, "Cancel").click().run()
    until(app, has_button("Start it again"))
    assert "cancelled" in words(app)
    links = [link for link in open_page("run").main.get("page_link") if "cancelled" in link.label]
    assert [link.proto.query_string for link in links] == [f"run={job.run_id}"]


def test_an_uploaded_zip_shows_its_rows_and_what_each_column_is(open_page, words, no_runs):
    rows = [(f"{i % 3}.png", f"is it {i % 4}?", ["yes", "no"][i % 2]) for i in range(8)]
    rows[3:3] = [("none.png", "is it 5?", "yes"), ("0.png", "is it 5?", "perhaps")]
    table = pd.DataFrame(rows, columns=["file_name", "wording", "verdict"])
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as file:
        file.writestr("photos/metadata.csv", table.to_csv(index=False))
        for i in range(3):
            image = io.BytesIO()
            picture(i).save(image, "PNG")
            file.writestr(f"photos/{i}.png", image.getvalue())
    app = open_page("run")
    app.file_uploader(key="run-upload").set_value(
        ("photos.zip", written.getvalue(), "application/zip")
    ).run()
    assert "The first of 10 rows" in words(app)
    assert app.dataframe[0].value["wording"][1] == "is it 1?"
    boxes = {box.label: box for box in app.selectbox if box.label in ("Text", "Image", "Label")}
    assert (boxes["Image"].value, boxes["Text"].value) == ("file_name", None)
    # What may be a label is asked about.
    assert boxes["Label"].value is None
    assert "These columns look like labels: verdict. Choose one, or (no labels)." in words(app)
    boxes["Text"].select("wording").run()
    boxes = {box.label: box for box in app.selectbox if box.label in ("Text", "Image", "Label")}
    boxes["Label"].select("verdict").run()
    button(app, "See what it costs").click().run()
    until(app, lambda app: app.error)
    said = app.error[0].value.replace("\\", "")
    assert said.startswith("image photos/photos/none.png in row 4 of photos/photos/metadata.csv")
    assert "(“Leave out rows with something wrong” leaves such rows out)" in said
    assert app.selectbox(key="run-data").disabled
    app.checkbox(key="run-skip-bad").check().run()
    button(app, "See what it costs").click().run()
    until(app, lambda app: app.error and "perhaps" in app.error[0].value)
    said = app.error[0].value.replace("\\", "")
    assert "(Their examples are left out) leaves such examples out, “Labels that are" in said
    app.selectbox(key="run-unknown-labels").select("skip").run()
    app.selectbox(key="run-cluster").select("image").run()
    button(app, "See what it costs").click().run()
    until(app, has_button("Start"))
    assert "The first of 8 examples" in words(app)
    assert "label: no" in words(app)
    button(app, "Start").click().run()
    until(app, lambda app: list(no_runs.glob("*/run.json")) and app.query_params.get("run"))
    (found,) = no_runs.glob("*/run.json")
    until(app, lambda app: json.loads(found.read_text())["status"] == "finished")
    run = Run.load(found.parent)
    assert run.intervals().cluster == "image"
    missing, perhaps = run.skipped
    assert missing == "image none.png in row 4 of metadata.csv does not exist"
    assert perhaps.startswith("row 5 of metadata.csv, column 'verdict' has the label 'perhaps'")


@pytest.fixture
def typed_specs(monkeypatch):
    """Let boxes take what is typed into them, as browsers do; AppTest knows their options only."""
    of_an_option = Selectbox._widget_state.fget  # type: ignore[attr-defined]

    def state(box):
        try:
            return of_an_option(box)
        except ValueError:
            return WidgetState(id=box.id, string_value=box.value)

    monkeypatch.setattr(Selectbox, "_widget_state", property(state))


def test_a_split_of_a_saved_dataset_is_chosen_by_hand(open_page, words, no_runs, typed_specs):
    app = open_page("run")
    app.selectbox(key="run-data").set_value(f"hf:{SAVED}").run()
    (splits,) = app.segmented_control
    assert (splits.options, splits.value) == (["train", "test"], "train")
    assert app.dataframe[0].value.iloc[:, 0].tolist() == ["what colour?", "is it red?"]
    splits.select("test").run()
    assert app.dataframe[0].value.iloc[:, 0].tolist() == ["is it red?", "what colour?"]
    button(app, "See what it costs").click().run()
    until(app, lambda app: app.error or has_button("Start")(app))
    assert "The first of 2 examples" in words(app)


def test_a_checkpoint_that_reads_regions_is_tried_on_the_first_examples(
    open_page, words, no_runs, tmp_path, typed_specs, monkeypatch
):
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "cat", "dog"]
    model, words_of = save_lxmert(tmp_path / "lxmert", vocabulary)
    rng, answers, texts = np.random.default_rng(0), ["red", "blue", "cat"], ["red cat", "dog"]
    rows, expected = [], []
    for i in range(6):
        picture(i % 3).save(tmp_path / f"{i % 3}.png")
        found = {
            "features": rng.normal(size=(2 + i, 6)).astype(np.float32),
            "boxes": rng.uniform(size=(2 + i, 4)).astype(np.float32),
        }
        np.savez(tmp_path / f"{i}.npz", **found)
        rows.append((texts[i % 2], f"{i % 3}.png", answers[i % 3], f"{i}.npz"))
        with torch.inference_mode():
            logits = model(
                **words_of(texts[i % 2], return_tensors="pt"),
                visual_feats=torch.from_numpy(found["features"])[None],
                visual_pos=torch.from_numpy(found["boxes"])[None],
            ).question_answering_score
        expected.append(answers[int(logits.argmax())])
    table = pd.DataFrame(rows, columns=["question", "image", "answer", "detected"])
    table.to_csv(tmp_path / "table.csv", index=False)

    monkeypatch.chdir(tmp_path)
    app = open_page("run")
    app.text_area(key="run-model-options").set_value("classes=red,blue,cat")
    # A checkpoint close at hand is there to be chosen.
    app.selectbox(key="run-model").select("hf:lxmert")
    app.selectbox(key="run-data").set_value(f"csv:{tmp_path / 'table.csv'}").run()
    boxes = {box.label: box for box in app.selectbox}
    assert [boxes[name].value for name in ("Text", "Image", "Label")] == list(table)[:3]
    assert boxes["Regions"].options == ["(no regions)", "detected"]
    boxes["Regions"].select("detected").run()
    button(app, "See what it costs").click().run()
    until(app, lambda app: app.error or has_button("Start")(app))
    shown = words(app)
    assert "The first of 6 examples" in shown and "3 classes: red, blue, cat" in shown
    assert "LxmertForQuestionAnswering, read by the family lxmert" in shown
    said = [line.removeprefix("the model says: ") for line in shown.splitlines()]
    assert [line for line in said if line in answers] == expected[:4]
    assert len(app.get("image")) == 4


@pytest.fixture
def three_columns(tmp_path, monkeypatch):
    """A csv file of a question, a picture and a sound, and a model of them; its spec."""
    (tmp_path / "three_sides_model.py").write_text(
        "import numpy as np\n"
        "def load():\n"
        "    def score(asked, pictures, sounds):\n"
        "        a = np.array([len(one) for one in asked]) - 10\n"
        "        b = np.array([np.asarray(one)[0, 0, 0] / 100 - 1 for one in pictures])\n"
        "        c = np.array([len(one.samples) / 100 - 1 for one in sounds])\n"
        "        return np.stack([a * b * c, a + c], axis=1)\n"
        "    score.classes, score.fingerprint = ('no', 'yes'), 'three'\n"
        "    return score\n"
    )
    for i in range(3):
        picture(i).save(tmp_path / f"{i}.png")
        sound = Sound(np.full(80 * (i + 1), 0.25, np.float32), 8_000)
        (tmp_path / f"{i}.wav").write_bytes(sound.wav())
    rows = [
        ("is it so" + "?" * (i % 4), f"{i % 3}.png", f"{i // 2 % 3}", ["no", "yes"][i % 2])
        for i in range(12)
    ]
    table = pd.DataFrame(rows, columns=["asked", "png", "voice", "label"])
    table.to_csv(tmp_path / "clips.csv", index=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMAP_ALLOW_CODE", "1")
    return "three_sides_model:load", f"csv:{tmp_path / 'clips.csv'}"


def test_columns_become_sides_that_have_a_name_and_a_kind(
    open_page, words, no_runs, three_columns, typed_specs
):
    model, data = three_columns
    app = open_page("run")
    app.selectbox(key="run-model").set_value(model)
    app.selectbox(key="run-data").set_value(data).run()
    assert {"Text", "Image"} < {box.label for box in app.selectbox}
    (sides,) = app.multiselect
    assert sides.options == ["asked", "png", "voice", "label"]
    sides.select("asked").run()
    assert "“Sides instead of text and image” names 'asked'; a run needs two" in app.error[0].value
    (sides,) = app.multiselect
    sides.set_value(["asked", "png", "{voice}.wav"]).run()
    assert not {"Text", "Image"} & {box.label for box in app.selectbox} and not app.error
    kinds = [box for box in app.selectbox if box.label.startswith("Kind of side")]
    assert [kind.value for kind in kinds] == ["text", "image", "audio"]
    names = [box for box in app.text_input if box.label.startswith("Name of side")]
    assert [name.value for name in names] == ["asked", "png", "{voice}.wav"]
    names[0].set_value("question")
    names[2].set_value("spoken word")
    app.selectbox(key="run-cluster").set_value("question+png").run()
    button(app, "See what it costs").click().run()
    until(app, lambda app: app.error or has_button("Start")(app))
    assert app.metric[0].label == "Combinations to score" and app.metric[0].value == "36"
    assert app.metric[0].delta == "question (4) × png (3) × spoken word (3)"
    # A picture and a waveform for each of the first four examples, and the words of the question.
    assert len(app.get("image")) == 8
    assert "is it so???" in words(app)
    button(app, "Start").click().run()
    until(app, lambda app: "This run is finished" in words(app))
    (found,) = no_runs.glob("*/run.json")
    run = Run.load(found.parent)
    assert [(side.name, side.modality) for side in run.sides] == [
        ("question", "text"),
        ("png", "image"),
        ("spoken word", "audio"),
    ]
    assert run.intervals().cluster == "question+png"


def test_where_a_table_keeps_its_things_is_typed_and_stays(
    open_page, words, no_runs, tmp_path, typed_specs
):
    (tmp_path / "photos").mkdir()
    for i in range(3):
        picture(i).save(tmp_path / "photos" / f"shot_{i:03d}.png")
    rows = [{"id": i, "shot": i % 3, "question": f"is it {i % 4}?"} for i in range(8)]
    (tmp_path / "questions.json").write_text(json.dumps({"about": "x", "questions": rows}))
    answers = pd.DataFrame({"id": range(8), "answer": ["yes", "Yes ", "no", "no"] * 2})
    answers.to_csv(tmp_path / "answers.csv", index=False)
    app = open_page("run")
    app.selectbox(key="run-data").set_value(f"json:{tmp_path / 'questions.json'}").run()
    for name, value in (
        ("records", "questions"),
        ("join", "answers.csv:id"),
        ("image-root", str(tmp_path / "photos")),
        ("image-pattern", "shot_{shot:03d}.png"),
    ):
        app.text_input(key=f"run-{name}").set_value(value)
    app.checkbox(key="run-merge-labels").check().run()
    assert "The first of 8 rows" in words(app)
    assert app.dataframe[0].value["answer"].tolist()[:2] == ["yes", "Yes "]
    next(box for box in app.selectbox if box.label == "Label").select("answer").run()
    button(app, "See what it costs").click().run()
    until(app, lambda app: app.error or has_button("Start")(app))
    shown = words(app)
    assert "The first of 8 examples" in shown and "label: yes" in shown, shown
    # Whoever comes back finds what was typed.
    app.switch_page("pages/start.py").run()
    app.switch_page("pages/run.py").run()
    assert app.text_input(key="run-records").value == "questions"
    assert app.checkbox(key="run-merge-labels").value
