"""Image regions from a detector: their features and, for some models, their boxes."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emap_core.datasets.base import fingerprint_of
from emap_core.datasets.table_values import BadValueError, is_missing, read_path
from emap_core.environment import whole_number
from emap_core.errors import DatasetError, EmapError, reason

NAMES = ("features", "boxes")
"""Names of the arrays of regions."""

MAX_REGION_BYTES = 64 * 2**20
"""More bytes for one image are refused unread, unless ``EMAP_MAX_REGION_BYTES`` is higher."""

Regions = dict[str, NDArray[np.float32]]
"""``features``, shape (regions, F), and perhaps ``boxes``, shape (regions, 4)."""

Stored = Path | bytes | Mapping[str, Any]
"""Regions as an .npz file, its content, or arrays or nested lists under the same names."""

_EXPECTED = "expected numbers, features of shape (regions, F) and boxes of shape (regions, 4)"
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class RegionFiles(Sequence[Regions]):
    """Regions, read from where they are stored when indexed, never all at once.

    Parameters
    ----------
    stored : sequence of Path, bytes or mapping
    names : sequence of str
        What to call the regions of each image in messages.
    """

    def __init__(self, stored: Sequence[Stored], names: Sequence[str]) -> None:
        self.stored = list(stored)
        self.names = list(names)

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return RegionFiles(self.stored[index], self.names[index])
        try:
            return load_regions(self.stored[index])
        except BadValueError as error:
            raise DatasetError(f"{self.names[index]}: {error}") from error


def load_regions(stored: Stored) -> Regions:
    """Return the regions of one image.

    Raises
    ------
    BadValueError
        If they do not exist, or are not numbers with fitting shapes.
    """
    if isinstance(stored, Mapping):
        found = {n: stored[n] for n in NAMES if stored.get(n) is not None}
    else:
        check_region_file(stored)
        with _opened(stored) as archive:
            found = {name: _array(archive, name) for name in _named(archive)}
    try:
        regions = {name: _numbers(values) for name, values in found.items()}
    except (TypeError, ValueError) as error:
        raise BadValueError(f"the regions are not arrays of numbers; {_EXPECTED}") from error
    _check_shapes({name: values.shape for name, values in regions.items()})
    for name, values in regions.items():
        if not np.isfinite(values).all():
            raise BadValueError(f"the regions' {name} hold NaN or infinity")
    return regions


def check_region_file(stored: Path | bytes) -> int:
    """Return the number of features per region from the headers of a file, without reading it all.

    Raises
    ------
    BadValueError
        If it does not exist, is not a valid .npz file, is too large or has arrays of other shapes.
    """
    shapes = {}
    with _opened(stored) as archive:
        most = whole_number("EMAP_MAX_REGION_BYTES", MAX_REGION_BYTES)
        for name in _named(archive):
            member = archive.getinfo(f"{name}.npy")
            if member.file_size > most:
                raise BadValueError(
                    f"the regions' {name} have {member.file_size:,} bytes, more than the {most:,} "
                    "that are allowed (EMAP_MAX_REGION_BYTES)"
                )
            with archive.open(member) as opened:
                shape, _, kind = _HEADERS[np.lib.format.read_magic(opened)](opened)
            if kind.kind not in "biuf":
                raise BadValueError(f"the regions' {name} have type {kind}; {_EXPECTED}")
            if member.file_size < kind.itemsize * int(np.prod(shape, dtype=object)):
                raise BadValueError(f"the regions' {name} end before they are complete")
            shapes[name] = shape
    return _check_shapes(shapes)


def regions_reader(folder: Path, whole: bool = False) -> Callable[[Any], Stored]:
    """Return a function that reads a column of regions, which must have equally many features.

    Only the headers of files are read unless `whole` is true.
    """
    checked: dict[Any, Stored] = {}
    widths: list[int] = []

    def read(value: Any) -> Stored:
        stored = _stored(value, folder)
        key = key_of_regions(stored)
        if key not in checked:
            if isinstance(stored, Path | bytes):
                width = check_region_file(stored)
                if whole:
                    load_regions(stored)
            else:
                width = stored["features"].shape[1]
            if width != (widths or [width])[0]:
                raise BadValueError(
                    f"the regions have {width:,} features, but those above have {widths[0]:,}"
                )
            widths.append(width)
            checked[key] = stored
        return checked[key]

    return read


def _stored(value: Any, folder: Path) -> Stored:
    if is_missing(value):
        raise BadValueError("there are no regions")
    if isinstance(value, dict):
        return load_regions(value)
    if isinstance(value, bytes):
        return value
    path = read_path("file of regions", value, folder)
    if path.suffix.lower() != ".npz":
        raise BadValueError(f"the regions are in {str(value)[:60]!r}; expected an .npz file")
    return path


def look_like_regions(values: Sequence[Any]) -> bool:
    """Return whether all non-empty cells of a column hold .npz paths or ``features``."""
    held = [value for value in values if not is_missing(value)]
    return bool(held) and all(
        "features" in value
        if isinstance(value, dict)
        else isinstance(value, str) and value.strip().lower().endswith(".npz")
        for value in held
    )


def key_of_regions(stored: Stored) -> str:
    """Return a string that identifies regions: the path, or a hash of the content."""
    if isinstance(stored, Path):
        return str(stored)
    if isinstance(stored, bytes):
        return fingerprint_of(stored)
    parts = [(name, str(values.shape), values.tobytes()) for name, values in stored.items()]
    return fingerprint_of(*(part for one in parts for part in one))


def _named(archive: zipfile.ZipFile) -> list[str]:
    return [name for name in NAMES if f"{name}.npy" in archive.namelist()]


def _array(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    with archive.open(f"{name}.npy") as opened:
        array: NDArray[Any] = np.lib.format.read_array(opened, allow_pickle=False)
    return array


@contextmanager
def _opened(stored: Path | bytes) -> Iterator[zipfile.ZipFile]:
    what = "the regions" if isinstance(stored, bytes) else f"the file {stored}"
    try:
        with zipfile.ZipFile(BytesIO(stored) if isinstance(stored, bytes) else stored) as archive:
            yield archive
    except (BadValueError, EmapError):
        raise
    except FileNotFoundError as error:
        raise BadValueError(f"{what} does not exist") from error
    except zipfile.BadZipFile as error:
        raise BadValueError(f"{what} cannot be read: it is not a valid .npz file") from error
    except Exception as error:
        # Malicious files raise all kinds of errors in the readers.
        raise BadValueError(f"{what} cannot be read: {reason(error)}") from error


def _numbers(values: Any) -> NDArray[np.float32]:
    if isinstance(values, np.ndarray) and values.dtype == object:
        # Arrow gives an array of arrays for a list of lists.
        values = np.stack([np.asarray(row, np.float32) for row in values])
    return np.asarray(values, np.float32)


def _check_shapes(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Return the number of features of a region."""
    if "features" not in shapes:
        raise BadValueError(f"the regions have no 'features'; {_EXPECTED}")
    features, boxes = shapes["features"], shapes.get("boxes")
    if len(features) != 2 or not all(features):
        raise BadValueError(f"the regions' features have shape {features}; {_EXPECTED}")
    if boxes is not None and (len(boxes) != 2 or boxes[0] != features[0]):
        raise BadValueError(
            f"the regions' boxes have shape {boxes}, their features {features}; {_EXPECTED}"
        )
    return features[1]
