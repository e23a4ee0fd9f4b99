import numpy as np
import pytest
import torch
from PIL import Image
from samples import Staged, WithGrid, as_callable, make_examples, numbers_of_text, score_pair

import emap_core as emap
from emap_core.engine.noise import FEW
from emap_core.engine.sums import TileSums
from emap_core.errors import (
    Cancelled,
    DatasetError,
    LabelError,
    ModelError,
    RunError,
    SettingError,
)
from emap_core.models import encodings as trees
from emap_core.runs import describe_run


def brute_force(dataset):
    """Spell out all N × N pairs."""
    return emap.decompose(
        np.array([[score_pair(t, v) for v in dataset.images] for t in dataset.texts])
    )


@pytest.mark.slow
@pytest.mark.parametrize("model", [Staged(), WithGrid(), as_callable])
@pytest.mark.parametrize("settings", [{}, {"keep": "sums"}, {"batch_size": 7}, {"batch_size": 1}])
def test_same_as_all_pairs_spelled_out(model, settings, tmp_path):
    examples = make_examples(n=30, n_texts=7, n_images=9)
    run = emap.compute(model, examples, out=tmp_path / "run", **settings)
    found, expected = run.decomposition, brute_force(examples)
    for name in ("logits", "emap", "interaction", "mean"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.variance_shares, expected.variance_shares, rtol=0, atol=1e-9)
    assert run.manifest["n_pairs_evaluated"] == 7 * 9


@pytest.mark.parametrize("kind", [Staged, WithGrid])
def test_each_thing_is_done_once(kind, examples, tmp_path):
    model = kind()
    emap.compute(model, examples, out=tmp_path / "run", batch_size=20)
    # A few pairs are scored again, before and after all others, to see whether they get the same.
    assert (model.texts_encoded, model.images_encoded) == (11 + 2 * FEW, 23 + 2 * FEW)
    assert model.pairs_scored == 11 * 23 + 2 * FEW


def test_measured_pairs_are_kept(examples, tmp_path):
    model = Staged()
    emap.compute(model, examples, out=tmp_path / "run")
    assert model.pairs_scored == 11 * 23 + 2 * FEW


def test_a_callables_images_are_opened_once(examples, tmp_path):
    class Counting(list):
        opened = 0

        def __getitem__(self, index):
            Counting.opened += 1
            return super().__getitem__(index)

    examples.images = Counting(examples.images)
    emap.compute(as_callable, examples, out=tmp_path / "run", batch_size=30)
    # Once for the size of the first.
    assert Counting.opened == 23 + 1


def test_kept_grid_holds_the_models_outputs(examples, store):
    run = emap.compute(Staged(), examples, out=store / "run", batch_size=17)
    d = run.decomposition
    whole = run.grid.load()
    np.testing.assert_allclose(whole[d.row_index, d.column_index], d.logits, rtol=1e-6)
    np.testing.assert_array_equal(run.grid.row(3), whole[3])
    np.testing.assert_array_equal(run.grid.column(5), whole[:, 5])
    np.testing.assert_array_equal(run.grid.cell(3, 5), whole[3, 5])
    np.testing.assert_array_equal(run.grid.load_class(1), whole[:, :, 1])
    rows = np.concatenate([rows for rows, _ in run.grid.strips()])
    np.testing.assert_array_equal(
        np.concatenate([cells for _, cells in run.grid.strips()]), whole[rows]
    )
    assert emap.compute(Staged(), examples, out=store / "sums", keep="sums").grid is None


@pytest.mark.slow
def test_the_grid_of_the_most_used_classes_alone_can_be_kept(examples, store):
    used = np.bincount(examples.labels, minlength=3)
    kept = sorted(np.argsort(-used, kind="stable")[:2].tolist())
    whole = emap.compute(Staged(), examples, out=store / "whole")
    some = emap.compute(Staged(), examples, out=store / "some", keep_classes=2, batch_size=40)
    assert (some.grid, some.kept_classes) == (None, kept)
    np.testing.assert_allclose(some.decomposition.emap, whole.decomposition.emap, atol=1e-12)
    for c in kept:
        for reading in ("logits", "centred", "probabilities"):
            np.testing.assert_allclose(
                some.class_grid(c, reading), whole.class_grid(c, reading), atol=1e-6
            )
    np.testing.assert_allclose(
        some.pair(3, 5).interaction[:, kept], whole.pair(3, 5).interaction[:, kept], atol=1e-6
    )
    missing = next(c for c in range(3) if c not in kept)
    assert np.isnan(some.pair(3, 5).logits[0, missing])
    with pytest.raises(RunError, match=f"class {missing} is not among the 2"):
        some.class_grid(missing)
    # As with sums alone: no resample can be projected again without all classes.
    assert "scores alone" in some.gap("accuracy").method
    assert emap.compute(Staged(), examples, out=store / "all", keep_classes=9).grid is not None
    for number, names in enumerate(("two, zero", ["zero", "two"])):
        settings = {"keep_classes": names, "batch_size": 40}
        named = emap.compute(Staged(), examples, out=store / str(number), **settings)
        assert named.kept_classes == [0, 2]


