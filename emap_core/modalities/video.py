"""Clips: evenly spaced frames of a video, read with an optional package."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emap_core.errors import MissingExtraError
from emap_core.installation import with_extra
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
from emap_core.modalities.kept_images import make_thumbnail
from emap_core.types import Mask

MOST_FRAMES = 32
"""How many frames of a clip are kept, evenly spaced."""
MOST_PIXELS = 320_000_000
"""Most pixels of all kept frames; more are refused before decoding."""
_SECONDS_A_FRAME = 0.2
_NOTHING_ELSE = {"format_whitelist": "mov,matroska,webm,avi", "protocol_whitelist": "data"}
"""Formats that libavformat may read.

Whatever its name, a file's content may also be a list of other files or a stream to listen to,
which would be opened wherever they are.
"""


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames of a video, evenly spaced.

    Attributes
    ----------
    frames : ndarray of shape (n, height, width, 3), uint8
    seconds : float
        Length of the video; 0 if unknown.
    """

    frames: NDArray[np.uint8]
    seconds: float = 0.0

    def evenly(self, n_frames: int) -> NDArray[np.uint8]:
        """Return this many frames, evenly spaced; some twice if there are fewer."""
        places = np.linspace(0, len(self.frames) - 1, n_frames).round().astype(int)
        return np.asarray(self.frames[places])


class Video(Modality):
    """A `Clip`."""

    name: ClassVar[str] = "video"
    plural: ClassVar[str] = "videos"
    usual_names: ClassVar[tuple[str, ...]] = ("video", "clip", "video_path", "mp4")
    suffixes: ClassVar[tuple[str, ...]] = (".mp4", ".webm", ".mov", ".avi", ".mkv")
    unit: ClassVar[str] = "frames"
    media_type: ClassVar[str] = "image/gif"

    def is_at_hand(self, cell: Any) -> bool:
        """Return whether a cell is clearly an item of this kind, by its type alone."""
        return isinstance(cell, Clip) or (
            isinstance(cell, np.ndarray) and cell.dtype == np.uint8 and cell.ndim == 4
        )

    def source(self, cell: Any, find: FindFile) -> Path | bytes | Clip:
        """Return a file, its content, or frames as an array of shape (n, height, width, 3)."""
        if isinstance(cell, Clip):
            return cell
        if isinstance(cell, np.ndarray):
            if cell.ndim != 4 or cell.shape[-1] != 3 or cell.dtype != np.uint8 or not len(cell):
                raise BadItemError(
                    f"the video is an array of {cell.dtype} of shape {cell.shape}; give whole "
                    "numbers from 0 to 255 of type uint8, shape (frames, height, width, 3)"
                )
            return Clip(cell)
        return file_source("video", cell, find)

    def open(self, source: Path | bytes | Clip) -> Clip:
        """Return evenly spaced frames of the video."""
        if isinstance(source, Clip):
            return source
        content = content_of(source)
        try:
            import av
        except ImportError:
            raise MissingExtraError(f"videos need PyAV: {with_extra('video')}") from None
        try:
            return _decoded(av, content)
        except BadItemError:
            raise
        except Exception as error:
            # Decoders raise all kinds of errors.
            raise BadItemError("cannot be read: it is not a video in a known format") from error

    def key(self, source: Path | bytes | Clip) -> str:
        """Return the path, or a hash of the content."""
        if isinstance(source, Clip):
            return fingerprint_of(source.frames.tobytes(), repr(source.frames.shape))
        return file_key(source)

    def words(self, source: Path | bytes | Clip) -> str:
        """Return the name of the file, or the number of frames."""
        if isinstance(source, Clip):
            return f"a video of {len(source.frames)} frames"
        return file_name(source, "a video")

    def n_bytes(self, item: Clip) -> int:
        """Return how much memory it takes."""
        return int(item.frames.nbytes)

    def preview(self, item: Clip, most_bytes: int) -> Preview:
        """Return the middle frame, and an animation of a few frames."""
        poster = make_thumbnail(Image.fromarray(item.frames[len(item.frames) // 2]))
        content = _moving(item.evenly(min(len(item.frames), 12)))
        return Preview(poster, content if len(content) <= max(most_bytes, 2**17) else b"")

    def units(self, item: Clip, most: int) -> list[str]:
        """Return frames, or stretches of neighbouring frames if there are more."""
        return [
            f"frame {some.start + 1}"
            if some.stop - some.start == 1
            else f"frames {some.start + 1}–{some.stop}"
            for some in stretches(len(item.frames), most)
        ]

    def mask(self, item: Clip, keep: Mask) -> Clip:
        """Return the clip with its mean colour in the frames left out."""
        frames = item.frames.copy()
        for some in left_out(stretches(len(frames), len(keep)), keep):
            frames[some] = item.frames.mean(axis=(0, 1, 2)).astype(np.uint8)
        return Clip(frames, item.seconds)


def _decoded(av: Any, content: bytes) -> Clip:
    with av.open(io.BytesIO(content), options=_NOTHING_ELSE) as file:
        stream = file.streams.video[0]
        if stream.width * stream.height * MOST_FRAMES > MOST_PIXELS:
            raise BadItemError(
                f"has frames of {stream.width:,} × {stream.height:,} pixels, too many for memory"
            )
        expected = stream.frames or 0
        # If the file has no count, every frame must be visited to count them.
        if not expected:
            expected = sum(1 for _ in file.decode(stream))
            file.seek(0)
        wanted = set(np.linspace(0, expected - 1, min(MOST_FRAMES, expected)).round().astype(int))
        frames = [
            frame.to_ndarray(format="rgb24")
            for number, frame in enumerate(file.decode(stream))
            if number in wanted
        ]
        seconds = float(stream.duration * stream.time_base) if stream.duration else 0.0
    return Clip(np.stack(frames), seconds)


def _moving(frames: NDArray[np.uint8]) -> bytes:
    images = [Image.fromarray(frame) for frame in frames]
    for image in images:
        image.thumbnail((256, 256))
    written = io.BytesIO()
    images[0].save(
        written,
        "GIF",
        save_all=True,
        append_images=images[1:],
        duration=int(1000 * _SECONDS_A_FRAME),
        loop=0,
    )
    return written.getvalue()


MODALITY = Video()
