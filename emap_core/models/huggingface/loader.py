"""``hf:`` and ``hf-any:`` with a folder or a hub id: a checkpoint with a family, or any."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from emap_core.errors import MissingExtraError, SettingError, SpecError
from emap_core.hub import pinned_name
from emap_core.models.base import best_device
from emap_core.models.huggingface.adapter import adapter_files, merged
from emap_core.models.huggingface.checkpoint import (
    A_FACTORY,
    Checkpoint,
    architecture_of,
    auto_classes_of,
    check_weights,
    files_of,
    find_folder,
)
from emap_core.models.huggingface.family import Family, families_by_architecture
from emap_core.models.huggingface.processors import load_processor, load_tokenizer
from emap_core.models.huggingface.whole_forwards import way_of
from emap_core.models.model_files import digest
from emap_core.models.tokens import in_one_line
from emap_core.option_names import option
from emap_core.specs import check_arguments

_DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
_SCORING = "3"
"""Raise it when the same checkpoint and settings give other outputs or encodings."""


def load(name: str, dtype: str | None = None, adapter: str | None = None, **settings: Any) -> Any:
    """Return the model of a checkpoint; its family defines further `settings`.

    It reads only safetensors weights and never runs a checkpoint's own code.

    Parameters
    ----------
    name : str
        A folder, or a hub id with or without ``@revision``.
    dtype : {"float32", "bfloat16", "float16"}, optional
        Type of the weights, on every device. By default float32 on a CPU, and the checkpoint's own
        on a GPU.
    adapter : str, optional
        A LoRA adapter to merge into it: a folder, or a hub id with or without ``@revision``.

    Raises
    ------
    MissingExtraError
        If transformers, or a package for the processor, is not installed.
    SpecError
        If there is no checkpoint, or it lacks weights, a processor or a family.
    SettingError
        If a setting has an invalid value.
    AccessError
        If a link in the folder leads to a place where this server may not open files.
    """
    transformers = _library(f"hf:{name}")
    folder, revision = find_folder(name)
    architecture = architecture_of(folder)
    family = families_by_architecture().get(architecture)
    if family is None:
        raise _no_family(name, folder, architecture)
    kind = getattr(transformers, architecture)
    return _loaded(f"hf:{name}", folder, revision, family, kind, dtype, settings, adapter=adapter)


def load_any(
    name: str,
    dtype: str | None = None,
    custom_code: bool = False,
    adapter: str | None = None,
    **settings: Any,
) -> Any:
    """Return a model that scores every pair with one or more forward passes of the checkpoint.

    Parameters
    ----------
    name, dtype, adapter
        As for `load`.
    custom_code : bool
        Whether the checkpoint's own Python code may run.
    **settings
        ``classes``, ``prompt`` and ``normalise`` for a model that writes text.

    Raises
    ------
    SpecError
        If transformers has no such model of texts and images, or the checkpoint has its own code
        and `custom_code` is not given; and for everything that makes `load` raise it.
    """
    transformers = _library(f"hf-any:{name}")
    folder, revision = find_folder(name, with_code=custom_code)
    architecture = architecture_of(folder)
    auto_classes = () if hasattr(transformers, architecture) else auto_classes_of(folder)
    if auto_classes and not custom_code:
        raise SpecError(
            f"checkpoint {folder} comes with its own Python code, which would run with your "
            f"rights; read it, and if you trust it, give {option('custom_code', 'true', 'model')}"
        )
    family = way_of(architecture, auto_classes)
    if family is None:
        raise SpecError(
            f"checkpoint {folder} has the architecture {architecture}, which transformers does not "
            "list among models that write text after an image, compare a text with an image or "
            f"answer questions about an image; write a factory that scores it, {A_FACTORY}"
        )
    chosen = next((one for one in auto_classes if hasattr(transformers, one)), architecture)
    kind = getattr(transformers, chosen)
    return _loaded(
        f"hf-any:{name}",
        folder,
        revision,
        family,
        kind,
        dtype,
        settings,
        with_code=bool(auto_classes),
        adapter=adapter,
    )


def _library(spec: str) -> Any:
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError(
            f"model {spec!r} needs the package transformers: pip install transformers"
        ) from error
    return transformers


def _no_family(name: str, folder: Path, architecture: str) -> SpecError:
    said = f"checkpoint {folder} has the architecture {architecture}, for which hf: has no family; "
    if way_of(architecture, auto_classes_of(folder)):
        return SpecError(
            f"{said}name it hf-any:{name}, which runs the whole model on every pair, or write a "
            f"factory that scores it, {A_FACTORY}"
        )
    return SpecError(f"{said}write a factory that scores it, {A_FACTORY}")


def _loaded(
    spec: str,
    folder: Path,
    revision: str | None,
    family: Family,
    kind: Any,
    dtype: str | None,
    settings: Mapping[str, Any],
    *,
    with_code: bool = False,
    adapter: str | None = None,
) -> Any:
    """Return a family's model of a checkpoint, read by `kind`."""
    if dtype is not None and dtype not in _DTYPES:
        raise SettingError(f"dtype is {dtype!r}; expected one of {', '.join(_DTYPES)}")
    check_weights(folder, spec.partition(":")[2], architecture_of(folder), revision)
    # The hub's cache keeps the targets of a revision's links beside all revisions.
    files = files_of(folder, folder if revision is None else folder.parents[1], with_code)
    if family.reads_regions or family.processor == ("tokenizer",):
        processor = load_tokenizer(folder)
    else:
        processor = load_processor(folder, with_code, family.processor)
    # Wrong keyword arguments are found before gigabytes are read.
    check_arguments(f"model {spec!r}", family.make, (None,), settings)
    place, of_adapter = (None, None) if adapter is None else find_folder(adapter)
    if place is not None:
        files += adapter_files(place, place if of_adapter is None else place.parents[1])
    weights = [file for file in files if file.suffix == ".safetensors"]
    # 16 bits after every step cost the logits two digits, and save a CPU no time.
    otherwise = torch.float32 if best_device() == "cpu" else "auto"
    with in_one_line(f"the weights of {folder} cannot be loaded", SpecError):
        model = kind.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=with_code,
            dtype=otherwise if dtype is None else _DTYPES[dtype],
        )
    described = dict(settings)
    if place is not None:
        model = merged(model, place)
        described["adapter"] = (
            place.resolve().name if of_adapter is None else pinned_name(str(adapter), "model")
        )
    model.eval().requires_grad_(False)
    name = spec.partition(":")[2]
    architecture = architecture_of(folder)
    description = {
        "checkpoint": folder.resolve().name if revision is None else name.partition("@")[0],
        "revision": revision,
        "architecture": architecture,
        "family": family.name or None,
        "weights": digest(weights),
        **described,
    }
    scoring = _SCORING + repr(sorted(settings.items()))
    fingerprint = digest(files, scoring if spec.startswith("hf:") else f"whole {scoring}")
    return family.make(
        Checkpoint(
            folder, architecture, model, processor, fingerprint, description, dtype is not None
        ),
        **settings,
    )
