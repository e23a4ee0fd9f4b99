"""What can be known to be wrong is refused before a pair is computed for it or a file touched."""

import json
import re
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
import torch
from samples import Staged, WithGrid, as_callable, make_examples, numbers_of_image, numbers_of_text
from torch import nn

import emap_core as emap
from emap_core.engine.noise import FEW
from emap_core.engine.sums import TileSums
from emap_core.engine.workers import FinishedCellTile
from emap_core.errors import DatasetError, EmapError, LabelError, ModelError, RunError, SettingError
from emap_core.runs import Run


class Additive(nn.Module):
    """Text numbers and image numbers, each through a layer of its own, and added."""

    classes = ("zero", "one", "two")

    def __init__(self, *between):
        super().__init__()
        torch.manual_seed(0)
        self.text, self.image = nn.Linear(5, 3), nn.Linear(5, 3)
        self.between = nn.Sequential(*between)

    def forward(self, texts, images):
        t = torch.tensor(np.stack([numbers_of_text(text) for text in texts])).float()
        v = torch.tensor(np.stack([numbers_of_image(image) for image in images])).float()
        return self.between(self.text(t)) + self.between(self.image(v))


class Functional(Additive):
    def forward(self, texts, images):
        return nn.functional.dropout(super().forward(texts, images), 0.5, self.training)


def refused(tmp_path, model, error, message, data=None, **settings):
    with pytest.raises(error, match=message):
        emap.compute(model, data or make_examples(), out=tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()
    with pytest.raises(error, match=message):
        emap.estimate(model, data or make_examples(), **settings)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "kind"),
    [
        (Additive(nn.Dropout(0.5)), "Dropout"),
        (Additive(nn.BatchNorm1d(3)), "BatchNorm1d"),
        (Functional(), "Functional"),
    ],
)
@pytest.mark.parametrize("wrap", [lambda m: m, lambda m: m.forward, lambda m: lambda t, v: m(t, v)])
def test_a_model_left_in_training_mode_is_refused(model, kind, wrap, tmp_path):
    model.train()
    refused(tmp_path, wrap(model), ModelError, rf"training mode \(at least its {kind}\).*eval\(\)")
    run = emap.compute(wrap(model.eval()), make_examples(), out=tmp_path / "run")
    assert run.decomposition.pooled_shares[2] < 1e-10


def test_training_mode_that_changes_nothing_is_let_through(tmp_path):
    model = Additive(nn.ReLU(), nn.Dropout(0.0), nn.LayerNorm(3)).train()
    emap.compute(model, make_examples(), out=tmp_path / "run")


@pytest.mark.slow
def test_noise_that_was_asked_for_is_measured_and_told_beside_the_numbers(tmp_path, monkeypatch):
    # The variance of so many pairs is known to a twentieth; which they are depends on the clock.
    monkeypatch.setattr("emap_core.engine.warm_up.MANY", 2048)
    model = Additive(nn.Dropout(0.5)).train()
    run = emap.compute(
        model, make_examples(600, 60, 80), out=tmp_path / "run", allow_noise=True, n_resamples=100
    )
    # The model is additive, so all of its interaction is noise.
    found = run.shares.pooled_shares[2]
    assert found > 0.2
    assert run.noise_share == pytest.approx(found, rel=0.2)
    assert any(re.search(r"Noise makes up about \d+% of the variance", one) for one in run.notes)
    assert run.record()["noise_share"] == run.noise_share
    quiet = emap.compute(Staged(), make_examples(), out=tmp_path / "quiet", allow_noise=True)
    assert quiet.noise_share == 0
    assert emap.compute(Staged(), make_examples(), out=tmp_path / "plain").noise_share is None


class RandomEncoder(Staged):
    fingerprint = None

    def encode_images(self, images):
        return (super().encode_images(images)[0] + torch.randn(1),)


