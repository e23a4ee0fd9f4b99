"""Which words with which regions: the interaction of one example, word by word, region by region.

Words are deleted and regions filled in the text and the picture themselves, so any model can be
asked. See `emap_core.probes.bilinear_fit` for what is computed from the outputs.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emap_core.errors import ModelError, RunError, SettingError
from emap_core.figures import Chart, column_names
from emap_core.figures.attribution_map import attribution_map
from emap_core.inference.number_format import number, percent, signed
from emap_core.probes.base import Cost
from emap_core.probes.bilinear_fit import agreement, fit_bilinear, fit_effects
from emap_core.probes.maskable_units import Filling, Places, Regions, Words, where
from emap_core.probes.masked_grid import MaskedGrids, MaskedItems
from emap_core.probes.masks import Masks, draw_masks
from emap_core.probes.probe_folder import folders_of, found_in
from emap_core.runs import Run
from emap_core.themes import LIGHT, Theme
from emap_core.types import Array

if TYPE_CHECKING:
    from emap_core.engine.progress import Progress
    from emap_core.probes.probe_folder import ProbeFolder
    from emap_core.probes.probed_run import ProbedRun


_VERSION = 3
"""Version of the computation; raise it when the same settings would give other numbers."""

_SLOW_SECONDS = 120.0
_FILLINGS: tuple[Filling, Filling] = ("mean colour", "blur")
_UNITS_OF_SPACE = {"logits": "logits", "log_probabilities": "nats", "probabilities": "probability"}
_CLEAR = 4.0
"""By how many standard errors the largest of some hundred numbers must differ from 0."""


@dataclass(frozen=True)
class Size:
    """How finely an example is looked at.

    Attributes
    ----------
    words : int
        Most units of the text; beyond that, neighbours are merged.
    side : int
        The picture has side² regions.
    text_masks, image_masks : int
        Fewest masks; enough to hold half of them out, or all if there are not more.
    again : tuple of int
        Fewest masks of text and image under the second filling.
    partners : int
        Examples that lend their other side to questions about one side by itself.
    """

    words: int
    side: int
    text_masks: int
    image_masks: int
    again: tuple[int, int]
    partners: int


FINE = Size(words=12, side=7, text_masks=32, image_masks=256, again=(16, 128), partners=16)
COARSE = Size(words=8, side=4, text_masks=32, image_masks=64, again=(16, 32), partners=8)
"""For models with which the fine one takes over two minutes, judged by the run's speed."""


