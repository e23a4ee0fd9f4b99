import numpy as np
import pytest
from samples import Staged, WithGrid, as_callable, make_examples, score_pair

import emap_core as emap
from emap_core.decomposition.design import design
from emap_core.decomposition.sampled import fit
from emap_core.errors import SettingError
from emap_core.runs import describe_run


def unique_grid(examples):
    texts = list(dict.fromkeys(examples.texts))
    pictures = {}
    for key, image in zip(examples.image_keys, examples.images, strict=True):
        pictures.setdefault(key, image)
    return np.array([[score_pair(t, v) for v in pictures.values()] for t in texts])


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
    chosen = design(11, 23, d.text_index, d.image_index, 6, 0)
    expected = fit(chosen, grid[chosen.texts, chosen.images]).decomposition
    np.testing.assert_allclose(d.logits, expected.logits, atol=1e-9)
    np.testing.assert_allclose(d.emap, expected.emap, atol=1e-6)
    assert run.manifest["n_pairs_evaluated"] == len(chosen) < 11 * 23
    assert run.manifest["method"] == "sampled"
    assert run.grid is None


def test_every_image_for_every_text_is_the_exact_grid(examples, tmp_path):
    exact = emap.compute(Staged(), examples, out=tmp_path / "exact")
    run = emap.compute(
        Staged(), examples, out=tmp_path / "run", method="sampled", images_per_text=23
    )
    np.testing.assert_allclose(run.decomposition.emap, exact.decomposition.emap, atol=1e-9)
    assert run.manifest["method"] == "exact"
    assert run.grid is not None


def test_an_interrupted_sample_goes_on_to_the_same_bits(examples, tmp_path):
    settings = {"method": "sampled", "images_per_text": 6, "batch_size": 20}

    class Fragile(Staged):
        calls = 0

        def score(self, text_states, image_states):
            Fragile.calls += 1
            if Fragile.calls == 4:
                raise ZeroDivisionError
            return super().score(text_states, image_states)

    whole = emap.compute(Staged(), examples, out=tmp_path / "whole", **settings)
    with pytest.raises(ZeroDivisionError):
        emap.compute(Fragile(), examples, out=tmp_path / "run", **settings)
    assert describe_run(tmp_path / "run").status == "failed"
    model = Staged()
    run = emap.compute(model, examples, out=tmp_path / "run", **settings)
    assert model.texts_encoded == model.images_encoded == 0
    assert 0 < model.pairs_scored < run.manifest["n_pairs_evaluated"]
    for name in whole.decomposition.__dataclass_fields__:
        np.testing.assert_array_equal(
            getattr(run.decomposition, name), getattr(whole.decomposition, name)
        )


def test_too_few_images_a_text_are_refused(tmp_path):
    with pytest.raises(SettingError, match="images_per_text is 1"):
        emap.compute(
            Staged(),
            make_examples(),
            out=tmp_path / "run",
            method="sampled",
            images_per_text=1,
        )
    with pytest.raises(SettingError, match="needs images_per_text"):
        emap.compute(Staged(), make_examples(), out=tmp_path / "run", method="sampled")