class OtherGrid(WithGrid):
    fingerprint = None

    def score_grid(self, text_encodings, image_encodings):
        return 1.1 * super().score_grid(text_encodings, image_encodings)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            lambda t, v: as_callable(t, v) + np.random.default_rng().normal(size=3),
            "differ if the same pairs are scored twice",
        ),
        (RandomEncoder(), "differ if the same pairs are scored twice"),
        (
            lambda t, v: as_callable(t, v) - as_callable(t, v).mean(axis=0),
            "depend on what else is in its batch",
        ),
        (OtherGrid(), "score and score_grid return different outputs"),
    ],
)
@pytest.mark.parametrize("settings", [{}, {"batch_size": 50}])
def test_outputs_that_are_not_the_same_twice_are_refused(model, message, settings, tmp_path):
    refused(tmp_path, model, ModelError, message, **settings)


class Changing(Staged):
    """Adds something to the logits of its first class from some call on."""

    fingerprint = "changing"

    def __init__(self, calls):
        super().__init__()
        self.calls_left = calls

    def score(self, texts, images):
        self.calls_left -= 1
        return super().score(texts, images) + (self.calls_left < 0) * torch.eye(3)[0]


@pytest.mark.parametrize("settings", [{}, {"method": "sampled", "images_per_text": 4}])
def test_a_model_that_changes_while_it_scores_is_refused_and_scored_anew(settings, tmp_path):
    settings = {"batch_size": 20, "out": tmp_path / "run", **settings}
    with pytest.raises(ModelError, match="have changed since the run began, by up to 1,"):
        emap.compute(Changing(8), make_examples(), **settings)
    again = Changing(10**6)
    run = emap.compute(again, make_examples(), **settings)
    # Nothing is left of what the other one scored.
    settings["out"] = tmp_path / "whole"
    whole = emap.compute(Changing(10**6), make_examples(), **settings)
    np.testing.assert_array_equal(run.decomposition.emap, whole.decomposition.emap)
    # Noise that is allowed may be of any kind.
    settings |= {"out": tmp_path / "noisy", "allow_noise": True}
    emap.compute(Changing(8), make_examples(), **settings)


class Shifted(Staged):
    """Gives other logits under the same fingerprint, because of its encoder or of its head."""

    def __init__(self, encoder=0.0, head=0.0):
        super().__init__()
        self.encoder, self.head = encoder, head

    def encode_texts(self, texts):
        return {"t": super().encode_texts(texts)["t"] + self.encoder}

    def score(self, texts, images):
        return super().score(texts, images) + self.head * torch.eye(3)[0]


class Stopping(Staged):
    """Is stopped while it scores."""

    def __init__(self, calls):
        super().__init__()
        self.calls_left = calls

    def score(self, texts, images):
        self.calls_left -= 1
        if self.calls_left < 0:
            raise KeyboardInterrupt
        return super().score(texts, images)


METHODS = [{}, {"method": "sampled", "images_per_text": 4}]
NOT_RESUMED = r"have changed since the run began, by .*; load the model as it was, or"


@pytest.mark.parametrize("settings", METHODS)
@pytest.mark.parametrize("other", [{"encoder": 0.5}, {"head": 0.5}, {"head": np.nan}])
def test_another_model_does_not_resume_a_run(settings, other, tmp_path):
    settings = {"batch_size": 20, "out": tmp_path / "run", **settings}
    with pytest.raises(KeyboardInterrupt):
        emap.compute(Stopping(8), make_examples(), **settings)
    tiles = sorted((tmp_path / "run" / "tiles").iterdir())
    assert len(tiles) >= 2
    model = Shifted(**other)
    with pytest.raises(ModelError, match=NOT_RESUMED):
        emap.compute(model, make_examples(), **settings)
    assert model.pairs_scored <= FEW
    # The model that began it finishes it: nothing was lost.
    assert sorted((tmp_path / "run" / "tiles").iterdir()) == tiles
    run = emap.compute(Staged(), make_examples(), **settings)
    whole = emap.compute(Staged(), make_examples(), **settings | {"out": tmp_path / "whole"})
    assert run.decomposition.equals(whole.decomposition)
    assert not (tmp_path / "run" / "first_outputs.npz").exists()


