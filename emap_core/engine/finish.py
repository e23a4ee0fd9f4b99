"""Write the result of a run, and mark it as finished."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emap_core import methods
from emap_core.decomposition.rounding import noise_of_logits
from emap_core.methods.base import Projected, Result
from emap_core.methods.stored_arrays import means_of_two_on_disk
from emap_core.runs import Run
from emap_core.runs.folder import Json, RunFolder
from emap_core.runs.store import replacing


def finish_run(
    folder: RunFolder,
    manifest: Json,
    result: Result,
    row_order: NDArray[np.intp],
) -> None:
    """Write the result, then the manifest, which says that it is complete, then the table.

    Parameters
    ----------
    folder : RunFolder
    manifest : dict
        Its status becomes ``"finished"``.
    result : Result
        What the method of the manifest made of the scores.
    row_order : ndarray of shape (U_1,)
        Number of the item in each row of the plan.
    """
    arrays: dict[str, Any] = {"text_order": row_order}
    arrays |= methods.method(manifest["method"]).arrays(result)
    # What a model computed in 16 bits is rounded more than its stored logits tell.
    noise = noise_of_logits(arrays["logits"], manifest["computed_dtype"])
    arrays["noise"] = np.maximum(noise, arrays["noise"])
    with replacing(folder.sums) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)
    if isinstance(result, Projected) and result.means_of_two:
        means = means_of_two_on_disk(result.means_of_two, result.decomposition.sides)
        with replacing(folder.means_of_two) as temporary, temporary.open("wb") as file:
            np.savez(file, **means)  # type: ignore[arg-type]  # names
    folder.write_manifest({**manifest, "status": "finished"})
    Run.load(folder.path).table()
