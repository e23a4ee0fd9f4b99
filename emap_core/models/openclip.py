"""``openclip:`` with a folder or a hub id: two towers saved by the library OpenCLIP."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from emap_core.errors import MissingExtraError, SpecError
from emap_core.installation import with_extra
from emap_core.models.huggingface.checkpoint import PICKLES, Checkpoint, files_of, find_folder
from emap_core.models.huggingface.families import two_towers
from emap_core.models.model_files import digest
from emap_core.models.tokens import in_one_line
from emap_core.specs import check_arguments

CONFIG = "open_clip_config.json"
_TOKENISER_SETTINGS = ("clean", "strip_sep_token", "additional_special_tokens")
"""Tokenizer settings of a folder that neither open other files nor run code."""
_SCORING = "1"
"""Raise it when the same folder and settings give other outputs or encodings."""


def load(name: str, **settings: Any) -> Any:
    """Return the model in a folder of OpenCLIP, as `two_towers.make` reads those of transformers.

    The library's own tokenizer and transform read texts and images; weights are float32.

    Parameters
    ----------
    name : str
        A folder with ``open_clip_config.json``, or a hub id with or without ``@revision``.
    **settings
        ``template``, ``classes`` and ``head``.

    Raises
    ------
    MissingExtraError
        If the library is not installed.
    SpecError
        If there is no such folder, its weights are not in .safetensors, or it names parts that are
        elsewhere.
    SettingError
        If a setting has an invalid value.
    AccessError
        If a link in the folder leads to a place where this server may not open files.
    """
    folder, revision = find_folder(name)
    architecture = _check_config(folder, name)
    files = files_of(folder, folder if revision is None else folder.parents[1])
    weights = _weights(folder, name, revision)
    check_arguments(f"model 'openclip:{name}'", two_towers.make, (None,), settings)
    model, processor = _read(folder, weights)
    description = {
        "checkpoint": folder.resolve().name if revision is None else name.partition("@")[0],
        "revision": revision,
        "architecture": architecture,
        "family": "two towers",
        "weights": digest([weights]),
        **settings,
    }
    fingerprint = digest(files, f"openclip {_SCORING}" + repr(sorted(settings.items())))
    checkpoint = Checkpoint(folder, architecture, model, processor, fingerprint, description, False)
    return two_towers.make(checkpoint, **settings)


def _check_config(folder: Path, name: str) -> str:
    """Return the name of a folder's model, after checking that it names nothing elsewhere."""
    file = folder / CONFIG
    if not file.is_file():
        raise SpecError(
            f"openclip:{name} has no {CONFIG}; name an OpenCLIP model, or, if it has a "
            f"config.json, hf:{name}"
        )
    try:
        described = json.loads(file.read_text(encoding="utf-8"))["model_cfg"]
        text, vision = dict(described["text_cfg"]), dict(described["vision_cfg"])
        of_tokenizer = dict(text.get("tokenizer_kwargs") or {})
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise SpecError(f"{file} is not a valid configuration: {error!r:.200}") from error
    other = next((one for one in of_tokenizer if one not in _TOKENISER_SETTINGS), None)
    if other is not None:
        raise SpecError(
            f"{file} has {other!r:.80} for its tokenizer, which is not supported; write a factory"
        )
    tower = text.get("hf_model_name") or str(vision.get("timm_model_name") or "")
    # Such a name leads to a repository or another folder.
    if text.get("hf_model_name") or ":" in tower:
        raise SpecError(
            f"{file} names the tower {tower!r:.80}, whose configuration is elsewhere; write a "
            "factory that loads it with the package open_clip_torch"
        )
    return str(vision.get("timm_model_name") or "OpenCLIP")[:80]


