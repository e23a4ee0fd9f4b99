"""Models: anything that scores pairs of a text and an image, named by a spec string."""

from __future__ import annotations

from typing import Any

from emap_core import specs

LOADERS = {
    "demo": "emap_core.models.demo:load",
    "hf": "emap_core.models.huggingface.loader:load",
    "hf-any": "emap_core.models.huggingface.loader:load_any",
    "openclip": "emap_core.models.openclip:load",
    "torchscript": "emap_core.models.exported:load_torchscript",
    "export": "emap_core.models.exported:load_export",
    "onnx": "emap_core.models.exported:load_onnx",
    "openai": "emap_core.models.servers.chat:load",
    "logits": "emap_core.models.grid_file:load",
}
"""Reserved prefixes and the function that each leads to."""


def load_model(spec: str, **settings: Any) -> Any:
    """Return the model that a spec string names.

    Parameters
    ----------
    spec : str
        ``demo:NAME``, another prefix of `LOADERS`, or ``module[.sub]:factory``, a function that
        returns a staged model or a callable (texts, images) -> array.
    **settings
        Keyword arguments for the loader or factory.

    Raises
    ------
    SpecError
        If the spec names nothing known, or cannot be loaded.
    SettingError
        If the loader does not take a keyword argument.

    Examples
    --------
    >>> load_model("demo:concat").classes[:3]
    ['circle', 'green', 'red']
    """
    return specs.load("model", spec, LOADERS, settings)
