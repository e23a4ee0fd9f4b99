"""Does a model of images and texts use both sides together, or does its additive part do as well?"""

from emap_core.decomposition import Decomposition, decompose
from emap_core.errors import EmapError

__all__ = ["Decomposition", "EmapError", "decompose"]