@pytest.mark.parametrize(
    ("settings", "kept"), zip(METHODS, (TileSums, FinishedCellTile), strict=True)
)
def test_another_model_does_not_resume_a_run_that_has_no_finished_tile(
    settings, kept, tmp_path, monkeypatch
):
    settings = {"batch_size": 20, "out": tmp_path / "run", **settings}
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(kept, "save", Mock(side_effect=KeyboardInterrupt))
        emap.compute(Staged(), make_examples(), **settings)
    assert (tmp_path / "run" / "plan.json").exists()
    assert not list((tmp_path / "run").glob("tiles/*"))
    with pytest.raises(ModelError, match=NOT_RESUMED):
        emap.compute(Shifted(encoder=0.5), make_examples(), **settings)
    run = emap.compute(Staged(), make_examples(), **settings)
    whole = emap.compute(Staged(), make_examples(), **settings | {"out": tmp_path / "whole"})
    assert run.decomposition.equals(whole.decomposition)


@pytest.mark.parametrize("settings", METHODS)
def test_a_model_that_changes_after_its_run_was_resumed_is_refused(settings, tmp_path):
    settings = {"batch_size": 20, "out": tmp_path / "run", **settings}
    with pytest.raises(KeyboardInterrupt):
        emap.compute(Stopping(6), make_examples(), **settings)
    model = Changing(2)
    model.fingerprint = Staged.fingerprint
    with pytest.raises(ModelError, match="have changed since the run began, by up to 1,"):
        emap.compute(model, make_examples(), **settings)
    assert not (tmp_path / "run" / "tiles").exists()


def test_another_number_of_classes_does_not_resume_a_run(tmp_path):
    class Fewer(Staged):
        def score(self, texts, images):
            return super().score(texts, images)[:, :2]

    settings = {"batch_size": 20, "out": tmp_path / "run"}
    with pytest.raises(KeyboardInterrupt):
        emap.compute(Stopping(8), make_examples(), **settings)
    with pytest.raises(ModelError, match="returned 3 classes when the run began, but 2 now; load"):
        emap.compute(Fewer(), make_examples(), **settings)


def test_rounding_near_an_end_of_probabilities_does_not_stop_a_run_from_being_resumed(tmp_path):
    class Rounded(Stopping):
        """Says that it is sure; the next time, almost."""

        def __init__(self, calls, off):
            super().__init__(calls)
            self.off = off

        def score(self, texts, images):
            scores = super().score(texts, images)
            sure = torch.nn.functional.one_hot(scores.argmax(1), 3).half()
            return sure - torch.tensor(self.off * 2.0**-11).half() * sure

    settings = {"batch_size": 20, "out": tmp_path / "run", "output": "probabilities"}
    with pytest.raises(KeyboardInterrupt):
        emap.compute(Rounded(8, 0.0), make_examples(), **settings)
    emap.compute(Rounded(10**6, 1.0), make_examples(), **settings)


def test_another_model_may_resume_a_run_if_noise_is_allowed(tmp_path):
    settings = {"batch_size": 20, "out": tmp_path / "run", "allow_noise": True}
    with pytest.raises(KeyboardInterrupt):
        emap.compute(Stopping(20), make_examples(), **settings)
    assert any((tmp_path / "run" / "tiles").iterdir())
    emap.compute(Shifted(head=0.5), make_examples(), **settings)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_rounding_is_not_taken_for_noise(dtype, tmp_path):
    # As kernels do that add up in another order for another number of pairs.
    def model(texts, images):
        exact = 100 + as_callable(texts, images)
        return (exact * (1 + len(texts) * np.finfo(np.float32).eps / 8)).astype(dtype)

    emap.compute(model, make_examples(), out=tmp_path / "run")


def softmax(texts, images):
    odds = np.exp(as_callable(texts, images))
    return odds / odds.sum(axis=1, keepdims=True)


def sigmoid(texts, images):
    return 1 / (1 + np.exp(-as_callable(texts, images)))


def binary():
    return make_examples(labels=[0, 1] * 30, task="binary", classes=["no", "yes"])


