import numpy as np
import pytest
import torch
import transformers

from emap_core.models.base import Scorer


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def built(build, folder):
    """Save a small checkpoint into a folder; return its model and its processor as it is read."""
    torch.manual_seed(0)
    model, processor = build()
    # With the weights that training starts from, logits depend on images in the fifth digit only.
    for weights in model.parameters():
        if weights.ndim > 1 and weights.std() < 0.2:
            torch.nn.init.normal_(weights, std=0.4)
        # A gate that lets nothing through.
        if weights.numel() == 1 and not weights.any():
            torch.nn.init.ones_(weights)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    if hasattr(processor, "image_processor"):
        # As it is read with what is installed: a tokenizer may change when it is, and with
        # torchvision the library reads images another way than with Pillow.
        try:
            processor = transformers.AutoProcessor.from_pretrained(folder)
        except (ImportError, OSError):
            read = transformers.AutoImageProcessor.from_pretrained
            processor.image_processor = read(folder, local_files_only=True)
    return model.eval(), processor


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """Give the folder, the model and the processor of a small checkpoint, built once a session."""
    made = {}

    def give(build):
        if build not in made:
            folder = tmp_path_factory.mktemp(build.__name__)
            made[build] = folder, *built(build, folder)
        return made[build]

    return give


@pytest.fixture
def grid_of():
    """Score all pairs of some texts and images, five at a time."""

    def score(model, texts, images):
        scorer = Scorer(model, "cpu")
        return scorer.score_tile(scorer.encode_texts(texts), scorer.encode_images(images), 5)

    return score


@pytest.fixture
def own_grid():
    """Give the library's own logits of a `Tiny`, one pair at a time."""

    def score(tiny, model, processor, texts, images):
        pairs = [[tiny.forward(model, processor, t, v).numpy() for v in images] for t in texts]
        return np.array(pairs)

    return score
