"""The model contract: anything that scores a text with an image, or an item of each of M sides.

The smallest model is a callable ``model(texts, images) -> (B, C)``. A model that can share work
has ``encode_texts``, ``encode_images`` and ``score`` instead, and may have ``score_grid``. A model
of other sides, two or more, names them in order in ``sides``, and has ``encoders``, a mapping of
each name to what encodes its items, instead of ``encode_texts`` and ``encode_images``.
``modalities`` says what kind the sides are; with it alone, they may have any names. A callable that
states neither takes the sides of the data in order.

A model of M sides has ``score(*encodings) -> (B, C)`` and perhaps ``score_grid(*encodings) ->
(A_1, …, A_M, C)``; a callable takes M lists. Here, the first side takes the place of the texts and
all others together that of the images: their encodings are a tuple if they are aligned, or a
`Product` if all combinations are meant.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray

from emap_core.class_names import class_names
from emap_core.errors import ModelError
from emap_core.models import encodings as trees
from emap_core.models.assembled import Assembled
from emap_core.models.encodings import Encodings, Product
from emap_core.models.model_outputs import numbers_of
from emap_core.option_names import option
from emap_core.types import SPACES, Space

Output = Space
OUTPUTS = SPACES

Device = str | torch.device


@runtime_checkable
class StagedModel(Protocol):
    """A model whose encoders run once per unique text and image.

    Optional attributes: ``classes`` (C names, in the order of the last axis), ``output`` (one of
    `OUTPUTS`, logits by default), ``device``, ``dtype`` (of its weights), ``fingerprint`` (a string
    that changes whenever the outputs would), ``similarity`` (True where the score is a scaled dot
    product of the encodings), ``has_threshold`` (False where a logit ranks pairs and 0 decides
    nothing; a similarity has none unless it says so), ``description`` (a dict of what the model
    is, for the record of a run), ``notes(texts) -> list of str`` (what readers should know about
    how it reads these texts, one sentence each; for two texts ``notes(first, second)``),
    ``reads(text) -> list of str`` (what it is, and the prompts it makes of a text) and
    ``score_grid(row_encodings, column_encodings) -> (A, B, C)``.

    A model that is not computed here, staged or not, may also have ``pairs_at_once`` and
    ``pairs_per_second`` (instead of a measurement), ``cost(n_pairs) -> list of str`` (what so many
    pairs cost besides time; raises a `ModelError` if that is too much), ``scores_for(run)`` (which
    run it scores from now on; the same string if an interrupted run resumes), ``remarks() -> list
    of str`` (what to know once pairs are scored) and ``anew()``, a context in which it does not
    reuse earlier answers.
    """

    def encode_texts(self, texts: list[str]) -> Encodings:
        """Return encodings with one item per text."""

    def encode_images(self, images: list[Any]) -> Encodings:
        """Return encodings with one item per image."""

    def score(self, row_encodings: Encodings, column_encodings: Encodings) -> Any:
        """Return the outputs of B aligned pairs, shape (B, C)."""


class Outputs:
    """Scores of a tile on their way from the device; only `numpy` waits for them to arrive."""

    def __init__(self, values: torch.Tensor | NDArray[Any]) -> None:
        self._arrived: torch.cuda.Event | None = None
        if isinstance(values, torch.Tensor) and values.is_cuda:
            host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
            values = host.copy_(values, non_blocking=True)
            self._arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]  # as torch has it
            self._arrived.record()
        self._values = values

    def numpy(self) -> NDArray[Any]:
        """Return the scores, shape (A, B, C)."""
        if self._arrived is not None:
            self._arrived.synchronize()
        if isinstance(self._values, torch.Tensor):
            return np.asarray(self._values.cpu().numpy())
        return self._values


class Scorer:
    """One interface to every kind of model: encode once, then score tiles of the grid.

    Parameters
    ----------
    model : StagedModel or callable
    device : str
        ``"auto"`` takes cuda, then mps, then cpu; a model that cannot be moved keeps its own.
    output : str, optional
        One of `OUTPUTS`, instead of what the model states or leaves out.

    Raises
    ------
    ModelError
        If the model is neither callable nor staged, or states an unknown ``output``.
    """

    def __init__(self, model: Any, device: str = "auto", output: Output | None = None) -> None:
        self.sides = _names(model, "sides")
        self.modalities = _names(model, "modalities")
        self._encoders = _encoders_of(model, self.sides)
        self.staged = bool(self._encoders) and hasattr(model, "score")
        if not self.staged and not callable(model):
            raise ModelError(
                f"{type(model).__name__} is not a valid model: it needs encode_texts, "
                "encode_images and score, or to be a callable (texts, images) -> array"
            )
        if self.staged and self.sides is None and not hasattr(model, "grid_for"):
            if len(self._encoders) > 2 and self.modalities is None:
                self.sides = tuple(model.encoders)
            else:
                self.modalities = self.modalities or ("text", "image")
        self.n_sides = len(self.sides or self.modalities or ("text", "image"))
        """How many sides are scored together; if a callable states none, those of the data."""
        self.model = model
        stated = output or getattr(model, "output", None)
        self.output: Output = stated or "logits"
        self.states_output = stated is not None
        if self.output not in OUTPUTS:
            raise ModelError(
                f"model.output is {self.output!r}; expected one of {', '.join(OUTPUTS)}"
            )
        classes = getattr(model, "classes", None)
        self.classes: list[str] | None = (
            None if classes is None else class_names(classes, "model", ModelError)
        )
        self.similarity = bool(getattr(model, "similarity", False))
        self.has_threshold = bool(getattr(model, "has_threshold", not self.similarity))
        self.has_grid = self.staged and hasattr(model, "score_grid")
        self.output_dtype: str | None = None
        """Name of the dtype that the model returned last, None before the first call."""
        self.device = self._place(device)
        # Which numbers a model computes with may depend on where it is.
        self.fingerprint: str | None = getattr(model, "fingerprint", None)
        self.dtype: str | None = _dtype_of(model)

    @property
    def description(self) -> dict[str, Any]:
        """What the model is, as far as it tells, with the type of its weights and outputs."""
        stated = getattr(self.model, "description", None)
        return {
            **(stated if isinstance(stated, dict) else {}),
            "dtype": self.dtype,
            "output": self.output,
        }

    def notes(self, texts: list[str], second: list[str] | None = None) -> list[str]:
        """Return what readers should know about how the model reads these texts.

        A model of two texts is asked about those of both sides.
        """
        said = getattr(self.model, "notes", None)
        if not callable(said):
            return []
        both = self.modalities == ("text", "text")
        return [str(note) for note in (said(texts, second) if both else said(texts))]

    def reads(self, text: str) -> list[str]:
        """Return what the model is and the prompts it makes of a text, if it tells."""
        said = getattr(self.model, "reads", None)
        return [str(line) for line in said(text)] if callable(said) else []

    @property
    def stated_speed(self) -> tuple[int, float] | None:
        """Pairs at a time and per second, if the model knows better than a measurement."""
        at_once: int | None = getattr(self.model, "pairs_at_once", None)
        return None if at_once is None else (at_once, float(self.model.pairs_per_second))

    def cost(self, n_pairs: int) -> list[str]:
        """Return what so many pairs cost besides time, as far as the model tells.

        Raises
        ------
        ModelError
            If that is more than the model may take.
        """
        said = getattr(self.model, "cost", None)
        return list(said(n_pairs)) if callable(said) else []

    def scores_for(self, run: str) -> None:
        """Tell the model which run it scores."""
        told = getattr(self.model, "scores_for", None)
        if callable(told):
            told(run)

    def remarks(self) -> list[str]:
        """Return what to know once pairs are scored."""
        said = getattr(self.model, "remarks", None)
        return list(said()) if callable(said) else []

    def anew(self) -> contextlib.AbstractContextManager[Any]:
        """Return a context in which the model does not reuse earlier answers."""
        asked = getattr(self.model, "anew", None)
        entered: contextlib.AbstractContextManager[Any] = (
            asked() if callable(asked) else contextlib.nullcontext()
        )
        return entered

    def check_sides(self, names: Sequence[str]) -> None:
        """Refuse data with more or fewer sides than a callable that names none has arguments.

        Parameters
        ----------
        names : sequence of str
            What the data calls its sides.
        """
        self.n_sides = len(names)
        if self.staged or self.n_sides == 2:
            return
        try:
            inspect.signature(self.model).bind(*names)
        except ValueError:
            # The signatures of a few builtins are unknown.
            return
        except TypeError as error:
            raise ModelError(
                f"the data has {len(names)} sides, {', '.join(names)}, but the model cannot be "
                f"called with a list of each ({error}); write it with {len(names)} arguments"
            ) from error

    def encode_texts(self, texts: list[str]) -> Encodings:
        """Return the encodings of unique texts; a plain callable's are the texts themselves."""
        return self.encode(0, texts)

    def encode_images(self, images: list[Any]) -> Encodings:
        """Return the encodings of unique images; a plain callable's are the images themselves."""
        return self.encode(1, images)

    def score_tile(
        self, row_encodings: Encodings, column_encodings: Encodings, batch_size: int
    ) -> NDArray[np.float32] | NDArray[np.float64]:
        """Return the outputs of A texts with B images, shape (A, B, C).

        At most `batch_size` pairs (but at least one) go through the model at a time.
        """
        return self.start_tile(row_encodings, column_encodings, batch_size).numpy()

    def start_tile(
        self, row_encodings: Encodings, column_encodings: Encodings, batch_size: int
    ) -> Outputs:
        """Start to score a tile like `score_tile`, without waiting for the device."""
        n_rows, n_columns = trees.count(row_encodings), _n_columns(column_encodings)
        score = self._score_block if self.has_grid else self._score_pairs
        columns = min(n_columns, max(batch_size, 1))
        if isinstance(column_encodings, Product):
            blocks = column_encodings.blocks(columns)
            columns = max(map(len, blocks))
        else:
            blocks = [
                _part(column_encodings, b, b + columns, n_columns)
                for b in range(0, n_columns, columns)
            ]
        rows = min(n_rows, max(batch_size // columns, 1))
        with torch.inference_mode():
            tile = Assembled(n_rows, n_columns)
            for top in range(0, n_rows, rows):
                some, left = _part(row_encodings, top, top + rows, n_rows), 0
                for block in blocks:
                    tile.put(top, left, score(some, block))
                    left += _n_columns(block)
            return Outputs(tile.values())

    def score_pairs(
        self, row_encodings: Encodings, column_encodings: Encodings, batch_size: int
    ) -> NDArray[np.float32] | NDArray[np.float64]:
        """Return the outputs of B aligned pairs, shape (B, C), at most `batch_size` at a time."""
        n_pairs = trees.count(row_encodings)
        with torch.inference_mode():
            values = Assembled(n_pairs, 1)
            for start in range(0, n_pairs, batch_size):
                scores = self._score_aligned(
                    _part(row_encodings, start, start + batch_size, n_pairs),
                    _part(column_encodings, start, start + batch_size, n_pairs),
                )
                values.put(start, 0, scores[:, None])
            return Outputs(values.values()).numpy()[:, 0]

    def encode(self, place: int, items: list[Any]) -> Encodings:
        """Return the encodings of unique items of a side; a plain callable's are the items."""
        if not self.staged:
            return list(items)
        method, encode = self._encoders[place]
        seen = items if method == "encode_images" else []
        with torch.inference_mode(), _regions_named(seen):
            encoded = encode(items)
        try:
            sizes = {len(leaf) for leaf in trees.leaves(encoded)}
        except TypeError as error:
            raise ModelError(
                f"model.{method} returned encodings without a length ({error}); every tensor, "
                "array or list needs one entry per item"
            ) from error
        if sizes != {len(items)}:
            raise ModelError(
                f"model.{method} returned encodings with first axes {sorted(sizes)} for "
                f"{len(items)} "
                "items; every tensor needs one entry per item"
            )
        return encoded

    def _score_block(self, row_encodings: Encodings, column_encodings: Encodings) -> Any:
        product = isinstance(column_encodings, Product)
        others = column_encodings.sides if product else (column_encodings,)
        expected = (trees.count(row_encodings), *map(trees.count, others))
        scores = self._numbers(
            "model.score_grid", self.model.score_grid(row_encodings, *others), expected
        )
        shape = tuple(scores.shape)
        if len(shape) != len(expected) + 1 or shape[:-1] != expected:
            items = "items" if product else f"{expected[0]} texts and {expected[1]} images"
            if product:
                items = f"{' × '.join(map(str, expected))} {items}"
            raise ModelError(
                f"model.score_grid returned shape {shape} for {items}; expected "
                f"{(*expected, 'C')}".replace("'", "")
            )
        return scores.reshape(expected[0], -1, shape[-1]) if product else scores

    def _score_pairs(self, row_encodings: Encodings, column_encodings: Encodings) -> Any:
        if isinstance(column_encodings, Product):
            column_encodings = column_encodings.aligned()
        n_rows, n_columns = trees.count(row_encodings), trees.count(column_encodings)
        rows = np.repeat(np.arange(n_rows), n_columns)
        columns = np.tile(np.arange(n_columns), n_rows)
        scores = self._score_aligned(
            trees.take(row_encodings, rows), trees.take(column_encodings, columns)
        )
        return scores.reshape(n_rows, n_columns, scores.shape[1])

    def _score_aligned(self, row_encodings: Encodings, column_encodings: Encodings) -> Any:
        others = column_encodings if self.n_sides > 2 else (column_encodings,)
        if self.staged:
            name, returned = "model.score", self.model.score(row_encodings, *others)
        else:
            name = "the model"
            with _regions_named(column_encodings if self.n_sides == 2 else ()):
                returned = self.model(row_encodings, *others)
        n_pairs = trees.count(row_encodings)
        scores = self._numbers(name, returned, (n_pairs,))
        shape = tuple(scores.shape)
        if len(shape) != 2 or shape[0] != n_pairs:
            raise ModelError(
                f"{name} returned shape {shape} for {n_pairs} pairs; "
                f"expected ({n_pairs}, C), one row per pair"
            )
        return scores

    def _numbers(
        self, name: str, returned: Any, sizes: tuple[int, ...]
    ) -> torch.Tensor | NDArray[Any]:
        values, self.output_dtype = numbers_of(name, returned, sizes, self.classes)
        return values

    def _place(self, device: str) -> str:
        move: Callable[..., Any] | None = getattr(self.model, "to", None)
        chosen = best_device() if device == "auto" else device
        try:
            if move is not None:
                move(chosen)
            elif device != "auto":
                # It stays where it is, but a device that does not exist is a mistake all the same.
                torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:
            raise ModelError(f"device {chosen!r} cannot be used: {error}") from error
        return str(getattr(self.model, "device", "cpu" if move is None else chosen))


def _names(model: Any, attribute: str) -> tuple[str, ...] | None:
    """Return the strings, one per side, that a model states under a name; None without any."""
    stated = getattr(model, attribute, None)
    if stated is None:
        return None
    names = tuple(map(str, stated)) if not isinstance(stated, str) else (stated,)
    if len(names) < 2 or (attribute == "sides" and len(set(names)) < len(names)):
        raise ModelError(
            f"model.{attribute} is {stated!r}; give two names or more, all of them different"
            if attribute == "sides"
            else f"model.{attribute} is {stated!r}; give the modalities of two sides or more"
        )
    return names


def _encoders_of(
    model: Any, sides: tuple[str, ...] | None
) -> tuple[tuple[str, Callable[[list[Any]], Encodings]], ...]:
    """Return the names of a model's encoders, for messages, and the encoders; () without any."""
    encoders = getattr(model, "encoders", None)
    if isinstance(encoders, Mapping):
        order = sides or tuple(encoders)
        missing = [side for side in order if side not in encoders]
        if missing or len(order) < 2:
            which = (
                f"each of its sides: {', '.join(order)}" if sides else "each of two sides or more"
            )
            raise ModelError(
                f"model.encoders has {', '.join(map(str, encoders))}; give one for {which}"
            )
        return tuple((f"encoders[{side!r}]", encoders[side]) for side in order)
    methods = ("encode_texts", "encode_images")
    if not all(hasattr(model, method) for method in methods):
        return ()
    return tuple((method, getattr(model, method)) for method in methods)


@contextlib.contextmanager
def _regions_named(images: Sequence[Any]) -> Iterator[None]:
    """Explain a model's failure on regions, which tables may bring along unasked."""
    try:
        yield
    except (AttributeError, TypeError, ValueError, LookupError) as error:
        if not any(isinstance(image, Mapping) for image in images):
            raise
        raise ModelError(
            f"the model failed on the regions that the data has instead of images "
            f"({type(error).__name__}: {error}); if it reads images, leave the table's column out "
            f"with {option('regions_column', '')}"
        ) from error


def best_device() -> str:
    """Return ``"cuda"``, ``"mps"`` or ``"cpu"``, the first that this machine has."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _dtype_of(model: Any) -> str | None:
    """Return the type of a model's weights: as stated, or that of the first one; or None."""
    dtype = getattr(model, "dtype", None)
    if dtype is None and isinstance(model, torch.nn.Module):
        weights = (w.dtype for w in model.parameters() if w.is_floating_point())
        dtype = next(weights, None)
    return None if dtype is None else str(dtype).removeprefix("torch.")


def _n_columns(encodings: Encodings) -> int:
    return len(encodings) if isinstance(encodings, Product) else trees.count(encodings)


def _part(encodings: Encodings, start: int, stop: int, size: int) -> Encodings:
    return encodings if start == 0 and stop >= size else trees.take(encodings, slice(start, stop))
