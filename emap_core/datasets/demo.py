"""``demo:NAME``: real data that comes with a package, ready without a download."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Literal

from emap_core.datasets.base import Examples, ImageFiles, fingerprint_of
from emap_core.errors import MissingExtraError, SettingError, SpecError

NAMES = ("easy-vqa", "easy-vqa-yes-no")
"""What can follow ``demo:``."""

Split = Literal["test", "train"]


def load(name: str, split: Split = "test") -> Examples:
    """Return a demo dataset.

    Parameters
    ----------
    name : str
        ``easy-vqa``: questions about a coloured shape, 13 answers, by Victor Zhou (MIT licence);
        ``easy-vqa-yes-no``: those answered by yes or no.
    split : {"test", "train"}
        The demo models were trained on ``train``.
    """
    if name not in NAMES:
        raise SpecError(f"there is no dataset 'demo:{name}'; there are {_listed()}")
    if split not in ("test", "train"):
        raise SettingError(f"split is {split!r}; expected 'test' or 'train'")
    try:
        import easy_vqa
    except ImportError as error:
        raise MissingExtraError(
            f"dataset 'demo:{name}' needs the package easy-vqa: pip install easy-vqa==1.0"
        ) from error
    questions, paths = (
        (easy_vqa.get_test_questions(), easy_vqa.get_test_image_paths())
        if split == "test"
        else (easy_vqa.get_train_questions(), easy_vqa.get_train_image_paths())
    )
    yes_no = name == "easy-vqa-yes-no"
    rows = [
        (row, *question)
        for row, question in enumerate(zip(*questions, strict=True))
        if not yes_no or question[1] in ("yes", "no")
    ]
    return Examples(
        texts=[text for _, text, _, _ in rows],
        images=ImageFiles([Path(paths[image]) for *_, image in rows]),
        labels=[answer for _, _, answer, _ in rows],
        ids=[f"{split}-{row}" for row, *_ in rows],
        classes=["no", "yes"] if yes_no else easy_vqa.get_answers(),
        image_keys=[f"{split}-{image}" for *_, image in rows],
        fingerprint=fingerprint_of(f"easy-vqa {version('easy-vqa')}", name, split),
    )


def _listed() -> str:
    return ", ".join(f"demo:{name}" for name in NAMES)