def test_classes_that_nobody_labelled_cannot_be_the_most_used(examples, tmp_path):
    examples = make_examples(labels=None)
    with pytest.raises(SettingError, match="the data has no labels"):
        emap.compute(Staged(), examples, out=tmp_path / "run", keep_classes=2)


def test_states_of_different_lengths_meet(tmp_path):
    class Padded(Staged):
        """Words of a text as a sequence, as long as the longest text of its batch."""

        fingerprint = "padded"
        classes = ("one",)

        def encode_texts(self, texts):
            longest = max(len(t.split()) for t in texts)
            encodings = torch.zeros(len(texts), longest, 5, dtype=torch.float64)
            for row, text in enumerate(texts):
                for column, word in enumerate(text.split()):
                    encodings[row, column, len(word) % 5] = 1.0
            return encodings

        def score(self, text_encodings, image_encodings):
            (v,) = image_encodings
            return (text_encodings.sum(1) * v).sum(1, keepdim=True)

    texts = [" ".join(["word" * (1 + i % 3)] * (1 + i % 40)) for i in range(150)]
    data = make_examples(n=150, n_texts=1, texts=texts, labels=None)
    run = emap.compute(Padded(), data, out=tmp_path / "run", batch_size=50)
    model = Padded()
    for i in (0, 41, 149):
        alone = model.score(model.encode_texts([texts[i]]), model.encode_images([data.images[i]]))
        np.testing.assert_allclose(run.decomposition.logits[i], alone[0], atol=1e-9)


def test_states_that_do_not_fit_on_the_device_are_brought_over_when_needed(
    examples, tmp_path, monkeypatch
):
    monkeypatch.setattr("emap_core.engine.encoded_items.encodings_budget", lambda device: 1)
    moved = []
    to_device = trees.to_device
    monkeypatch.setattr(
        trees,
        "to_device",
        lambda encodings, device: moved.append(1) or to_device(encodings, device),
    )
    run = emap.compute(WithGrid(), examples, out=tmp_path / "run", batch_size=20)
    assert moved
    whole = emap.decompose(
        run.grid.load(), run.decomposition.row_index, run.decomposition.column_index
    )
    np.testing.assert_allclose(run.decomposition.emap, whole.emap, atol=1e-6)
    texts = [run.texts[u] for u in run.decomposition.row_index]
    expected = [score_pair(t, v) for t, v in zip(texts, examples.images, strict=True)]
    np.testing.assert_allclose(run.decomposition.logits, expected, atol=1e-9)


def test_finished_run_is_returned_as_it_is(examples, store, monkeypatch):
    monkeypatch.setenv("EMAP_RUNS", str(store))
    first = emap.compute(Staged(), examples)
    model = Staged()
    again = emap.compute(model, examples)
    assert again.id == first.id
    assert model.pairs_scored < 11 * 23


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fingerprint": "another"}, "the model has changed"),
        ({"space": "probabilities"}, "space was 'logits' and is now 'probabilities'"),
    ],
)
def test_other_work_in_the_folder_is_refused(change, message, examples, store):
    emap.compute(Staged(), examples, out=store / "run")
    with pytest.raises(RunError, match=message):
        emap.compute(Staged(), examples, out=store / "run", **change)


def test_a_model_without_fingerprint_needs_a_name_to_resume(examples, tmp_path):
    emap.compute(as_callable, examples, out=tmp_path / "run")
    with pytest.raises(RunError, match="give fingerprint="):
        emap.compute(as_callable, examples, out=tmp_path / "run")
    named = {"out": tmp_path / "named", "fingerprint": "mine"}
    assert emap.compute(as_callable, examples, **named).id == "named"
    assert emap.compute(as_callable, examples, **named).id == "named"


def test_a_folder_of_something_else_is_left_alone(examples, store):
    (store / "thesis.tex").write_text("years of work")
    with pytest.raises(RunError, match="not a run"):
        emap.compute(Staged(), examples, out=store)
    assert (store / "thesis.tex").read_text() == "years of work"