@pytest.mark.parametrize(
    ("model", "data"),
    [
        (softmax, make_examples),
        (lambda t, v: softmax(t, v).astype(np.float16), make_examples),
        (lambda t, v: sigmoid(t, v)[:, :1], binary),
        (sigmoid, lambda: make_examples(labels=[[0], [1, 2]] * 30, task="multilabel")),
    ],
)
def test_probabilities_that_nobody_calls_so_are_refused(model, data, tmp_path):
    message = "all outputs .*does not say what they are: set output='probabilities' or.*'logits'"
    refused(tmp_path, model, ModelError, message, data())
    refused(tmp_path, model, ModelError, message, data(), batch_size=16)
    for output in ("probabilities", "logits"):
        run = emap.compute(model, data(), out=tmp_path / output, output=output, n_resamples=100)
        assert run.manifest["output"] == output


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_percentages_are_refused_like_probabilities(dtype, tmp_path):
    def percent(texts, images):
        return (100 * softmax(texts, images)).astype(dtype)

    message = (
        r"lie in \[0, 100\] and those of each pair sum to 100, but the model does not say what "
        "they are: divide them by 100 and set output='probabilities' or.*'logits'"
    )
    refused(tmp_path, percent, ModelError, message)
    run = emap.compute(percent, make_examples(), out=tmp_path / "logits", output="logits")
    assert run.manifest["output"] == "logits"
    refused(tmp_path, percent, ModelError, "'probabilities', but the", output="probabilities")


def test_shares_of_another_whole_are_told(tmp_path):
    def shares(texts, images):
        return 7.5 * softmax(texts, images)

    told = "those of each pair sum to 7.5. The model does not say what they are, so they are"
    assert any(told in note for note in emap.estimate(shares, make_examples()).notes)
    run = emap.compute(shares, make_examples(), out=tmp_path / "run")
    assert any(told in note for note in run.notes)
    stated = emap.compute(shares, make_examples(), out=tmp_path / "stated", output="logits")
    assert not any("sum to" in note for note in stated.notes)


def test_scores_that_only_happen_to_be_above_0_are_let_through(tmp_path):
    # Votes for each class, of which a pair gets more or fewer.
    run = emap.compute(
        lambda t, v: np.exp(as_callable(t, v)), make_examples(), out=tmp_path / "run"
    )
    assert not any("sum to" in note for note in run.notes)


@pytest.mark.parametrize("value", [1e300, -1e16, np.inf, np.nan, np.float16("inf")])
@pytest.mark.parametrize("first", [True, False])
def test_an_output_beside_which_no_other_counts_is_refused(value, first, tmp_path):
    # In float64 its square would be infinite, and beside it the others are rounding.
    last = DATA.texts[0 if first else -1]

    def model(texts, images):
        outputs = as_callable(texts, images).astype(np.asarray(value).dtype)
        outputs[[text == last for text in texts], 1] = value
        return outputs

    message = r"the model returned .* for the text .* with the image of .*at most 1e\+15"
    with pytest.raises(ModelError, match=message):
        emap.compute(model, DATA, out=tmp_path / "run", batch_size=16)


@pytest.mark.parametrize(
    ("scale", "offset", "message"),
    [
        (1.0, 1e9, r"around 1e\+09 but differ by .* subtract a constant .*keep='sums'"),
        (1e-50, 0.0, "differ by .*e-50 only, .*multiply them by a constant"),
        (1e-200, 0.0, "differ by .*e-200 only, .*multiply them by a constant"),
    ],
)
def test_outputs_that_32_bits_or_squares_do_not_tell_apart_are_refused(
    scale, offset, message, tmp_path
):
    def model(texts, images):
        return offset + scale * as_callable(texts, images).astype(np.float64)

    refused(tmp_path, model, ModelError, message)


def test_sums_hold_a_difference_that_32_bits_do_not(tmp_path):
    def model(texts, images):
        return 1e9 + as_callable(texts, images).astype(np.float64)

    large, small = (
        emap.compute(one, make_examples(), out=tmp_path / str(k), keep="sums")
        for k, one in enumerate((model, as_callable))
    )
    pd.testing.assert_frame_equal(
        large.table(intervals=True), small.table(intervals=True), rtol=1e-4
    )


