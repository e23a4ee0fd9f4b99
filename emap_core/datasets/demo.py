"""``demo:NAME``: real data that comes with a package, ready without a download."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Literal

import numpy as np

from emap_core.dashboard_files import dashboard_folder
from emap_core.datasets import demo_digits
from emap_core.datasets.base import Examples, ImageFiles, fingerprint_of
from emap_core.errors import MissingExtraError, SettingError, SpecError

NAMES = ("easy-vqa", "easy-vqa-yes-no", "emoji-groups", "emoji-match", "digits")
"""What can follow ``demo:``."""

FOLDER = dashboard_folder() / "assets"
"""Folder of demo data that no other package provides."""

Split = Literal["test", "train"]


def load(name: str, split: Split = "test") -> Examples | demo_digits.Digits:
    """Return a demo dataset.

    Parameters
    ----------
    name : str
        ``easy-vqa``: questions about a coloured shape, 13 answers, by Victor Zhou (MIT licence);
        ``easy-vqa-yes-no``: the yes-or-no questions among them; ``emoji-groups``: which of nine
        groups an emoji belongs to, from its name and picture; ``emoji-match``: whether name and
        picture show the same emoji, true for half of the pairs, with two names and two pictures per
        group (pictures by Twitter, CC-BY 4.0); ``digits``: a question about a written and a spoken
        digit, three sides; see `emap_core.datasets.demo_digits.load`.
    split : {"test", "train"}
        The demo models were trained on ``train``.
    """
    if name == "digits":
        return demo_digits.load(split)
    if name not in NAMES:
        raise SpecError(f"there is no dataset 'demo:{name}'; choose one of {_listed()}")
    if split not in ("test", "train"):
        raise SettingError(f"split is {split!r}; expected 'test' or 'train'")
    return _emoji(name, split) if name.startswith("emoji") else _easy_vqa(name, split)


def _easy_vqa(name: str, split: Split) -> Examples:
    import pandas as pd

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
    files = {image: Path(path) for image, path in paths.items()}
    yes_no = name == "easy-vqa-yes-no"
    rows = [
        (row, *question)
        for row, question in enumerate(zip(*questions, strict=True))
        if not yes_no or question[1] in ("yes", "no")
    ]
    return Examples(
        texts=[text for _, text, _, _ in rows],
        images=ImageFiles([files[image] for *_, image in rows]),
        labels=[answer for _, _, answer, _ in rows],
        ids=[f"{split}-{row}" for row, *_ in rows],
        classes=["no", "yes"] if yes_no else easy_vqa.get_answers(),
        image_keys=[f"{split}-{image}" for *_, image in rows],
        columns=pd.DataFrame({"answer_type": [_kind_of(answer) for _, _, answer, _ in rows]}),
        fingerprint=fingerprint_of(f"easy-vqa {version('easy-vqa')}", name, split),
    )


def _kind_of(answer: str) -> str:
    if answer in ("yes", "no"):
        return "yes or no"
    return "shape" if answer in ("circle", "rectangle", "triangle") else "colour"


def _emoji(name: str, split: Split) -> Examples:
    import pandas as pd

    file = FOLDER / "emoji" / "emoji.parquet"
    if not file.is_file():
        raise SpecError(
            f"the data of 'demo:{name}' is not in {FOLDER}; install emap-lens again, or clone its "
            "repository"
        )
    table = pd.read_parquet(file, filters=[("split", "==", split)])
    names, ids = table["name"].tolist(), table["id"].tolist()
    content = file.read_bytes()
    if name == "emoji-groups":
        return Examples(
            texts=names,
            images=ImageFiles(table["image"].tolist(), [f"the picture of {n!r}" for n in names]),
            labels=table["group"].tolist(),
            ids=ids,
            image_keys=ids,
            columns=table[["subgroup"]],
            fingerprint=fingerprint_of(content, name, split),
        )
    # Every name and every picture is in one pair that matches and in one that does not: two names
    # with two pictures make a group; with an odd number, the last three make none.
    others = np.random.default_rng(0).permutation(len(table))
    strangers, groups = np.empty_like(others), [""] * len(table)
    n_grouped = len(others) - (3 if len(others) % 2 else 0)
    for couple in others[:n_grouped].reshape(-1, 2):
        strangers[couple] = couple[::-1]
        for one in couple:
            groups[one] = " ".join(ids[other] for other in couple)
    strangers[others[n_grouped:]] = np.roll(others[n_grouped:], 1)
    pairs = [pair for i in range(len(table)) for pair in ((i, i), (i, int(strangers[i])))]
    pictures = table["image"].tolist()
    return Examples(
        texts=[names[text] for text, _ in pairs],
        images=ImageFiles(
            [pictures[image] for _, image in pairs],
            [f"the picture of {names[image]!r}" for _, image in pairs],
        ),
        labels=["yes" if text == image else "no" for text, image in pairs],
        ids=[f"{ids[text]} {ids[image]}" for text, image in pairs],
        classes=["no", "yes"],
        task="binary",
        image_keys=[ids[image] for _, image in pairs],
        columns=pd.DataFrame({"group": [groups[text] for text, _ in pairs]}),
        fingerprint=fingerprint_of(content, name, split, "in groups"),
    )


def _listed() -> str:
    return ", ".join(f"demo:{name}" for name in NAMES)
