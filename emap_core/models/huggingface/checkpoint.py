"""A checkpoint's folder: where it comes from, what it says it is, and which files are read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emap_core.allowed_folders import (
    check_links,
    not_a_folder,
    path_or_hub_id,
    roots_of_environment,
)
from emap_core.errors import SpecError
from emap_core.hub import downloaded, files_listed
from emap_core.models.huggingface.adapter import CONFIG, base_of
from emap_core.models.model_files import named_file
from emap_core.option_names import option

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
"""Files that transformers may read in a folder, and that are fetched from the hub."""
_CODE = ("*.py",)
"""Further files that are read if a checkpoint's own code may run."""
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
A_FACTORY = "as the README shows under “Your own model”, and name it: my_model:load"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint's folder, its processor and its model in evaluation mode.

    Attributes
    ----------
    folder : Path
    architecture : str
    model, processor : object
        Objects of transformers.
    fingerprint : str
        Hash of files and settings.
    description : dict
        Name, revision, architecture, hash of the weights and settings, for the record of a run.
    keeps_dtype : bool
        Whether the user chose the type of the weights; if so, it stays on every device.
    """

    folder: Path
    architecture: str
    model: Any
    processor: Any
    fingerprint: str
    description: dict[str, Any]
    keeps_dtype: bool


def find_folder(name: str, with_code: bool = False) -> tuple[Path, str | None]:
    """Return a checkpoint's folder, and its revision if it is from the hub.

    Raises
    ------
    SpecError
        If it does not exist, or the hub cannot give it.
    """
    folder = path_or_hub_id(name, roots_of_environment())
    if folder is not None and folder.is_dir():
        return folder, None
    if folder is not None and folder.exists():
        raise SpecError(f"{name} is a file; expected the folder of a checkpoint")
    found = downloaded(name, "model", _patterns(with_code), not_a_folder(name, folder))
    return found, found.name


def _patterns(with_code: bool) -> list[str]:
    return [*_FILES, *(_CODE if with_code else ())]


def auto_classes_of(folder: Path) -> tuple[str, ...]:
    """Return the auto classes of transformers for which a checkpoint brings its own code."""
    named = json.loads((folder / "config.json").read_text()).get("auto_map")
    return tuple(one for one in named or () if str(one).startswith("AutoModel"))


def architecture_of(folder: Path) -> str:
    """Return the first of the architectures that a checkpoint's config.json names.

    Raises
    ------
    SpecError
        If the folder is not a checkpoint of transformers.
    """
    if (folder / CONFIG).is_file():
        base = base_of(folder) or "path/to/checkpoint"
        raise SpecError(
            f"folder {folder} has an adapter, not a whole model; name the checkpoint that it was "
            f"trained on, hf:{base}, with {option('adapter', str(folder), 'model')}"
        )
    if not (folder / "config.json").is_file():
        if (folder / "open_clip_config.json").is_file():
            raise SpecError(
                f"folder {folder} has an OpenCLIP model, which transformers cannot read; name it "
                f"openclip:{folder}"
            )
        raise SpecError(
            f"folder {folder} is not a valid checkpoint: it has no config.json; name a folder "
            "written by save_pretrained"
        )
    try:
        config = json.loads((folder / "config.json").read_text())
        names = config.get("architectures") or ["none"]
        architecture = str(names[0])
    except (ValueError, AttributeError, LookupError, TypeError, RecursionError) as error:
        raise SpecError(
            f"{folder / 'config.json'} is not a valid configuration: {error}"
        ) from error
    return architecture


def check_weights(folder: Path, name: str, architecture: str, revision: str | None) -> None:
    """Raise a SpecError unless a folder has weights in .safetensors.

    Parameters
    ----------
    folder : Path
    name : str
        Its name as the user gave it.
    architecture : str
    revision : str or None
        The commit, if it is from the hub, whose other files were not downloaded.
    """
    if any(folder.glob("*.safetensors")):
        return
    hub_id = name.partition("@")[0]
    files = [file.name for file in folder.iterdir()]
    if revision is not None:
        files += files_listed(hub_id, "model", revision)
    pickled = next((one for one in sorted(files) if one.endswith(PICKLES)), None)
    if pickled is None:
        raise SpecError(f"checkpoint {name} has no weights; expected model.safetensors")
    source, target = (hub_id, Path(hub_id).name) if revision else (str(folder), str(folder))
    target = f"{target.rstrip('/')}-safetensors"
    raise SpecError(
        f"checkpoint {name} has its weights in {pickled}, which can run code when it is read; if "
        "you trust it, save them as .safetensors and name that folder: python -c "
        f'"import transformers as t; t.{architecture}.from_pretrained({source!r}).save_pretrained('
        f'{target!r}); t.AutoProcessor.from_pretrained({source!r}).save_pretrained({target!r})"'
    )


def files_of(folder: Path, within: Path, with_code: bool = False) -> list[Path]:
    """Return all files of a folder that may be read, after checking where they are.

    Raises
    ------
    SpecError
        If a list of shards names a file that is missing, a pickle, or outside the folder.
    AccessError
        If a link leads out of `within` to a place where this server may not open files.
    """
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
                    "beside it: if you trust the model, load it and save it again"
                )
            if not file.is_file():
                raise SpecError(
                    f"{index} names {shard!r:.80}, which does not exist; download it, too"
                )
    files = sorted({file for pattern in _patterns(with_code) for file in folder.glob(pattern)})
    check_links(within, files)
    return files
