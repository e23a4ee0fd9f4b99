import pytest
from samples import Staged, make_examples

import emap_core as emap
from emap_core.errors import ModelError


class Open(Staged):
    """A model that takes its classes from the data."""

    classes = None
    fingerprint = None

    def with_classes(self, classes):
        made = Open()
        made.classes = list(classes)  # type: ignore[assignment]
        made.fingerprint = "open " + " ".join(classes)  # type: ignore[assignment]
        return made


def test_a_model_with_open_classes_is_given_those_of_the_data(tmp_path):
    data = make_examples(classes=["circle", "square", "triangle"])
    run = emap.compute(Open(), data, out=tmp_path / "run")
    assert run.classes == ["circle", "square", "triangle"]


def test_open_classes_that_nobody_names_are_an_error(tmp_path):
    with pytest.raises(ModelError, match="the data, but the data names none"):
        emap.compute(Open(), make_examples(), out=tmp_path / "run")


def test_what_was_skipped_is_listed_in_the_run(tmp_path):
    data = make_examples(skipped=["row 3 of photos.csv: image a.jpg does not exist"])
    run = emap.compute(Staged(), data, out=tmp_path / "run")
    assert run.manifest["skipped"] == ["row 3 of photos.csv: image a.jpg does not exist"]


def test_the_names_of_two_labels_come_from_the_data_where_the_model_names_one_output(tmp_path):
    data = make_examples(labels=["no", "yes"] * 30, classes=["no", "yes"], task="binary")
    model = Open().with_classes(["yes"])
    model.score = lambda t, v: Staged().score(t, v)[:, :1] - 1
    run = emap.compute(model, data, out=tmp_path / "run")
    assert run.classes == ["no", "yes"]
    assert list(run.examples()["label"]) == ["no", "yes"] * 30
