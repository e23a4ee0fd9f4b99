"""Speak the digits 0 to 9 with espeak-ng in fifteen voices and write WAV files and their list.

apt-get install espeak-ng
python assets/demo_data/digits/build.py

Each sound is cut to what is heard, taken to 8,000 samples a second and brought to one loudness.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parents[2]))

from emap_core.modalities import modality  # noqa: E402
from emap_core.modalities.audio import Sound  # noqa: E402

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
RATE = 8_000
LOUDEST = 0.8
HEARD = 0.02
"""Of the loudest sample; what is softer at either end is cut off."""

VOICES = (
    # Accent and speaker of espeak-ng, words a minute, pitch from 0 to 99, split.
    ("en-us", 160, 50, "train"),
    ("en-gb+f2", 150, 60, "train"),
    ("en-gb-scotland+m3", 170, 40, "train"),
    ("en-gb-x-rp+f4", 145, 65, "train"),
    ("en-029+f1", 155, 55, "train"),
    ("en-us-nyc+m1", 180, 35, "train"),
    ("en-gb-x-gbclan+m7", 150, 45, "train"),
    ("en-gb-x-gbcwmd+f3", 165, 70, "train"),
    ("en-us+m5", 175, 30, "train"),
    ("en-gb+m6", 140, 50, "train"),
    ("en-gb-x-rp+m2", 160, 40, "test"),
    ("en-us+f1", 150, 60, "test"),
    ("en-gb-scotland+f2", 165, 65, "test"),
    ("en-029+m4", 155, 45, "test"),
    ("en-us-nyc+f4", 170, 55, "test"),
)


def main() -> None:
    """Write a WAV file for each voice and digit, and digits.csv, which lists them."""
    rows = []
    for voice, speed, pitch, split in VOICES:
        for digit, word in enumerate(WORDS):
            file = f"{digit}_{voice.replace('+', '_')}.wav"
            (FOLDER / file).write_bytes(_trimmed(_spoken(word, voice, speed, pitch)).wav())
            rows.append((file, digit, voice, speed, pitch, split))
    columns = ["file", "digit", "voice", "words_a_minute", "pitch", "split"]
    pd.DataFrame(rows, columns=columns).to_csv(FOLDER / "digits.csv", index=False)


def _spoken(word: str, voice: str, speed: int, pitch: int) -> Sound:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "spoken.wav"
        asked = ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "-w", str(file)]
        subprocess.run([*asked, word], check=True)  # noqa: S603 - the words and voices above
        sound: Sound = modality("audio").open(file)
    return sound


def _trimmed(sound: Sound) -> Sound:
    found = sound.resampled(RATE).samples
    loudest = np.abs(found).max()
    heard = np.flatnonzero(np.abs(found) > HEARD * loudest)
    return Sound(found[heard[0] : heard[-1] + 1] * np.float32(LOUDEST / loudest), RATE)


if __name__ == "__main__":
    main()