class Broken(Staged):
    def __init__(self, result):
        super().__init__()
        self.result = result

    def score(self, text_encodings, image_encodings):
        return self.result(super().score(text_encodings, image_encodings))


@pytest.mark.parametrize(
    ("model", "changes", "error", "message"),
    [
        (Broken(lambda s: s[:1]), {}, ModelError, "shape \\(1, 3\\) for 4 pairs"),
        (Broken(lambda s: s[:, 0]), {}, ModelError, "shape \\(4,\\) for 4 pairs"),
        (Broken(lambda s: s * np.nan), {}, ModelError, "returned nan for the text"),
        (
            Broken(lambda s: (s, s[:, None])),
            {},
            ModelError,
            r"returned a tuple of 2: of shape \(4, 3\), of shape \(4, 1, 3\); return the array of "
            r"shape \(4, C\) alone, its entry 0",
        ),
        (
            Broken(lambda s: {"loss": None, "logits": s}),
            {},
            ModelError,
            r"a dict with 'loss' NoneType, 'logits' of shape \(4, 3\); .* its entry 'logits'",
        ),
        (Broken(lambda s: None), {}, ModelError, "model.score returned None; return the array"),
        (Broken(lambda s: [[1.0], [1.0, 2.0]]), {}, ModelError, "returned a list; return the"),
        (
            Broken(lambda s: np.array([["yes"]] * 4)),
            {},
            ModelError,
            r"returned an ndarray of <U3; return real numbers, of shape \(4, C\)",
        ),
        (Broken(lambda s: [["yes"]] * 4), {}, ModelError, "returned a list; return the array"),
        (Staged(), {"labels": ["three"] * 60}, LabelError, "'example-0' has the label 'three'"),
        (Staged(), {"labels": [7] * 60}, LabelError, "numbered 0 to 2"),
        (object(), {}, ModelError, "object is not a valid model"),
    ],
)
def test_mistakes_are_found_before_there_is_a_folder(model, changes, error, message, tmp_path):
    with pytest.raises(error, match=message):
        emap.compute(model, make_examples(**changes), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_one_example_cannot_be_recombined(tmp_path):
    with pytest.raises(DatasetError, match=r"1 example; .* at least 2"):
        emap.compute(Staged(), make_examples(n=1), out=tmp_path / "run")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"method": "guess"}, "expected one of exact"),
        ({"colour": "red"}, "no setting 'colour'"),
        ({"space": "odds"}, "space is 'odds'"),
        ({"keep": "sums", "keep_classes": 2}, "choose one of the two"),
        ({"keep_classes": "one,four"}, "names 'four', which is not a class of the model; its clas"),
        ({"keep_classes": ","}, "is ','; expected a whole number, or names of classes"),
        ({"limit": 5, "data_args": {"limit": 6}}, "limit is given twice, here and in data_args"),
        ({"image_root": "img"}, "image_root is for a loader, but the data is a Examples"),
    ],
)
def test_settings_are_checked(settings, message, examples, tmp_path):
    with pytest.raises(SettingError, match=message):
        emap.compute(Staged(), examples, out=tmp_path / "run", **settings)


class Fragile(Staged):
    """Goes wrong after a number of calls."""

    def __init__(self, calls, error):
        super().__init__()
        self.calls, self.error = calls, error

    def score(self, text_encodings, image_encodings):
        self.calls -= 1
        if self.calls == 0:
            raise self.error
        return super().score(text_encodings, image_encodings)


def test_nan_met_later_names_the_pair_and_keeps_what_is_finished(examples, store):
    class Poisoned(Staged):
        def score(self, text_encodings, image_encodings):
            scores = super().score(text_encodings, image_encodings)
            of_longest = torch.tensor(numbers_of_text(longest))
            scores[(text_encodings["t"] == of_longest).all(1)] = torch.nan
            return scores

    # Texts are sorted by length, so the longest comes last.
    longest = max(set(examples.texts), key=len)
    with pytest.raises(ModelError, match=f"nan for the text '{longest}' with the image of"):
        emap.compute(Poisoned(), examples, out=store / "run", batch_size=23)
    info = describe_run(store / "run")
    assert info.status == "failed"
    assert longest in info.error
    assert len(list((store / "run" / "tiles").iterdir())) > 0
    model = Staged()
    emap.compute(model, examples, out=store / "run", batch_size=23)
    assert 0 < model.pairs_scored < 11 * 23
    # A few, at first and at the end, to see whether it is the same model.
    assert (model.texts_encoded, model.images_encoded) == (2 * FEW, 2 * FEW)


