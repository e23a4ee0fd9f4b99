"""``hf:FOLDER`` or ``hf:HUB_ID[@revision]``: a Hugging Face checkpoint."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import torch

from emap_core.datasets.base import fingerprint_of
from emap_core.errors import MissingExtraError, ModelError, SettingError, SpecError
from emap_core.models.base import best_device
from emap_core.models.files import digest, named_file
from emap_core.models.pictures import in_colours
from emap_core.models.tokens import Tokens, in_one_line, most_tokens, note_on_cut
from emap_core.roots import check_links, not_a_folder, path_or_hub_id, roots_of_environment
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
_FILES = (
    "*.json",
    "*.safetensors",
    "*.txt",
    "*.model",
    "*.jinja",
    "*.tiktoken",
    "*.spm",
    "*.bpe",
    "*.vocab",
    "additional_chat_templates/*.jinja",
)
"""What transformers may read of a folder, and what is fetched from the hub."""
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
_OF_PROCESSORS = ("preprocessor_config.json", "processor_config.json")
_OF_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")
_DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
_A_FACTORY = "as the README shows under “Your own model”, and name it: my_model:load"
_SCORING = "2"
"""Changes whenever the same checkpoint and settings come to give other outputs."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint's folder, its processor and its model in evaluation mode.

    Attributes
    ----------
    folder : Path
    architecture : str
    model, processor : object
        As transformers has them.
    fingerprint : str
        Of files and settings.
    description : dict
        Name, revision, architecture, hash of the weights and settings, for the record of a run.
    keeps_dtype : bool
        Whether somebody chose the type of the weights, which then stays on every device.
    """

    folder: Path
    architecture: str
    model: Any
    processor: Any
    fingerprint: str
    description: dict[str, Any]
    keeps_dtype: bool


class FromCheckpoint:
    """What all models of a checkpoint share: names of the classes, a fingerprint, a device."""

    def __init__(self, checkpoint: Checkpoint, classes: Sequence[str] | None = None) -> None:
        self.model = checkpoint.model
        self.classes = None if classes is None else list(classes)
        self.description = checkpoint.description
        self._fingerprint = checkpoint.fingerprint
        self._keeps_dtype = checkpoint.keeps_dtype
        self._processor = checkpoint.processor
        self._tokens = Tokens(
            getattr(checkpoint.processor, "tokenizer", checkpoint.processor),
            most_tokens(checkpoint.model),
        )

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = self.model.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights, and of the numbers that the model computes with."""
        dtype: torch.dtype = self.model.dtype
        return dtype

    @property
    def fingerprint(self) -> str:
        """Hash of files, settings, classes and the type of the weights."""
        if self.dtype == torch.float32:
            return self._fingerprint
        return fingerprint_of(self._fingerprint, str(self.dtype))

    def to(self, device: str | torch.device) -> Self:
        """Move the model; on a processor weights of 16 bits become float32, unless asked for."""
        self.model.to(device)
        if self.device.type == "cpu" and not self._keeps_dtype:
            self.model.float()
        return self

    def notes(self, texts: list[str]) -> list[str]:
        """Say how many of these texts are cut."""
        return note_on_cut(self._tokens.n_long(texts), len(texts), self._tokens.limit)

    def _pixels(self, images: Sequence[Any]) -> Any:
        """Return what the processor makes of images, as the model takes it."""
        inputs = self._processor.image_processor(images=in_colours(images), return_tensors="pt")
        return inputs.to(self.device, self.dtype)


