"""``torchscript:FILE``, ``export:FILE.pt2`` and ``onnx:FILE``: a model without its source code.

Beside ``model.onnx`` lies ``model.json``, which says how texts and images become its inputs::

    {"tokenizer": "tokenizer.json",          a file of the library tokenizers, beside this one
     "length": 32,                           optional: texts are padded to it, else to the longest
     "image_size": [224, 224],               height and width
     "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5],
     "inputs": ["input_ids", "attention_mask", "pixel_values"],     any of these, in its order
     "classes": ["no", "yes"], "output": "logits"}                  both optional

The model gets aligned pairs and returns an array of shape (B, C).
"""

from __future__ import annotations

import hashlib
import json
import math
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from emap_core.errors import MissingExtraError, ModelError, SpecError
from emap_core.models.base import OUTPUTS, Output
from emap_core.models.pictures import in_colours

INPUTS = ("input_ids", "attention_mask", "pixel_values")

Run = Callable[[dict[str, torch.Tensor]], Any]


@dataclass(frozen=True)
class Description:
    """What the JSON file beside a model says.

    Raises
    ------
    ValueError
        If a value is none that its name may have.
    """

    tokenizer: str
    image_size: tuple[int, int]
    mean: Sequence[float] = (0.5, 0.5, 0.5)
    std: Sequence[float] = (0.5, 0.5, 0.5)
    length: int | None = None
    inputs: Sequence[str] = INPUTS
    classes: list[str] | None = field(default=None)
    output: Output = "logits"

    def __post_init__(self) -> None:
        expected = {
            "tokenizer": ("the name of a file", isinstance(self.tokenizer, str)),
            "image_size": ("a height and a width", _are(self.image_size, _is_count, 2)),
            "mean": ("three numbers", _are(self.mean, _is_number, 3)),
            "std": ("three numbers above 0", _are(self.std, _is_number, 3) and min(self.std) > 0),
            "length": ("a number of tokens", self.length is None or _is_count(self.length)),
            "inputs": (
                f"some of {', '.join(INPUTS)}",
                _are(self.inputs, lambda name: name in INPUTS) and len(self.inputs) > 0,
            ),
            "classes": (
                "a list of names",
                self.classes is None or _are(self.classes, lambda name: isinstance(name, str)),
            ),
            "output": (f"one of {', '.join(OUTPUTS)}", self.output in OUTPUTS),
        }
        for name, (what, fits) in expected.items():
            if not fits:
                raise ValueError(f"{name} is {getattr(self, name)!r:.80}; expected {what}")


def _are(values: Any, fits: Callable[[Any], bool], count: int | None = None) -> bool:
    listed = isinstance(values, list | tuple) and count in (None, len(values))
    return listed and all(map(fits, values))


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 < value < 2**16


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


class ExportedModel:
    """A model that takes words' numbers and pixels of aligned pairs.

    Parameters
    ----------
    description : Description
    tokenizer : tokenizers.Tokenizer
    run : callable
        From the named inputs of B pairs to an array of shape (B, C).
    move : callable or None
        Brings the model to a device; None if it stays on the CPU.
    fingerprint : str
    """

    def __init__(
        self,
        description: Description,
        tokenizer: Any,
        run: Run,
        move: Callable[[str], None] | None,
        fingerprint: str,
    ) -> None:
        self.classes = description.classes
        self.output = description.output
        self.fingerprint = fingerprint
        self.device = "cpu"
        self._description = description
        self._tokenizer = tokenizer
        self._run = run
        self._move = move

    def to(self, device: str | torch.device) -> ExportedModel:
        """Move the model, if it can be moved."""
        if self._move is not None:
            self._move(str(device))
            self.device = str(device)
        return self

    def encode_texts(self, texts: list[str]) -> dict[str, torch.Tensor]:
        """Return the words' numbers and which of them are no padding, shapes (B, length)."""
        try:
            encoded = self._tokenizer.encode_batch(texts)
        except Exception as error:
            # The library raises nothing more precise for words that its file has no number for.
            raise ModelError(f"the model's tokenizer cannot read these texts: {error}") from error
        return {
            "input_ids": torch.tensor([one.ids for one in encoded], device=self.device),
            "attention_mask": torch.tensor(
                [one.attention_mask for one in encoded], device=self.device
            ),
        }

    def encode_images(self, images: list[Image.Image]) -> torch.Tensor:
        """Return the scaled pixels, shape (B, 3, height, width)."""
        height, width = self._description.image_size
        pixels = np.stack(
            [
                np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))
                for image in in_colours(images)
            ]
        )
        mean = np.array(self._description.mean, dtype=np.float32)
        std = np.array(self._description.std, dtype=np.float32)
        scaled = (pixels.astype(np.float32) / 255 - mean) / std
        return torch.from_numpy(scaled.transpose(0, 3, 1, 2).copy()).to(self.device)

    def score(self, text_states: dict[str, torch.Tensor], image_states: torch.Tensor) -> Any:
        """Return the outputs of B aligned pairs, shape (B, C)."""
        named = {**text_states, "pixel_values": image_states}
        return self._run({name: named[name] for name in self._description.inputs})


