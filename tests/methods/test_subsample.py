import json

import numpy as np
import pytest
from samples import Staged, as_callable, make_examples, score_pair

import emap_core as emap
from emap_core.cli import main
from emap_core.errors import SettingError

SETTINGS = {"method": "subsample", "subsample_size": 20, "repeats": 4, "metrics": ("accuracy",)}


def by_hand(examples, drawn):
    """Return accuracy, that of plain EMAP and of the leave-one-out one in each sub-sample."""
    found = []
    for rows in drawn:
        texts = list(dict.fromkeys(examples.texts[i] for i in rows))
        keys = list(dict.fromkeys(examples.image_keys[i] for i in rows))
        picture = {examples.image_keys[i]: examples.images[i] for i in rows}
        grid = np.array([[score_pair(t, picture[k]) for k in keys] for t in texts])
        d = emap.decompose(
            grid,
            [texts.index(examples.texts[i]) for i in rows],
            [keys.index(examples.image_keys[i]) for i in rows],
        )
        truth = np.array([examples.labels[i] for i in rows])
        found.append(
            [(s.argmax(axis=1) == truth).mean() for s in (d.logits, d.emap, d.emap_leave_one_out)]
        )
    return np.array(found)


@pytest.mark.parametrize("model", [Staged(), as_callable])
def test_the_protocol_is_the_average_over_its_sub_samples(model, examples, tmp_path):
    run = emap.compute(model, examples, out=tmp_path / "run", **SETTINGS)
    rng = np.random.default_rng(0)
    drawn = [np.sort(rng.choice(60, 20, replace=False)) for _ in range(4)]
    expected = by_hand(examples, drawn)
    table = run.table()["accuracy"]
    rows = ["full", "emap", "emap_leave_one_out"]
    np.testing.assert_allclose(table[rows], expected.mean(axis=0), atol=1e-9)
    gap = run.gap("accuracy")
    np.testing.assert_allclose(gap.difference, (expected[:, 0] - expected[:, 2]).mean(), atol=1e-9)
    spread = run.spread.deviations["accuracy"]
    np.testing.assert_allclose(spread["emap"], expected[:, 1].std(ddof=1), atol=1e-9)
    assert run.ids == [f"example-{i}" for i in np.unique(drawn)]
    assert run.grid is None
    assert len(run.examples()) == len(run.ids) == run.manifest["n_examples"]
    assert run.manifest["n_pairs_evaluated"] == sum(
        len({examples.texts[i] for i in rows}) * len({examples.image_keys[i] for i in rows})
        for rows in drawn
    )


def test_a_sub_sample_of_everything_is_the_exact_run(examples, tmp_path):
    exact = emap.compute(Staged(), examples, out=tmp_path / "exact", metrics=("accuracy",))
    run = emap.compute(
        Staged(), examples, out=tmp_path / "run", **SETTINGS | {"subsample_size": 60, "repeats": 2}
    )
    for name in ("logits", "emap", "emap_leave_one_out", "text_only", "sums_of_squares"):
        np.testing.assert_allclose(
            getattr(run.decomposition, name), getattr(exact.decomposition, name), atol=1e-9
        )
    np.testing.assert_allclose(run.shares.pooled_shares, exact.shares.pooled_shares, atol=1e-9)
    np.testing.assert_allclose(run.table(), exact.table(), atol=1e-9)
    assert np.isnan(run.gap("accuracy").low)
    assert "no spread" in run.intervals().notes[0]


@pytest.mark.slow
def test_an_interrupted_protocol_goes_on_to_the_same_bits(examples, store):
    settings = SETTINGS | {"batch_size": 30}
    whole = emap.compute(Staged(), examples, out=store / "whole", **settings)

    class Fragile(Staged):
        calls = 0

        def score(self, text_encodings, image_encodings):
            Fragile.calls += 1
            if Fragile.calls == 6:
                raise ZeroDivisionError
            return super().score(text_encodings, image_encodings)

    with pytest.raises(ZeroDivisionError):
        emap.compute(Fragile(), examples, out=store / "run", **settings)
    model = Staged()
    run = emap.compute(model, examples, out=store / "run", **settings)
    assert 0 < model.pairs_scored < run.manifest["n_pairs_evaluated"]
    assert run.decomposition.equals(whole.decomposition)


def test_other_sub_samples_are_another_run():
    data = make_examples(fingerprint="data")
    ids = {
        emap.compute(Staged(), data, **SETTINGS | changed).id
        for changed in ({}, {"seed": 1}, {"repeats": 3}, {"subsample_size": 10})
    }
    assert len(ids) == 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "subsample"}, "belong together"),
        ({"subsample_size": 20}, "belong together"),
        ({"method": "subsample", "subsample_size": 61}, "subsample_size is 61; expected 2 to 60"),
        ({"method": "subsample", "subsample_size": 20, "repeats": 0}, "repeats is 0"),
    ],
)
def test_sub_samples_that_cannot_be_drawn_are_refused(settings, message, examples, tmp_path):
    with pytest.raises(SettingError, match=message):
        emap.compute(Staged(), examples, out=tmp_path / "run", **settings)


def test_the_command_line_shows_the_protocol_with_its_spread(tmp_path, capsys):
    emap.compute(
        Staged(), make_examples(), out=tmp_path / "run", **SETTINGS | {"metrics": ("log_loss",)}
    )
    assert main(["show", str(tmp_path / "run")]) == 0
    shown = capsys.readouterr().out
    assert "protocol of published papers" in shown
    assert "Standard deviation over 4 sub-samples" in shown
    assert main(["show", str(tmp_path / "run"), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["method"] == "subsample"
    assert record["subsample"]["size"] == 20
    assert record["subsample"]["repeats"] == 4
    assert record["subsample"]["n_available"] == 60
    assert record["subsample"]["standard_deviation"]["log_loss"]["gap"] > 0
    one = record["metrics"]["log_loss"]
    assert one["gap_leave_one_out_low"] < one["gap_leave_one_out"] < one["gap_leave_one_out_high"]
    assert one["p_value"] is None


def test_limits_of_a_gap_are_no_wider_than_its_metric(examples, tmp_path):
    settings = {"method": "subsample", "subsample_size": 2, "repeats": 3}
    run = emap.compute(Staged(), examples, out=tmp_path / "run", metrics=["accuracy"], **settings)
    gap = run.gap("accuracy")
    assert -1 <= gap.low <= gap.high <= 1