def same_arrays(a, b):
    return a.decomposition.equals(b.decomposition) and np.array_equal(a.grid.load(), b.grid.load())


@pytest.mark.slow
@pytest.mark.parametrize("calls", [2, 5, 9])
def test_an_interrupted_run_goes_on_to_the_same_bits(calls, examples, store):
    whole = emap.compute(Staged(), examples, out=store / "whole", batch_size=23)
    with pytest.raises(ZeroDivisionError):
        emap.compute(
            Fragile(calls, ZeroDivisionError()), examples, out=store / "run", batch_size=23
        )
    model = Staged()
    run = emap.compute(model, examples, out=store / "run", batch_size=23)
    assert same_arrays(run, whole)


def test_an_interrupted_run_goes_on_with_what_is_asked_for_now(examples, store):
    with pytest.raises(ZeroDivisionError):
        emap.compute(Fragile(5, ZeroDivisionError()), examples, out=store / "run", batch_size=23)
    settings = {"batch_size": 23, "name": "late", "metrics": ["f1_micro"], "cluster": "text"}
    run = emap.compute(Staged(), examples, out=store / "run", **settings)
    assert run.manifest["name"] == "late" and "f1_micro" in run.metrics
    assert run.manifest["resampling"]["cluster"] == run.intervals().cluster == "text"


@pytest.mark.slow
def test_damaged_tile_is_computed_again(examples, store):
    whole = emap.compute(Staged(), examples, out=store / "whole", batch_size=23)
    with pytest.raises(ZeroDivisionError):
        emap.compute(Fragile(9, ZeroDivisionError()), examples, out=store / "run", batch_size=23)
    tile = store / "run" / "tiles" / "000001.npz"
    tile.write_bytes(tile.read_bytes()[:-40])
    assert same_arrays(emap.compute(Staged(), examples, out=store / "run", batch_size=23), whole)


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory")])
def test_out_of_memory_halves_the_batch_and_loses_nothing(error, examples, tmp_path):
    class Small(Staged):
        largest = 0

        def score(self, text_encodings, image_encodings):
            if len(text_encodings["t"]) > 10:
                raise error
            Small.largest = max(Small.largest, len(text_encodings["t"]))
            return super().score(text_encodings, image_encodings)

    run = emap.compute(Small(), examples, out=tmp_path / "run", batch_size=64)
    np.testing.assert_allclose(
        run.decomposition.emap, brute_force(examples).emap, rtol=0, atol=1e-9
    )
    assert 4 <= Small.largest <= 10


def test_other_runtime_errors_are_not_taken_for_memory(examples, tmp_path):
    with pytest.raises(RuntimeError, match="mat1"):
        emap.compute(
            Fragile(3, RuntimeError("mat1 and mat2 shapes")),
            examples,
            out=tmp_path / "run",
            batch_size=23,
        )


def test_cancel_takes_effect_within_one_tile(examples, store):
    model = Staged()
    events = []
    with pytest.raises(Cancelled):
        emap.compute(
            model,
            examples,
            out=store / "run",
            batch_size=23,
            listener=events.append,
            cancelled=lambda: model.pairs_scored > 100,
        )
    assert 100 < model.pairs_scored <= 100 + 2 * 23
    assert describe_run(store / "run").status == "cancelled"
    assert events[-1]["event"] == "cancelled"
    assert emap.compute(Staged(), examples, out=store / "run", batch_size=23).id == "run"


def test_a_file_cancels_too(examples, store):
    class Asks(Staged):
        def score(self, text_encodings, image_encodings):
            (store / "run").mkdir(exist_ok=True)
            if (store / "run" / "plan.json").exists():
                (store / "run" / "cancel").touch()
            return super().score(text_encodings, image_encodings)

    with pytest.raises(Cancelled):
        emap.compute(Asks(), examples, out=store / "run", batch_size=23)


def test_full_disk_is_told_and_the_run_goes_on_later(examples, tmp_path, monkeypatch):
    from emap_core.engine.sums import TileSums

    save, written = TileSums.save, []

    def full(self, path):
        written.append(path)
        if len(written) == 3:
            raise OSError(28, "No space left on device")
        save(self, path)

    monkeypatch.setattr(TileSums, "save", full)
    with pytest.raises(RunError, match="disk of run 'run' is full"):
        emap.compute(Staged(), examples, out=tmp_path / "run", batch_size=23)
    monkeypatch.undo()
    whole = emap.compute(Staged(), examples, out=tmp_path / "whole", batch_size=23)
    run = emap.compute(Staged(), examples, out=tmp_path / "run", batch_size=23)
    assert same_arrays(run, whole)


