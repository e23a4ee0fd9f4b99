"""``demo:NAME``: small trained models that come with the repository."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from safetensors import safe_open

from emap_core.dashboard_files import dashboard_folder
from emap_core.errors import SpecError

if TYPE_CHECKING:
    from emap_core.models.demo_digit_networks import DigitsModel
    from emap_core.models.demo_networks import DemoModel

OF_DIGITS = ("digits-additive", "digits-pairs", "digits-joint")
"""What can follow ``demo:`` for the three sides of a question about two digits."""

NAMES = (
    "text-only",
    "image-only",
    "additive",
    "concat",
    "self-attention",
    "cross-attention",
    "emoji-groups",
    "emoji-match",
    *OF_DIGITS,
)
"""What can follow ``demo:``, listed here so that torch need not be loaded."""

FOLDER = dashboard_folder() / "assets" / "demo_models"
"""Folder of the weights and their card."""


def load(name: str) -> DemoModel | DigitsModel:
    """Return a demo model with its trained weights.

    Raises
    ------
    SpecError
        If there is no such model, or its weights are missing.
    """
    if name not in NAMES:
        known = ", ".join(f"demo:{known}" for known in NAMES)
        raise SpecError(f"there is no model 'demo:{name}'; there are {known}")
    from emap_core.models import demo_digit_networks, demo_networks

    path = FOLDER / f"{name}.safetensors"
    if not path.is_file():
        raise SpecError(
            f"the weights of 'demo:{name}' are not in {FOLDER}; install emap-lens again, or clone "
            "its repository"
        )
    with safe_open(path, framework="pt") as file:
        described = file.metadata()
        weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    architectures = demo_networks.ARCHITECTURES | demo_digit_networks.ARCHITECTURES
    model = architectures[name](json.loads(described["words"]), json.loads(described["classes"]))
    model.load_state_dict(weights)
    model.fingerprint = hashlib.sha256(
        demo_networks.VERSION.encode() + path.read_bytes()
    ).hexdigest()[:16]
    model.description = {
        "name": name,
        "version": demo_networks.VERSION,
        "weights": model.fingerprint,
    }
    return model.eval().requires_grad_(False)
