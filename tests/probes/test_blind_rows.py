"""What models answer with a side taken away."""

import numpy as np
import pytest
from samples import make_examples, numbers_of_image, numbers_of_text

import emap_core as emap
from emap_core.errors import RunError
from emap_core.probes.blind_rows import Blinded, _pictures


def of_text_alone(texts, images):
    return np.stack([numbers_of_text(text)[:3] + 0.1 for text in texts])


def of_brightness(texts, images):
    light = np.array([numbers_of_image(image).mean() for image in images])
    return np.stack([light, 0.5 - light, np.zeros(len(light))], axis=1)


@pytest.mark.parametrize(
    ("model", "same", "side"),
    [
        (of_text_alone, ("full", "text_only", "blank_image", "noise_image"), "image"),
        (of_brightness, ("full", "image_only", "empty_text"), "text"),
    ],
)
def test_a_model_of_one_side_does_not_miss_the_other(model, same, side, tmp_path):
    run = emap.compute(
        model, make_examples(), out=tmp_path / "run", fingerprint="one", output="logits"
    )
    found = run.probe("blind-rows", model=model, dataset=make_examples())
    # As in the table, limits included.
    for row in ("full", "text_only", "image_only"):
        assert found.rows[row] == run.intervals().rows["accuracy"][row]
    assert {found.rows[row].value for row in same} == {found.rows["full"].value}
    assert found.chart().table["value"].tolist() == [one.value for one in found.rows.values()]
    # What is kept is read without the model.
    assert (
        emap.load_run(run.path).probe("blind-rows") == found == Blinded.from_json(found.to_json())
    )
    with pytest.raises(RunError, match="cannot be read"):
        Blinded.from_json({"rows": {}})


def test_pictures_have_the_colour_and_the_spread_of_the_data():
    examples = make_examples()
    blank, noise = _pictures(list(examples.images), seed=0)
    pixels = np.concatenate([np.asarray(one).reshape(-1, 3) for one in examples.images])
    np.testing.assert_allclose(np.asarray(blank).reshape(-1, 3)[0], pixels.mean(axis=0), atol=0.5)
    assert blank.size == noise.size == examples.images[0].size
    assert np.asarray(noise).std() == pytest.approx(pixels.std(), rel=0.25)


def test_without_labels_there_is_nothing_to_score(tmp_path):
    data = make_examples(labels=None)
    run = emap.compute(of_text_alone, data, out=tmp_path / "run", output="logits")
    with pytest.raises(emap.EmapError, match="no score between 0 and 1"):
        run.probe("blind-rows", model=of_text_alone, dataset=data)
