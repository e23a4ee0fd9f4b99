"""The processor of a checkpoint, or only its tokenizer, from its folder."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from emap_core.errors import MissingExtraError, SpecError
from emap_core.models.tokens import in_one_line

_OF_PROCESSORS = ("preprocessor_config.json", "processor_config.json")
_OF_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")


def load_tokenizer(folder: Path) -> Any:
    """Return the tokenizer of a checkpoint that does not read pictures."""
    from transformers import AutoTokenizer

    read: Callable[..., Any] = AutoTokenizer.from_pretrained
    _need_tokenizer(folder)
    with in_one_line(f"the tokenizer of {folder} cannot be loaded", SpecError):
        return read(folder, local_files_only=True, trust_remote_code=False)


def load_processor(
    folder: Path,
    with_code: bool = False,
    parts: Sequence[str] = ("tokenizer", "image_processor"),
) -> Any:
    """Return the processor of a checkpoint, without the part for videos, if any.

    Parameters
    ----------
    folder : Path
    with_code : bool
        Whether the checkpoint's own code may run.
    parts : sequence of str
        The parts that it must have.

    Raises
    ------
    SpecError
        If the folder has no processor or no tokenizer, or one of them cannot be loaded.
    MissingExtraError
        If the processor needs a package that is not installed.
    """
    if not any((folder / name).is_file() for name in _OF_PROCESSORS):
        raise SpecError(
            f"checkpoint {folder} has no processor; expected {' or '.join(_OF_PROCESSORS)} "
            "and the tokenizer's files: save the processor into the same folder"
        )
    _need_tokenizer(folder)
    try:
        with in_one_line(f"the processor of {folder} cannot be loaded", SpecError):
            read: Callable[..., Any] = _kind_of_processor(folder).from_pretrained
            processor = read(folder, local_files_only=True, trust_remote_code=with_code)
    except SpecError as error:
        if not isinstance(error.__cause__, ImportError):
            raise
        said = str(error.__cause__).strip().splitlines()[0]
        raise MissingExtraError(
            f"the processor of {folder} needs another package: {said}"
        ) from error
    for part in parts:
        if getattr(processor, part, None) is None:
            raise SpecError(f"the processor of {folder} has no {part.replace('_', ' ')}")
    return processor


def _kind_of_processor(folder: Path) -> Any:
    import transformers
    from transformers.models.auto import processing_auto

    model_type = json.loads((folder / "config.json").read_text()).get("model_type")
    known: dict[str, str] = vars(processing_auto)["PROCESSOR_MAPPING_NAMES"]
    kind = getattr(transformers, known.get(model_type, "AutoProcessor"))
    parts = kind.get_attributes() if hasattr(kind, "get_attributes") else ()
    return _for_pictures(kind) if "video_processor" in parts else transformers.AutoProcessor


def _for_pictures(kind: Any) -> Any:
    """Return a class of processor without its part for videos, which alone needs torchvision.

    transformers decides which parts and settings to read from a folder by the names of the class's
    parameters and of its code's variables.
    """
    whole = inspect.signature(kind)
    fewer = [one for name, one in whole.parameters.items() if name != "video_processor"]
    signature = whole.replace(parameters=fewer)

    class ForPictures(kind):  # type: ignore[misc]  # known when it is read
        # SmolVLM reads these whenever it writes a prompt.
        video_processor = SimpleNamespace(num_frames=None, fps=None)

        def __init__(self, *parts: Any, **settings: Any) -> None:
            # In some, the part for videos is between the others.
            named = signature.bind(*parts, **settings).arguments
            more = named.pop("kwargs", {})
            super().__init__(**named, **more, video_processor=None)

        __init__.__signature__ = signature  # type: ignore[attr-defined]  # read by inspect

        @staticmethod
        def validate_init_kwargs(processor_config: dict[str, Any], valid_kwargs: Any) -> Any:
            return kind.validate_init_kwargs(processor_config, list(signature.parameters))

    return ForPictures


def _need_tokenizer(folder: Path) -> None:
    # Without its files, the library would make a tokenizer without any words.
    if not any((folder / name).is_file() for name in _OF_TOKENIZERS):
        raise SpecError(
            f"checkpoint {folder} has no tokenizer; expected {' or '.join(_OF_TOKENIZERS)}"
        )