@dataclass(frozen=True)
class Attribution:
    """Ask which words of an example interact with which regions of its image.

    Parameters
    ----------
    example : str or int
        Its id, or its position in the run.
    class_name : str, optional
        The class whose output is taken apart; the predicted one by default.
    seed : int
        Seed of the masks.
    """

    example: str | int
    class_name: str | None = None
    seed: int = 0

    name: ClassVar[str] = "attribution"
    question: ClassVar[str] = "Which words with which regions?"

    def key(self, run: Run) -> str:
        """Return eight hexadecimal digits of the example and the other choices."""
        asked = {**asdict(self), "example": self._position(run), "version": _VERSION}
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:8]

    def needs(self, probed: ProbedRun) -> str | None:
        """Return why the run cannot be asked about this example, or None if it can."""
        text = probed.text(self._position(probed.run))
        if not Words(text, FINE.words).names:
            return "the text of this example is empty, so there is no word to leave out"
        return probed.why_not

    def cost(self, run: Run) -> Cost:
        """Return how many pairs are scored, and roughly how long that takes."""
        size, speed = size_for(run), _speed(run)
        text = run.texts[int(run.decomposition.row_index[self._position(run)])]
        n_words = max(1, len(Words(text, size.words).names))
        rows, columns, again = masks_for(n_words, size.side**2, size, self.seed)
        n_passes = _n_passes(rows, columns, again, min(size.partners, len(run.ids)))
        return Cost(n_passes, None if speed is None else n_passes / speed)

    def answer(self, probed: ProbedRun, folder: ProbeFolder, progress: Progress) -> Attributed:
        """Ask the model about the example under many masks."""
        run, size = probed.run, size_for(probed.run)
        i, c = self._position(run), self._class(run)
        reason = self.needs(probed)
        if reason is not None:
            raise RunError(f"run {run.id!r} cannot be asked: {reason}")
        progress.tell("checking")
        probed.check(i)
        folder.resume(_identity(probed, size))
        draws = np.random.default_rng(self.seed)
        partners = draws.choice(len(run.ids), min(size.partners, len(run.ids)), replace=False)
        images = [probed.image(int(j)) for j in partners]
        words = Words(probed.text(i), size.words)
        filled, blurred = _regions(probed, i, images, size)
        rows, columns, again = masks_for(len(words.names), len(filled.names), size, self.seed)
        n_passes = _n_passes(rows, columns, again, len(partners))
        progress.tell("asking", pairs_total=n_passes)
        progress.start_pairs(0, n_passes)
        fewer = columns.first_half
        grids = MaskedGrids(probed, folder, progress, lambda cells: _output(run, cells, c))
        texts = probed.encoded_texts(MaskedItems(words, rows))
        grid = grids.score("pairs", texts, probed.encoded_images(MaskedItems(filled, columns)))
        of_texts = grids.score("texts", texts, probed.encoded_images(images))
        of_images = grids.score(
            "images",
            probed.encoded_texts([probed.text(int(j)) for j in partners]),
            probed.encoded_images(MaskedItems(filled, fewer)),
        )
        grid_again = grids.score(
            "again",
            probed.encoded_texts(MaskedItems(words, again[0])),
            probed.encoded_images(MaskedItems(blurred, again[1])),
        )
        fitted = fit_bilinear(grid, rows, columns)
        of_words = fit_effects(grid, of_texts.mean(axis=1), rows)
        of_regions = fit_effects(grid.T[: len(fewer)], of_images.mean(axis=0), fewer)
        fitted_again = fit_bilinear(grid_again, *again)
        return Attributed(
            example=run.ids[i],
            text=words.text,
            words=tuple(words.names),
            regions=tuple(filled.names),
            boxes=filled.boxes,
            class_name=column_names(run.classes, len(run.shares.mean))[c],
            unit=_UNITS_OF_SPACE[run.space],
            interaction=float(run.shares.interaction[i, c]),
            scale=float(np.abs(run.decomposition.logits).max()),
            interactions=fitted.interactions,
            standard_errors=fitted.interaction_errors,
            explained=fitted.explained,
            text_share=fitted.row_share,
            words_alone=of_words.alone,
            words_with_image=of_words.with_other,
            regions_alone=of_regions.alone,
            regions_with_text=of_regions.with_other,
            filling=filled.filling,
            other_filling=blurred.filling,
            other_interactions=fitted_again.interactions,
            passes=n_passes,
        )

    def read(self, content: Mapping[str, Any]) -> Attributed:
        """Return a result from the output of `Attributed.to_json`."""
        return Attributed.from_json(content)

    def _position(self, run: Run) -> int:
        if isinstance(self.example, int):
            if not 0 <= self.example < len(run.ids):
                raise SettingError(
                    f"example is {self.example}; expected a position from 0 to {len(run.ids) - 1}, "
                    "or an id"
                )
            return self.example
        try:
            return run.ids.index(self.example)
        except ValueError:
            raise SettingError(
                f"run {run.id!r} has no example {self.example!r}; show --csv lists their ids"
            ) from None

    def _class(self, run: Run) -> int:
        if self.class_name is None:
            return int(np.argmax(run.decomposition.logits[self._position(run)]))
        names = column_names(run.classes, len(run.shares.mean))
        known = dict(zip(names, range(len(names)), strict=True))
        if self.class_name not in known:
            raise SettingError(
                f"run {run.id!r} has no class {self.class_name!r}; its classes are "
                f"{', '.join(names[:20])}"
            )
        return known[self.class_name]


