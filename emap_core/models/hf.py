"""``hf:FOLDER`` or ``hf:HUB_ID[@revision]``: a Hugging Face checkpoint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import torch

from emap_core.datasets.base import fingerprint_of
from emap_core.errors import MissingExtraError, ModelError, SpecError
from emap_core.specs import check_arguments, import_name

FAMILIES = {
    "CLIPModel": "emap_core.models.hf_two_tower:make",
    "SiglipModel": "emap_core.models.hf_two_tower:make",
    "Siglip2Model": "emap_core.models.hf_two_tower:make",
    "AltCLIPModel": "emap_core.models.hf_two_tower:make",
    "AlignModel": "emap_core.models.hf_two_tower:make",
    "MetaClip2Model": "emap_core.models.hf_two_tower:make",
    "VisionTextDualEncoderModel": "emap_core.models.hf_two_tower:make",
    "ViltForQuestionAnswering": "emap_core.models.hf_vilt:make",
    "ViltForImageAndTextRetrieval": "emap_core.models.hf_vilt:make",
    "BlipForImageTextRetrieval": "emap_core.models.hf_blip:make",
    "BlipForQuestionAnswering": "emap_core.models.hf_blip:make",
    "FlavaForPreTraining": "emap_core.models.hf_matching:make",
    "BridgeTowerForImageAndTextRetrieval": "emap_core.models.hf_matching:make",
    "LxmertForQuestionAnswering": "emap_core.models.hf_lxmert:make",
    "VisualBertForQuestionAnswering": "emap_core.models.hf_visualbert:make",
    "VisualBertForVisualReasoning": "emap_core.models.hf_visualbert:make",
    "LlavaForConditionalGeneration": "emap_core.models.hf_decoder:make",
    "LlavaNextForConditionalGeneration": "emap_core.models.hf_decoder:make",
    "Idefics3ForConditionalGeneration": "emap_core.models.hf_decoder:make",
    "PaliGemmaForConditionalGeneration": "emap_core.models.hf_paligemma:make",
    "Gemma3ForConditionalGeneration": "emap_core.models.hf_decoder:make",
    "SmolVLMForConditionalGeneration": "emap_core.models.hf_decoder:make",
    "Qwen2VLForConditionalGeneration": "emap_core.models.hf_decoder:make",
    "Qwen2_5_VLForConditionalGeneration": "emap_core.models.hf_decoder:make",
    "Qwen3VLForConditionalGeneration": "emap_core.models.hf_decoder:make",
    "InternVLForConditionalGeneration": "emap_core.models.hf_decoder:make",
}
"""What ``config.architectures`` may say, and the function that makes a model of it."""

_READ_VIDEOS = ("SmolVLM", "Qwen2VL", "Qwen2_5_VL", "Qwen3VL", "InternVL")
_READ_REGIONS = ("Lxmert", "VisualBert")
_FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
_OF_PROCESSORS = ("preprocessor_config.json", "processor_config.json")
_OF_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint's folder, its processor and its model in evaluation mode."""

    folder: Path
    architecture: str
    model: Any
    processor: Any
    fingerprint: str


class FromCheckpoint:
    """What all models of a checkpoint share: names of the classes, a fingerprint, a device."""

    def __init__(self, checkpoint: Checkpoint, classes: Sequence[str] | None = None) -> None:
        self.model = checkpoint.model
        self.fingerprint = checkpoint.fingerprint
        self.classes = None if classes is None else list(classes)
        self._processor = checkpoint.processor

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = self.model.device
        return device

    def to(self, device: str | torch.device) -> Self:
        """Move the model."""
        self.model.to(device)
        return self


class ReadsClasses(FromCheckpoint):
    """What all models share that read the names of their classes: given ones, or those of data."""

    def with_classes(self, classes: Sequence[str]) -> Self:
        """Take these classes, for instance those of a dataset.

        Raises
        ------
        ModelError
            If the tokenizer lacks words of two of them and takes them for the same.
        """
        self._take_classes(classes)
        self.fingerprint = fingerprint_of(self.fingerprint, *classes)
        return self

    def _take_classes(self, classes: Sequence[str] | None) -> None:
        self.classes = None if classes is None else list(classes)
        tokenizer, read = self._processor.tokenizer, dict[tuple[int, ...], str]()
        for name in self.classes or ():
            words = tuple(tokenizer(name, add_special_tokens=False)["input_ids"])
            other = read.setdefault(words, name)
            if other != name and tokenizer.unk_token_id in words:
                raise ModelError(
                    f"the classes {other!r} and {name!r} are the same to the model's tokenizer, "
                    "which knows not all of their words"
                )


def load(name: str, **settings: Any) -> Any:
    """Return the model of a checkpoint; what `settings` there are is its family's to say.

    Only safetensors weights are read, and no code that comes with a checkpoint is run.

    Raises
    ------
    MissingExtraError
        If transformers, or what the processor needs, is not installed.
    SpecError
        If there is no checkpoint, or it has no weights, no processor or an unknown architecture.
    """
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError(
            f"model 'hf:{name}' needs the package transformers: pip install transformers"
        ) from error
    folder = _folder(name)
    architecture = _architecture(folder)
    make: Callable[..., Any] = import_name(FAMILIES[architecture])
    reads_regions = architecture.startswith(_READ_REGIONS)
    processor = _tokenizer(folder) if reads_regions else _processor(folder, architecture)
    fingerprint = _content(folder, repr(sorted(settings.items())))
    # Wrong keyword arguments are found before gigabytes are read.
    check_arguments(f"model 'hf:{name}'", make, (None,), settings)
    model = getattr(transformers, architecture).from_pretrained(
        folder, local_files_only=True, use_safetensors=True, trust_remote_code=False
    )
    model.eval().requires_grad_(False)
    return make(Checkpoint(folder, architecture, model, processor, fingerprint), **settings)


