"""Scores of a rectangle that arrive part by part."""

import numpy as np
import pytest
import torch
from samples import WithGrid, picture

from emap_core.errors import ModelError
from emap_core.models.assembled import Assembled
from emap_core.models.base import Scorer


def parts_of(scores, rows, columns):
    for top in range(0, scores.shape[0], rows):
        for left in range(0, scores.shape[1], columns):
            yield top, left, scores[top : top + rows, left : left + columns]


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
@pytest.mark.parametrize("rows, columns", [(1, 1), (2, 3), (4, 5), (3, 5)])
def test_parts_make_up_the_whole(kind, rows, columns):
    scores = kind(np.random.default_rng(0).normal(size=(4, 5, 3)))
    assembled = Assembled(4, 5)
    for top, left, part in parts_of(scores, rows, columns):
        assembled.put(top, left, part)
    found = assembled.values()
    assert type(found) is type(scores)
    assert found.dtype == scores.dtype
    np.testing.assert_array_equal(found, scores)


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
@pytest.mark.parametrize("types", [("float32", "float64"), ("float64", "float32")])
def test_no_digit_of_a_later_part_is_lost(kind, types):
    first, second = (kind(np.full((1, 2, 1), 1 / 3, dtype=one)) for one in types)
    assembled = Assembled(2, 2)
    assembled.put(0, 0, first)
    assembled.put(1, 0, second)
    found = np.asarray(assembled.values())
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, np.concatenate([first, second]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_widened(dtype):
    scores = torch.arange(6.0).reshape(2, 3, 1).to(dtype)
    for rows in (1, 2):
        assembled = Assembled(2, 3)
        for top, left, part in parts_of(scores, rows, 3):
            assembled.put(top, left, part)
        assert assembled.values().dtype == torch.float32
        np.testing.assert_array_equal(assembled.values(), scores.float())


def test_a_part_with_other_classes_is_refused():
    assembled = Assembled(2, 2)
    assembled.put(0, 0, np.zeros((1, 2, 3)))
    # NumPy would repeat a single class three times.
    with pytest.raises(ModelError, match="returned 1 classes, but 3 for earlier pairs"):
        assembled.put(1, 0, np.zeros((1, 2, 1)))


def test_a_model_may_use_the_same_memory_for_every_batch():
    class Reusing(WithGrid):
        def score_grid(self, texts, images):
            scores = super().score_grid(texts, images)
            if not hasattr(self, "memory"):
                self.memory = scores.clone()
            self.memory[: len(scores)] = scores
            return self.memory[: len(scores)]

    def tile(model):
        scorer = Scorer(model, "cpu")
        texts = scorer.encode_texts([f"text {i}" for i in range(6)])
        images = scorer.encode_images([picture(i) for i in range(4)])
        return scorer.score_tile(texts, images, 8)

    np.testing.assert_array_equal(tile(Reusing()), tile(WithGrid()))