class ReadsClasses(FromCheckpoint):
    """What all models share that read the names of their classes: given ones, or those of data."""

    def with_classes(self, classes: Sequence[str]) -> Self:
        """Take these classes, for instance those of a dataset.

        Raises
        ------
        ModelError
            If two of them are the same to the tokenizer.
        """
        self._take_classes(classes)
        self._fingerprint = fingerprint_of(self._fingerprint, *classes)
        return self

    def _take_classes(self, classes: Sequence[str] | None) -> None:
        self.classes = None if classes is None else list(classes)
        read = dict[tuple[int, ...], str]()
        numbers = self._tokens.numbers(self.classes) if self.classes else []
        for name, words in zip(self.classes or (), numbers, strict=True):
            other = read.setdefault(tuple(words), name)
            if other != name:
                raise same_to_the_tokenizer(other, name)


def same_to_the_tokenizer(one: str, other: str) -> ModelError:
    """Return what is wrong where two classes have the same tokens."""
    return ModelError(
        f"the classes {one!r} and {other!r} are the same to the model's tokenizer, so that no "
        "output could tell them apart; give one of them, or other names"
    )


def load(name: str, dtype: str | None = None, **settings: Any) -> Any:
    """Return the model of a checkpoint; what other `settings` there are is its family's to say.

    Only safetensors weights are read, and no code that comes with a checkpoint is run.

    Parameters
    ----------
    name : str
        A folder, or a hub id with or without ``@revision``.
    dtype : {"float32", "bfloat16", "float16"}, optional
        Type of the weights, on every device. By default float32 on a processor, and the
        checkpoint's own on a GPU.

    Raises
    ------
    MissingExtraError
        If transformers, or what the processor needs, is not installed.
    SpecError
        If there is no checkpoint, or it has no weights, no processor or an unknown architecture.
    SettingError
        If a setting has a value that it cannot have.
    AccessError
        If a link in the folder leads to where no file may be opened on this server.
    """
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError(
            f"model 'hf:{name}' needs the package transformers: pip install transformers"
        ) from error
    if dtype is not None and dtype not in _DTYPES:
        raise SettingError(f"dtype is {dtype!r}; expected one of {', '.join(_DTYPES)}")
    folder, revision = _folder(name)
    architecture = _architecture(folder)
    make: Callable[..., Any] = import_name(FAMILIES[architecture])
    # The cache of the hub keeps what a revision links to beside all revisions.
    files = _files(folder, folder if revision is None else folder.parents[1])
    reads_regions = architecture.startswith(_READ_REGIONS)
    processor = _tokenizer(folder) if reads_regions else _processor(folder, architecture)
    # Wrong keyword arguments are found before gigabytes are read.
    check_arguments(f"model 'hf:{name}'", make, (None,), settings)
    weights = [file for file in files if file.suffix == ".safetensors"]
    # Rounding to 16 bits after every step costs logits two digits, and a processor no less time.
    otherwise = torch.float32 if best_device() == "cpu" else "auto"
    with in_one_line(f"the weights of {folder} cannot be loaded", SpecError):
        model = getattr(transformers, architecture).from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=otherwise if dtype is None else _DTYPES[dtype],
        )
    model.eval().requires_grad_(False)
    description = {
        "checkpoint": folder.resolve().name if revision is None else name.partition("@")[0],
        "revision": revision,
        "architecture": architecture,
        "weights": digest(weights),
        **settings,
    }
    fingerprint = digest(files, _SCORING + repr(sorted(settings.items())))
    return make(
        Checkpoint(
            folder, architecture, model, processor, fingerprint, description, dtype is not None
        ),
        **settings,
    )


def names_of_classes(classes: str | Sequence[str] | None) -> list[str] | None:
    """Return names that are given as a list, then as they are, or with commas."""
    if isinstance(classes, str):
        return [name.strip() for name in classes.split(",")]
    return None if classes is None else list(classes)


