"""Small real models and data that many tests share."""

import numpy as np
import pytest
import torch
from PIL import Image

from emap_core.datasets.base import Examples

WORDS = ("red", "green", "blue", "dark", "light")


def picture(seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 255, (6, 6, 3), dtype=np.uint8))


def numbers_of_text(text: str) -> np.ndarray:
    return np.array([text.count(word) + len(text) / 20 for word in WORDS])


def numbers_of_image(image: Image.Image) -> np.ndarray:
    return np.asarray(image, dtype=float).reshape(-1)[:5] / 255


def score_pair(text: str, image: Image.Image) -> np.ndarray:
    """Return three logits with text, image and interaction parts, in float64."""
    t, v = numbers_of_text(text), numbers_of_image(image)
    return np.array([t @ v, t[:2].sum() - v[1], (t[0] - 1) * v[2] + v[3]])


class Staged:
    """`score_pair` as a staged model that counts what is asked of it."""

    classes = ("zero", "one", "two")
    fingerprint = "staged-1"

    def __init__(self) -> None:
        self.texts_encoded = self.images_encoded = self.pairs_scored = 0

    def encode_texts(self, texts):
        self.texts_encoded += len(texts)
        return {"t": torch.tensor(np.stack([numbers_of_text(t) for t in texts]))}

    def encode_images(self, images):
        self.images_encoded += len(images)
        return (torch.tensor(np.stack([numbers_of_image(v) for v in images])),)

    def score(self, text_encodings, image_encodings):
        t, (v,) = text_encodings["t"], image_encodings
        self.pairs_scored += len(t)
        return torch.stack(
            [(t * v).sum(1), t[:, :2].sum(1) - v[:, 1], (t[:, 0] - 1) * v[:, 2] + v[:, 3]], dim=1
        )


class WithGrid(Staged):
    """The same with a way to score whole tiles."""

    def score_grid(self, text_encodings, image_encodings):
        t, (v,) = text_encodings["t"], image_encodings
        self.pairs_scored += len(t) * len(v)
        t, v = t[:, None], v[None]
        return torch.stack(
            [
                (t * v).sum(2),
                t[..., :2].sum(2) - v[..., 1],
                (t[..., 0] - 1) * v[..., 2] + v[..., 3],
            ],
            dim=2,
        )


def as_callable(texts, images):
    return np.stack([score_pair(t, v) for t, v in zip(texts, images, strict=True)])


def make_examples(n=60, n_texts=11, n_images=23, seed=0, **changes) -> Examples:
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(WORDS, size=rng.integers(1, 6))) + f" {u}" for u in range(n_texts)]
    pictures = [picture(w) for w in range(n_images)]
    # Every text and image is used, some many times.
    text_index, image_index = rng.permutation(n) % n_texts, rng.permutation(n) % n_images
    fields = {
        "texts": [texts[u] for u in text_index],
        "images": [pictures[w] for w in image_index],
        "image_keys": [int(w) for w in image_index],
        "labels": [
            int(score_pair(texts[u], pictures[w]).argmax())
            for u, w in zip(text_index, image_index, strict=True)
        ],
        "ids": [f"example-{i}" for i in range(n)],
    }
    return Examples(**(fields | changes))


def save_lxmert(folder, words):
    """Save a small LXMERT of three answers that knows these words; give it and its tokenizer."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.LxmertConfig(
        vocab_size=len(words),
        hidden_size=16,
        intermediate_size=24,
        num_attention_heads=2,
        num_qa_labels=3,
        l_layers=2,
        x_layers=2,
        r_layers=2,
        visual_feat_dim=6,
        initializer_range=0.4,
    )
    model = transformers.LxmertForQuestionAnswering(config).eval()
    model.save_pretrained(folder)
    tokenizer = transformers.LxmertTokenizer(vocab={word: i for i, word in enumerate(words)})
    tokenizer.save_pretrained(folder)
    return model, tokenizer
