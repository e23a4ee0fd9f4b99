"""Models and data that cannot be, for tests of what a visitor is told."""

import numpy as np
from PIL import Image

from emap_core.datasets.base import Examples


def wrong_shape():
    return lambda texts, images: np.zeros(len(texts))


def not_a_number():
    return lambda texts, images: np.full((len(texts), 2), np.nan)


def one_example():
    return Examples(["a"], [Image.new("L", (4, 4))])


def unknown_class():
    pictures = [Image.new("L", (4, 4), i) for i in range(2)]
    return Examples(["a", "b"], pictures, labels=["circle", "perhaps"])
