"""``torchscript:FILE``, ``export:FILE.pt2`` and ``onnx:FILE``: a model without its source code.

``model.json`` beside ``model.onnx`` says how texts and images become its inputs::

    {"tokenizer": "tokenizer.json",          a file of the library tokenizers, beside this one
     "length": 32,                           optional: pad texts to this, not to the longest
     "image_size": [224, 224],               height and width
     "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5],
     "inputs": ["input_ids", "attention_mask", "pixel_values"],     any of these, in its order
     "classes": ["no", "yes"], "output": "logits"}                  both optional

The model gets aligned pairs and returns an array of shape (B, C).
"""

from __future__ import annotations

import json
import math
import mmap
import re
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from emap_core.allowed_folders import check_links
from emap_core.errors import MissingExtraError, SpecError
from emap_core.models.base import OUTPUTS, Output
from emap_core.models.model_files import digest, named_file
from emap_core.models.rgb_images import in_colours
from emap_core.models.tokens import in_one_line, note_on_cut

INPUTS = ("input_ids", "attention_mask", "pixel_values")

_TRAINS = {
    "dropout": 2,
    "dropout_": 2,
    "feature_dropout": 2,
    "alpha_dropout": 2,
    "native_dropout": 2,
    "batch_norm": 5,
    "native_batch_norm": 5,
}
"""Layers that behave differently in training, and the input that says so."""

Run = Callable[[dict[str, torch.Tensor]], Any]


@dataclass(frozen=True)
class Description:
    """The contents of the JSON file beside a model.

    Raises
    ------
    ValueError
        If a value is not valid for its name.
    """

    tokenizer: str
    image_size: tuple[int, int]
    mean: Sequence[float] = (0.5, 0.5, 0.5)
    std: Sequence[float] = (0.5, 0.5, 0.5)
    length: int | None = None
    inputs: Sequence[str] = INPUTS
    classes: list[str] | None = field(default=None)
    output: Output | None = None

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
            "output": (f"one of {', '.join(OUTPUTS)}", self.output in (*OUTPUTS, None)),
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
    """A model that takes token ids and pixels of aligned pairs.

    Parameters
    ----------
    description : Description
    tokenizer : tokenizers.Tokenizer
    run : callable
        Takes the named inputs of B pairs; returns an array of shape (B, C).
    move : callable or None
        Moves the model to a device; None if it stays on the CPU.
    fingerprint : str
    dtype : str or None
        Type of the weights or, if unknown, of the outputs.
    name : str
        Of the file.
    """

    def __init__(
        self,
        description: Description,
        tokenizer: Any,
        run: Run,
        move: Callable[[str], None] | None,
        fingerprint: str,
        dtype: str | None,
        name: str,
    ) -> None:
        self.classes = description.classes
        self.output = description.output
        self.fingerprint = fingerprint
        self.dtype = dtype
        self.description = {"file": name, "weights": fingerprint, **asdict(description)}
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
        """Return token ids and attention mask, shapes (B, length)."""
        encoded = self._encoded(texts)
        return {
            "input_ids": torch.tensor([one.ids for one in encoded], device=self.device),
            "attention_mask": torch.tensor(
                [one.attention_mask for one in encoded], device=self.device
            ),
        }

    def notes(self, texts: list[str]) -> list[str]:
        """Return a note on how many of these texts are cut."""
        length = self._description.length
        if length is None:
            return []
        n_cut = sum(bool(one.overflowing) for one in self._encoded(texts))
        return note_on_cut(n_cut, len(texts), length)

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
        pixel_values = torch.from_numpy(scaled.transpose(0, 3, 1, 2).copy()).to(self.device)
        return pixel_values.half() if self.dtype == "float16" else pixel_values

    def score(self, text_encodings: dict[str, torch.Tensor], image_encodings: torch.Tensor) -> Any:
        """Return the outputs of B aligned pairs, shape (B, C)."""
        named = {**text_encodings, "pixel_values": image_encodings}
        return self._run({name: named[name] for name in self._description.inputs})

    def _encoded(self, texts: list[str]) -> list[Any]:
        with in_one_line("the model's tokenizer cannot read these texts"):
            encoded: list[Any] = self._tokenizer.encode_batch(texts)
        return encoded