def load_torchscript(path: str) -> ExportedModel:
    """Return a model that torch.jit wrote."""
    file = _file(path)
    loaded: Any = _opened(file, lambda: torch.jit.load(str(file), map_location="cpu"))  # type: ignore[no-untyped-call]
    loaded.eval()
    return _model(file, lambda inputs: loaded(*inputs.values()), loaded.to)


def load_export(path: str) -> ExportedModel:
    """Return a model that torch.export.save wrote."""
    file = _file(path)
    # torch would log a traceback before it raises.
    if not zipfile.is_zipfile(file):
        raise SpecError(f"{file} cannot be loaded: it is no whole file of torch.export.save")
    program = _opened(file, lambda: torch.export.load(file))
    module = [program.module()]

    def move(device: str) -> None:
        from torch.export.passes import move_to_device_pass

        module[0] = move_to_device_pass(program, device).module()

    return _model(file, lambda inputs: module[0](*inputs.values()), move)


def load_onnx(path: str) -> ExportedModel:
    """Return an ONNX model, run by onnxruntime on the CPU."""
    file = _file(path)
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError(
            f"model 'onnx:{path}' needs the package onnxruntime: pip install onnxruntime tokenizers"
        ) from error
    session = _opened(
        file,
        lambda: onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"]),
    )

    def run(inputs: dict[str, torch.Tensor]) -> Any:
        return session.run(None, {name: value.numpy() for name, value in inputs.items()})[0]

    return _model(file, run, None)


def _model(file: Path, run: Run, move: Callable[[str], Any] | None) -> ExportedModel:
    beside = file.with_suffix(".json")
    description = _described(beside)
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MissingExtraError(
            f"model {file} needs the package tokenizers: pip install tokenizers"
        ) from error
    words = file.parent / description.tokenizer
    if not words.is_file():
        raise SpecError(f"{beside} names the tokenizer {words}, which does not exist")
    tokenizer = _opened(words, lambda: Tokenizer.from_file(str(words)))
    tokenizer.enable_padding(
        **{k: v for k, v in (tokenizer.padding or {}).items() if k != "length"},
        length=description.length,
    )
    if description.length is not None:
        tokenizer.enable_truncation(description.length)
    digest = hashlib.sha256(beside.read_bytes())
    for part in (file, words):
        with part.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return ExportedModel(description, tokenizer, run, move, digest.hexdigest()[:16])


def _check_names(given: Any) -> None:
    if not isinstance(given, dict):
        raise ValueError("expected an object with names and values")
    known = [one.name for one in fields(Description)]
    for name in given:
        if name not in known:
            raise ValueError(f"it has {name!r:.80}, which is none of {', '.join(known)}")
    for name in ("tokenizer", "image_size"):
        if name not in given:
            raise ValueError(f"it has no {name}")


def _described(beside: Path) -> Description:
    if not beside.is_file():
        raise SpecError(
            f"there is no {beside}; expected a JSON file that says how texts and images become "
            "inputs: tokenizer, image_size, mean, std, inputs, classes"
        )
    try:
        given = json.loads(beside.read_text())
        _check_names(given)
        return Description(**given)
    except (TypeError, ValueError, RecursionError) as error:
        raise SpecError(f"{beside} is no description of a model: {error}") from error


def _file(path: str) -> Path:
    file = Path(path)
    if not file.is_file():
        raise SpecError(f"there is no file {path}")
    return file


def _opened(file: Path, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except Exception as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise SpecError(f"{file} cannot be loaded: {said}") from error
