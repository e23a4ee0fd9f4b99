"""Public data sets in their own layouts, each built small, with the command that runs it.

`docs/layouts.md` lists the commands. Columns, names of files and folders are those of the
originals; pictures, texts and answers are invented.
"""

from __future__ import annotations

import base64
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

N = 6


@dataclass(frozen=True)
class Layout:
    """A data set as it is distributed.

    Attributes
    ----------
    name : str
    write : callable
        Writes it into the working folder; what it returns stands for SERVER in the command.
    command : str
        What follows ``--model …`` on the command line.
    shape : (int, int, int)
        Examples, unique texts and unique images that are to be read; of other sides, items of the
        first and of the second.
    text : str
        The first text that is to be read; of other sides, the words of the first item.
    labels : list of str
        The first two labels that are to be read, as names of classes.
    told : str
        What is to be said before the run, beside what the text is taken from.
    outputs : tuple of str
        The model's, where the data have no classes or it gives one number.
    """

    name: str
    write: Callable[[], None]
    command: str
    shape: tuple[int, int, int]
    text: str
    labels: tuple[str, ...] = ("no", "yes")
    told: str = ""
    outputs: tuple[str, ...] = ()


class Anything:
    """A model of whatever classes the data has."""

    def __init__(self, classes=None):
        self.classes = classes
        self.fingerprint = f"anything {classes}"

    def with_classes(self, classes):
        return Anything(list(classes))

    def __call__(self, *sides):
        weights = 9.0 ** -np.arange(len(sides))
        numbers = [weights @ [sized(item) for item in items] for items in zip(*sides, strict=True)]
        return np.sin(np.outer(numbers, np.arange(1, 1 + len(self.classes or "x"))))


def sized(item: str | Image.Image) -> float:
    return len(item) if isinstance(item, str) else float(np.asarray(item).mean())


def picture(number: int, kind: str = "JPEG") -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (8, 6), (40 * number, 255 - 40 * number, 20)).save(written, kind)
    return written.getvalue()


def put(path: str, content: bytes | str) -> None:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())


def put_json(path: str, held: object) -> None:
    put(path, json.dumps(held))


def put_lines(path: str, rows: list[dict]) -> None:
    put(path, "".join(json.dumps(row) + "\n" for row in rows))


def put_parquet(path: str, rows: list[dict]) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_parquet(path)


def on_the_hub(number: int, kind: str = "JPEG") -> dict:
    """Return an image as parquet files of the hub hold it."""
    return {"bytes": picture(number, kind), "path": None}


def ten(answer: str, other: str) -> list[dict]:
    return [
        {"answer": answer if i < 7 else other, "answer_confidence": "yes", "answer_id": i + 1}
        for i in range(10)
    ]