def test_events_tell_how_far_the_run_is(examples, store):
    events = []
    emap.compute(Staged(), examples, out=store / "run", batch_size=23, listener=events.append)
    kinds = [event["event"] for event in events]
    assert kinds[0] == "planned"
    assert kinds[-1] == "finished"
    last = [event for event in events if event["event"] == "progress"][-1]
    assert last["pairs_done"] == last["pairs_total"] == 11 * 23
    assert describe_run(store / "run").progress["event"] == "finished"


def test_estimate_says_what_a_run_would_cost(examples):
    found = emap.estimate(Staged(), examples)
    assert found.n_pairs == 11 * 23
    assert found.grid_bytes == 11 * 23 * 3 * 4
    assert found.seconds > 0
    assert found.previews[0]["items"][0]["words"] == examples.texts[0]
    # Labels were made by the model itself.
    assert all(one["label"] == one["prediction"] for one in found.previews)


def test_options_of_the_data_need_no_dict_of_their_own(tmp_path):
    table = {"text": ["a", "b"] * 6, "image": [], "label": ["0", "1", "2"] * 4}
    (tmp_path / "img").mkdir()
    for number in range(12):
        Image.new("RGB", (8, 8), (20 * number, 0, 0)).save(tmp_path / "img" / f"{number}.png")
        table["image"].append(f"{number}.png")
    root = str(tmp_path / "img")
    short = emap.compute(Colour(), table, out=None, image_root=root, limit=9, seed=3)
    long = emap.compute(
        Colour(), table, out=None, seed=3, data_args={"image_root": root, "limit": 9, "seed": 3}
    )
    assert short.manifest["n_examples"] == 9 and short.ids == long.ids
    assert short.manifest["provenance"]["data"] == long.manifest["provenance"]["data"]
    assert emap.estimate(Colour(), table, image_root=root, limit=9).n_examples == 9


class Colour:
    classes = ("0", "1", "2")

    def __call__(self, texts, images):
        red = np.array([np.asarray(image)[0, 0, 0] for image in images]) / 255
        return np.stack([red, 1 - red, red * [len(text) for text in texts]], axis=1)


def test_probabilities_are_projected_where_asked(examples, tmp_path):
    run = emap.compute(Staged(), examples, out=tmp_path / "run", space="probabilities")
    np.testing.assert_allclose(run.decomposition.logits.sum(1), 1, atol=1e-9)
    grid = np.array([[score_pair(t, v) for v in examples.images] for t in examples.texts])
    odds = np.exp(grid)
    expected = emap.decompose(odds / odds.sum(2, keepdims=True))
    np.testing.assert_allclose(run.decomposition.emap, expected.emap, atol=1e-9)


class Noting(Staged):
    """Says how many of the texts it was shown have more than three words."""

    dtype = torch.float16
    similarity = True

    def notes(self, texts):
        long = sum(len(text.split()) > 3 for text in texts)
        return [f"{long} of {len(texts)} texts have more than three words"]


def test_what_a_model_says_about_the_texts_is_shown_before_and_kept_beside_the_number(
    examples, store
):
    different = list(dict.fromkeys(examples.texts))
    long = sum(len(text.split()) > 3 for text in different)
    expected = [f"{long} of {len(different)} texts have more than three words"]
    assert emap.estimate(Noting(), examples).notes == expected
    told = []
    run = emap.compute(Noting(), examples, out=store / "run", preview=told.append)
    assert told[0].notes == run.notes == run.record()["notes"] == expected
    assert run.manifest["dtype"] == run.record()["dtype"] == "float16"
    assert run.manifest["has_threshold"] is False
    # Nothing is encoded again for a run that is there, and the note is still known.
    assert emap.Run.load(store / "run").notes == expected
    assert emap.compute(Staged(), examples, out=store / "other").notes == []


def test_a_run_in_one_go_reads_no_tile_back(tmp_path, monkeypatch):
    expected = emap.compute(Staged(), make_examples(), out=tmp_path / "run", batch_size=20)
    read = []
    load = TileSums.load

    def noted(path):
        stored = load(path)
        read.extend([path] if stored is not None else [])
        return stored

    monkeypatch.setattr(TileSums, "load", noted)
    found = emap.compute(Staged(), make_examples(), out=tmp_path / "noted", batch_size=20)
    assert not read
    assert found.decomposition.equals(expected.decomposition)
