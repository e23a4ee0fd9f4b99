"""Sounds: samples of one channel, from WAV files, or from others with an optional package."""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

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
from emap_core.modalities.posters import line
from emap_core.types import Mask

MOST_SAMPLES = 200_000_000
"""Longer sounds are refused before decoding: an hour at 48,000 samples per second."""
RATES = (1_000, 768_000)
"""Smallest and largest sampling rate.

Resampling takes memory that grows with both rates, and a file can claim any rate.
"""
_COLOUR = "#009E73"


@dataclass(frozen=True, eq=False)
class Sound:
    """A sound of one channel.

    Attributes
    ----------
    samples : ndarray of shape (n,), float32
        From −1 to 1.
    rate : int
        Samples a second.
    """

    samples: NDArray[np.float32]
    rate: int

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / self.rate

    def resampled(self, rate: int) -> Sound:
        """Return the same sound at another sampling rate."""
        if rate == self.rate:
            return self
        import scipy.signal

        common = gcd(rate, self.rate)
        found = scipy.signal.resample_poly(self.samples, rate // common, self.rate // common)
        return Sound(found.astype(np.float32), rate)

    def wav(self) -> bytes:
        """Return the content of a 16-bit WAV file."""
        written = io.BytesIO()
        with wave.open(written, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(self.rate)
            file.writeframes((np.clip(self.samples, -1, 1) * 32767).astype("<i2").tobytes())
        return written.getvalue()


class Audio(Modality):
    """A `Sound`."""

    name: ClassVar[str] = "audio"
    plural: ClassVar[str] = "sounds"
    usual_names: ClassVar[tuple[str, ...]] = ("audio", "sound", "speech", "wav", "audio_path")
    suffixes: ClassVar[tuple[str, ...]] = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a")
    unit: ClassVar[str] = "stretches"
    media_type: ClassVar[str] = "audio/wav"

    def is_at_hand(self, cell: Any) -> bool:
        """Return whether a cell is clearly an item of this kind, by its type alone."""
        return isinstance(cell, (Sound, tuple)) or (isinstance(cell, dict) and "array" in cell)

    def source(self, cell: Any, find: FindFile) -> Path | bytes | Sound:
        """Return a file, its content, or the sound itself, also from a rate and samples."""
        if isinstance(cell, Sound):
            return cell
        if isinstance(cell, dict) and "array" in cell:
            cell = (cell.get("sampling_rate"), cell["array"])
        if isinstance(cell, tuple) and len(cell) == 2:
            try:
                return _sound(np.asarray(cell[1], dtype=np.float64).T, int(cell[0] or 0))
            except (TypeError, ValueError, OverflowError) as error:
                raise BadItemError(
                    "the sound is not a pair of samples and sampling rate; give both as numbers"
                ) from error
        return file_source("sound", cell, find)

    def open(self, source: Path | bytes | Sound) -> Sound:
        """Return the sound; WAV files with whole numbers need no optional package."""
        if isinstance(source, Sound):
            return source
        content = content_of(source)
        if content[:4] == b"RIFF" and content[8:12] == b"WAVE":
            try:
                return _of_wav(content)
            except wave.Error:
                # A WAV file with floats, or a compressed one.
                return _by_soundfile(content)
            except (EOFError, ValueError) as error:
                raise BadItemError(f"cannot be read: {str(error) or 'it is cut off'}") from error
        return _by_soundfile(content)

    def key(self, source: Path | bytes | Sound) -> str:
        """Return the path, or a hash of the content."""
        if isinstance(source, Sound):
            return fingerprint_of(source.samples.tobytes(), str(source.rate))
        return file_key(source)

    def words(self, source: Path | bytes | Sound) -> str:
        """Return the name of the file, or the length of the sound."""
        if isinstance(source, Sound):
            return f"a sound of {source.seconds:.1f} s"
        return file_name(source, "a sound")

    def n_bytes(self, item: Sound) -> int:
        """Return how much memory it takes."""
        return int(item.samples.nbytes)

    def preview(self, item: Sound, most_bytes: int) -> Preview:
        """Return the curve of the sound, and the sound at the highest sampling rate that fits."""
        poster = line(item.samples, _COLOUR, f"{item.seconds:.1f} s")
        for rate in (item.rate, 16_000, 8_000):
            if rate <= item.rate and 2 * item.seconds * rate + 44 <= max(most_bytes, 2**16):
                return Preview(poster, item.resampled(rate).wav())
        return Preview(poster)

    def units(self, item: Sound, most: int) -> list[str]:
        """Return stretches of time."""
        return [
            f"{some.start / item.rate:.1f}–{some.stop / item.rate:.1f} s"
            for some in stretches(len(item.samples), most)
        ]

    def mask(self, item: Sound, keep: Mask) -> Sound:
        """Return the sound with silence in the stretches left out."""
        samples = item.samples.copy()
        for some in left_out(stretches(len(samples), len(keep)), keep):
            samples[some] = 0.0
        return Sound(samples, item.rate)


def _of_wav(content: bytes) -> Sound:
    with wave.open(io.BytesIO(content)) as file:
        n_channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
        if file.getnframes() * n_channels > MOST_SAMPLES:
            raise BadItemError(f"has {file.getnframes():,} samples; at most {MOST_SAMPLES:,} fit")
        if width > 4:
            raise BadItemError(f"has samples of {8 * width} bits; save it with 16, 24 or 32")
        data = file.readframes(file.getnframes())
    data = data[: len(data) // (width * n_channels) * width * n_channels]
    if width == 1:
        values = np.frombuffer(data, np.uint8).astype(np.float64) - 128
    elif width == 3:
        # Three bytes become the upper three of four.
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        values = wide.view("<i4")[:, 0].astype(np.float64) / 256
    else:
        values = np.frombuffer(data, f"<i{width}").astype(np.float64)
    return _sound(values.reshape(-1, n_channels) / 2.0 ** (8 * width - 1), rate)


def _by_soundfile(content: bytes) -> Sound:
    try:
        import soundfile
    except ImportError:
        raise MissingExtraError(
            f"sounds other than WAV files with whole numbers need soundfile: {with_extra('audio')}"
        ) from None
    try:
        values, rate = soundfile.read(io.BytesIO(content), always_2d=True)
    except Exception as error:
        # Decoders raise all kinds of errors.
        raise BadItemError("cannot be read: it is not a sound in a known format") from error
    return _sound(values, int(rate))


def _sound(values: NDArray[Any], rate: int) -> Sound:
    """Return the mean of channels, shape (n, channels) or (n,), as a sound."""
    least, most = RATES
    if not values.size or values.ndim not in (1, 2) or not least <= rate <= most:
        raise BadItemError(
            f"has {values.size} samples at {rate} per second; give channels of samples, {least:,} "
            f"to {most:,} per second"
        )
    mixed = values.mean(axis=1) if values.ndim == 2 else values
    return Sound(mixed.astype(np.float32), rate)


MODALITY = Audio()