def load_torchscript(path: str) -> ExportedModel:
    """Return a model saved with torch.jit."""
    file = _file(path)
    loaded: Any = _opened(file, lambda: torch.jit.load(str(file), map_location="cpu"))  # type: ignore[no-untyped-call]
    loaded.eval()
    # A model traced in training mode stays in it; the graph must live as long as its nodes.
    graph = loaded.inlined_graph
    for name, place in _TRAINS.items():
        for node in graph.findAllNodes(f"aten::{name}"):
            trains = list(node.inputs())[place]
            if trains.node().kind() == "prim::Constant" and trains.toIValue():
                raise _in_training(file, name)
    return _model(file, lambda inputs: loaded(*inputs.values()), loaded.to, _dtype(loaded))


def load_export(path: str) -> ExportedModel:
    """Return a model saved with torch.export.save."""
    file = _file(path)
    # torch logs a traceback before it raises.
    if not zipfile.is_zipfile(file):
        raise SpecError(
            f"{file} cannot be loaded: it is not a complete torch.export.save file; save it again"
        )
    program = _opened(file, lambda: torch.export.load(file))
    for node in program.graph.nodes:
        name = str(node.target).removeprefix("aten.").removesuffix(".default")
        place = _TRAINS.get(name) if node.op == "call_function" else None
        if place is not None and len(node.args) > place and node.args[place] is True:
            raise _in_training(file, name)
    module = [program.module()]

    def move(device: str) -> None:
        from torch.export.passes import move_to_device_pass

        module[0] = move_to_device_pass(program, device).module()

    return _model(file, lambda inputs: module[0](*inputs.values()), move, _dtype(module[0]))


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

    numbers = re.fullmatch(r"tensor\((\w+)\)", str(session.get_outputs()[0].type))
    dtype = (
        {"float": "float32", "double": "float64"}.get(numbers[1], numbers[1]) if numbers else None
    )
    return _model(file, run, None, dtype, _beside(file))


def _beside(file: Path) -> list[Path]:
    """Return the files that an ONNX model names for weights too large for itself."""
    with (
        file.open("rb") as opened,
        mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        return sorted(
            other
            for other in file.parent.iterdir()
            if other != file and other.is_file() and content.find(other.name.encode()) >= 0
        )


def _dtype(module: Any) -> str | None:
    weights = [w.dtype for w in module.parameters() if w.is_floating_point()]
    return str(weights[0]).removeprefix("torch.") if weights else None


def _in_training(file: Path, layer: str) -> SpecError:
    return SpecError(
        f"{file} was saved in training mode: its {layer} changes outputs at random or with the "
        "other pairs of a batch; call model.eval() and save the file again"
    )


def _model(
    file: Path,
    run: Run,
    move: Callable[[str], Any] | None,
    dtype: str | None,
    weights: Sequence[Path] = (),
) -> ExportedModel:
    beside = file.with_suffix(".json")
    description = _described(beside)
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MissingExtraError(
            f"model {file} needs the package tokenizers: pip install tokenizers"
        ) from error
    words = named_file(beside, description.tokenizer, "tokenizer")
    check_links(file.parent, [file, beside, *weights])
    if not words.is_file():
        raise SpecError(
            f"{beside} names the tokenizer {words.name}, which does not exist; put the file "
            "beside it"
        )
    tokenizer = _opened(words, lambda: Tokenizer.from_file(str(words)))
    tokenizer.enable_padding(
        **{k: v for k, v in (tokenizer.padding or {}).items() if k != "length"},
        length=description.length,
    )
    if description.length is not None:
        tokenizer.enable_truncation(description.length)
    fingerprint = digest([beside, file, words, *weights])
    return ExportedModel(description, tokenizer, run, move, fingerprint, dtype, file.name)


def _check_names(given: Any) -> None:
    if not isinstance(given, dict):
        raise ValueError("expected an object with names and values")
    known = [one.name for one in fields(Description)]
    for name in given:
        if name not in known:
            raise ValueError(f"it has {name!r:.80}; expected only {', '.join(known)}")
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
        raise SpecError(f"{beside} is not a valid description of a model: {error}") from error


def _file(path: str) -> Path:
    file = Path(path)
    if not file.is_file():
        raise SpecError(f"there is no file {path}")
    return file


def _opened(file: Path, read: Callable[[], Any]) -> Any:
    with in_one_line(f"{file} cannot be loaded", SpecError):
        return read()