def names_of_classes(classes: str | Sequence[str] | None) -> list[str] | None:
    """Return names that are given as a list or with commas."""
    if isinstance(classes, str):
        classes = classes.split(",")
    return None if classes is None else [name.strip() for name in classes]


def _folder(name: str) -> Path:
    folder = Path(name)
    if folder.is_dir():
        return folder
    if folder.exists():
        raise SpecError(f"{name} is a file; expected the folder of a checkpoint")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    hub_id, _, revision = name.partition("@")
    try:
        return Path(snapshot_download(hub_id, revision=revision or None, allow_patterns=[*_FILES]))
    except HFValidationError as error:
        raise SpecError(f"there is no folder {name}, and it is no hub id") from error
    except Exception as error:
        said = str(error).strip().splitlines()
        raise SpecError(
            f"there is no folder {name}, and the hub gives no such checkpoint: "
            f"{said[0] if said else type(error).__name__}"
        ) from error


def _architecture(folder: Path) -> str:
    if not (folder / "config.json").is_file():
        raise SpecError(f"folder {folder} is no checkpoint: it has no config.json")
    try:
        config = json.loads((folder / "config.json").read_text())
    except ValueError as error:
        raise SpecError(f"{folder / 'config.json'} is no JSON: {error}") from error
    names = config.get("architectures") or ["nothing"]
    if names[0] not in FAMILIES:
        raise SpecError(
            f"checkpoint {folder} is of architecture {names[0]}; known are {', '.join(FAMILIES)}"
        )
    if not any(folder.glob("*.safetensors")):
        pickled = [file.name for pattern in _PICKLES for file in folder.glob(pattern)]
        if pickled:
            raise SpecError(
                f"checkpoint {folder} has its weights in {pickled[0]}, which can run code when "
                "it is read; expected .safetensors: load it where you trust it and save it again"
            )
        raise SpecError(f"checkpoint {folder} has no weights; expected model.safetensors")
    return str(names[0])


def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    read: Callable[..., Any] = AutoTokenizer.from_pretrained
    _need_tokenizer(folder)
    return read(folder, local_files_only=True, trust_remote_code=False)


def _processor(folder: Path, architecture: str) -> Any:
    from transformers import AutoProcessor

    name = architecture.partition("For")[0]
    kind = _for_pictures(f"{name}Processor") if name in _READ_VIDEOS else AutoProcessor
    read: Callable[..., Any] = kind.from_pretrained
    if not any((folder / name).is_file() for name in _OF_PROCESSORS):
        raise SpecError(
            f"checkpoint {folder} has no processor; expected {' or '.join(_OF_PROCESSORS)} "
            "and the tokenizer's files: save the processor into the same folder"
        )
    _need_tokenizer(folder)
    try:
        processor = read(folder, local_files_only=True, trust_remote_code=False)
    except ImportError as error:
        said = str(error).strip().splitlines()[0]
        raise MissingExtraError(f"the processor of {folder} needs more: {said}") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        said = str(error).strip().splitlines()[0]
        raise SpecError(f"the processor of {folder} cannot be loaded: {said}") from error
    for part in ("tokenizer", "image_processor"):
        if getattr(processor, part, None) is None:
            raise SpecError(f"the processor of {folder} has no {part.replace('_', ' ')}")
    return processor


def _for_pictures(name: str) -> Any:
    """Return a kind of processor without its part for videos, the only one to need torchvision.

    Which parts and settings are read from a folder, transformers takes from the parameters' names.
    """
    import transformers

    class ForPictures(getattr(transformers, name)):  # type: ignore[misc]  # known when it is read
        # SmolVLM looks at these whenever it writes a prompt.
        video_processor = SimpleNamespace(num_frames=None, fps=None)

        def __init__(
            self,
            image_processor: Any,
            tokenizer: Any,
            chat_template: str | None = None,
            image_seq_len: int | None = None,
            image_seq_length: int | None = None,
        ) -> None:
            lengths = {"image_seq_len": image_seq_len, "image_seq_length": image_seq_length}
            given = {name: length for name, length in lengths.items() if length is not None}
            super().__init__(image_processor, tokenizer, None, chat_template=chat_template, **given)

    return ForPictures


def _need_tokenizer(folder: Path) -> None:
    # Without its files the library would make a tokenizer that knows no word.
    if not any((folder / name).is_file() for name in _OF_TOKENIZERS):
        raise SpecError(
            f"checkpoint {folder} has no tokenizer; expected {' or '.join(_OF_TOKENIZERS)}"
        )


def _content(folder: Path, settings: str) -> str:
    digest = hashlib.sha256(settings.encode())
    for file in sorted(file for pattern in _FILES for file in folder.glob(pattern)):
        with file.open("rb") as opened:
            digest.update(file.name.encode() + hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()[:16]