def test_a_model_of_32_bits_may_round_as_it_likes(tmp_path):
    def model(texts, images):
        return (1e5 + as_callable(texts, images)).astype(np.float32)

    emap.compute(model, make_examples(), out=tmp_path / "run")


@pytest.mark.parametrize("called", ["probabilities", "log_probabilities"])
def test_probabilities_that_do_not_sum_to_1_are_told(called, tmp_path):
    def scores(factor):
        def model(texts, images):
            given = factor * softmax(texts, images)
            return given if called == "probabilities" else np.log(given)

        return model

    run = emap.compute(scores(0.8), make_examples(), out=tmp_path / "run", output=called)
    told = "The model's probabilities of a pair sum to 0.8 instead of 1."
    assert any(told in note for note in run.notes)
    whole = emap.compute(scores(1.0), make_examples(), out=tmp_path / "whole", output=called)
    assert not any("instead of 1" in note for note in whole.notes)
    pd.testing.assert_frame_equal(run.table(), whole.table(), rtol=1e-5)


def test_a_target_beside_which_no_other_counts_is_refused(tmp_path):
    data = make_examples(labels=[[1.0, 2.0, 3.0]] * 59 + [[1.0, 1e300, 3.0]], task="regression")
    message = "'example-59' has the label .*expected a finite number of at most 1e\\+15: choose"
    refused(tmp_path, Staged(), LabelError, message, data)


def test_outputs_called_probabilities_are_projected_as_logits(tmp_path):
    given = emap.compute(softmax, make_examples(), out=tmp_path / "p", output="probabilities")
    logits = emap.compute(as_callable, make_examples(), out=tmp_path / "logits")
    for name in ("log_loss", "accuracy"):
        assert given.table().loc["full", name] == pytest.approx(logits.table().loc["full", name])
    np.testing.assert_allclose(given.shares.emap, logits.shares.emap, atol=1e-6)


def test_a_model_that_says_what_it_returns_is_believed_within_what_can_be(tmp_path):
    class Says(Staged):
        output = "probabilities"
        fingerprint = None

        def score(self, text_encodings, image_encodings):
            return torch.softmax(super().score(text_encodings, image_encodings), dim=1)

    class SaysWrongly(Staged):
        output = "probabilities"

    assert emap.compute(Says(), make_examples(), out=tmp_path / "p").manifest["output"]
    refused(tmp_path, SaysWrongly(), ModelError, "output is 'probabilities', but the model ret")
    refused(tmp_path, Staged(), ModelError, "output is 'log_probab", output="log_probabilities")
    refused(tmp_path, Staged(), SettingError, "output is 'odds'", output="odds")


@pytest.mark.parametrize(
    "data",
    [
        lambda: make_examples(labels=[float(i) for i in range(60)], task="regression"),
        # One number in [0, 1], and no threshold: a similarity.
        binary,
    ],
)
def test_numbers_that_may_well_lie_between_0_and_1_are_let_through(data, tmp_path):
    def model(texts, images):
        return sigmoid(texts, images)[:, :1]

    model.has_threshold = False  # type: ignore[attr-defined]
    emap.compute(model, data(), out=tmp_path / "run")


NAMES = ("apple", "banana", "cherry")
DATA = make_examples()
MIDDLE = np.median(as_callable(DATA.texts, DATA.images), axis=0)


def even(texts, images):
    """Score pairs so that each of three classes wins for some."""
    return as_callable(texts, images) - MIDDLE


def named(**changes):
    """Return examples with the names of the classes that `even` gives them."""
    labels = [NAMES[c] for c in even(DATA.texts, DATA.images).argmax(axis=1)]
    return make_examples(labels=labels, **changes)