def _folder(name: str) -> tuple[Path, str | None]:
    """Return a checkpoint's folder, and the revision of one from the hub."""
    folder = path_or_hub_id(name, roots_of_environment())
    if folder is not None and folder.is_dir():
        return folder, None
    if folder is not None and folder.exists():
        raise SpecError(f"{name} is a file; expected the folder of a checkpoint")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    hub_id, _, revision = name.partition("@")
    try:
        found = snapshot_download(hub_id, revision=revision or None, allow_patterns=[*_FILES])
    except HFValidationError as error:
        raise SpecError(
            f"{not_a_folder(name, folder)}, and the name is not a valid hub id"
        ) from error
    except Exception as error:
        said = str(error).strip().splitlines()
        raise SpecError(
            f"{not_a_folder(name, folder)}, and the hub gives no such checkpoint: "
            f"{said[0] if said else type(error).__name__}"
        ) from error
    return Path(found), Path(found).name


def _architecture(folder: Path) -> str:
    if (folder / "adapter_config.json").is_file():
        raise SpecError(
            f"folder {folder} has an adapter, not a whole model; merge it into its base model with "
            "the package peft (merge_and_unload, then save_pretrained) and name the folder of that"
        )
    if not (folder / "config.json").is_file():
        if (folder / "open_clip_config.json").is_file():
            raise SpecError(
                f"folder {folder} has an OpenCLIP model, which transformers cannot read; write a "
                f"factory that loads it with the package open_clip_torch, {_A_FACTORY}"
            )
        raise SpecError(
            f"folder {folder} is not a valid checkpoint: it has no config.json; name the folder "
            "that save_pretrained wrote"
        )
    try:
        config = json.loads((folder / "config.json").read_text())
        names = config.get("architectures") or ["none"]
        architecture = str(names[0])
    except (ValueError, AttributeError, LookupError, TypeError, RecursionError) as error:
        raise SpecError(
            f"{folder / 'config.json'} is not a valid configuration: {error}"
        ) from error
    if architecture not in FAMILIES:
        known = ", ".join(dict.fromkeys(_short(known) for known in FAMILIES))
        raise SpecError(
            f"checkpoint {folder} has the architecture {architecture}, which hf: cannot read; "
            f"write a factory that scores it, {_A_FACTORY}. Can be read: {known}"
        )
    if not any(folder.glob("*.safetensors")):
        pickled = [file.name for pattern in _PICKLES for file in folder.glob(pattern)]
        if pickled:
            raise SpecError(
                f"checkpoint {folder} has its weights in {pickled[0]}, which can run code when "
                "it is read; expected .safetensors: load it where you trust it and save it again"
            )
        raise SpecError(f"checkpoint {folder} has no weights; expected model.safetensors")
    return architecture


def _short(architecture: str) -> str:
    return architecture.partition("For")[0].removesuffix("Model")


def _files(folder: Path, within: Path) -> list[Path]:
    """Return all files that may be read of a folder, once it is known where they lie."""
    for index in folder.glob("*.index.json"):
        try:
            shards = set(json.loads(index.read_text())["weight_map"].values())
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise SpecError(f"{index} is not a valid list of weights: {error}") from error
        for shard in shards:
            file = named_file(index, shard, "file of weights")
            if file.parent != folder or file.suffix != ".safetensors":
                raise SpecError(
                    f"{index} names the file of weights {shard!r:.80}; expected .safetensors files "
                    "beside it: load the model where you trust it and save it again"
                )
            if not file.is_file():
                raise SpecError(f"{index} names {shard!r:.80}, which does not exist; fetch it too")
    files = sorted({file for pattern in _FILES for file in folder.glob(pattern)})
    check_links(within, files)
    return files


def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    read: Callable[..., Any] = AutoTokenizer.from_pretrained
    _need_tokenizer(folder)
    with in_one_line(f"the tokenizer of {folder} cannot be loaded", SpecError):
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
        with in_one_line(f"the processor of {folder} cannot be loaded", SpecError):
            processor = read(folder, local_files_only=True, trust_remote_code=False)
    except SpecError as error:
        if not isinstance(error.__cause__, ImportError):
            raise
        said = str(error.__cause__).strip().splitlines()[0]
        raise MissingExtraError(f"the processor of {folder} needs more: {said}") from error
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
