"""Write down what a run came to, and call it finished."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emap_core.decomposition import Decomposition
from emap_core.decomposition.rounding import noise_of_logits
from emap_core.decomposition.sampled import SampledFit
from emap_core.runs import Run
from emap_core.runs.folder import Json, RunFolder
from emap_core.runs.store import replacing


def finish_run(
    folder: RunFolder,
    manifest: Json,
    result: Decomposition | SampledFit,
    text_order: NDArray[np.intp],
) -> None:
    """Keep the result, then the manifest, which says that all is there, then the table.

    Parameters
    ----------
    folder : RunFolder
    manifest : dict
        Its status becomes ``"finished"``.
    result : Decomposition or SampledFit
    text_order : ndarray of shape (U_t,)
        Number of the text in each row of the plan.
    """
    arrays: dict[str, Any] = {"text_order": text_order}
    if isinstance(result, SampledFit):
        arrays |= {
            name: getattr(result, name) for name in ("text_noise", "image_noise", "explained")
        } | {"fraction": np.asarray(result.fraction)}
        result = result.decomposition
    # What a model computed in 16 bits is rounded more than its stored logits tell.
    noise = noise_of_logits(result.logits, manifest["computed_dtype"])
    result = replace(result, noise=np.maximum(noise, result.noise))
    arrays |= {name: getattr(result, name) for name in result.__dataclass_fields__}
    with replacing(folder.sums) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)
    folder.write_manifest({**manifest, "status": "finished"})
    Run.load(folder.path).table()
