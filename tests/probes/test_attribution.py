"""The probe on whole runs: models whose interactions are known, and runs that cannot be asked."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from samples import Staged, as_callable, make_examples

import emap_core as emap
from emap_core.datasets.base import Examples
from emap_core.errors import Cancelled, RunError, SettingError
from emap_core.probes.ask import ask, finished, probe_named
from emap_core.probes.probe_folder import ProbeFolder
from emap_core.probes.probed_run import ProbedRun
from emap_core.runs.checksums import check_run

WORDS = ("red", "green", "blue", "dark", "light", "round", "small", "old")
SIDE = 7


class Bags:
    """A two-tower model of words and patches: what they have in common, and what each says."""

    classes = ("score",)
    fingerprint = "bags-1"

    def __init__(self, crossed=1.0):
        draws = np.random.default_rng(0)
        self.words = draws.normal(size=(len(WORDS), 5))
        self.patches = draws.normal(size=(SIDE * SIDE, 3, 5))
        self.crossed = crossed

    def word_vectors(self, text):
        return np.array([self.words[WORDS.index(word)] for word in text.split()]).reshape(-1, 5)

    def patch_vectors(self, image):
        cut = np.asarray(image, dtype=float).reshape(SIDE, 2, SIDE, 2, 3).mean(axis=(1, 3))
        return np.einsum("pc,pcd->pd", cut.reshape(-1, 3) / 255, self.patches)

    def encode_texts(self, texts):
        return torch.tensor(np.stack([self.word_vectors(text).sum(0) for text in texts]))

    def encode_images(self, images):
        return torch.tensor(np.stack([self.patch_vectors(image).sum(0) for image in images]))

    def score(self, texts, images):
        alone = 30 * texts.exp().sum(1).log() + 50 * images.pow(2).sum(1).sqrt()
        return (self.crossed * (texts * images).sum(1) + alone)[:, None]


def data(n=12):
    draws = np.random.default_rng(1)
    pixels = draws.integers(0, 255, (n, 2 * SIDE, 2 * SIDE, 3), dtype=np.uint8)
    texts = [" ".join(draws.choice(WORDS, 7, replace=False)) for _ in range(n)]
    return Examples(texts, [Image.fromarray(one) for one in pixels], fingerprint="bags")


@pytest.fixture(scope="module")
def bags(tmp_path_factory):
    return emap.compute(Bags(), data(), out=tmp_path_factory.mktemp("bags") / "run")


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "run"
    return emap.compute("demo:concat", "demo:easy-vqa", data_args={"limit": 120}, out=out)


def test_what_words_and_patches_have_in_common_is_found_exactly(bags):
    model, examples = Bags(), data()
    found = bags.probe("attribution", example=3, model=model, dataset=examples)
    # A patch is worth what it adds to the filling, the mean colour that stands in its place.
    colour = np.round(np.mean([np.asarray(image, float) for image in examples.images], (0, 1, 2)))
    filled = model.patch_vectors(np.broadcast_to(colour, (2 * SIDE, 2 * SIDE, 3)))
    patches = model.patch_vectors(examples.images[3]) - filled
    expected = model.word_vectors(examples.texts[3]) @ patches.T
    np.testing.assert_allclose(found.interactions, expected, atol=1e-9)
    assert found.words == tuple(examples.texts[3].split())


def test_an_additive_model_has_no_interactions(tmp_path):
    model, examples = Bags(crossed=0.0), data()
    run = emap.compute(model, examples, out=tmp_path / "run", fingerprint="additive")
    found = run.probe("attribution", example=0, model=model, dataset=examples)
    scale = np.abs(run.decomposition.logits).max()
    assert np.abs(found.interactions).max() < 1e-6 * scale
    assert found.sentence.startswith("No word interacts with any region")


def test_first_orders_are_those_of_the_additive_parts(tmp_path):
    class Sums(Bags):
        def score(self, texts, images):
            return (3 * texts.sum(1) + 2 * images.sum(1))[:, None]

    examples = data()
    run = emap.compute(Sums(), examples, out=tmp_path / "run", fingerprint="sums")
    found = run.probe("attribution", example=5, model=Sums(), dataset=examples)
    alone = 3 * Sums().word_vectors(examples.texts[5]).sum(1)
    np.testing.assert_allclose(found.words_alone, alone, atol=1e-9)
    np.testing.assert_allclose(found.words_with_image, 0, atol=1e-9)
    np.testing.assert_allclose(found.regions_with_text, 0, atol=1e-9)
    assert found.regions_alone.std() > 0.1


@pytest.mark.slow
def test_the_word_that_matters_lights_the_shape(demo):
    examples = demo.examples()
    asks = examples[examples.text.str.contains("what")].head(6)
    probed = ProbedRun(demo)
    hits = 0
    for name in asks.id:
        found = ask(probed, probe_named("attribution", example=name))
        box = found.boxes[found.strongest(1)[0][1]]  # type: ignore[attr-defined]
        pixels = np.asarray(probed.image(demo.ids.index(name)), dtype=int)
        shape = np.abs(pixels - pixels[0, 0]).sum(axis=2) > 60
        left, top, right, lower = (64 * box).round().astype(int)
        hits += shape[top:lower, left:right].any()
    assert hits >= 5 and len(asks) == 6


def test_what_was_found_is_kept_without_the_model(demo, monkeypatch):
    name = demo.ids[1]
    first = demo.probe("attribution", example=name)
    monkeypatch.setattr("emap_core.models.load_model", None)
    again = emap.Run.load(demo.path)
    second = again.probe("attribution", example=name)
    assert second.to_json() == first.to_json()
    assert json.loads(json.dumps(first.to_json(), allow_nan=False))["words"]
    assert check_run(demo.path) == []


def test_a_class_can_be_chosen_and_an_unknown_one_is_refused(demo):
    found = demo.probe("attribution", example=0, class_name="circle")
    assert found.class_name == "circle"
    with pytest.raises(SettingError, match="no class 'star'"):
        demo.probe("attribution", example=0, class_name="star")
    with pytest.raises(SettingError, match="no example 'nobody'"):
        demo.probe("attribution", example="nobody")
    with pytest.raises(SettingError, match="there is no probe 'atribution'; choose one of "):
        demo.probe("atribution")
    with pytest.raises(SettingError, match="it takes example"):
        demo.probe("attribution", exampel=0)


def test_objects_have_to_be_given_again(tmp_path):
    examples = make_examples()
    run = emap.compute(as_callable, examples, out=tmp_path / "run")
    with pytest.raises(SettingError, match=r"the model was a Python object.*model="):
        run.probe("attribution", example=0)
    with pytest.raises(SettingError, match="the data set was a Python object"):
        run.probe("attribution", example=0, model=as_callable)
    found = run.probe("attribution", example=0, model=as_callable, dataset=examples)
    assert len(found.words) == len(examples.texts[0].split())


def test_another_model_or_other_data_are_refused(tmp_path):
    examples = make_examples()
    run = emap.compute(Staged(), examples, out=tmp_path / "run")

    def other(texts, images):
        return as_callable(texts, images)[:, ::-1]

    with pytest.raises(RunError, match="differs for example 'example-2'"):
        run.probe("attribution", example=2, model=other, dataset=examples)
    with pytest.raises(RunError, match="2 outputs, but the run has 3"):
        run.probe(
            "attribution",
            example=2,
            model=lambda texts, images: as_callable(texts, images)[:, :2],
            dataset=examples,
        )
    changed = make_examples(seed=9)
    with pytest.raises(RunError, match="the data has no example"):
        run.probe("attribution", example=2, model=Staged(), dataset=changed)


def test_a_folder_that_the_run_does_not_name_is_asked_for(tmp_path, monkeypatch):
    table = tmp_path / "data.csv"
    make_table(table)
    run = emap.compute("demo:concat", f"csv:{table}", out=tmp_path / "run")
    with pytest.raises(RunError, match=r"cannot be loaded again as 'csv:data.csv'.*--data SPEC"):
        run.probe("attribution", example=0)
    assert run.probe("attribution", example=0, dataset=f"csv:{table}").words


def make_table(path):
    lines = ["text,image,label"]
    for k in range(4):
        Image.fromarray(np.random.default_rng(k).integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(
            path.parent / f"{k}.png"
        )
        lines.append(f"what colour is number {k}?,{k}.png,{('red', 'blue')[k % 2]}")
    path.write_text("\n".join(lines))


def test_a_probe_that_is_cut_off_goes_on_where_it_stood(bags, monkeypatch):
    examples, counted = data(), Bags()
    pairs = []
    score = counted.score
    counted.score = lambda texts, images: pairs.append(len(texts)) or score(texts, images)
    monkeypatch.setattr("emap_core.probes.masked_grid.MaskedGrids._pairs_per_tile", 2000)
    probe = probe_named("attribution", example=7)
    events = []

    def stop():
        return sum(event["event"] == "progress" for event in events) >= 2

    probed = ProbedRun(bags, counted, examples)
    monkeypatch.setattr("emap_core.engine.progress._SECONDS_BETWEEN_EVENTS", 0.0)
    with pytest.raises(Cancelled):
        ask(probed, probe, listener=events.append, cancelled=stop)
    before = sum(pairs)
    assert events[-1]["event"] == "cancelled"
    assert check_run(bags.path) == []
    resumed = ask(ProbedRun(bags, counted, examples), probe)
    after = sum(pairs) - before
    assert not (ProbeFolder(bags, probe).path / "parts").exists()
    # One pair more each time: the one by which the model is known.
    assert before + after == resumed.passes + 2  # type: ignore[attr-defined]
    assert before > 2000
    shutil.rmtree(ProbeFolder(bags, probe).path)
    at_once = ask(ProbedRun(bags, Bags(), examples), probe)
    assert at_once.to_json() == resumed.to_json()


def test_a_result_that_was_changed_or_moved_is_not_believed(bags):
    examples = data()
    one, other = (probe_named("attribution", example=k) for k in (8, 9))
    ask(ProbedRun(bags, Bags(), examples), one)
    path = ProbeFolder(bags, one).path / "result.json"
    moved = ProbeFolder(bags, other).path / "result.json"
    moved.parent.mkdir()
    moved.write_bytes(path.read_bytes())
    assert finished(bags, one) is not None and finished(bags, other) is None
    moved.write_text(path.read_text().replace("red", "raw"))
    with pytest.raises(RunError, match="is damaged"):
        finished(bags, other)
    assert len(check_run(bags.path)) == 1
    moved.unlink()
    (moved.parent / "stray.txt").write_text("?")
    assert "does not belong there" in check_run(bags.path)[0]
    (moved.parent / "stray.txt").unlink()


def test_cost_is_what_is_then_scored(demo):
    probe = probe_named("attribution", example=4)
    told = probe.cost(demo)
    assert told.passes == demo.probe("attribution", example=4).passes
    assert told.seconds is not None and told.seconds > 0


def test_slow_models_are_looked_at_less_finely(demo, monkeypatch):
    probe = probe_named("attribution", example=4)
    fine = probe.cost(demo).passes
    slow = emap.Run.load(demo.path)
    slow.manifest["seconds"] = 1e6
    assert probe.cost(slow).passes < fine / 3


@pytest.mark.slow
def test_the_chart_carries_words_and_regions_to_click_and_all_numbers(demo):
    found = demo.probe("attribution", example=0)
    w, p = found.strongest(1)[0]
    image = demo.thumbnail(int(demo.decomposition.column_index[0]))
    chart = found.chart(picture=image)
    ids = [name for trace in chart.figure.data for name in trace.ids]
    assert {f"word-{w}", f"region-{p}", "region-48"} <= set(ids)
    assert len(chart.table) == 49 and len(chart.table.columns) == 1 + len(found.words)
    assert f"“{found.words[w]}”" in chart.alt
    other = found.chart(pair=(0, 3))
    bars = next(trace for trace in other.figure.data if trace.type == "bar")
    np.testing.assert_allclose(bars.x, found.interactions[:, 3])
    alone = found.chart(show="text")
    np.testing.assert_allclose(alone.figure.data[0].x, found.words_alone)
    assert found.chart(show="image").figure.data[0].ids[0] == "region-0"
