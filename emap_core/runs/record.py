"""The numbers of a run as one JSON-able object, for ``show --json``, pages and report."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from emap_core.decomposition import Decomposition
from emap_core.decomposition.projection import PARTS
from emap_core.inference import LINEAR_PROBES, PROJECTIONS, Gap, Interval
from emap_core.methods import methods

if TYPE_CHECKING:
    import pandas as pd

    from emap_core.runs.run import Run


def record_of(run: Run, equivalence_margin: float | None = None) -> dict[str, Any]:
    """Return the numbers of the run as one JSON-able object; values not computed are None.

    Parameters
    ----------
    run : Run
    equivalence_margin : float, optional
        See `Run.verdict`; for the first metric.
    """
    verdict = run.verdict(equivalence_margin)
    points, found, unlikely = run.table(), run.intervals(), run.unlikely_pairs()
    manifest, two = run.manifest, len(run.sides) == 2
    return {
        "n_examples": manifest["n_examples"],
        "n_texts": manifest["n_texts"] if two else None,
        "n_images": manifest["n_images"] if two else None,
        "n_pairs_evaluated": manifest["n_pairs_evaluated"],
        "method": manifest["method"],
        "space": run.space,
        "classes": run.classes,
        "metrics": {
            name: _metric_record(run, name, points[name])
            | {"p_value_holm": _number(run.adjusted_p_values[name])}
            for name in run.metrics
        },
        "variance_shares": _shares_record(run.shares),
        "variance_shares_raw": _shares_record(run.decomposition),
        "variance_shares_intervals": {
            part: [_interval_record(one) for one in shares] for part, shares in found.shares.items()
        }
        | {"pooled": {part: _interval_record(one) for part, one in found.pooled_shares.items()}},
        "kinds": {name: one.to_json() for name, one in run.proportions("kind").items()},
        "flips": {name: one.to_json() for name, one in run.proportions("flip").items()},
        "resampling": {
            "cluster": found.cluster,
            "population": found.population,
            "n_resamples": found.n_resamples,
            "seed": found.seed,
            "notes": found.notes,
        },
        **_of_method(run),
        "unlikely_pairs": None if unlikely is None else unlikely.to_json(),
        "skipped": run.skipped,
        "notes": run.notes,
        "classes_guessed": manifest["classes_guessed"],
        "noise_share": run.noise_share,
        "dtype": manifest.get("dtype"),
        "unknown_labels": run.manifest["unknown_labels"],
        "verdict": str(verdict),
        "verdict_kind": verdict.kind,
        # The key is older than today's name, and other programs read it.
        "smallest_gap": verdict.equivalence_margin,
        "warnings": list(run.warnings),
        "verdicts": {
            name: (run.verdict(metric=name) if place else verdict).to_json()
            for place, name in enumerate(run.metrics)
        },
        "run": run.id,
        # Entries named after text and image, in order.
        "sides": [
            asdict(side) | {"n_items": size}
            for side, size in zip(run.sides, run.sizes, strict=True)
        ],
        "model": manifest["model"],
        "dataset": manifest["dataset"],
        **{said: manifest[said] for said in ("name", "tags", "comment", "archived")},
        "provenance": manifest.get("provenance"),
    }


def _metric_record(run: Run, name: str, points: pd.Series) -> dict[str, Any]:
    plain, left_out = run.gap(name, "emap"), run.gap(name)
    return _without_nan(
        {
            **_calibrated_record(run.calibrated_gaps.get(name, {})),
            **dict.fromkeys((*PROJECTIONS, *LINEAR_PROBES)),
            **points.to_dict(),
            "gap": plain.difference,
            "gap_low": plain.low,
            "gap_high": plain.high,
            "p_value": plain.p_value,
            "gap_leave_one_out": left_out.difference,
            "gap_leave_one_out_low": left_out.low,
            "gap_leave_one_out_high": left_out.high,
            "p_value_leave_one_out": left_out.p_value,
            "standard_error": plain.standard_error,
            "standard_error_leave_one_out": left_out.standard_error,
            "standard_error_of_examples": left_out.standard_error_of_examples,
            "standard_error_of_pairs": left_out.standard_error_of_pairs,
            "degrees_of_freedom": left_out.degrees_of_freedom,
            "population": left_out.population,
            "n_units": left_out.n_units,
            "unit": left_out.unit,
            "method": left_out.method,
            "n_resamples": left_out.n_resamples,
            "seed": left_out.seed,
        }
    ) | {"steps": _steps_record(run, name)}


def _steps_record(run: Run, name: str) -> dict[str, Any] | None:
    """Return what each order of projections adds to the one below; None with two sides."""
    steps = run.intervals().steps.get(name)
    if steps is None:
        return None
    return {
        upper: _without_nan(
            {
                "from": gap.projection,
                "difference": gap.difference,
                "low": gap.low,
                "high": gap.high,
                "p_value": gap.p_value,
            }
        )
        for upper, gap in steps.items()
    }


def _of_method(run: Run) -> dict[str, Any]:
    """Return the entries that only some methods have; None for those of other methods."""
    entries = {one.record_entry: None for one in methods() if one.record_entry is not None}
    own = run.method.record_entry
    return entries if own is None else entries | {own: _plain(run.statistics.record())}


def _calibrated_record(gaps: dict[str, Gap]) -> dict[str, float | None]:
    record: dict[str, float | None] = {}
    for row, name in (("emap", "gap"), ("emap_leave_one_out", "gap_leave_one_out")):
        gap = gaps.get(row)
        record[f"{name}_calibrated"] = None if gap is None else gap.difference
        record[f"{name}_calibrated_low"] = None if gap is None else gap.low
        record[f"{name}_calibrated_high"] = None if gap is None else gap.high
    return record


def _shares_record(decomposition: Decomposition) -> dict[str, Any]:
    shares, pooled = decomposition.variance_shares, decomposition.pooled_shares
    if len(decomposition.sides) == 2:
        parts: list[str] = list(PARTS)
    else:
        # Every set of sides, then all interactions together.
        parts = [" × ".join(some) for some in decomposition.terms] + ["interaction"]
        shares = np.vstack([*decomposition.terms.values(), shares[-1]])
        pooled = np.array([*decomposition.pooled_terms.values(), pooled[-1]])
    return {
        **{part: [_number(v) for v in shares[i]] for i, part in enumerate(parts)},
        "pooled": {part: _number(pooled[i]) for i, part in enumerate(parts)},
    }


def _interval_record(interval: Interval) -> list[float | None]:
    return [_number(interval.low), _number(interval.high)]


def _without_nan(content: dict[str, Any]) -> dict[str, Any]:
    return {k: _number(v) if isinstance(v, float) else v for k, v in content.items()}


def _plain(content: Any) -> Any:
    """Return a record with None for every non-finite number."""
    if isinstance(content, dict):
        return {name: _plain(value) for name, value in content.items()}
    return _number(content) if isinstance(content, float) else content


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
