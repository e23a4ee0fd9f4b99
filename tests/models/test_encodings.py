"""Combinations of items of several sides, cut into products that models score at once."""

from itertools import product
from math import prod

import numpy as np
import pytest

from emap_core.models.encodings import Product, boxes

SIZES = [(5,), (3, 4), (2, 3, 4), (4, 1, 3), (1, 1, 2)]


def combinations_of(box):
    return list(product(*(range(part.start, part.stop) for part in box)))


@pytest.mark.parametrize("sizes", SIZES)
def test_boxes_are_the_range_in_order(sizes):
    every = list(product(*map(range, sizes)))
    for start in range(prod(sizes) + 1):
        for stop in range(start, prod(sizes) + 1):
            found = boxes(start, stop, sizes)
            assert [one for box in found for one in combinations_of(box)] == every[start:stop]
            assert len(found) <= 2 * len(sizes) - 1


@pytest.mark.parametrize("sizes", SIZES)
def test_blocks_of_a_product_are_all_of_it_in_order(sizes):
    whole = Product(tuple(np.arange(size) for size in sizes))
    assert len(whole) == prod(sizes)
    every = np.array(list(product(*map(range, sizes))))
    np.testing.assert_array_equal(np.stack(whole.aligned(), axis=1), every)
    for most in range(1, len(whole) + 2):
        blocks = whole.blocks(most)
        assert max(map(len, blocks)) <= most
        found = np.concatenate([np.stack(block.aligned(), axis=1) for block in blocks])
        np.testing.assert_array_equal(found, every)
