from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

import emap_core as emap
from emap_core.cli import main
from emap_core.errors import ModelError
from emap_core.runs import Run

transformers = pytest.importorskip("transformers")

WRITTEN = Path(__file__).parent.parent / "datasets/written_elsewhere/datasets_regions.parquet"
TEXTS = ["a red cat", "what is the colour of the dog", "blue", "a red cat", "blue"]
PICTURES = ["first", "first", "second", "second", "second"]
FOUND = ["a", "b", "c", "c", "a"]
LABELS = ["red", "blue", "cat", "red", "blue"]
WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] a red cat what is the colour of dog blue"
SMALL = {
    "vocab_size": 15,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_attention_heads": 2,
    "initializer_range": 0.4,
}


def lxmert():
    config = transformers.LxmertConfig(
        **SMALL, num_qa_labels=3, l_layers=2, x_layers=2, r_layers=2, visual_feat_dim=6
    )
    return transformers.LxmertForQuestionAnswering(config)


def visualbert():
    config = transformers.VisualBertConfig(
        **SMALL, num_hidden_layers=2, num_labels=3, visual_embedding_dim=6
    )
    return transformers.VisualBertForQuestionAnswering(config)


@pytest.fixture(scope="module", params=[lxmert, visualbert])
def checkpoint(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    torch.manual_seed(0)
    model = request.param().eval()
    model.save_pretrained(folder)
    words = transformers.BertTokenizer(vocab={w: i for i, w in enumerate(WORDS.split())})
    words.save_pretrained(folder)
    return folder, model, words


@pytest.fixture
def table(tmp_path):
    """Write a table of text whose examples share pictures, but not always regions."""
    rng = np.random.default_rng(0)
    regions = {
        name: {"features": rng.normal(size=(n, 6)), "boxes": rng.uniform(size=(n, 4))}
        for name, n in {"a": 3, "b": 5, "c": 2}.items()
    }
    for name, arrays in regions.items():
        np.savez(tmp_path / f"{name}.npz", **arrays)
    for name, colour in {"first": "red", "second": "blue"}.items():
        Image.new("RGB", (8, 6), colour).save(tmp_path / f"{name}.png")
    rows = pd.DataFrame(
        {
            "question": TEXTS,
            "image": [f"{name}.png" for name in PICTURES],
            "detected": [f"{name}.npz" for name in FOUND],
            "answer": LABELS,
        }
    )
    rows.to_csv(tmp_path / "table.csv", index=False)
    return tmp_path / "table.csv", [regions[name] for name in FOUND]


def all_pairs(checkpoint, texts, regions):
    """Return the library's own logits, one pair at a time, shape (N, N, C)."""
    _, model, words = checkpoint
    rows = []
    for text in texts:
        for one in regions:
            features = torch.tensor(np.asarray(one["features"]), dtype=torch.float32)[None]
            seen = {"visual_embeds": features}
            if isinstance(model, transformers.LxmertForQuestionAnswering):
                boxes = torch.tensor(np.asarray(one["boxes"]), dtype=torch.float32)[None]
                seen = {"visual_feats": features, "visual_pos": boxes}
            with torch.inference_mode():
                output = model(**words(text, return_tensors="pt"), **seen)
            rows.append(output[0][0])
    return torch.stack(rows).reshape(len(texts), len(regions), -1).numpy()


def check(run, expected):
    where = run.decomposition
    grid = run.grid.load()[where.row_index[:, None], where.column_index]
    np.testing.assert_allclose(grid, expected, atol=1e-4)
    np.testing.assert_allclose(where.emap, emap.decompose(expected).emap, atol=1e-4)


def test_a_table_names_the_files_of_regions(checkpoint, table, tmp_path):
    file, regions = table
    run = emap.compute(
        f"hf:{checkpoint[0]}",
        f"csv:{file}",
        data_args={"regions_column": "detected"},
        model_args={"classes": "red,blue,cat"},
        out=tmp_path / "run",
    )
    assert run.manifest["n_images"] == 4
    check(run, all_pairs(checkpoint, TEXTS, regions))


def test_the_command_line_takes_the_column_s_name(checkpoint, table, tmp_path):
    file, regions = table
    command = f"run --model hf:{checkpoint[0]} --data csv:{file} --regions-column detected"
    out = tmp_path / "run"
    model = "--model-arg classes=red,blue,cat --progress none --out"
    assert main([*command.split(), *model.split(), str(out)]) == 0
    check(Run.load(out), all_pairs(checkpoint, TEXTS, regions))


def test_regions_within_a_parquet_that_datasets_wrote(checkpoint, tmp_path):
    stored = pq.read_table(WRITTEN).to_pylist()
    run = emap.compute(f"hf:{checkpoint[0]}", f"parquet:{WRITTEN}", out=tmp_path / "run")
    assert (run.manifest["n_texts"], run.manifest["n_images"]) == (2, 4)
    texts, regions = ([row[name] for row in stored] for name in ("question", "regions"))
    check(run, all_pairs(checkpoint, texts, regions))


def test_a_model_of_images_says_how_to_leave_regions_out(table, tmp_path):
    model = transformers.CLIPConfig(
        text_config=SMALL | {"num_hidden_layers": 1, "eos_token_id": 3},
        vision_config={
            "hidden_size": 16,
            "intermediate_size": 24,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": 16,
            "patch_size": 8,
        },
        projection_dim=12,
    )
    transformers.CLIPModel(model).save_pretrained(tmp_path)
    pixels = transformers.CLIPImageProcessorPil(
        size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}
    )
    words = transformers.BertTokenizer(vocab={w: i for i, w in enumerate(WORDS.split())})
    transformers.CLIPProcessor(pixels, words).save_pretrained(tmp_path)
    rows = pd.read_csv(table[0]).rename(columns={"detected": "regions"}).drop(columns="answer")
    rows.to_csv(table[0], index=False)
    settings = {"out": tmp_path / "run"}

    def own(texts, images):
        return np.array(
            [[image.width, len(text)] for image, text in zip(images, texts, strict=True)]
        )

    for seeing in (f"hf:{tmp_path}", own):
        with pytest.raises(ModelError, match="regions_column=''"):
            emap.compute(seeing, f"csv:{table[0]}", **settings)
    run = emap.compute(
        f"hf:{tmp_path}", f"csv:{table[0]}", data_args={"regions_column": ""}, **settings
    )
    assert run.manifest["n_images"] == 2
