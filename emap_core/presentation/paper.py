"""A run for a paper: the paragraph on methods, what to cite, the table of several runs."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from emap_core import __version__
from emap_core.errors import SettingError
from emap_core.human_readable import capitalised, counted
from emap_core.inference import metric
from emap_core.inference.number_format import bracket, change, measured, p_value, percent
from emap_core.inference.predictions.scores import in_words
from emap_core.inference.table.rows import ROWS
from emap_core.modalities.side_names import cell_of, items_of
from emap_core.presentation.comparison_tables import (
    Form,
    as_latex,
    as_markdown,
    comparison_table,
    latex,
    populations,
    readable_table,
    run_names,
    shared_metrics,
)
from emap_core.runs import Run
from emap_core.runs.slices import safe_csv
from emap_core.untrusted_text import visible

_HESSEL = """@inproceedings{hessel-lee-2020-multimodal,
  title     = {Does my multimodal model learn cross-modal interactions? It's harder to tell than you might think!},
  author    = {Hessel, Jack and Lee, Lillian},
  booktitle = {Proceedings of the 2020 Conference on Empirical Methods in Natural Language Processing},
  year      = {2020}
}"""  # noqa: E501 - to be copied verbatim
_SOFTWARE = f"""@software{{emap-lens,
  title   = {{EMAP Lens}},
  author  = {{{{The EMAP Lens maintainers}}}},
  version = {{{__version__}}}
}}"""
_HOLM = """@article{holm-1979-simple,
  title   = {A simple sequentially rejective multiple test procedure},
  author  = {Holm, Sture},
  journal = {Scandinavian Journal of Statistics},
  volume  = {6},
  number  = {2},
  pages   = {65--70},
  year    = {1979}
}"""
_TRANSFORMERS = """@inproceedings{wolf-etal-2020-transformers,
  title     = {Transformers: State-of-the-Art Natural Language Processing},
  author    = {Wolf, Thomas and others},
  booktitle = {Proceedings of the 2020 Conference on Empirical Methods in Natural Language Processing: System Demonstrations},
  year      = {2020}
}"""  # noqa: E501
_SCIKIT_LEARN = """@article{scikit-learn,
  title   = {Scikit-learn: Machine Learning in {P}ython},
  author  = {Pedregosa, F. and Varoquaux, G. and Gramfort, A. and others},
  journal = {Journal of Machine Learning Research},
  volume  = {12},
  pages   = {2825--2830},
  year    = {2011}
}"""
_EASY_VQA = """@misc{easy-vqa,
  title        = {easy-{VQA}},
  author       = {Zhou, Victor},
  howpublished = {\\url{https://github.com/vzhou842/easy-VQA}}
}"""


def methods_paragraph(run: Run) -> str:
    """Return a paragraph on methods with the run's own numbers, for the first of its metrics."""
    manifest = run.manifest
    model, data = (visible(manifest[name]) for name in ("model", "dataset"))
    sentences = [
        f"We computed the empirical multimodally-additive projection (EMAP; Hessel and Lee, 2020) "
        f"of {model} on {counted(manifest['n_examples'], 'example')} of {data}, with "
        f"{_items(run)}.",
        f"{_scored(run)} The {in_words(run.space, run.task)} were projected.",
    ]
    if run.metrics and run.shared_by_all is None:
        sentences += _results(run)
    pooled = run.intervals().pooled_shares["interaction"].value
    if pooled == pooled and run.shared_by_all is None:
        sentences.append(
            f"Interactions carry {percent(pooled)} of the variance over all recombinations."
        )
    versions = manifest["versions"]
    libraries = ", ".join(
        f"{name} {versions[name]}" for name in ("torch", "numpy") if name in versions
    )
    code = ((manifest.get("provenance") or {}).get("code") or {}).get("version", __version__)
    sentences.append(
        f"Computed with EMAP Lens {code}"
        + (f" ({libraries})" if libraries else "")
        + f", seed {run.intervals().seed}."
    )
    return " ".join(sentences)


def _items(run: Run) -> str:
    if len(run.sides) == 2:
        n_texts, n_images = run.sizes
        return f"{counted(n_texts, 'different text')} and {counted(n_images, 'different image')}"
    *most, last = (
        f"{size:,} different {items_of(side, run.sides)}"
        for side, size in zip(run.sides, run.sizes, strict=True)
    )
    return f"{', '.join(most)} and {last}"


def _scored(run: Run) -> str:
    manifest = run.manifest
    n_pairs = manifest["n_pairs_evaluated"]
    of = "a text with an image" if len(run.sides) == 2 else "an item of each side"
    if manifest["closed_form"]:
        return "All recombinations follow in closed form from the encodings."
    if run.method.scores_all_pairs:
        return f"All {n_pairs:,} recombinations of {of} were scored."
    if run.method.draws_examples:
        settings = manifest["settings"]
        return (
            f"Scores are averages over {settings['repeats']} random sub-samples of "
            f"{settings['subsample_size']} examples."
        )
    return (
        f"{n_pairs:,} of the {prod(run.sizes):,} recombinations of {of} were "
        f"scored (method: {manifest['method']})."
    )


def _results(run: Run) -> list[str]:
    name = run.metrics[0]
    gap, which = run.gap(name), metric(name)
    found = [
        f"{capitalised(which.label)} is {measured(gap.full, which.unit)} for the model and "
        f"{measured(gap.projected, which.unit)} for its projection "
        f"({ROWS[gap.projection].label}: each example’s own {cell_of(len(run.sides))} is left "
        f"out), a difference of {change(gap.difference, which.unit)}"
    ]
    if gap.low == gap.low:
        found[0] += (
            f" with a 95% interval of {bracket(gap.low, gap.high, which.unit)} {gap.population}"
        )
    if gap.p_value == gap.p_value:
        found[0] += f" ({p_value(gap.p_value)})"
    found[0] += "."
    found.append(f"Interval and test: {gap.method}.")
    adjusted = run.adjusted_p_values[name]
    if len(run.metrics) > 1 and adjusted == adjusted:
        found.append(
            f"Among the {len(run.metrics)} metrics tested, Holm’s correction gives "
            f"{p_value(adjusted)}."
        )
    return found


def bibtex(run: Run) -> str:
    """Return BibTeX for what a run used: the method, this software, libraries, a demo's data."""
    made = run.manifest.get("provenance") or {}
    model, data = ((made.get(side) or {}).get("spec", "") for side in ("model", "data"))
    entries = [_HESSEL, _SOFTWARE]
    if len(run.metrics) > 1:
        entries.append(_HOLM)
    if model.startswith(("hf:", "hf-any:")):
        entries.append(_TRANSFORMERS)
    if run.linear_probes or run.density is not None:
        entries.append(_SCIKIT_LEARN)
    if data.startswith("demo:easy-vqa"):
        entries.append(_EASY_VQA)
    return "\n\n".join(entries) + "\n"


def chosen_metrics(runs: Sequence[Run], metrics: Sequence[str]) -> list[str]:
    """Return the metrics that runs are compared by: those asked for, or all shared ones.

    Raises
    ------
    SettingError
        If a run lacks one of the metrics.
    """
    shared = shared_metrics(runs)
    chosen = [metric(name).name for name in metrics] or shared
    for name in chosen:
        if name not in shared:
            raise SettingError(
                f"metric {name!r} is not in all runs; choose one of {', '.join(shared)}"
            )
    return chosen


def paper_table(runs: Sequence[Run], form: Form, metrics: Sequence[str] = ()) -> str:
    """Return the comparison of runs as a paper's table, with the notes that belong below it.

    Parameters
    ----------
    runs : sequence of Run
    form : {"markdown", "latex", "csv"}
        LaTeX is a ``table`` with its caption and needs the package booktabs. CSV has plain numbers
        and no notes.
    metrics : sequence of str
        By default, all metrics that every run has.

    Raises
    ------
    SettingError
        If a run lacks one of the metrics.
    """
    table = comparison_table(runs, chosen_metrics(runs, metrics))
    if form == "csv":
        return safe_csv(table)
    shown = readable_table(table, run_names(runs))
    caption = table_caption(runs)
    if form == "markdown":
        return f"{as_markdown(shown)}\n{caption}\n"
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            # A caption must not contain a paragraph break.
            rf"\caption{{{latex(caption)}}}",
            r"\label{tab:emap}",
            as_latex(shown).rstrip(),
            r"\end{table}",
            "",
        ]
    )


def table_caption(runs: Sequence[Run]) -> str:
    """Return the notes below a table of runs: method, population, tests."""
    methods = " or ".join(dict.fromkeys(run.manifest["method"] for run in runs))
    said = (
        "What interactions are worth: each model beside its additive projection (EMAP, "
        f"leave-one-out; method: {methods}). Brackets hold 95% intervals, {populations(runs)}"
    )
    if len(runs) > 1:
        said += (
            "; limits for all runs at once are corrected after Bonferroni, p-values of no "
            "difference after Holm"
        )
    return f"{said}."