def vqa2() -> None:
    head = {"info": {"year": 2017}, "task_type": "Open-Ended", "data_type": "mscoco"}
    questions, annotations = [], []
    for i in range(N):
        image, key = 42 + i // 2, 1000 * (42 + i // 2) + i % 2
        questions.append({"image_id": image, "question": f"Is it {i}?", "question_id": key})
        annotations.append(
            {
                "question_type": "is it",
                "multiple_choice_answer": "yes" if i % 2 else "no",
                "answers": ten("yes" if i % 2 else "no", "maybe"),
                "image_id": image,
                "answer_type": "yes/no",
                "question_id": key,
            }
        )
        put(f"coco/val2014/COCO_val2014_{image:012d}.jpg", picture(i // 2))
    said = {"data_subtype": "val2014", "license": {}}
    put_json("v2_OpenEnded_mscoco_val2014_questions.json", {**head, "questions": questions, **said})
    put_json("v2_mscoco_val2014_annotations.json", {**head, "annotations": annotations, **said})


def vqa2_hub() -> None:
    put_parquet(
        "VQAv2/validation-00000-of-00068.parquet",
        [
            {
                "question_type": "is it",
                "multiple_choice_answer": "yes" if i % 2 else "no",
                "answers": ten("yes" if i % 2 else "no", "maybe"),
                "image_id": 42 + i // 2,
                "answer_type": "yes/no",
                "question_id": 42000 + i,
                "question": f"Is it {i}?",
                "image": on_the_hub(i // 2),
            }
            for i in range(N)
        ],
    )


def gqa() -> None:
    put_json(
        "questions1.2/testdev_balanced_questions.json",
        {
            f"2013{i:05d}": {
                "semantic": [{"operation": "select", "dependencies": [], "argument": "x"}],
                "entailed": [],
                "equivalent": [f"2013{i:05d}"],
                "question": f"Is it {i}?",
                "imageId": f"n16{i // 2}",
                "isBalanced": True,
                "groups": {"global": None, "local": "x"},
                "answer": "yes" if i % 2 else "no",
                "semanticStr": "select: x",
                "annotations": {"question": {}, "answer": {}, "fullAnswer": {}},
                "types": {"detailed": "existC", "semantic": "obj", "structural": "verify"},
                "fullAnswer": "Yes, it is.",
            }
            for i in range(N)
        },
    )
    for i in range(N // 2):
        put(f"images/n16{i}.jpg", picture(i))


def clevr() -> None:
    rows = []
    for i in range(N):
        name = f"CLEVR_val_{i // 2:06d}.png"
        put(f"CLEVR_v1.0/images/val/{name}", picture(i // 2, "PNG"))
        rows.append(
            {
                "image_index": i // 2,
                "program": [{"inputs": [], "function": "scene", "value_inputs": []}],
                "question_index": i,
                "image_filename": name,
                "question_family_index": 47,
                "split": "val",
                "answer": str(i % 2),
                "question": f"How many things are {i}?",
            }
        )
    info = {"split": "val", "license": "CC BY", "version": "1.0", "date": "2/14/2017"}
    put_json("CLEVR_v1.0/questions/CLEVR_val_questions.json", {"info": info, "questions": rows})


def aokvqa() -> None:
    put_json(
        "aokvqa_v1p0_val.json",
        [
            {
                "split": "val",
                "image_id": 461751 + i,
                "question_id": f"22jbM6gDxdaMaunuzgrs{i}",
                "question": f"What is {i}?",
                "choices": ["toothpick", "food", "popsicle stick", "cigarette"],
                "correct_choice_idx": i % 4,
                "direct_answers": ["cigarette"] * 10,
                "difficult_direct_answer": False,
                "rationales": ["It is."] * 3,
            }
            for i in range(N)
        ],
    )
    for i in range(N):
        put(f"coco/val2017/{461751 + i:012d}.jpg", picture(i))


def vqa_rad() -> None:
    answers = ["Yes", "yes", "No ", "No", "no", "Yes"]
    put_json(
        "VQA_RAD Dataset Public.json",
        [
            {
                "qid": str(i),
                "phrase_type": "freeform",
                "qid_linked_id": f"03f451ca-de62-4617-9679-e836026a7642-{i}",
                "image_case_url": f"https://medpix.nlm.nih.gov/case?id={i}",
                "image_name": f"synpic5461{i}.jpg",
                "image_organ": "HEAD",
                "evaluation": "not evaluated",
                "question": f"Are regions of the brain infarcted {i}?",
                "question_rephrase": "NULL",
                "question_relation": "NULL",
                "question_frame": "NULL",
                "question_type": "PRES",
                "answer": answers[i],
                "answer_type": "CLOSED",
            }
            for i in range(N)
        ],
    )
    for i in range(N):
        put(f"VQA_RAD Image Folder/synpic5461{i}.jpg", picture(i))


def pathvqa() -> None:
    put_parquet(
        "path-vqa/data/test-00000-of-00001.parquet",
        [
            {
                "image": on_the_hub(i // 2),
                "question": f"is it {i}?",
                "answer": "yes" if i % 2 else "no",
            }
            for i in range(N)
        ],
    )


def hateful_memes() -> None:
    rows = [
        {"id": 8291 + i, "img": f"img/0{8291 + i}.png", "label": i % 2, "text": f"look {i}"}
        for i in range(N)
    ]
    put_lines("hateful_memes/dev.jsonl", rows)
    for i, row in enumerate(rows):
        put(f"hateful_memes/{row['img']}", picture(i, "PNG"))


def vsr() -> None:
    put_lines(
        "vsr/test.jsonl",
        [
            {
                "image": f"00000005040{i}.jpg",
                "image_link": f"http://images.cocodataset.org/train2017/00000005040{i}.jpg",
                "caption": f"The teddy bear is in front of the person {i}.",
                "label": i % 2,
                "relation": "in front of",
                "annotator_id": 31,
                "vote_true_validator_id": [2, 6],
                "vote_false_validator_id": [],
            }
            for i in range(N)
        ],
    )
    for i in range(N):
        put(f"vsr/images/00000005040{i}.jpg", picture(i))


def roco() -> None:
    rows = [
        {"id": f"ROCO_0000{i}", "name": f"PMC40{i}.jpg", "caption": f"CT {i}"} for i in range(N)
    ]
    Path("all_data/train").mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv("all_data/train/radiologytraindata.csv", index=False)
    for i in range(N):
        put(f"all_data/train/radiology/images/PMC40{i}.jpg", picture(i))


def snli_ve() -> None:
    gold = ["entailment", "neutral", "contradiction"]
    put_lines(
        "snli_ve_dev.jsonl",
        [
            {
                "Flickr30K_ID": f"470555291{i // 3}",
                "annotator_labels": [gold[i % 3]],
                "captionID": f"470555291{i // 3}.jpg#2",
                "gold_label": gold[i % 3],
                "pairID": f"470555291{i // 3}.jpg#2r1{i}",
                "sentence1": "Two women are embracing.",
                "sentence1_binary_parse": "( Two women )",
                "sentence1_parse": "(ROOT)",
                "sentence2": f"Two women are holding {i}.",
                "sentence2_binary_parse": "( Two women )",
                "sentence2_parse": "(ROOT)",
            }
            for i in range(N)
        ],
    )
    for i in range(N // 3):
        put(f"flickr30k-images/470555291{i}.jpg", picture(i))


def food101() -> None:
    lines = []
    for i in range(N):
        food = "apple_pie" if i % 2 else "baklava"
        lines.append(f'{food}_{i}.jpg,"{food}, the best {i} | Food.com",{food}\n')
        put(f"images/test/{food}/{food}_{i}.jpg", picture(i))
    put("texts/test_titles.csv", "".join(lines))


def mmimdb() -> None:
    for i in range(N):
        put(f"mmimdb/dataset/011116{i}.jpeg", picture(i))
        put_json(
            f"mmimdb/dataset/011116{i}.json",
            {
                "plot": [f"A man {i}.", "Told again, at length."],
                "genres": ["Drama", "War"] if i % 2 else ["Comedy"],
                "title": f"Film {i}",
                "year": 1992,
                "rating": 7.1,
                "cast": [{"name": "Somebody", "personID": "0000001"}],
                "kind": "movie",
            },
        )
    split = {"train": [], "dev": [], "test": [f"011116{i}" for i in range(N)]}
    put_json("mmimdb/split.json", split)


def scienceqa() -> None:
    put_json(
        "ScienceQA/problems.json",
        {
            str(i + 1): {
                "question": f"Which is {i}?",
                "choices": ["solid", "liquid", "gas"][: 2 + i % 2],
                "answer": i % 2,
                "hint": "",
                "image": "image.png" if i % 3 else None,
                "task": "closed choice",
                "grade": "grade2",
                "subject": "natural science",
                "topic": "physics",
                "category": "Materials",
                "skill": "Compare properties",
                "lecture": "…",
                "solution": "…",
                "split": "test",
            }
            for i in range(N)
        },
    )
    for i in range(N):
        if i % 3:
            put(f"ScienceQA/images/test/{i + 1}/image.png", picture(i, "PNG"))


def mmmu() -> None:
    rows = []
    for i in range(N):
        opened = i == N - 1
        row = {
            "id": f"validation_Accounting_{i + 1}",
            "question": f"<image 1> What is {i}?",
            "options": "[]" if opened else "['$63,020', '$58,410', '$71,320', '$77,490']",
            "explanation": "",
        }
        for k in range(1, 8):
            row[f"image_{k}"] = on_the_hub(i, "PNG") if k == 1 else None  # type: ignore[assignment]
        row |= {
            "img_type": "['Tables']",
            "answer": "$6" if opened else "ABCD"[i % 4],
            "topic_difficulty": "Medium",
            "question_type": "open" if opened else "multiple-choice",
            "subfield": "Managerial Accounting",
        }
        rows.append(row)
    put_parquet("MMMU/Accounting/validation-00000-of-00001.parquet", rows)


def nlvr2() -> None:
    rows = []
    for i in range(N):
        rows.append(
            {
                "validation": {"61": "False"},
                "sentence": f"There are {i} dogs.",
                "left_url": f"https://example.org/left{i}.jpg",
                "writer": "61",
                "label": "True" if i % 2 else "False",
                "right_url": f"https://example.org/right{i}.jpg",
                "synset": "dog",
                "query": "some dogs38",
                "identifier": f"dev-85{i}-0-0",
                "extra_validations": {"154": "False"},
            }
        )
        for side in (0, 1):
            put(f"dev/dev-85{i}-0-img{side}.png", picture(i + side, "PNG"))
    put_lines("nlvr2/data/dev.json", rows)


def winoground() -> None:
    put_parquet(
        "winoground/data/test-00000-of-00001.parquet",
        [
            {
                "id": i,
                "image_0": on_the_hub(2 * i),
                "image_1": on_the_hub(2 * i + 1),
                "caption_0": f"old person {i} kisses young person",
                "caption_1": f"young person kisses old person {i}",
                "tag": "Adjective-Age",
                "secondary_tag": "",
                "num_main_preds": 1,
                "collapsed_tag": "Object",
            }
            for i in range(3)
        ],
    )


def naturalbench() -> None:
    put_parquet(
        "NaturalBench/data/train-00000-of-00011.parquet",
        [
            {
                "Index": i,
                "Image_0": on_the_hub(2 * i),
                "Image_1": on_the_hub(2 * i + 1),
                "Question_0": f"Is person {i} looking down?",
                "Question_1": f"Is person {i} looking at the camera?",
                "Image_0_Question_0": "Yes",
                "Image_1_Question_0": "No",
                "Image_0_Question_1": "No",
                "Image_1_Question_1": "Yes",
                "Question_Type": "yes_no",
                "Source": "Flickr30K",
            }
            for i in range(3)
        ],
    )


def mmevalpro() -> None:
    put_parquet(
        "MMEvalPro/data/test-00000-of-00001.parquet",
        [
            {
                "index": i,
                "triplet_id": i // 3,
                "question": f"question {i}",
                "choices": ["red", "blue", "green"],
                "answer": "ABC"[i % 3],
                "image": on_the_hub(i // 3),
                "source": "ScienceQA",
                "question_category": "biology",
                "eval_type": ("Origin", "Perception", "Knowledge")[i % 3],
            }
            for i in range(6)
        ],
    )


def cc3m() -> None:
    for shard in range(2):
        Path("cc3m").mkdir(exist_ok=True)
        with tarfile.open(f"cc3m/{shard:05d}.tar", "w") as file:
            for i in range(3):
                key, caption = f"{shard:05d}{i:04d}", f"a very typical station {shard}{i}"
                described = {
                    "caption": caption,
                    "url": f"http://example.org/{key}.jpg",
                    "key": key,
                    "status": "success",
                    "error_message": None,
                    "width": 8,
                    "height": 6,
                    "original_width": 8,
                    "original_height": 6,
                    "exif": "{}",
                    "sha256": "0" * 64,
                }
                for ending, content in (
                    ("jpg", picture(3 * shard + i)),
                    ("json", json.dumps(described).encode()),
                    ("txt", caption.encode()),
                ):
                    member = tarfile.TarInfo(f"{key}.{ending}")
                    member.size = len(content)
                    file.addfile(member, io.BytesIO(content))


def mvsa() -> None:
    lines = ["ID\ttext,image\n"]
    for i in range(1, N + 1):
        put(f"MVSA_Single/data/{i}.jpg", picture(i))
        put(f"MVSA_Single/data/{i}.txt", f"RT @somebody: {i} #mood\n")
        lines.append(f"{i}\t{'positive' if i % 2 else 'negative'},positive\n")
    put("MVSA_Single/labelResultAll.txt", "".join(lines))


def twitter15() -> None:
    lines = ["index\t#1 Label\t#2 ImageID\t#3 String\t#3 String\n"]
    for i in range(N):
        put(f"twitter2015_images/19{i}.jpg", picture(i))
        lines.append(f"{i}\t{i % 3}\t19{i}.jpg\tRT @x : $T$ is {i}\tNBA\n")
    put("twitter2015/test.tsv", "".join(lines))


def mmbench() -> None:
    rows = [
        {
            "index": 241 + i,
            "question": f"What is {i}?",
            "hint": "" if i % 2 else "Look.",
            "A": "cat",
            "B": "dog",
            "C": "" if i % 2 else "cow",
            "D": "",
            "answer": "AB"[i % 2],
            "category": "identity_reasoning",
            "image": base64.b64encode(picture(i)).decode(),
            "source": "internet",
            "l2-category": "attribute_reasoning",
            "comment": "",
            "split": "dev",
        }
        for i in range(N)
    ]
    pd.DataFrame(rows).to_csv("MMBench_DEV_EN.tsv", sep="\t", index=False)


def products() -> None:
    Path("served").mkdir()
    rows = []
    for i in range(N):
        put(f"served/{i}.jpg", picture(i))
        rows.append(
            {
                "product_id": f"B00{i}",
                "title": f"Steel kettle {i}",
                "image_url": f"SERVER/{i}.jpg",
                "category": "kitchen" if i % 2 else "garden",
            }
        )
    pd.DataFrame(rows).to_csv("products.csv", index=False)


LAYOUTS = [
    Layout(
        "VQA v2, the two JSON files",
        vqa2,
        "--data vqa2:v2_OpenEnded_mscoco_val2014_questions.json,"
        "v2_mscoco_val2014_annotations.json --image-root coco",
        (N, N, 3),
        "Is it 0?",
        ("no, maybe", "yes, maybe"),
        told="label from 'answers'",
    ),
    Layout(
        "VQA v2, parquet of the hub",
        vqa2_hub,
        "--data parquet:VQAv2/validation-00000-of-00068.parquet "
        "--label-column multiple_choice_answer",
        (N, N, 3),
        "Is it 0?",
    ),
    Layout(
        "GQA",
        gqa,
        "--data json:questions1.2/testdev_balanced_questions.json "
        '--image-pattern "{imageId}.jpg" --image-root images',
        (N, N, 3),
        "Is it 0?",
        told="id from 'key'",
    ),
    Layout(
        "CLEVR",
        clevr,
        "--data json:CLEVR_v1.0/questions/CLEVR_val_questions.json "
        "--image-root CLEVR_v1.0/images/val",
        (N, N, 3),
        "How many things are 0?",
        ("0", "1"),
        told="image from 'image_filename'",
    ),
    Layout(
        "A-OKVQA",
        aokvqa,
        "--data json:aokvqa_v1p0_val.json --image-root coco/val2017 "
        '--image-pattern "{image_id:012d}.jpg" --choices-column choices '
        "--label-column correct_choice_idx",
        (N, N, N),
        "What is 0?\nA. toothpick\nB. food\nC. popsicle stick\nD. cigarette",
        ("A", "B"),
    ),
    Layout(
        "VQA-RAD",
        vqa_rad,
        '--data "json:VQA_RAD Dataset Public.json" --image-root "VQA_RAD Image Folder" '
        "--merge-labels",
        (N, N, N),
        "Are regions of the brain infarcted 0?",
        ("Yes", "Yes"),
    ),
    Layout(
        "PathVQA, parquet of the hub",
        pathvqa,
        "--data parquet:path-vqa/data/test-00000-of-00001.parquet",
        (N, N, 3),
        "is it 0?",
    ),
    Layout(
        "Hateful Memes",
        hateful_memes,
        "--data jsonl:hateful_memes/dev.jsonl --data-arg classes=benign,hateful",
        (N, N, N),
        "look 0",
        ("benign", "hateful"),
    ),
    Layout(
        "VSR",
        vsr,
        "--data jsonl:vsr/test.jsonl --image-root vsr/images --data-arg classes=false,true",
        (N, N, N),
        "The teddy bear is in front of the person 0.",
        ("false", "true"),
    ),
    Layout(
        "ROCO",
        roco,
        "--data csv:all_data/train/radiologytraindata.csv --image-column name "
        "--image-root all_data/train/radiology/images",
        (N, N, N),
        "CT 0",
        (),
        told="this run says nothing about performance",
        outputs=("a", "b"),
    ),
    Layout(
        "SNLI-VE",
        snli_ve,
        "--data jsonl:snli_ve_dev.jsonl --text-column sentence2 --label-column gold_label "
        '--image-pattern "{Flickr30K_ID}.jpg" --image-root flickr30k-images',
        (N, N, 2),
        "Two women are holding 0.",
        ("entailment", "neutral"),
    ),
    Layout(
        "Food-101 with titles (UPMC)",
        food101,
        "--data csv:texts/test_titles.csv --column-names image,title,label "
        '--image-pattern "images/test/{label}/{image}" --image-root .',
        (N, N, N),
        "baklava, the best 0 | Food.com",
        ("baklava", "apple_pie"),
    ),
    Layout(
        "MM-IMDb",
        mmimdb,
        '--data webdataset:mmimdb/dataset --text-pattern "{plot[0]}" --label-column genres',
        (N, N, N),
        "A man 0.",
        ("Comedy", "Drama, War"),
    ),
    Layout(
        "ScienceQA",
        scienceqa,
        "--data json:ScienceQA/problems.json --choices-column choices --keep-empty image "
        '--image-root ScienceQA/images --image-pattern "{split}/{key}/{image}"',
        (N, N, 5),
        "Which is 0?\nA. solid\nB. liquid",
        ("A", "B"),
        told="2 of 6 examples have no image and get a white one",
    ),
    Layout(
        "MMMU, parquet of the hub",
        mmmu,
        "--data parquet:MMMU/Accounting/validation-00000-of-00001.parquet "
        "--image-column image_1 --choices-column options --skip-bad",
        (N - 1, N - 1, N - 1),
        "<image 1> What is 0?\nA. $63,020\nB. $58,410\nC. $71,320\nD. $77,490",
        ("A", "B"),
    ),
    Layout(
        "NLVR2, its two images next to each other",
        nlvr2,
        "--data jsonl:nlvr2/data/dev.json --image-root dev "
        '--image-pattern "{identifier[:-2]}-img0.png,{identifier[:-2]}-img1.png"',
        (N, N, N),
        "There are 0 dogs.",
        ("False", "True"),
    ),
    Layout(
        "NLVR2, a sentence and two images as three sides",
        nlvr2,
        "--data jsonl:nlvr2/data/dev.json --image-root dev --side sentence=sentence "
        '--side "left={identifier[:-2]}-img0.png" --side "right={identifier[:-2]}-img1.png"',
        (N, N, N),
        "There are 0 dogs.",
        ("False", "True"),
        told="left from '{identifier[:-2]}-img0.png' (a pattern, image)",
    ),
    Layout(
        "Winoground, as pairs",
        winoground,
        "--data winoground:winoground/data/test-00000-of-00001.parquet",
        (12, 6, 6),
        "old person 0 kisses young person",
        ("yes", "no"),
        outputs=("match",),
    ),
    Layout(
        "Winoground, its two images as two sides",
        winoground,
        "--data parquet:winoground/data/test-00000-of-00001.parquet "
        "--side first=image_0 --side second=image_1",
        (3, 3, 3),
        "an image",
        (),
        told="Taken: first from 'image_0' (named, image); second from 'image_1' (named, image)",
        outputs=("a", "b"),
    ),
    Layout(
        "NaturalBench, each question with each image",
        naturalbench,
        "--data naturalbench:NaturalBench/data/train-00000-of-00011.parquet",
        (12, 6, 6),
        "Is person 0 looking down?",
        ("yes", "no"),
        outputs=("no", "yes"),
    ),
    Layout(
        "MMEvalPro, whose triplets are groups",
        mmevalpro,
        "--data parquet:MMEvalPro/data/test-00000-of-00001.parquet --choices-column choices",
        (6, 6, 2),
        "question 0\nA. red\nB. blue\nC. green",
        ("A", "B"),
        outputs=("A", "B", "C"),
    ),
    Layout(
        "CC3M shards of img2dataset",
        cc3m,
        '--data "webdataset:cc3m/{00000..00001}.tar"',
        (N, N, N),
        "a very typical station 00",
        (),
        outputs=("a", "b"),
    ),
    Layout(
        "MVSA",
        mvsa,
        "--data webdataset:MVSA_Single/data --join MVSA_Single/labelResultAll.txt:__key__=ID "
        '--label-column "text,image"',
        (N, N, N),
        "RT @somebody: 1 #mood",
        ("positive,positive", "negative,positive"),
    ),
    Layout(
        "Twitter-15",
        twitter15,
        '--data csv:twitter2015/test.tsv --image-column "#2 ImageID" --image-root '
        'twitter2015_images --label-column "#1 Label" --text-pattern "{#3 String.1}: {#3 String}" '
        "--data-arg classes=negative,neutral,positive",
        (N, N, N),
        "NBA: RT @x : $T$ is 0",
        ("negative", "neutral"),
    ),
    Layout(
        "MMBench TSV",
        mmbench,
        "--data csv:MMBench_DEV_EN.tsv --choices-column A,B,C,D",
        (N, N, N),
        "What is 0?\nA. cat\nB. dog\nC. cow",
        ("A", "B"),
    ),
    Layout(
        "Products with addresses of images",
        products,
        "--data csv:products.csv --fetch-images",
        (N, N, N),
        "Steel kettle 0",
        ("garden", "kitchen"),
    ),
]

HEAD = """# Data sets in their own layouts

Each line is the rest of a command after `emap-lens run --model …`, typed where the
data set lies as it is distributed. `tests/datasets/test_layouts.py` builds each of them small and
runs its line. What a column is taken for, and what was made of it, is said before anything is
computed.

| data set | command |
| --- | --- |
"""


def page() -> str:
    """Return `docs/layouts.md`."""
    rows = [f"| {one.name} | `{one.command.replace('|', chr(92) + '|')}` |" for one in LAYOUTS]
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    (Path(__file__).parents[1] / "docs" / "layouts.md").write_text(page())
