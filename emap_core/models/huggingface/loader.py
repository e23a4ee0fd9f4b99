"""``hf:FOLDER`` or ``hf:HUB_ID[@revision]``: a Hugging Face checkpoint."""

from __future__ import annotations

from typing import Any

import torch

from emap_core.errors import MissingExtraError, SettingError, SpecError
from emap_core.models.base import best_device
from emap_core.models.files import digest
from emap_core.models.huggingface.checkpoint import (
    A_FACTORY,
    Checkpoint,
    architecture_of,
    check_weights,
    files_of,
    find_folder,
)
from emap_core.models.huggingface.family import families_by_architecture
from emap_core.models.huggingface.processors import load_processor, load_tokenizer
from emap_core.models.tokens import in_one_line
from emap_core.specs import check_arguments

_DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
_SCORING = "3"
"""Changes whenever the same checkpoint and settings come to give other outputs or encodings."""


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
    folder, revision = find_folder(name)
    architecture = architecture_of(folder)
    family = families_by_architecture().get(architecture)
    if family is None:
        known = ", ".join(dict.fromkeys(map(_short, families_by_architecture())))
        raise SpecError(
            f"checkpoint {folder} has the architecture {architecture}, which hf: cannot read; "
            f"write a factory that scores it, {A_FACTORY}. Can be read: {known}"
        )
    check_weights(folder)
    # The cache of the hub keeps what a revision links to beside all revisions.
    files = files_of(folder, folder if revision is None else folder.parents[1])
    processor = load_tokenizer(folder) if family.reads_regions else load_processor(folder)
    # Wrong keyword arguments are found before gigabytes are read.
    check_arguments(f"model 'hf:{name}'", family.make, (None,), settings)
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
    return family.make(
        Checkpoint(
            folder, architecture, model, processor, fingerprint, description, dtype is not None
        ),
        **settings,
    )


def _short(architecture: str) -> str:
    return architecture.partition("For")[0].removesuffix("Model")
