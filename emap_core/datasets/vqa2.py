"""``vqa2:QUESTIONS,ANNOTATIONS``: the two files of VQA v2, joined, and its images."""

from __future__ import annotations

from dataclasses import replace

from emap_core.datasets.joins import join_on
from emap_core.datasets.table import Records
from emap_core.datasets.table_files import read_json
from emap_core.errors import SpecError


def read_vqa2(name: str) -> Records:
    """Return the questions of VQA v2 with the annotators' answers and the names of its images.

    The label is all annotators' answers; ``multiple_choice_answer`` is the most frequent one.
    Images have COCO's names, ``val2014/COCO_val2014_000000000042.jpg``.

    Parameters
    ----------
    name : str
        The file of questions and, except for a test set, a comma and the file of annotations.
    """
    files = vqa2_files(name)
    if not 1 <= len(files) <= 2:
        raise SpecError(
            f"dataset 'vqa2:{name}' names {len(files)} files; expected vqa2:QUESTIONS,ANNOTATIONS"
        )
    found = read_json(files[0], records="questions")
    columns = {"text_column": "question", "id_column": "question_id"}
    # The images of test-dev are some of the test set's.
    if part := found.table.attrs["stated"].get("data_subtype", "").replace("-dev", ""):
        columns["image_pattern"] = f"{part}/COCO_{part}_{{image_id:012d}}.jpg"
    if len(files) == 2:
        answers = read_json(files[1], records="annotations")
        found = join_on(found, answers, "question_id", "question_id")
        columns["label_column"] = "answers"
    return replace(found, columns=columns)


def vqa2_files(name: str) -> list[str]:
    """Return the files named by such a spec."""
    return [one for one in name.split(",") if one]
