"""Read the arrays and tables of a run, and check each against the sizes in its manifest.

Headers are read first. An array with another shape or type, indices out of range, or compressed
data is refused without being read.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image

from emap_core.errors import RunError, reason
from emap_core.methods.stored_arrays import Layout
from emap_core.runs.manifest import WHAT_TO_DO
from emap_core.runs.store import opened
from emap_core.types import AnyArray

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_MOST_PACKED = 200
_FREE_BYTES = 2**20
_THUMBNAIL_SIDE = 256
_PICTURE_SIDE = 4096


@dataclass
class Stored:
    """The files of one run.

    Parameters
    ----------
    run_id : str
        For messages.
    sizes : mapping
        Sizes of the axes, by letter.
    """

    run_id: str
    sizes: Mapping[str, int]
    _found: dict[str, int] = field(default_factory=dict)

    def arrays(self, path: Path, layouts: Mapping[str, Layout]) -> dict[str, AnyArray]:
        """Return the arrays of an npz file by name; arrays that no layout names are not read.

        Parameters
        ----------
        path : Path
        layouts : mapping

        Raises
        ------
        RunError
            If the file cannot be read, or an array is missing or does not fit.
        """
        with self._reading(path), opened(path) as file, zipfile.ZipFile(file) as archive:
            members = {one.filename.removesuffix(".npy"): one for one in archive.infolist()}
            found = {}
            for name, layout in layouts.items():
                if name not in members and layout.optional:
                    continue
                if name not in members:
                    raise ValueError(f"it has no array {name}")
                if members[name].compress_type != zipfile.ZIP_STORED:
                    raise ValueError(f"the array {name} is compressed")
                with archive.open(members[name]) as member:
                    header = _header(member, members[name].file_size)
                if header.dtype.kind not in ("iu" if layout.counts else "f"):
                    raise ValueError(f"the array {name} holds {header.dtype}")
                self._check_shape(name, header.shape, layout.axes)
                with archive.open(members[name]) as member:
                    found[name] = np.lib.format.read_array(member, allow_pickle=False)
                self._check_values(name, found[name], layout)
            return found

    def labels(
        self, path: Path, task: str, n_names: int, *, needed: bool = False
    ) -> AnyArray | None:
        """Return the labels of a run, or None if it has none.

        A label that is not a class of the model counts as wrong and is -1. With `needed`, a missing
        file is an error: the run has scores.

        Raises
        ------
        RunError
            If the file cannot be read, or does not fit the task.
        """
        with self._reading(path):
            try:
                file = opened(path)
            except FileNotFoundError:
                if needed:
                    raise
                return None
            with file:
                n_bytes = file.seek(0, io.SEEK_END)
                file.seek(0)
                header = _header(file, n_bytes)
                one_each = header.ndim == 1 and task in ("multiclass", "binary")
                if header.dtype.kind not in ("iu" if one_each else "biuf"):
                    raise ValueError(f"it holds {header.dtype}")
                self._check_shape("labels", header.shape, "N" if one_each else "NC")
                file.seek(0)
                labels: AnyArray = np.lib.format.read_array(file, allow_pickle=False)
            if task == "regression":
                least, most = -np.inf, np.inf
            else:
                least, most = (-1, n_names - 1) if one_each else (0, 1)
            if not (np.isfinite(labels) & (labels >= least) & (labels <= most)).all():
                raise ValueError(f"it holds labels outside {least} to {most}")
            return labels

    def thumbnails(self, path: Path, n_rows: int) -> list[bytes]:
        """Return the stored thumbnails in one chunk of the images; see `thumbnail`.

        Raises
        ------
        RunError
            If the file cannot be read, or holds something else.
        """
        return list(self.column(path, "thumbnail", "bytes", n_rows))

    def thumbnail(self, path: Path, chunk: list[bytes], row: int) -> bytes:
        """Return one of the `thumbnails` of a file.

        Raises
        ------
        RunError
            If it is not a small JPEG.
        """
        with self._reading(path):
            if not _is_jpeg(chunk[row], _THUMBNAIL_SIDE):
                raise ValueError(f"its image {row} is not a JPEG of at most 256 pixels")
        return chunk[row]

    def content(self, path: Path, n_rows: int, row: int, media_type: str) -> bytes:
        """Return the large preview of one item in a chunk, or nothing if none is kept.

        Raises
        ------
        RunError
            If the file cannot be read, or holds something else.
        """
        with self._reading(path):
            try:
                file = opened(path)
            except FileNotFoundError:
                return b""
            with file:
                table = self._table(file, path, "picture", "bytes", n_rows)
                if table.num_row_groups != n_rows:
                    raise ValueError("its pictures do not follow one another")
                content = table.read_row_group(row, ["picture"]).column(0)[0].as_py()
            begins = _BEGINNINGS.get(media_type, b"")
            if content and not content.startswith(begins):
                raise ValueError(f"its item {row} is not of type {media_type}")
            if content and media_type == "image/jpeg" and not _is_jpeg(content, _PICTURE_SIDE):
                raise ValueError(f"its image {row} is not a JPEG of at most 4,096 pixels")
            return content or b""

    def column(
        self, path: Path, name: str, kind: Literal["text", "bytes"], n_rows: int
    ) -> list[Any]:
        """Return a column of a parquet file.

        Raises
        ------
        RunError
            If the file cannot be read, or has no column of this name, kind and length.
        """
        with self._reading(path), opened(path) as file:
            table = self._table(file, path, name, kind, n_rows)
            values = table.read([name]).column(0)
            if values.null_count:
                raise ValueError(f"its column {name} has missing values")
            return list(values.to_pylist())

    def _table(
        self, file: Any, path: Path, name: str, kind: Literal["text", "bytes"], n_rows: int
    ) -> pq.ParquetFile:
        """Return a file after checking its column's kind, length and unpacked size."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        known = {
            "text": (pa.string(), pa.large_string()),
            "bytes": (pa.binary(), pa.large_binary()),
        }[kind]
        table = pq.ParquetFile(file)
        if table.metadata.num_rows != n_rows:
            raise ValueError(f"it has {table.metadata.num_rows:,} rows; expected {n_rows:,}")
        schema = table.schema_arrow
        if name not in schema.names:
            raise ValueError(f"it has no column {name}")
        if schema.field(name).type not in known:
            raise ValueError(f"its column {name} holds {schema.field(name).type}, not {kind}")
        unpacked = sum(
            table.metadata.row_group(i).column(schema.names.index(name)).total_uncompressed_size
            for i in range(table.metadata.num_row_groups)
        )
        if unpacked > _MOST_PACKED * path.stat().st_size + _FREE_BYTES:
            raise ValueError(f"its column {name} unpacks to {unpacked:,} bytes")
        return table

    @contextmanager
    def _reading(self, path: Path) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            # Decoders raise all kinds of errors on damaged files. NumPy takes what it does not know
            # for a pickle, and would say how to load one.
            why = getattr(error, "strerror", None) or reason(error)
            why = "it is not a file of arrays" if "pickle" in why else why
            raise RunError(
                f"{path.name} of run {self.run_id!r} cannot be read: {why}; {WHAT_TO_DO}"
            ) from error

    def _check_shape(
        self, name: str, shape: tuple[int, ...], axes: str | tuple[str | int, ...]
    ) -> None:
        if len(shape) != len(axes):
            raise ValueError(f"the array {name} has the shape {shape}")
        for axis, size in zip(axes, shape, strict=True):
            expected = axis if isinstance(axis, int) else self._size(axis, size)
            if size != expected:
                raise ValueError(
                    f"the array {name} has the shape {shape}; expected {expected:,} in place of "
                    f"{size:,}"
                )

    def _check_values(self, name: str, array: AnyArray, layout: Layout) -> None:
        if layout.counts:
            limit = self._size(layout.counts, 0)
            if array.size and not (array.min() >= 0 and array.max() < limit):
                raise ValueError(f"the array {name} holds numbers outside 0 to {limit - 1:,}")
        elif layout.finite and not np.isfinite(array).all():
            raise ValueError(f"the array {name} holds NaN")

    def _size(self, axis: str, found: int) -> int:
        return self.sizes[axis] if axis in self.sizes else self._found.setdefault(axis, found)


@dataclass(frozen=True)
class _Header:
    """Shape and type of an array that was not read."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def ndim(self) -> int:
        return len(self.shape)


_BEGINNINGS = {"image/gif": b"GIF8", "audio/wav": b"RIFF"}
"""First bytes of files of a media type."""


def _header(file: IO[bytes], n_bytes: int) -> _Header:
    try:
        version = np.lib.format.read_magic(file)
    except ValueError:
        raise ValueError("it is not a file of arrays") from None
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise ValueError(f"it has version {version} of the array format")
    shape, _, dtype = read(file)
    if dtype.hasobject or dtype.names:
        raise ValueError(f"it holds {dtype}")
    n_elements = 1
    for size in shape:
        n_elements *= size
    if n_elements * dtype.itemsize > n_bytes:
        raise ValueError(f"it is cut off: an array of shape {shape} is larger than its file")
    return _Header(tuple(shape), dtype)


def _is_jpeg(content: bytes, longest_side: int) -> bool:
    try:
        with Image.open(io.BytesIO(content), formats=["JPEG"]) as image:
            return max(image.size) <= longest_side
    except Exception:
        # Decoders raise all kinds of errors.
        return False
