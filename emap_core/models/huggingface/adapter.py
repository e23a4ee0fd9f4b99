"""LoRA adapters: small weights that are merged into a checkpoint's own when it is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from emap_core.allowed_folders import check_links
from emap_core.errors import MissingExtraError, SpecError
from emap_core.installation import with_extra
from emap_core.models.tokens import in_one_line

CONFIG = "adapter_config.json"
_WEIGHTS = "adapter_model.safetensors"
_READ = (
    *("r", "target_modules", "exclude_modules", "lora_alpha", "fan_in_fan_out", "bias"),
    *("use_rslora", "use_dora", "lora_bias", "modules_to_save", "layers_to_transform"),
    *("layers_pattern", "rank_pattern", "alpha_pattern"),
)
"""Settings that decide how weights are merged."""
_OF_TRAINING = (
    *("task_type", "peft_type", "peft_version", "auto_mapping", "base_model_name_or_path"),
    *("revision", "inference_mode", "lora_dropout", "init_lora_weights", "megatron_core"),
    *("loftq_config", "eva_config", "corda_config", "lora_ga_config", "qalora_group_size"),
    *("ensure_weight_tying", "runtime_config"),
)
"""Settings about its origin and training; they are not read."""


def adapter_files(folder: Path, within: Path) -> list[Path]:
    """Return the files of an adapter to read; their links may lead into `within`.

    Raises
    ------
    SpecError
        If it is not a LoRA adapter in .safetensors, or its kind is not supported.
    AccessError
        If a link leads to a place where this server may not open files.
    """
    files = [folder / CONFIG, folder / _WEIGHTS]
    if not files[0].is_file():
        raise SpecError(
            f"adapter {folder} has no {CONFIG}; name a folder written by the library peft"
        )
    if not files[1].is_file():
        raise SpecError(
            f"adapter {folder} has no {_WEIGHTS}, and other weight files can run code when they "
            "are read; if you trust it, save it again as .safetensors"
        )
    check_links(within, files)
    _settings(folder)
    return files


def base_of(folder: Path) -> str:
    """Return the name of the checkpoint that an adapter says it belongs to, or nothing."""
    try:
        named = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        return str(named.get("base_model_name_or_path") or "")[:200]
    except (OSError, ValueError, AttributeError, RecursionError):
        return ""


def merged(model: Any, folder: Path) -> Any:
    """Return a model with the weights of an adapter merged into its own.

    Raises
    ------
    MissingExtraError
        If the library peft is not installed.
    SpecError
        If the adapter does not fit the model.
    """
    try:
        import peft
    except ImportError as error:
        raise MissingExtraError(
            f"adapter {folder} needs the package peft: {with_extra('lora')}"
        ) from error
    with in_one_line(f"adapter {folder} cannot be merged into the checkpoint", SpecError):
        # Pass on only the parts of its configuration known to be numbers and names of layers.
        config = peft.LoraConfig(**_settings(folder), inference_mode=True)
        with_adapter = peft.PeftModel.from_pretrained(model, folder, config=config)
        wanted = {name for name in peft.get_peft_model_state_dict(with_adapter) if "lora_" in name}
        if wanted != _names(folder / _WEIGHTS):
            raise SpecError(
                f"adapter {folder} has weights for layers that the checkpoint does not have; name "
                f"the checkpoint that it was trained on{_says(folder)}"
            )
        return with_adapter.merge_and_unload()


def _names(file: Path) -> set[str]:
    try:
        with safe_open(file, framework="pt") as stored:
            return {name for name in stored.keys() if "lora_" in name}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise SpecError(f"{file} cannot be read: {error}") from error


def _says(folder: Path) -> str:
    return f" (it says {base_of(folder)!r})" if base_of(folder) else ""


def _settings(folder: Path) -> dict[str, Any]:
    """Return the settings that decide how an adapter is merged, after refusing unknown ones."""
    file = folder / CONFIG
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SpecError(f"{file} is not a valid configuration: {error}") from error
    if not isinstance(stored, dict) or str(stored.get("peft_type")).upper() != "LORA":
        raise SpecError(f"{file} does not belong to a LoRA adapter; merge it where you trained it")
    other = [name for name, value in stored.items() if value and name not in _READ + _OF_TRAINING]
    if other:
        raise SpecError(
            f"{file} has {other[0]!r:.80}, which is not supported; merge the adapter where you "
            "trained it (merge_and_unload, then save_pretrained), and name that folder"
        )
    return {name: stored[name] for name in _READ if stored.get(name) is not None}
