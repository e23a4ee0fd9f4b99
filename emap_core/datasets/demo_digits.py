"""``demo:digits``: a question about a written and a spoken digit, data with three sides.

Each of three kinds of question is asked both ways, such as *even* and *odd*, so that no answer
and no digit pays by itself. Whether the sum is even depends on question, written and spoken digit
all together; which digit is larger, mostly on pairs of them; whether they are the same, mostly on
the question alone, since digits rarely are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emap_core.dashboard_files import dashboard_folder
from emap_core.datasets.base import fingerprint_of
from emap_core.errors import SettingError, SpecError
from emap_core.modalities import modality
from emap_core.types import Index, Task

if TYPE_CHECKING:
    import pandas as pd

FOLDER = dashboard_folder() / "assets" / "demo_data" / "digits"
"""The spoken digits and their list."""

SIDES = {"question": "text", "written": "image", "spoken": "audio"}
"""Names of the sides, in order, and the modality of each."""

_Answer = Callable[[Index, Index], NDArray[np.bool_]]

QUESTIONS: dict[str, tuple[str, _Answer]] = {
    "Is the sum even?": ("parity", lambda written, spoken: (written + spoken) % 2 == 0),
    "Is the sum odd?": ("parity", lambda written, spoken: (written + spoken) % 2 == 1),
    "Is the written digit larger?": ("order", lambda written, spoken: written > spoken),
    "Is the spoken digit larger?": ("order", lambda written, spoken: written < spoken),
    "Are the digits the same?": ("sameness", lambda written, spoken: written == spoken),
    "Are the digits different?": ("sameness", lambda written, spoken: written != spoken),
}
"""The questions: the kind of each, and whether the answer is yes for two arrays of digits."""

N_TEST_IMAGES = 10
"""Test images of each digit; models are trained on the others."""

Split = Literal["test", "train"]


@dataclass(frozen=True, eq=False)
class Digits:
    """N examples of a question, a picture, a sound and an answer.

    Attributes
    ----------
    items : dict of str to list
        The unique items of each side, in order: strings, PIL images, `Sound`.
    index : dict of str to ndarray of shape (N,)
        Number of each example's item, by side.
    keys : dict of str to list of str
        The key of each of `items`.
    labels : list of str
        ``yes`` or ``no``.
    ids : list of str
    columns : DataFrame
        One row per example: kind of question, both digits, voice.
    fingerprint : str
    """

    items: dict[str, list[Any]]
    index: dict[str, Index]
    keys: dict[str, list[str]]
    labels: list[str]
    ids: list[str]
    columns: pd.DataFrame
    fingerprint: str
    modalities: ClassVar[dict[str, str]] = SIDES
    classes: ClassVar[list[str]] = ["no", "yes"]
    task: ClassVar[Task] = "binary"

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def sides(self) -> dict[str, list[Any]]:
        """The item of each example, by side."""
        return {
            side: [self.items[side][number] for number in numbers]
            for side, numbers in self.index.items()
        }


def load(split: Split = "test") -> Digits:
    """Return the written digits of scikit-learn with digits spoken by espeak-ng.

    Parameters
    ----------
    split : {"test", "train"}
        The two have no image and no voice in common. The demo models were trained on ``train``.
        ``test``: 6 questions, 100 images, 50 sounds, 600 examples; ``train``: the same questions,
        1,697 images, 100 sounds, 10,182 examples. Every question meets every image once.
    """
    import pandas as pd

    if split not in ("test", "train"):
        raise SettingError(f"split is {split!r}; expected 'test' or 'train'")
    written, pictures, image_keys = _written(split)
    spoken, files, voices = _spoken(split)

    rng = np.random.default_rng(0)
    n_images, n_sounds = len(written), len(spoken)
    each_sound = np.arange(n_images) % n_sounds
    index = {
        "question": np.repeat(np.arange(len(QUESTIONS)), n_images),
        "written": np.tile(np.arange(n_images), len(QUESTIONS)),
        "spoken": np.concatenate([rng.permutation(each_sound) for _ in QUESTIONS]),
    }
    first, second = written[index["written"]], spoken[index["spoken"]]
    kinds, answers = zip(*QUESTIONS.values(), strict=True)
    is_yes = np.choose(index["question"], [answer(first, second) for answer in answers])
    columns = pd.DataFrame(
        {
            "kind": [kinds[number] for number in index["question"]],
            "written_digit": first,
            "spoken_digit": second,
            "voice": [voices[number] for number in index["spoken"]],
        }
    )
    open_sound = modality("audio").open
    return Digits(
        items={
            "question": list(QUESTIONS),
            "written": pictures,
            "spoken": [open_sound(file) for file in files],
        },
        index=index,
        keys={
            "question": list(QUESTIONS),
            "written": image_keys,
            "spoken": [file.stem for file in files],
        },
        labels=np.where(is_yes, "yes", "no").tolist(),
        ids=[f"{split}-{row}" for row in range(len(is_yes))],
        columns=columns,
        fingerprint=fingerprint_of(
            *(picture.tobytes() for picture in pictures),
            *(file.read_bytes() for file in files),
            *QUESTIONS,
            split,
        ),
    )


def _written(split: Split) -> tuple[Index, list[Image.Image], list[str]]:
    """Return the written digits, their pictures of 64 × 64, dark on white, and their keys."""
    from sklearn.datasets import load_digits

    found = load_digits()
    digits = np.asarray(found.target, dtype=np.intp)
    rng = np.random.default_rng(0)
    test = [rng.choice(np.flatnonzero(digits == k), N_TEST_IMAGES, False) for k in range(10)]
    is_test = np.isin(np.arange(len(digits)), np.concatenate(test))
    chosen = np.flatnonzero(is_test == (split == "test"))
    # 16 is full ink.
    shades = np.rint(255 * (1 - found.images[chosen] / 16)).astype(np.uint8)
    large = shades.repeat(8, axis=1).repeat(8, axis=2)
    pictures = [Image.fromarray(picture).convert("RGB") for picture in large]
    return digits[chosen], pictures, [f"written-{number}" for number in chosen]


def _spoken(split: Split) -> tuple[Index, list[Path], list[str]]:
    """Return the spoken digits, their sound files and their voices."""
    import pandas as pd

    listed = FOLDER / "digits.csv"
    if not listed.is_file():
        raise SpecError(
            f"the data of 'demo:digits' is not in {FOLDER}; install emap-lens again, or clone its "
            "repository"
        )
    table = pd.read_csv(listed)
    table = table[table["split"] == split]
    files = [FOLDER / file for file in table["file"]]
    return table["digit"].to_numpy(np.intp), files, table["voice"].tolist()
