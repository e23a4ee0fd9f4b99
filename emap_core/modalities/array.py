"""Arrays of numbers: sensor readings, or features computed elsewhere."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emap_core.modalities.base import (
    BadItemError,
    FindFile,
    Modality,
    Preview,
    content_of,
    file_key,
    file_name,
    file_source,
    left_out,
    stretches,
)
from emap_core.modalities.fingerprints import fingerprint_of
from emap_core.modalities.posters import line
from emap_core.types import Mask

Numbers = NDArray[np.float64]

MOST_BYTES = 2**30
"""Larger files are refused."""
_COLOUR = "#8A8000"


class NumberArray(Modality):
    """An array of float64; its first axis is time, if it has time."""

    name: ClassVar[str] = "array"
    plural: ClassVar[str] = "arrays"
    usual_names: ClassVar[tuple[str, ...]] = ("array", "sensor", "signal", "vector", "embedding")
    suffixes: ClassVar[tuple[str, ...]] = (".npy",)
    unit: ClassVar[str] = "stretches"

    def is_at_hand(self, cell: Any) -> bool:
        """Return whether a cell is clearly an item of this kind, by its type alone."""
        return isinstance(cell, list) or hasattr(cell, "dtype")

    def source(self, cell: Any, find: FindFile) -> Path | bytes | Numbers:
        """Return a .npy file, its content, or the numbers themselves, also from a list."""
        if isinstance(cell, str) and cell.lstrip().startswith("["):
            try:
                cell = json.loads(cell)
            except (ValueError, RecursionError) as error:
                raise BadItemError(f"the array is not valid JSON: {error}") from error
        if hasattr(cell, "detach"):
            cell = cell.detach().cpu().numpy()
        if isinstance(cell, (list, np.ndarray)):
            return _numbers(cell)
        return file_source("array", cell, find)

    def open(self, source: Path | bytes | Numbers) -> Numbers:
        """Return the numbers."""
        if isinstance(source, np.ndarray):
            return source
        if isinstance(source, Path) and source.exists() and source.stat().st_size > MOST_BYTES:
            raise BadItemError(f"has more than {MOST_BYTES:,} bytes")
        try:
            return _numbers(np.load(io.BytesIO(content_of(source)), allow_pickle=False))
        except BadItemError:
            raise
        except Exception as error:
            raise BadItemError("cannot be read: it is not a .npy file of numbers") from error

    def key(self, source: Path | bytes | Numbers) -> str:
        """Return the path, or a hash of the content."""
        if isinstance(source, np.ndarray):
            return fingerprint_of(source.tobytes(), repr(source.shape))
        return file_key(source)

    def words(self, source: Path | bytes | Numbers) -> str:
        """Return the name of the file, or the shape and the first numbers."""
        if isinstance(source, np.ndarray):
            first = ", ".join(f"{value:.3g}" for value in source.ravel()[:4])
            shape = " × ".join(map(str, source.shape))
            return f"{shape} numbers: {first}{', …' if source.size > 4 else ''}"
        return file_name(source, "an array")

    def n_bytes(self, item: Numbers) -> int:
        """Return how much memory it takes."""
        return int(item.nbytes)

    def preview(self, item: Numbers, most_bytes: int) -> Preview:
        """Return a line plot of the numbers in order; several channels are averaged."""
        over_time = item.reshape(len(item), -1).mean(axis=1) if item.ndim > 1 else item
        caption = f"{' × '.join(map(str, item.shape))} numbers"
        return Preview(line(over_time, _COLOUR, caption))

    def units(self, item: Numbers, most: int) -> list[str]:
        """Return stretches along the first axis."""
        return [f"{some.start + 1}–{some.stop}" for some in stretches(len(item), most)]

    def mask(self, item: Numbers, keep: Mask) -> Numbers:
        """Return the array with its mean in the stretches left out."""
        found, mean = item.copy(), item.mean(axis=0)
        for some in left_out(stretches(len(item), len(keep)), keep):
            found[some] = mean
        return found


def _numbers(values: Any) -> Numbers:
    try:
        given = np.asarray(values)
        if given.dtype.kind in "cmM":
            # These would silently become numbers, without their imaginary part or unit.
            raise TypeError(given.dtype)
        found = np.atleast_1d(given.astype(np.float64))
    except (TypeError, ValueError, OverflowError) as error:
        raise BadItemError("the array does not hold numbers in rows of equal length") from error
    if not found.size or not np.isfinite(found).all():
        raise BadItemError("the array is empty or contains NaN or infinity")
    return found


MODALITY = NumberArray()