def test_a_guessed_order_of_classes_is_told_before_the_run_and_beside_it(tmp_path):
    told = "alphabetical order of the labels, apple, banana, cherry"
    assert any(told in note for note in emap.estimate(even, named()).notes)
    run = emap.compute(even, named(), out=tmp_path / "run", n_resamples=100)
    assert run.manifest["classes_guessed"] is True
    assert any(told in note for note in run.notes)
    stated = emap.compute(even, named(classes=list(NAMES)), out=tmp_path / "stated")
    assert stated.manifest["classes_guessed"] is False
    assert not any("order" in note for note in stated.notes)
    numbers = emap.compute(as_callable, make_examples(), out=tmp_path / "numbers")
    assert not any("order" in note for note in numbers.notes)


def test_columns_in_another_order_are_told_with_the_order_that_fits(tmp_path):
    def turned(texts, images):
        return even(texts, images)[:, [2, 0, 1]]

    run = emap.compute(turned, named(), out=tmp_path / "run", n_resamples=100)
    assert run.table().loc["full", "accuracy"] < 0.5
    note = next(note for note in run.notes if "another order" in note and "accuracy" in note)
    # Output 0 is what was the third.
    assert "cherry, apple, banana" in note
    assert "100%" in note


def test_a_guessed_order_that_does_worse_than_a_constant_is_told(tmp_path):
    rng = np.random.default_rng(0)
    labels = [NAMES[c] for c in rng.choice(3, 60, p=(0.6, 0.2, 0.2))]
    run = emap.compute(even, make_examples(labels=labels), out=tmp_path / "run", n_resamples=100)
    assert run.table().loc["full", "accuracy"] < run.table().loc["constant", "accuracy"]
    assert any("the most frequent label alone would be right in" in note for note in run.notes)


@pytest.mark.parametrize("labels", [["0", "1", "1.5"], ["-1", "-2", "0"], ["1e-3", "2", "3"]])
def test_numbers_are_not_put_in_the_order_of_the_alphabet(labels, tmp_path):
    data = make_examples(labels=labels * 20)
    refused(tmp_path, as_callable, LabelError, "labels are numbers, .*task='regression', or", data)
    stated = make_examples(labels=labels * 20, classes=labels)
    assert emap.compute(as_callable, stated, out=tmp_path / "stated").classes == labels


def test_fewer_names_than_outputs_are_not_given_to_the_first_of_them(tmp_path):
    data = make_examples(labels=["no", "yes"] * 30)
    refused(tmp_path, as_callable, LabelError, "3 numbers per pair and names no classes", data)


@pytest.mark.parametrize("side", ["text", "image"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"method": "sampled", "images_per_text": 4},
        {"method": "subsample", "subsample_size": 10},
        {"batch_size": 4},
    ],
)
def test_one_text_or_image_for_all_is_refused(side, settings, tmp_path):
    data = make_examples(**{f"n_{side}s": 1})
    refused(
        tmp_path, Staged(), DatasetError, f"have the same {side}, so nothing can", data, **settings
    )


def test_a_sub_sample_with_one_image_is_refused(tmp_path):
    data = make_examples(n_images=2)
    settings = {"method": "subsample", "subsample_size": 2, "repeats": 20}
    refused(tmp_path, Staged(), SettingError, "sub-sample .* has a single image", data, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"metrics": "top_3_accuracy"}, "top_3_accuracy is always 1 with 3 classes"),
        ({"metrics": "r2"}, "for regression tasks"),
        ({"metrics": [5]}, r"metrics is \[5\]"),
        ({"seed": -1}, "seed is -1; expected a whole number of at least 0"),
        ({"seed": 2**32}, "expected a whole number from 0 to 4294967295"),
        (
            {"n_resamples": 10**7},
            "n_resamples is 10000000; expected a whole number from 100 to 1000",
        ),
        ({"n_resamples": 2}, "n_resamples is 2; expected a whole number of at least 100, because"),
        ({"name": "late\ud83d"}, "name has half a character"),
        ({"name": "late\u2028fusion"}, "name has a control character"),
        ({"seed": 1.5}, "seed is 1.5"),
        ({"seed": None}, "seed is None"),
        ({"method": "sampled", "until": float("inf")}, "until is inf"),
        ({"batch_size": True}, "batch_size is True"),
        ({"method": "sampled", "until": "soon"}, "until is 'soon'"),
        ({"method": ["exact"]}, "method is"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message, tmp_path):
    refused(tmp_path, Staged(), SettingError, message, **settings)


