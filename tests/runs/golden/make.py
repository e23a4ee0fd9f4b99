"""Build a small run folder of each method and of whatever else is kept, in the present format.

``python tests/runs/golden/make.py FOLDER`` writes them. Those beside this file were written by the
version that is named in their ``run.json``, and are never written again: they stand for the runs
that people have. A new format gets folders of its own beside them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[2]), str(HERE.parents[1])]

from samples import Staged, make_examples  # noqa: E402

import emap_core as emap  # noqa: E402

SETTINGS: dict[str, dict[str, Any]] = {
    "exact": {},
    "some_classes": {"keep_classes": 1},
    "sampled": {"method": "sampled", "images_per_text": 4},
    "baselines_and_density": {
        "density": "encodings",
        "train": make_examples(n=16, n_texts=5, n_images=6, seed=1, fingerprint="golden train"),
    },
    "subsample": {"method": "subsample", "subsample_size": 8, "repeats": 3},
}


def make(folder: Path) -> None:
    """Compute the runs, their intervals included, and write down what they say."""
    for name, settings in SETTINGS.items():
        data = make_examples(n=16, n_texts=5, n_images=6, fingerprint="golden data")
        run = emap.compute(
            Staged(), data, out=folder / name, batch_size=15, n_resamples=100, **settings
        )
        table = run.table(intervals=True)
        (folder / f"{name}.json").write_text(
            json.dumps(
                {
                    "table": json.loads(table.to_json(double_precision=15)),
                    "emap_leave_one_out": run.scores("emap_leave_one_out").tolist(),
                    "pooled_shares": run.shares.pooled_shares.tolist(),
                    "gap": run.gap("accuracy").to_json(),
                    "examples": json.loads(run.examples().to_json(double_precision=15)),
                },
                indent=1,
            )
        )
        for passing in ("progress.json", ".lock"):
            (run.path / passing).unlink(missing_ok=True)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
