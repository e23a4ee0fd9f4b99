"""A finished run: everything that pages, the command line and notebooks read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emap_core.errors import RunError
from emap_core.installation import computing
from emap_core.notebook_display import ShownInNotebooks
from emap_core.runs import notes
from emap_core.runs.cached_inference import CachedInference
from emap_core.runs.examples import examples_of
from emap_core.runs.folder import STATUS_IN_WORDS, RunFolder, find_run
from emap_core.runs.record import record_of
from emap_core.runs.slices import to_csv
from emap_core.runs.store import replacing

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go


class Run(CachedInference, ShownInNotebooks):
    """A finished run, read from its folder on use.

    Attributes
    ----------
    path : Path
    id : str
        The folder's name.
    manifest : dict
        What was computed, and with which settings and versions.
    """

    @classmethod
    def load(cls, path: str | Path) -> Run:
        """Open a finished run by its path or its id.

        Raises
        ------
        RunError
            If there is no such run, or it is not finished.
        """
        folder = RunFolder(find_run(path))
        status, manifest = folder.state()
        if status != "finished":
            why = f": {manifest['error']}" if manifest["error"] else ""
            then = {
                "cancelled": "; start it again to resume it",
                "interrupted": "; start it again to resume it",
                "part": "; merge it with the others",
            }
            raise RunError(
                f"run {folder.id!r} {STATUS_IN_WORDS[status]}{why}{then.get(status, '')}"
            )
        return cls(folder, manifest)

    def verify(self) -> None:
        """Read everything that a comparison with other runs needs.

        Raises
        ------
        RunError
            If a part of it is damaged or missing.
        """
        for _ in (
            self.decomposition,
            self.labels,
            self.ids,
            self.texts,
            self.linear_probes,
            self.density,
            self._kept_grid,
        ):
            pass

    @property
    def skipped(self) -> list[str]:
        """What was wrong with each row of the data that was left out."""
        return list(self.manifest.get("skipped") or [])

    @cached_property
    def notes(self) -> list[str]:
        """What a reader has to know besides the numbers, one sentence each."""
        return notes.notes_of(self)

    @property
    def noise_share(self) -> float | None:
        """Share of the outputs' variance that is noise, for a model allowed to be noisy."""
        return notes.noise_share(self)

    @property
    def skipped_note(self) -> str:
        """How many rows were left out, in words; empty if none was."""
        n = len(self.skipped)
        return f"{n:,} {'row was' if n == 1 else 'rows were'} left out" if n else ""

    @property
    def unknown_labels_note(self) -> str:
        """How many labels are not classes of the model, and how they count; empty if none."""
        return notes.unknown_labels_note(self)

    def table(self, intervals: bool = False, by: str | Sequence[str] | None = None) -> pd.DataFrame:
        """Return the scores: rows full, emap, …, constant, `LINEAR_PROBES`; one column per metric.

        With `intervals`, each metric has two more columns, ``…_low`` and ``…_high``, computed on
        first use. With `by`, a column of the examples or a name for each, the table has the first
        metric's gap in each group instead; see `emap_core.runs.gaps_by_column`.
        """
        if by is None:
            return super().table(intervals)
        from emap_core.runs.gaps_by_column import table_by

        return table_by(self, by)

    def probe(
        self,
        name: str,
        *,
        model: Any = None,
        dataset: Any = None,
        model_args: dict[str, Any] | None = None,
        data_args: dict[str, Any] | None = None,
        device: str = "auto",
        **choices: Any,
    ) -> Any:
        """Return what a probe finds, such as which words interact with which regions.

        Earlier results are read from the run. Otherwise the model is loaded again and asked, and
        the result is kept.

        Parameters
        ----------
        name : str
            One of `emap_core.probes.ask.PROBES`.
        model, dataset : object or str, optional
            Instead of what the run recorded; objects have to be given again.
        model_args, data_args : dict, optional
            Keyword arguments for their loaders, on top of those that the run recorded.
        device : str
            As for `emap_core.compute`.
        **choices
            Settings of the probe. For ``"attribution"``: ``example="test-3"``, or ``examples=[…]``,
            or ``largest=20`` for the examples with the largest interaction; with several, the
            answer is `emap_core.probes.words_over_examples.WordsOverExamples`.

        Raises
        ------
        EmapError
            If there is no such probe, or it cannot ask this run.
        """
        from emap_core.probes.ask import ask_each, probes_named
        from emap_core.probes.probed_run import ProbedRun

        probes = probes_named(self, name, **choices)
        probed = ProbedRun(
            self, model, dataset, model_args=model_args, data_args=data_args, device=device
        )
        with computing():
            found: list[Any] = ask_each(probed, probes)
        if choices.get("examples") is None and choices.get("largest") is None:
            return found[0]
        from emap_core.probes.words_over_examples import words_over_examples

        return words_over_examples(found)

    def examples(self) -> pd.DataFrame:
        """Return one row per example: text, label, predictions, flip, kind, interaction size.

        ``interaction_size`` is the length of the interaction vector over all classes, class-centred
        under a softmax, in units of the projected space; `decomposition` has the interaction of
        each class. ``flip`` and ``kind`` compare the model with its leave-one-out projection.
        ``data.X`` is the column X of the data. With more than two sides, ``text_index`` and
        ``image_index`` are the items of the first two, and ``side_2_index`` those of the third.
        """
        return self._examples.copy()

    def write_examples(self, path: Path) -> None:
        """Write the examples as CSV in which a spreadsheet finds no formula."""
        with replacing(path) as temporary:
            content = to_csv(self._examples, np.ones(len(self.ids), dtype=bool))
            temporary.write_text(content, encoding="utf-8")

    def figure(self, name: str, **choice: Any) -> go.Figure:
        """Return one of the run's figures.

        Parameters
        ----------
        name : str
            ``gap``, ``shares``, ``decisions``, ``contributions``, ``modes``, ``mode-ends`` or
            ``waterfall``.
        **choice
            ``class_name`` for contributions, modes and mode-ends; ``mode`` for mode-ends, counted
            from 1; ``example``, an id, for the waterfall. With more than two sides, ``sides`` for
            contributions, modes and mode-ends: ``"question,spoken"``.

        Raises
        ------
        SettingError
            If the run has no such figure, or the figure no such choice.
        """
        # Only this method and `probe` reach up to the rooms that show a run: in a notebook, people
        # ask a run for its figure and should not have to know which room draws it.
        from emap_core.presentation import notebook

        return notebook.figure(self, name, **choice)

    def record(self, equivalence_margin: float | None = None) -> dict[str, Any]:
        """Return the numbers of the run as one JSON-able object; what is not computed is None.

        Parameters
        ----------
        equivalence_margin : float, optional
            See `verdict`; for the first metric.
        """
        return record_of(self, equivalence_margin)

    @cached_property
    def _examples(self) -> pd.DataFrame:
        return examples_of(self)
