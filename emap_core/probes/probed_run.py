"""What a probe asks: a finished run, with its model and data loaded again if needed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from emap_core.errors import EmapError, ModelError, RunError
from emap_core.runs import Run

if TYPE_CHECKING:
    from emap_core.engine.encoded_items import EncodedItems
    from emap_core.engine.evaluate import Evaluator
    from emap_core.models.base import Scorer

# The model loads torch, which pages with finished probes do not need.

AGAIN = (
    "name it again: --model SPEC and --data SPEC on the command line, model= and dataset= in Python"
)
_DIFFERENT = 0.05
"""Largest difference to the run's outputs, in their standard deviations.

Rounding on another device is far below it, another checkpoint far above.
"""


class ProbedRun:
    """A run whose model can be asked again.

    Parameters
    ----------
    run : Run
    model, dataset : object or str, optional
        Instead of what the run recorded: objects cannot be recorded, and folders of the machine
        that computed a run are not.
    model_args, data_args : dict, optional
        Keyword arguments for their loaders, on top of those that the run recorded.
    device : str
        ``"auto"`` takes cuda, then mps, then cpu.
    """

    def __init__(
        self,
        run: Run,
        model: Any = None,
        dataset: Any = None,
        *,
        model_args: dict[str, Any] | None = None,
        data_args: dict[str, Any] | None = None,
        device: str = "auto",
    ) -> None:
        self.run = run
        self._given = {"model": model, "data": dataset}
        self._arguments = {"model": model_args, "data": data_args}
        self._device = device

    @property
    def why_not(self) -> str | None:
        """Why the model or the data cannot be loaded again, or None if it is worth trying."""
        sides = self.run.sides
        if [side.modality for side in sides] != ["text", "image"]:
            *most, last = (f"a {side.name} ({side.modality})" for side in sides)
            return f"it is about a text and an image, but this run has {', '.join(most)} and {last}"
        made = self.run.manifest["provenance"]
        for side, what in (("model", "model"), ("data", "data set")):
            if self._given[side] is not None:
                continue
            if made is None:
                return f"the run does not say which {what} it was computed from; {AGAIN}"
            spec = str(made[side]["spec"])
            if spec.endswith(", an object"):
                return f"the {what} was a Python object, which runs cannot keep; {AGAIN}"
            if spec.startswith("logits:"):
                return (
                    "the run was computed from a grid of outputs, and the model behind it is not "
                    f"known; {AGAIN}"
                )
        return None

    @property
    def recorded_model(self) -> dict[str, Any]:
        """What the run recorded about its model; empty if another one is given instead."""
        if self._given["model"] is not None:
            return {}
        return dict((self.run.manifest["provenance"] or {}).get("model") or {})

    @cached_property
    def scorer(self) -> Scorer:
        """The model.

        Raises
        ------
        EmapError
            If it cannot be loaded.
        """
        from emap_core.datasets.labels import label_classes
        from emap_core.models.base import Scorer

        model = self._loaded("model")
        if getattr(model, "classes", None) is None and hasattr(model, "with_classes"):
            model = model.with_classes(label_classes(self.dataset))
        if hasattr(model, "grid_for"):
            raise ModelError(
                "a grid of outputs cannot answer questions about other texts or images"
            )
        return Scorer(model, self._device, self.run.manifest["output"])

    @cached_property
    def dataset(self) -> Any:
        """The data; raises as `scorer` does."""
        return self._loaded("data")

    @property
    def fingerprint(self) -> str | None:
        """A string that distinguishes the model from others, or None."""
        stated: str | None = self.run.manifest["fingerprints"]["model"]
        return stated

    @property
    def pairs_per_second(self) -> float | None:
        """How fast the run was, overheads included; None if unknown."""
        n_pairs, seconds = (self.run.manifest[name] for name in ("n_pairs_evaluated", "seconds"))
        return n_pairs / seconds if n_pairs > 0 and seconds > 0 else None

    def text(self, example: int) -> str:
        """Return the text of the example at a position."""
        return self.run.texts[int(self.run.decomposition.row_index[example])]

    def image(self, example: int) -> Any:
        """Return an example's image as the model sees it."""
        second = self.dataset.items_by_side[1]
        seen = second.items if second.inputs is None else second.inputs
        return seen[self._place(example)]

    def picture(self, example: int) -> Any:
        """Return an example's image as people see it."""
        return self.dataset.items_by_side[1].items[self._place(example)]

    def encoded_texts(self, texts: Sequence[str]) -> EncodedItems:
        """Return the encodings of texts, encoded on use."""
        from emap_core.engine.encoded_items import encoded_texts

        return encoded_texts(self.scorer, list(texts))

    def encoded_images(self, images: Sequence[Any]) -> EncodedItems:
        """Return the encodings of images, made and encoded a few at a time."""
        from emap_core.engine.encoded_items import EncodedItems, encodings_budget, items_per_chunk
        from emap_core.modalities import modality

        kind = modality(self.run.sides[1].modality)
        scorer, per_chunk = self.scorer, items_per_chunk(kind, images[0])

        def encode(number: int) -> Any:
            chosen = range(number * per_chunk, min((number + 1) * per_chunk, len(images)))
            return scorer.encode_images([images[i] for i in chosen])

        return EncodedItems(
            "images",
            len(images),
            per_chunk,
            encode,
            scorer.staged,
            scorer.device,
            encodings_budget(scorer.device),
        )

    def evaluator(self, texts: EncodedItems, images: EncodedItems) -> Evaluator:
        """Return an evaluator that scores texts with images as the run did, in the same space."""
        from emap_core.engine.evaluate import Evaluator
        from emap_core.engine.output_space import to_space

        run, scorer = self.run, self.scorer
        return Evaluator(
            scorer=scorer,
            row_items=texts,
            column_items=images,
            batch_size=self._batch_size,
            precision=str(run.manifest["settings"].get("precision", "float32")),
            convert=lambda values: to_space(values, scorer.output, run.space, run.task),
            name_pair=lambda row, column: f"masked text {row} with masked image {column}",
        )

    def check(self, example: int) -> None:
        """Raise an error unless the model's output for an example is the same as in the run.

        Raises
        ------
        RunError
            If the output differs, or the data has changed.
        """
        texts = self.encoded_texts([self.text(example)])
        images = self.encoded_images([self.image(example)])
        found = self.evaluator(texts, images).cells(slice(0, 1), slice(0, 1))[0, 0]
        kept = self.run.decomposition.logits
        if found.shape != kept[example].shape:
            raise RunError(
                f"the model has {len(found):,} outputs, but the run has {kept.shape[1]:,}, so it "
                f"is a different model; {AGAIN}"
            )
        scale = float(kept.std()) or float(np.abs(kept).max()) or 1.0
        if np.abs(found - kept[example]).max() > _DIFFERENT * scale:
            raise RunError(
                f"the model's output differs for example {self.run.ids[example]!r}, so weights, "
                f"data or libraries have changed; {AGAIN}"
            )

    @property
    def _batch_size(self) -> int:
        """As many pairs at a time as the run measured; halved if memory runs out."""
        from emap_core.runs.folder import RunFolder, read_json

        try:
            known = (read_json(RunFolder(self.run.path).plan) or {}).get("batch_size")
        except RunError:
            known = None
        return known if type(known) is int and known > 0 else 32

    def _loaded(self, side: str) -> Any:
        from emap_core import datasets, models

        if self.why_not is not None:
            raise RunError(f"run {self.run.id!r} cannot be asked: {self.why_not}")
        load: Any = models.load_model if side == "model" else datasets.load_dataset
        given = self._given[side]
        made = (self.run.manifest["provenance"] or {}).get(side) or {}
        arguments = {**made.get("arguments", {}), **(self._arguments[side] or {})}
        if given is not None:
            if isinstance(given, str):
                return load(given, **arguments)
            return given if side == "model" else load(given)
        spec, what = str(made["spec"]), "model" if side == "model" else "data set"
        try:
            return load(spec, **arguments)
        except EmapError as error:
            raise RunError(
                f"the {what} of run {self.run.id!r} cannot be loaded again as {spec!r}: {error}. "
                f"Runs do not keep folders of the machine that computed them; {AGAIN}"
            ) from error

    @cached_property
    def _places(self) -> dict[str, int]:
        # The first of several with the same id, as in links to examples.
        return {str(name): place for place, name in reversed(list(enumerate(self.dataset.ids)))}

    def _place(self, example: int) -> int:
        """Return the position of a run's example in the data, which may have more."""
        name = self.run.ids[example]
        place = self._places.get(name)
        if place is None or self.dataset.items_by_side[0].items[place] != self.text(example):
            raise RunError(
                f"the data has no example {name!r} with the run's text, so it has changed; {AGAIN}"
            )
        return place