def test_a_run_that_could_not_be_read_again_is_refused_before_it_is_computed(tmp_path):
    model = Staged()
    model.classes = ["yes", "no", "half a character \ud83d"]
    refused(tmp_path, model, RunError, r"in run.json classes\[2\] is", make_examples(labels=None))


def test_waiting_for_the_interval_of_a_gap_needs_labels(tmp_path):
    settings = {"method": "sampled", "until": 0.01}
    data = make_examples(labels=None)
    refused(tmp_path, Staged(), SettingError, "waits for the interval of a gap", data, **settings)


def test_whole_numbers_of_numpy_are_whole_numbers(tmp_path):
    run = emap.compute(
        Staged(),
        make_examples(),
        out=tmp_path / "run",
        seed=np.int64(3),
        n_resamples=np.int32(100),
        batch_size=np.uint8(20),
    )
    assert run.manifest["settings"]["seed"] == 3
    assert json.loads((tmp_path / "run" / "run.json").read_text())["resampling"]["seed"] == 3


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (None, DatasetError, "the training data has no labels"),
        (["seven"] * 60, LabelError, "'seven'"),
    ],
)
def test_training_labels_are_looked_at_first(labels, error, message, tmp_path):
    refused(tmp_path, Staged(), error, message, train=make_examples(seed=1, labels=labels))


def test_training_data_that_cannot_be_read_costs_no_pairs(tmp_path):
    train = make_examples(seed=1)
    train.images = [train.images[0], *["no image"] * 59]
    model = Staged()
    with pytest.raises((EmapError, AttributeError)):
        emap.compute(model, make_examples(), out=tmp_path / "run", train=train, batch_size=20)
    assert model.pairs_scored < 11 * 23 / 2


def test_a_folder_that_cannot_be_written_is_found_before_the_model_is_loaded(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"cannot be written: .*file is not a folder"):
        emap.compute("no_such_module:model", make_examples(), out=tmp_path / "file" / "run")


def test_a_wrong_metric_for_a_finished_run_leaves_it_as_it_is(tmp_path):
    run = emap.compute(Staged(), make_examples(), out=tmp_path / "run", n_resamples=100)
    before = (tmp_path / "run" / "run.json").read_bytes()
    with pytest.raises(SettingError, match="top_9_accuracy is always 1"):
        emap.compute(Staged(), make_examples(), out=tmp_path / "run", metrics="top_9_accuracy")
    assert (tmp_path / "run" / "run.json").read_bytes() == before
    more = emap.compute(Staged(), make_examples(), out=tmp_path / "run", metrics="top_2_accuracy")
    assert more.metrics == [*run.metrics, "top_2_accuracy"]


def test_a_metric_goes_by_one_name_however_it_is_asked_for(tmp_path):
    data = make_examples(labels=np.linspace(0, 1, 180).reshape(60, 3), task="regression")
    asked = {"metrics": ["rmse", "root_mean_squared_error"], "n_resamples": 100}
    run = emap.compute(Staged(), data, out=tmp_path / "run", **asked)
    assert run.metrics == ["root_mean_squared_error"]
    assert run.verdict(metric="rmse").sentence == run.verdict().sentence
    assert run.gap("rmse") == run.gap("root_mean_squared_error")
    more = emap.compute(Staged(), data, out=tmp_path / "run", metrics=["mae", "rmse"])
    assert more.metrics == ["root_mean_squared_error", "mean_absolute_error"]
    # A manifest that has another name for it.
    path = tmp_path / "run" / "run.json"
    manifest = json.loads(path.read_text())
    manifest["metrics"] = ["rmse", "root_mean_squared_error"]
    path.write_text(json.dumps(manifest))
    assert Run.load(tmp_path / "run").metrics == run.metrics
    with pytest.raises(SettingError, match="metric is 'nope'"):
        run.gap("nope")


def with_classes(classes):
    model = Staged()
    model.classes = classes
    return model


