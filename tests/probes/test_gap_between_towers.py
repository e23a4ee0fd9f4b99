"""The probe of two towers on whole runs."""

import json

import numpy as np
import pytest
import torch
from samples import Staged, make_examples, numbers_of_image, numbers_of_text

import emap_core as emap
from emap_core.cli import main
from emap_core.errors import ModelError, RunError
from emap_core.inference.other_measures.modality_gap import modality_gap
from emap_core.probes.gap_between_towers import Towers


class Two:
    """Cosines of what texts and images are."""

    similarity = True
    fingerprint = "two"

    def encode_texts(self, texts):
        return torch.tensor(np.stack([numbers_of_text(t) for t in texts]))

    def encode_images(self, images):
        return torch.tensor(np.stack([numbers_of_image(v) for v in images]))

    def score(self, texts, images):
        return (texts * images).sum(1, keepdim=True)


class Silent(Two):
    """The same, which does not say so."""

    similarity = False


def data():
    draws = np.random.default_rng(0).integers(0, 2, 60)
    return make_examples(labels=list(map(int, draws)), task="binary", classes=["no", "yes"])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return emap.compute(Two(), data(), out=tmp_path_factory.mktemp("runs") / "two")


@pytest.mark.slow
def test_the_probe_measures_the_encodings_and_keeps_what_it_found(run, capsys):
    found = run.probe("two-towers", model=Two(), dataset=data())
    d, examples = run.decomposition, data()
    texts = np.stack([numbers_of_text(t) for t in run.texts])
    pictures = {w: examples.images[i] for i, w in reversed(list(enumerate(d.column_index)))}
    images = np.stack([numbers_of_image(pictures[w]) for w in range(len(pictures))])
    expected = modality_gap(
        texts.astype(np.float32), images.astype(np.float32), d.row_index, d.column_index
    )
    assert found.geometry == expected
    assert found.limits["gap"].low < expected.gap < found.limits["gap"].high
    assert found.population in str(found) and "N = " in found.details[0]
    assert found.texts.shape == found.images.shape == (60, 2)
    chart = found.chart()
    assert list(chart.table["distance"]) == [one.distance for one in expected.shifts]
    # The model is not needed for what is kept.
    assert main(["probe", str(run.path), "two-towers", "--json"]) == 0
    kept = json.loads(capsys.readouterr().out)
    # Results of earlier versions have no limits.
    old = Towers.from_json({k: v for k, v in kept.items() if k not in ("limits", "population")})
    assert old.geometry == expected and not old.limits and "95%" not in str(old)
    assert Towers.from_json(kept).geometry == expected and kept["sentence"] == found.sentence
    assert main(["probe", str(run.path), "two-towers", "--example", "example-1"]) == 2
    assert "about the whole run" in capsys.readouterr().err
    with pytest.raises(RunError, match="cannot be read"):
        Towers.from_json({**kept, "texts": [1]})


def test_what_has_no_towers_is_told_why(tmp_path):
    silent = emap.compute(Silent(), data(), out=tmp_path / "silent")
    with pytest.raises(ModelError, match="similarity = True"):
        silent.probe("two-towers", model=Silent(), dataset=data())
    many = emap.compute(Staged(), make_examples(), out=tmp_path / "many")
    with pytest.raises(emap.EmapError, match="its outputs are classes"):
        many.probe("two-towers", model=Staged(), dataset=make_examples())