@dataclass(frozen=True, eq=False)
class Attributed:
    """What interacts inside an example.

    Attributes
    ----------
    example, text : str
    words, regions : tuple of str
        The W units of the text and the P units of the image.
    boxes : ndarray of shape (P, 4)
        Left, top, right and lower edge of each region, as shares of the picture.
    class_name, unit : str
        The class of the output, and the unit of the numbers, such as logits minus their mean over
        classes.
    interaction : float
        What both sides together add in the run, with nothing masked. The entries below do not sum
        to it.
    scale : float
        The largest output of the run; rounding is proportional to it.
    interactions, standard_errors : ndarray of shape (W, P)
        Order-2 Banzhaf interactions, and how much other masks would change them.
    explained : float
        R² on held-out masks.
    text_share : float
        Words' share of all order-1 Banzhaf values.
    words_alone, words_with_image : ndarray of shape (W,)
        What a word adds with other examples' images, and how much more with this one.
    regions_alone, regions_with_text : ndarray of shape (P,)
        The same for regions.
    filling, other_filling : str
        What replaces masked regions, and what replaces them in `other_interactions`.
    other_interactions : ndarray of shape (W, P)
    passes : int
        Number of pairs that were scored.
    """

    example: str
    text: str
    words: tuple[str, ...]
    regions: tuple[str, ...]
    boxes: Array
    class_name: str
    unit: str
    interaction: float
    scale: float
    interactions: Array
    standard_errors: Array
    explained: float
    text_share: float
    words_alone: Array
    words_with_image: Array
    regions_alone: Array
    regions_with_text: Array
    filling: str
    other_filling: str
    other_interactions: Array
    passes: int

    @property
    def agreement(self) -> float:
        """Correlation of the interactions under the two fillings."""
        return agreement(self.interactions, self.other_interactions)

    @property
    def nothing(self) -> bool:
        """Whether there is no interaction beyond rounding."""
        return bool(np.abs(self.interactions).max() <= 1e-5 * self.scale)

    def strongest(self, count: int = 5) -> list[tuple[int, int]]:
        """Return the pairs of a word and a region with the largest interactions."""
        order = np.argsort(-np.abs(self.interactions), axis=None, kind="stable")[:count]
        return [(int(k) // len(self.regions), int(k) % len(self.regions)) for k in order]

    def where(self, region: int) -> str:
        """Return in words where a region is in the picture."""
        return where(self.boxes[region])

    @property
    def sentence(self) -> str:
        """Which word interacts with which region, and how much."""
        if self.nothing:
            return (
                f"No word interacts with any region: what the image adds to “{self.class_name}” is "
                "the same whatever the text says."
            )
        word, region = self.strongest(1)[0]
        value, error = self.interactions[word, region], self.standard_errors[word, region]
        if abs(value) < _CLEAR * error:
            return (
                f"No pair of a word and a region stands out. The largest, “{self.words[word]}” "
                f"with the {self.where(region)}, is {signed(value)} {self.unit} with a standard "
                f"error of {number(error)}."
            )
        verb = "raises" if value > 0 else "lowers"
        return (
            f"“{self.words[word]}” together with the {self.where(region)} {verb} "
            f"“{self.class_name}” by {number(abs(value))} {self.unit}, beyond what either does "
            f"alone. In total, text and image together add {signed(self.interaction)}. "
            f"“{self.words[word]}” by itself adds {signed(self.words_alone[word])}."
        )

    @property
    def details(self) -> list[str]:
        """How far the result can be trusted, one sentence each."""
        found = []
        if self.explained == self.explained:
            found.append(
                f"Words times regions explain {percent(self.explained)} of what masking changes."
            )
        if not self.nothing and self.agreement == self.agreement:
            found.append(
                f"With {self.other_filling} instead of {self.filling}, the result is "
                f"{_how_alike(self.agreement)} (correlation {self.agreement:.2f})."
            )
        if self.text_share == self.text_share:
            found.append(
                f"Words account for {percent(self.text_share)} of what single words and regions "
                "change."
            )
        return found

    def __str__(self) -> str:
        said = "\n".join((f"{self.example}: {self.text}", self.sentence, *self.details))
        return f"{said}\n{self.pairs(5).round(3).to_string(index=False)}"

    def pairs(self, count: int = 10) -> pd.DataFrame:
        """Return the strongest pairs as a table."""
        rows = [
            {
                "word": self.words[w],
                "region": f"{self.where(p)} ({self.regions[p]})",
                "interaction": self.interactions[w, p],
                "standard error": self.standard_errors[w, p],
                "word by itself": self.words_alone[w],
                "region by itself": self.regions_alone[p],
            }
            for w, p in self.strongest(count)
        ]
        return pd.DataFrame(rows)

    def chart(
        self,
        theme: Theme = LIGHT,
        *,
        pair: tuple[int, int] | None = None,
        show: str = "interaction",
        picture: bytes | None = None,
    ) -> Chart:
        """Draw the regions of a word over the image, and the words of a region beside it.

        Parameters
        ----------
        theme : Theme
        pair : (int, int), optional
            The word whose regions are drawn, and the region whose words are drawn; the strongest
            pair by default.
        show : {"interaction", "text", "image"}
            What both sides do together, or one side by itself.
        picture : bytes, optional
            The image, as JPEG.
        """
        w, p = pair or self.strongest(1)[0]
        return attribution_map(
            self.words if show != "image" else (),
            {
                "interaction": self.interactions[:, p],
                "text": self.words_alone,
                "image": np.empty(0),
            }[show],
            self.boxes,
            {
                "interaction": self.interactions[w],
                "text": np.zeros(len(self.regions)),
                "image": self.regions_alone,
            }[show],
            region_names=[f"{self.where(k)}, {name}" for k, name in enumerate(self.regions)],
            chosen=(w, p) if show == "interaction" else None,
            word_errors=self.standard_errors[:, p] if show == "interaction" else None,
            table=self._table(show),
            picture=picture,
            quantity=f"“{self.class_name}”",
            unit=self.unit,
            theme=theme,
        )

    def _table(self, show: str) -> pd.DataFrame:
        if show == "text":
            return pd.DataFrame(
                {
                    "word": self.words,
                    "by itself": self.words_alone,
                    "more with this image": self.words_with_image,
                }
            )
        places = [f"{name}, {self.where(k)}" for k, name in enumerate(self.regions)]
        if show == "image":
            return pd.DataFrame(
                {
                    "region": places,
                    "by itself": self.regions_alone,
                    "more with this text": self.regions_with_text,
                }
            )
        # A word may occur twice in a text.
        names = [
            word if self.words.count(word) == 1 else f"{word} ({k + 1})"
            for k, word in enumerate(self.words)
        ]
        table = pd.DataFrame(self.interactions.T, columns=names)
        table.insert(0, "region", places, allow_duplicates=True)
        return table

    def region_of(self, word: int) -> int:
        """Return the region that a word interacts with most."""
        return int(np.abs(self.interactions[word]).argmax())

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values; NaN becomes null."""
        found: dict[str, Any] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, np.ndarray):
                value = value.tolist()
            elif isinstance(value, float) and not np.isfinite(value):
                value = None
            found[one.name] = list(value) if isinstance(value, tuple) else value
        return found

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Attributed:
        """Return the answer from the output of `to_json`.

        Raises
        ------
        RunError
            If it is something else.
        """
        try:
            words, regions = (_texts(content[name]) for name in ("words", "regions"))
            w, p = len(words), len(regions)
            shapes = {
                "boxes": (p, 4),
                **dict.fromkeys(("interactions", "standard_errors", "other_interactions"), (w, p)),
                **dict.fromkeys(("words_alone", "words_with_image"), (w,)),
                **dict.fromkeys(("regions_alone", "regions_with_text"), (p,)),
            }
            arrays = {name: _array(content[name], shape) for name, shape in shapes.items()}
            return cls(
                words=words,
                regions=regions,
                passes=int(content["passes"]),
                example=str(content["example"]),
                text=str(content["text"]),
                class_name=str(content["class_name"]),
                unit=str(content["unit"]),
                filling=str(content["filling"]),
                other_filling=str(content["other_filling"]),
                interaction=float(content["interaction"]),
                scale=float(content["scale"]),
                explained=_number(content["explained"]),
                text_share=_number(content["text_share"]),
                **arrays,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"the result of the probe attribution is damaged: {error}") from error


_READ: WeakKeyDictionary[Run, dict[str, Attributed | None]] = WeakKeyDictionary()
"""Contents of finished probe folders, which do not change; None for another class or seed."""


def attributed_examples(run: Run) -> list[Attributed]:
    """Return what is known about examples and their predicted classes, in run order.

    Examples that nobody asked about are missing. Nothing is computed, and nothing is read twice.
    """
    read, folders = _READ.setdefault(run, {}), folders_of(run, Attribution.name)
    for path in folders:
        if path.name not in read and (content := found_in(path, run)) is not None:
            read[path.name] = _of_predicted_class(run, path.name, content)
    found = [one for path in folders if (one := read.get(path.name)) is not None]
    places = {name: place for place, name in enumerate(run.ids)}
    return sorted(found, key=lambda one: places[one.example])


def _of_predicted_class(run: Run, folder: str, content: Mapping[str, Any]) -> Attributed | None:
    with contextlib.suppress(RunError, SettingError, KeyError):
        # Another class, seed or version has another key.
        asked = Attribution(str(content["example"]))
        if folder == f"{asked.name}-{asked.key(run)}":
            return asked.read(content)
    return None


def size_for(run: Run) -> Size:
    """Return how finely to look at a run's examples, judged by the run's speed."""
    speed = _speed(run)
    n_passes = FINE.text_masks * FINE.image_masks
    return COARSE if speed is not None and n_passes / speed > _SLOW_SECONDS else FINE


@lru_cache(maxsize=64)
def masks_for(
    n_words: int, n_regions: int, size: Size, seed: int
) -> tuple[Masks, Masks, tuple[Masks, Masks]]:
    """Return masks of words and of regions, and both for the second filling, all different."""
    # With four masks per unit, each half alone determines all units.
    return (
        draw_masks(n_words, max(size.text_masks, 4 * n_words), 4 * seed),
        draw_masks(n_regions, max(size.image_masks, 4 * n_regions), 4 * seed + 1),
        (
            draw_masks(n_words, size.again[0], 4 * seed + 2),
            draw_masks(n_regions, size.again[1], 4 * seed + 3),
        ),
    )


def _n_passes(rows: Masks, columns: Masks, again: tuple[Masks, Masks], n_partners: int) -> int:
    with_partners = len(rows) * n_partners + n_partners * len(columns.first_half)
    return len(rows) * len(columns) + with_partners + len(again[0]) * len(again[1])


def _speed(run: Run) -> float | None:
    n_pairs, seconds = (run.manifest[name] for name in ("n_pairs_evaluated", "seconds"))
    return n_pairs / seconds if n_pairs > 0 and seconds > 0 else None


def _identity(probed: ProbedRun, size: Size) -> dict[str, Any] | None:
    if probed.fingerprint is None:
        return None
    return {"model": probed.fingerprint, "version": _VERSION, **asdict(size)}


def _output(run: Run, cells: NDArray[Any], c: int) -> Array:
    """Return one class of outputs of shape (A, B, C), minus their mean under a softmax."""
    cells = np.asarray(cells, dtype=np.float64)
    return cells[..., c] - (cells.mean(axis=-1) if run.softmax else 0.0)


def _regions(probed: ProbedRun, example: int, images: Sequence[Any], size: Size) -> tuple[Any, Any]:
    """Return the regions of an example's image under the two fillings."""
    image = probed.image(example)
    if isinstance(image, Mapping):
        stacked = np.concatenate([np.asarray(one["features"], np.float64) for one in images])
        picture = probed.picture(example)
        most = size.side**2
        return (
            Regions(image, picture.size, stacked.mean(axis=0), most, "mean features"),
            Regions(image, picture.size, np.zeros(stacked.shape[1]), most, "zeros"),
        )
    if not hasattr(image, "convert"):
        raise ModelError(
            f"the model reads a {type(image).__name__} instead of an image, and its regions are "
            "unknown; give data with images, or with regions that have boxes"
        )
    colour = np.mean(
        [np.asarray(one.convert("RGB"), np.float64).mean(axis=(0, 1)) for one in images], axis=0
    )
    return tuple(Places(image, size.side, filling, colour) for filling in _FILLINGS)  # type: ignore[return-value]


def _how_alike(correlation: float) -> str:
    if correlation >= 0.9:
        return "much the same"
    return (
        "alike" if correlation >= 0.6 else "a different one, so it says as much about the filling"
    )


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or not values or not all(isinstance(v, str) for v in values):
        raise ValueError("names of words or regions are missing")
    return tuple(values)


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _array(values: Any, shape: tuple[int, ...]) -> Array:
    found = np.asarray(values, dtype=np.float64)
    if found.shape != shape or not np.isfinite(found).all():
        raise ValueError(f"an array has the shape {found.shape}; expected {shape}")
    return found
