import numpy as np
import pytest
from samples import (
    Staged,
    WithGrid,
    as_callable,
    make_examples,
    numbers_of_image,
    numbers_of_text,
    score_pair,
)

import emap_core as emap
from emap_core.decomposition.design import design
from emap_core.decomposition.incomplete import fit
from emap_core.decomposition.predicted_interactions import EncodingVectors
from emap_core.engine.noise import FEW
from emap_core.errors import SettingError
from emap_core.runs import describe_run

pytestmark = pytest.mark.slow


def unique_grid(examples):
    texts = list(dict.fromkeys(examples.texts))
    pictures = {}
    for key, image in zip(examples.image_keys, examples.images, strict=True):
        pictures.setdefault(key, image)
    return np.array([[score_pair(t, v) for v in pictures.values()] for t in texts])


def encodings_of(examples):
    texts = list(dict.fromkeys(examples.texts))
    pictures = dict(zip(examples.image_keys, examples.images, strict=True))
    return EncodingVectors(
        np.array([numbers_of_text(text) for text in texts], dtype=np.float32),
        np.array([numbers_of_image(picture) for picture in pictures.values()], dtype=np.float32),
    )


@pytest.mark.parametrize("model", [Staged(), WithGrid(), as_callable])
@pytest.mark.parametrize("batch_size", [None, 7])
def test_the_designs_cells_are_evaluated_and_fitted(model, batch_size, examples, tmp_path):
    run = emap.compute(
        model,
        examples,
        out=tmp_path / "run",
        method="sampled",
        images_per_text=6,
        batch_size=batch_size,
    )
    grid = unique_grid(examples)
    d = run.decomposition
    chosen = design(11, 23, d.row_index, d.column_index, 6, 0)
    encodings = None if model is as_callable else encodings_of(examples)
    fitted = fit(chosen, grid[chosen.rows, chosen.columns], encodings)
    expected = fitted.decomposition
    np.testing.assert_allclose(d.logits, expected.logits, atol=1e-9)
    np.testing.assert_allclose(d.emap, expected.emap, atol=1e-6)
    assert run.manifest["n_pairs_evaluated"] == len(chosen) < 11 * 23
    assert run.manifest["method"] == "sampled"
    assert run.grid is None
    # A model without encoders gets the plain fit, one with encoders takes off what they predict.
    assert fitted.explained.any() == run.result.explained.any() == (model is not as_callable)  # type: ignore[attr-defined]


def test_every_image_for_every_text_is_the_exact_grid(examples, tmp_path):
    exact = emap.compute(Staged(), examples, out=tmp_path / "exact")
    run = emap.compute(
        Staged(), examples, out=tmp_path / "run", method="sampled", images_per_text=23
    )
    np.testing.assert_allclose(run.decomposition.emap, exact.decomposition.emap, atol=1e-9)
    assert run.manifest["method"] == "exact"
    assert run.grid is not None


def test_an_interrupted_sample_goes_on_to_the_same_bits(examples, store):
    settings = {"method": "sampled", "images_per_text": 6, "batch_size": 20}

    class Fragile(Staged):
        calls = 0

        def score(self, text_encodings, image_encodings):
            Fragile.calls += 1
            # After the first pairs and those that are scored twice.
            if Fragile.calls == 7:
                raise ZeroDivisionError
            return super().score(text_encodings, image_encodings)

    whole = emap.compute(Staged(), examples, out=store / "whole", **settings)
    with pytest.raises(ZeroDivisionError):
        emap.compute(Fragile(), examples, out=store / "run", **settings)
    assert describe_run(store / "run").status == "failed"
    model = Staged()
    run = emap.compute(model, examples, out=store / "run", **settings)
    # A few pairs are encoded again, at first and at the end, to see whether it is the same model.
    assert (model.texts_encoded, model.images_encoded) == (2 * FEW, 2 * FEW)
    assert 0 < model.pairs_scored < run.manifest["n_pairs_evaluated"]
    assert run.decomposition.equals(whole.decomposition)


def test_too_few_images_a_text_are_refused(tmp_path):
    with pytest.raises(SettingError, match="images_per_text is 1"):
        emap.compute(
            Staged(),
            make_examples(),
            out=tmp_path / "run",
            method="sampled",
            images_per_text=1,
        )
    with pytest.raises(SettingError, match="needs images_per_text=…, how many"):
        emap.compute(Staged(), make_examples(), out=tmp_path / "run", method="sampled")


def test_until_adds_pairs_and_reuses_those_it_has(tmp_path):
    data = make_examples(n=300, n_texts=40, n_images=120)
    events = []
    model = Staged()
    run = emap.compute(
        model,
        data,
        out=tmp_path / "run",
        method="sampled",
        until=0.02,
        listener=events.append,
        batch_size=500,
    )
    told = [event for event in events if event["event"] == "sampled"]
    assert [event["images_per_text"] for event in told] == [16 * 2**i for i in range(len(told))]
    assert told[-1]["reach"] <= 0.02 or run.manifest["n_pairs_evaluated"] == 40 * 120
    # The first pairs are not among those that are drawn, and a few of them are scored
    # again before and after all others.
    assert model.pairs_scored == run.manifest["n_pairs_evaluated"] + 16 + 2 * FEW


def test_until_nothing_is_left_to_know_ends_with_the_exact_grid(tmp_path):
    data = make_examples(n=100, n_texts=20, n_images=40)
    exact = emap.compute(Staged(), data, out=tmp_path / "exact")
    run = emap.compute(Staged(), data, out=tmp_path / "run", method="sampled", until=1e-9)
    assert run.manifest["n_pairs_evaluated"] == 20 * 40
    np.testing.assert_allclose(run.decomposition.emap, exact.decomposition.emap, atol=1e-9)
    assert run.gap("accuracy").difference == pytest.approx(exact.gap("accuracy").difference)


def test_interval_of_a_sample_holds_the_exact_gap(tmp_path):
    data = make_examples(n=400, n_texts=60, n_images=150)
    exact = emap.compute(Staged(), data, out=tmp_path / "exact").gap("accuracy").difference
    held = []
    for seed in range(5):
        run = emap.compute(
            Staged(),
            data,
            out=tmp_path / f"run{seed}",
            method="sampled",
            images_per_text=24,
            seed=seed,
            n_resamples=200,
        )
        gap = run.gap("accuracy")
        held.append(gap.low <= exact <= gap.high)
        assert "standard error" in gap.method
        table = run.table(intervals=True)
        assert table.loc["emap_leave_one_out", "accuracy"] == gap.projected
    assert sum(held) >= 4


def test_images_that_meet_too_few_texts_are_warned_of(tmp_path):
    data = make_examples(n=120, n_texts=6, n_images=120)
    run = emap.compute(
        Staged(), data, out=tmp_path / "few", method="sampled", images_per_text=40, n_resamples=100
    )
    assert any("falls short" in note for note in run.intervals().notes)
    enough = emap.compute(
        Staged(),
        make_examples(),
        out=tmp_path / "enough",
        method="sampled",
        images_per_text=12,
        n_resamples=100,
    )
    assert not any("falls short" in note for note in enough.intervals().notes)
