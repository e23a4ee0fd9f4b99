import numpy as np
import pytest
from samples import Staged, as_callable, make_examples, numbers_of_image, numbers_of_text

import emap_core as emap
from emap_core.errors import DatasetError, RunError, SettingError
from emap_core.inference.robustness.density_ratio import density_ratio
from emap_core.runs.checksums import check_run


@pytest.fixture(scope="module")
def data():
    """Examples whose texts come with images like them."""
    found = make_examples(n=240, n_texts=24, n_images=30, seed=1)
    t = np.array([numbers_of_text(text)[0] for text in found.texts])
    v = np.array([numbers_of_image(image)[0] for image in found.images])
    kept = np.flatnonzero(np.abs((t - t.mean()) / t.std() - (v - v.mean()) / v.std()) < 1.2)
    return make_examples(
        n=240,
        n_texts=24,
        n_images=30,
        seed=1,
        **{
            name: [getattr(found, name)[i] for i in kept]
            for name in ("texts", "images", "image_keys", "labels", "ids")
        },
    )


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    return emap.compute(
        Staged(),
        data,
        density="encodings",
        n_resamples=100,
        out=tmp_path_factory.mktemp("runs") / "run",
    )


@pytest.mark.slow
def test_the_ratio_is_that_of_the_encodings_in_the_order_of_the_run(run, data):
    order = list(dict.fromkeys(data.image_keys))
    images = [numbers_of_image(data.images[data.image_keys.index(key)]) for key in order]
    texts = [numbers_of_text(text) for text in run.texts]
    d = run.decomposition
    expected = density_ratio(
        np.float32(texts), np.float32(images), d.row_index, d.column_index, seed=0
    )
    np.testing.assert_allclose(run.density, expected.ratio, rtol=2e-3)
    assert run.unlikely_pairs().auc == pytest.approx(expected.auc)
    assert np.std(run.density) > 0


def test_the_record_holds_the_gaps_where_unlikely_pairs_count_less(run):
    record = run.record()["unlikely_pairs"]
    assert [row["power"] for row in record["rows"]] == [0.0, 0.5, 1.0]
    for name in run.metrics:
        first = record["rows"][0]["gaps"][name]
        assert first["difference"] == run.gap(name).difference
        assert all(row["gaps"][name]["low"] is not None for row in record["rows"])
    assert emap.Run.load(run.path).record()["unlikely_pairs"] == record
    assert check_run(run.path) == []
    (run.path / "density.npz").rename(run.path / "elsewhere.npz")
    assert "density.npz is missing" in check_run(run.path)
    (run.path / "elsewhere.npz").rename(run.path / "density.npz")


def test_a_ratio_of_ones_own_needs_only_the_grid(run):
    alike = run.unlikely_pairs(np.ones_like(run.density))
    assert alike.auc is None
    differences = [row.gaps["accuracy"].difference for row in alike.rows]
    assert differences == pytest.approx([differences[0]] * 3)
    with pytest.raises(DatasetError, match="density ratio has shape"):
        run.unlikely_pairs(np.ones(3))


def test_a_run_that_was_not_asked_is_as_it_was(data, tmp_path):
    plain = emap.compute(Staged(), data, out=tmp_path / "run", n_resamples=100)
    assert plain.unlikely_pairs() is None
    assert plain.record()["unlikely_pairs"] is None
    assert not (plain.path / "density.npz").exists()
    with pytest.raises(RunError, match="holds different work: density was"):
        emap.compute(Staged(), data, out=tmp_path / "run", density="encodings")


@pytest.mark.parametrize(
    ("model", "settings", "said"),
    [
        (as_callable, {}, "needs a model with encoders"),
        (Staged(), {"keep": "sums"}, "is not kept; choose keep='grid'"),
        (Staged(), {"method": "sampled", "images_per_text": 4}, "only method='exact' computes"),
        (Staged(), {"density": "guess"}, "expected one of off, encodings"),
    ],
)
def test_what_it_needs_is_said_before_the_work(data, tmp_path, model, settings, said):
    with pytest.raises(SettingError, match=said):
        emap.compute(model, data, out=tmp_path / "run", **{"density": "encodings", **settings})
    assert not (tmp_path / "run" / "sums.npz").exists()


def test_without_labels_there_is_nothing_to_compare(tmp_path):
    with pytest.raises(SettingError, match="has no labels"):
        emap.compute(
            Staged(), make_examples(labels=None), out=tmp_path / "run", density="encodings"
        )


def test_a_damaged_ratio_is_named(run):
    path = run.path / "density.npz"
    content = path.read_bytes()
    try:
        with path.open("wb") as file:
            np.savez(file, auc=0.5)
        with pytest.raises(RunError, match=r"density\.npz .* has no array log_ratio"):
            emap.Run.load(run.path).unlikely_pairs()
    finally:
        path.write_bytes(content)
