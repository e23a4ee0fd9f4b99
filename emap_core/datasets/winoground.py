"""``winoground:FILE``: two images and two captions an example, as the four pairs of one each."""

from __future__ import annotations

from itertools import product
from typing import Any

import pandas as pd

from emap_core.datasets.hf import read_hf
from emap_core.datasets.table import Records
from emap_core.datasets.table_files import read_any
from emap_core.errors import DatasetError
from emap_core.roots import path_or_hub_id, roots_of_environment

_SIDES = ("0", "1")


def read_winoground(name: str, *, split: str | None = None) -> Records:
    """Return each caption of an example with each of its images, and whether the two match.

    The label is ``yes`` where they do, for a model that gives one number for a pair; with
    ``task=multiclass`` for one that has the classes no and yes. Other columns are those of the
    example.

    Parameters
    ----------
    name : str
        A table in a file, a folder that Hugging Face's library saved, or the id of a repository.
    split : str, optional
        Of the last two.
    """
    path = path_or_hub_id(name, roots_of_environment())
    is_file = path is not None and path.is_file()
    found = read_any(name) if is_file else read_hf(name, split)
    table = found.table
    needed = [f"{what}_{side}" for what in ("caption", "image") for side in _SIDES]
    if missing := [column for column in needed if column not in table]:
        raise DatasetError(
            f"{found.source} has no column {', '.join(map(repr, missing))}; expected "
            f"{', '.join(needed)}"
        )
    rows: list[dict[str, Any]] = []
    names: list[str] = []
    for number, row in enumerate(table.to_dict("records"), start=1):
        example = row.get("id", number)
        rest = {str(key): value for key, value in row.items() if key not in needed}
        for caption, image in product(_SIDES, _SIDES):
            rows.append(
                {
                    **rest,
                    "caption": row[f"caption_{caption}"],
                    "image": row[f"image_{image}"],
                    "match": "yes" if caption == image else "no",
                    "pair": f"{example} caption {caption} image {image}",
                }
            )
            names.append(f"caption {caption} and image {image} in row {number} of {found.source}")
    pairs = pd.DataFrame(rows)
    pairs.attrs["rows"] = names
    columns = {"text_column": "caption", "image_column": "image", "label_column": "match"}
    usual = {**columns, "id_column": "pair", "task": "binary", "classes": "no,yes"}
    return Records(pairs, found.source, found.folder, usual)