@pytest.mark.parametrize(
    "classes",
    [{"zero", "one", "two"}, {"zero": 2, "one": 1, "two": 0}, "zot", 3, {0: "zero", 1: "one"}],
)
def test_names_of_classes_without_an_order_are_refused(classes, tmp_path):
    refused(tmp_path, with_classes(classes), ModelError, "classes of the model is a .*give a list")
    with pytest.raises(DatasetError, match="classes of the data is a"):
        make_examples(classes=classes)


@pytest.mark.parametrize("classes", [["zero", "one", "two", "three"], list("abcdef")])
def test_as_many_names_as_outputs(classes, tmp_path):
    message = f"names {len(classes)} classes but returns 3 numbers"
    refused(tmp_path, with_classes(classes), ModelError, message)
    data = make_examples(classes=classes)
    refused(tmp_path, as_callable, LabelError, f"the data names {len(classes)} classes", data)


def test_columns_of_a_frame_are_not_taken_in_another_order(tmp_path):
    model = lambda t, v: pd.DataFrame(as_callable(t, v), columns=["two", "one", "zero"])  # noqa: E731
    model.classes = ["zero", "one", "two"]  # type: ignore[attr-defined]
    refused(tmp_path, model, ModelError, "DataFrame with the columns two, one, zero")


def test_a_run_that_was_given_a_wrong_metric_can_be_read_and_mended(tmp_path):
    run = emap.compute(Staged(), make_examples(), out=tmp_path / "run", n_resamples=100)
    path = tmp_path / "run" / "run.json"
    manifest = json.loads(path.read_text())
    manifest["metrics"].append("top_9_accuracy")
    path.write_text(json.dumps(manifest))
    again = Run.load(tmp_path / "run")
    assert again.metrics == run.metrics
    assert set(again.record()["metrics"]) == set(run.metrics)
    emap.compute(Staged(), make_examples(), out=tmp_path / "run")
    assert json.loads(path.read_text())["metrics"] == run.metrics


def test_a_grid_from_elsewhere_belongs_to_all_examples(tmp_path):
    data = make_examples()
    run = emap.compute(Staged(), data, out=tmp_path / "whole", keep="grid")
    np.save(tmp_path / "grid.npy", run.grid.load())
    grid = f"logits:{tmp_path / 'grid.npy'}"
    drawn = {"method": "subsample", "subsample_size": 12, "repeats": 3}
    ours = emap.compute(grid, data, out=tmp_path / "ours", **drawn)
    theirs = emap.compute(Staged(), data, out=tmp_path / "theirs", **drawn)
    np.testing.assert_allclose(ours.decomposition.emap, theirs.decomposition.emap, atol=1e-5)
    with pytest.raises(ModelError, match=r"11 texts × 23 images; the dataset has .*expected"):
        emap.compute(grid, "demo:emoji-match", data_args={"limit": 20}, out=tmp_path / "limited")


@pytest.mark.slow
def test_the_time_of_a_run_with_batches_by_hand_is_not_that_of_a_cold_start():
    class Cold(Staged):
        def score(self, text_encodings, image_encodings):
            if not self.pairs_scored:
                import time

                time.sleep(1.0)
            return super().score(text_encodings, image_encodings)

    # At the speed of the first four pairs it would be a quarter of a second a pair.
    assert emap.estimate(Cold(), make_examples(), batch_size=64).seconds < 11 * 23 / 4 / 2


def test_labels_that_leave_nothing_to_be_wrong_about_are_refused(tmp_path):
    empty = make_examples(labels=np.zeros((60, 3), dtype=int), task="multilabel")
    with pytest.raises(LabelError, match="no label is a class of the model, so no answer"):
        emap.compute(Staged(), empty, out=tmp_path / "empty")

    class Single(Staged):
        classes = None

        def score(self, text_encodings, image_encodings):
            return super().score(text_encodings, image_encodings)[:, :1]

    alone = make_examples(labels=[0] * 60)
    with pytest.raises(SettingError, match="with a single class every answer is right"):
        emap.compute(Single(), alone, out=tmp_path / "alone")
    assert not (tmp_path / "empty").exists() and not (tmp_path / "alone").exists()
