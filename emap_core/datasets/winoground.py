"""Two texts and two images per example, as four pairs that form a group."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

from emap_core.allowed_folders import path_or_hub_id, roots_of_environment
from emap_core.datasets.hf import read_hf
from emap_core.datasets.table import Records
from emap_core.datasets.table_files import read_any
from emap_core.errors import DatasetError

_SIDES = ("0", "1")

_Label = Callable[[Mapping[str, Any], str, str], Any]
"""Takes a row and the sides of text and image; returns the label of their pair."""


def read_winoground(name: str, *, split: str | None = None) -> Records:
    """Return each caption of an example with each of its images, and whether they match.

    The label is ``yes`` if they match, for a model that gives one number per pair; use
    ``task=multiclass`` for a model with the classes no and yes. ``group`` says which four pairs
    belong together. Other columns are the example's.

    Parameters
    ----------
    name : str
        A table in a file, a folder saved by Hugging Face's library, or the id of a repository.
    split : str, optional
        A split of the last two.
    """
    texts, images = (tuple(f"{what}_{side}" for side in _SIDES) for what in ("caption", "image"))
    columns = {"text_column": "caption", "image_column": "image", "label_column": "match"}
    usual = {**columns, "id_column": "pair", "task": "binary", "classes": "no,yes"}
    return _pairs(
        name,
        split,
        texts,
        images,
        usual,
        lambda row, text, image: "yes" if text == image else "no",
        "id",
    )


def read_naturalbench(name: str, *, split: str | None = None) -> Records:
    """Return each question of an example with each of its images, and its answer.

    The answers to a question differ between the images, and the answers for an image between the
    questions. They are yes and no, or A and B for questions with two options; ``Question_Type``
    says which. ``group`` says which four belong together.

    Parameters
    ----------
    name, split : str
        As for `read_winoground`.
    """
    texts, images = (tuple(f"{what}_{side}" for side in _SIDES) for what in ("Question", "Image"))
    columns = {"text_column": "question", "image_column": "image", "label_column": "answer"}
    answers = [f"Image_{image}_Question_{text}" for text, image in product(_SIDES, _SIDES)]
    return _pairs(
        name,
        split,
        texts,
        images,
        {**columns, "id_column": "pair"},
        # The published data has both Yes and yes.
        lambda row, text, image: _in_one_case(row[f"Image_{image}_Question_{text}"]),
        "Index",
        answers,
    )


def _in_one_case(answer: Any) -> Any:
    return answer.strip().lower() if str(answer).strip().lower() in ("yes", "no") else answer


def _pairs(
    name: str,
    split: str | None,
    texts: tuple[str, ...],
    images: tuple[str, ...],
    usual: dict[str, str],
    label: _Label,
    number: str,
    answers: list[str] | None = None,
) -> Records:
    """Return the four pairs of each row, with their arguments for `load_table`.

    Parameters
    ----------
    name, split
        As for `read_winoground`.
    texts, images : tuple of str
        The two columns of each.
    usual : dict
        Maps arguments to columns of the pairs.
    label : callable
    number : str
        The column that names the row.
    answers : list of str, optional
        Columns of the four labels.
    """
    import pandas as pd

    path = path_or_hub_id(name, roots_of_environment())
    is_file = path is not None and path.is_file()
    found = read_any(name) if is_file else read_hf(name, split)
    needed = [*texts, *images, *(answers or ())]
    if missing := [column for column in needed if column not in found.table]:
        raise DatasetError(
            f"{found.source} has no column {', '.join(map(repr, missing))}; expected "
            f"{', '.join(needed)}"
        )
    text_name, image_name = usual["text_column"], usual["image_column"]
    rows: list[dict[str, Any]] = []
    names: list[str] = []
    for place, row in enumerate(found.table.to_dict("records"), start=1):
        example = row.get(number, place)
        rest = {str(key): value for key, value in row.items() if key not in needed}
        for text, image in product(_SIDES, _SIDES):
            rows.append(
                {
                    **rest,
                    text_name: row[texts[int(text)]],
                    image_name: row[images[int(image)]],
                    usual["label_column"]: label(row, text, image),
                    "group": str(example),
                    "pair": f"{example} {text_name} {text} image {image}",
                }
            )
            names.append(f"{text_name} {text} and image {image} in row {place} of {found.source}")
    pairs = pd.DataFrame(rows)
    pairs.attrs["rows"] = names
    return Records(pairs, found.source, found.folder, usual)