def _weights(folder: Path, name: str, revision: str | None) -> Path:
    """Return the file that holds the weights: the library's own name before any other."""
    found = sorted(folder.glob("*.safetensors"), key=lambda f: ("open_clip" not in f.name, f.name))
    if found:
        return found[0]
    where = str(folder)
    if revision is None and not any(file.suffix in PICKLES for file in folder.iterdir()):
        raise SpecError(f"folder {folder} has no weights; expected open_clip_model.safetensors")
    first = ""
    if revision is not None:
        where = Path(name.partition("@")[0]).name
        first = f"hf download {name.partition('@')[0]} --local-dir {where}, then "
    raise SpecError(
        f"openclip:{name} has no weights in .safetensors; others can run code when they are read: "
        f'if you trust them, save them again with {first}python -c "import open_clip, '
        f"safetensors.torch as s; s.save_model(open_clip.create_model({f'local-dir:{where}'!r}), "
        f'{f"{where}/open_clip_model.safetensors"!r})", and name that folder'
    )


def _read(folder: Path, weights: Path) -> tuple[_Towers, SimpleNamespace]:
    """Return the model of a folder, with its tokenizer and its transform of images."""
    try:
        import open_clip
        import transformers
    except ImportError as error:
        raise MissingExtraError(
            f"model 'openclip:{folder}' needs the package open_clip_torch: {with_extra('openclip')}"
        ) from error
    except RuntimeError as error:
        # A torchvision built for another torch, such as a GPU build, fails like this.
        raise MissingExtraError(
            f"the package open_clip_torch cannot be imported ({error}); install the build of "
            f"torchvision that belongs to torch {torch.__version__}"
        ) from error
    place = f"local-dir:{folder}"
    with in_one_line(f"the OpenCLIP model in {folder} cannot be loaded", SpecError), _silent():
        # Name the file, because the library would prefer pickled weights.
        model = open_clip.create_model(place, load_weights=False, pretrained_text=False)
        open_clip.load_checkpoint(model, str(weights))
        tokenizer = open_clip.get_tokenizer(place)
        settings = open_clip.transform.PreprocessCfg(**model.visual.preprocess_cfg)
        transform = open_clip.transform.image_transform_v2(settings, is_train=False)
    towers = _Towers(model, int(tokenizer.context_length)).eval().requires_grad_(False)

    def pixels(images: Sequence[Any], return_tensors: str) -> Any:
        read = torch.stack([transform(image) for image in images])
        return transformers.BatchFeature({"pixel_values": read}, tensor_type=return_tensors)

    return towers, SimpleNamespace(tokenizer=_Tokenizer(tokenizer), image_processor=pixels)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Silence the library's warning about random weights: the weights are about to be loaded."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


class _Towers(nn.Module):
    """An OpenCLIP model with the interface of a transformers model that `two_towers` uses."""

    def __init__(self, model: Any, length: int) -> None:
        super().__init__()
        self.towers = model
        self.config = SimpleNamespace(max_position_embeddings=length)
        self.logit_scale = model.logit_scale
        if getattr(model, "logit_bias", None) is not None:
            self.logit_bias = model.logit_bias

    @property
    def device(self) -> torch.device:
        device: torch.device = self.logit_scale.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        dtype: torch.dtype = self.logit_scale.dtype
        return dtype

    def get_text_features(self, input_ids: torch.Tensor) -> Any:
        return self.towers.encode_text(input_ids)

    def get_image_features(self, pixel_values: torch.Tensor) -> Any:
        return self.towers.encode_image(pixel_values)


class _Tokenizer:
    """An OpenCLIP tokenizer with the interface of a transformers tokenizer that `Tokens` uses."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self.model_max_length = int(tokenizer.context_length)

    def __call__(self, texts: list[str], *, add_special_tokens: bool = True, **options: Any) -> Any:
        import transformers

        if options.get("return_tensors"):
            # It pads and cuts in its own way, as in training.
            return transformers.BatchEncoding({"input_ids": self._tokenizer(texts)})
        inner = getattr(self._tokenizer, "tokenizer", None)
        if inner is not None:
            cleaned = [self._tokenizer.clean_fn(text) for text in texts]
            return inner(cleaned, add_special_tokens=add_special_tokens, verbose=False)
        around = [self._tokenizer.sot_token_id], [self._tokenizer.eot_token_id]
        before, after = around if add_special_tokens else ([], [])
        return {"input_ids": [before + self._tokenizer.encode(text) + after for text in texts]}
