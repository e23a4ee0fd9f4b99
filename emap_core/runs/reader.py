"""Read the contents of a run's folder: arrays, texts, images, labels and the kept grid."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from emap_core import inference
from emap_core.decomposition import Decomposition
from emap_core.decomposition.projection import TEXT_AND_IMAGE
from emap_core.decomposition.recombined import Recombined
from emap_core.errors import RunError, SettingError
from emap_core.inference.predictions.answers import n_answers, recombine_grid
from emap_core.methods import method
from emap_core.methods.base import Method, Result
from emap_core.methods.stored_arrays import layout_of_means, name_of_means, size_of_side
from emap_core.modalities import Side, modality, sides_of, sizes_of, two_sides
from emap_core.runs.folder import RunFolder
from emap_core.runs.grid import Grid, Reading, n_channels
from emap_core.runs.schema import DENSITY_ARRAYS, LINEAR_PROBE_ARRAYS
from emap_core.runs.stored_files import Stored
from emap_core.types import Array, Space, Task

if TYPE_CHECKING:
    import pandas as pd


class RunReader:
    """The contents of a finished run's folder, read on use.

    Parameters
    ----------
    folder : RunFolder
    manifest : dict
        As returned by `RunFolder.manifest`.
    """

    def __init__(self, folder: RunFolder, manifest: dict[str, Any]) -> None:
        self._folder = folder
        self.path = folder.path
        self.id = folder.id
        self.manifest = manifest
        self._stored = Stored(
            folder.id,
            {
                letter: manifest[name]
                for letter, name in (
                    ("N", "n_examples"),
                    ("C", "n_classes"),
                    ("T", "n_texts"),
                    ("V", "n_images"),
                )
            }
            | {size_of_side(place): size for place, size in enumerate(self.sizes)}
            | {"K": n_answers(manifest["task"], manifest["n_classes"]) or manifest["n_classes"]},
        )
        self._posters: dict[tuple[int, int], list[bytes]] = {}
        self._words: dict[int, list[str]] = {}

    @property
    def classes(self) -> list[str]:
        """Names of the classes; for a binary task the two labels."""
        return list(self.manifest["classes"])

    @property
    def task(self) -> Task:
        """One of multiclass, binary, multilabel, regression."""
        return cast(Task, self.manifest["task"])

    @property
    def space(self) -> Space:
        """What was projected: logits, log_probabilities or probabilities."""
        return cast(Space, self.manifest["space"])

    @property
    def softmax(self) -> bool:
        """Whether adding a number to all logits of an example changes nothing."""
        return (
            self.task == "multiclass"
            and self.manifest["n_classes"] > 1
            and self.space != "probabilities"
        )

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics in the table, which fit the task; empty without labels."""
        return usable_metrics(self.manifest)

    @property
    def method(self) -> Method:
        """How the run's pairs were chosen."""
        return method(self.manifest["method"])

    @cached_property
    def result(self) -> Result:
        """What the method estimated from the scores."""
        names = tuple(side.name for side in self.sides)
        return self.method.result(self._arrays, TEXT_AND_IMAGE if len(names) == 2 else names)

    @property
    def decomposition(self) -> Decomposition:
        """The predictions, split into text, image and interaction parts."""
        return self.result.decomposition

    @cached_property
    def recombined(self) -> Recombined | None:
        """The model's answers over all recombinations, or None if the run does not have them.

        Read from the whole grid if it was kept, otherwise from what the run added up while scoring.
        """
        if self.grid is None or not self.chooses_one or len(self.sides) > 2:
            return self.result.recombined
        d = self.decomposition
        return recombine_grid(
            self.grid.strips(),
            d.row_share,
            d.column_share,
            self.task,
            self.space,
            self.manifest["n_classes"],
        )

    @cached_property
    def shares(self) -> Decomposition:
        """The decomposition for shares: centred over classes under a softmax."""
        return self.decomposition.class_centred() if self.softmax else self.decomposition

    @cached_property
    def labels(self) -> NDArray[Any] | None:
        """Labels on the class axis, (N,); multilabel and regression (N, C); None without labels.

        With several annotators' answers, the credit of each class, (N, C).
        """
        return self._stored.labels(
            self.path / "labels.npy",
            self.task,
            len(self.classes),
            needed=bool(self.manifest["metrics"]),
        )

    @property
    def true_classes(self) -> NDArray[np.intp] | None:
        """The one true class of each example, (N,), -1 if it has none; None for other tasks.

        With several annotators, the most frequent answer.
        """
        if self.labels is None or self.task not in ("multiclass", "binary"):
            return None
        if self.labels.ndim == 1:
            return np.asarray(self.labels, dtype=np.intp)
        return np.where(self.labels.any(axis=1), self.labels.argmax(axis=1), -1)

    @property
    def decides(self) -> bool:
        """Whether scores decide between classes.

        Scores of a regression do not, nor scores without a threshold or with only one class.
        """
        if self.task == "multiclass" and self.manifest["n_classes"] == 1:
            return False
        if self.task in ("binary", "multilabel") and not self.manifest.get("has_threshold", True):
            return False
        return self.task != "regression"

    @property
    def chooses_one(self) -> bool:
        """Whether scores choose one of several classes; multilabel scores do not."""
        return self.decides and n_answers(self.task, self.manifest["n_classes"]) is not None

    @cached_property
    def sides(self) -> tuple[Side, ...]:
        """What the model read: a text and an image, or sides with other names and modalities."""
        return sides_of(self.manifest)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many unique items each side has."""
        return sizes_of(self.manifest)

    def two_sides(self, what: str) -> tuple[Side, Side]:
        """Return the sides for something that needs exactly two, such as "this figure".

        Raises
        ------
        RunError
            If the run has more.
        """
        return two_sides(self.sides, what)

    @property
    def shared_by_all(self) -> str | None:
        """The side on which all examples share one item, so nothing can be recombined, or None."""
        single = [side.name for side, n in zip(self.sides, self.sizes, strict=True) if n < 2]
        # Interactions show as long as items of two sides can be recombined.
        return " and one ".join(single) if len(single) > len(self.sides) - 2 else None

    @cached_property
    def ids(self) -> list[str]:
        """Ids of the examples."""
        return self._stored.column(self._folder.examples, "id", "text", self.manifest["n_examples"])

    @cached_property
    def columns(self) -> pd.DataFrame:
        """The data's other columns, as text, one row per example; an empty cell is empty."""
        import pandas as pd

        n, names = self.manifest["n_examples"], self.manifest["columns"]
        file = self._folder.columns
        return pd.DataFrame(
            {name: self._stored.column(file, name, "text", n) for name in names},
            index=range(n),
            dtype=str,
        )

    @cached_property
    def texts(self) -> list[str]:
        """The unique texts in order of first appearance, or the words of another first side."""
        return self._stored.column(self._folder.texts, "text", "text", self.manifest["n_texts"])

    @property
    def second_words(self) -> list[str] | None:
        """Words for the unique items of the second side; None for images, which have none."""
        return self.words_of_side(1)

    def words_of_side(self, place: int) -> list[str] | None:
        """Return words for a side's unique items, given its place from 0.

        None for images, which have none, unless they are the first side.
        """
        if place == 0:
            return self.texts
        if self.sides[place].modality == "image":
            return None
        if place not in self._words:
            path = self._folder.words(place)
            self._words[place] = self._stored.column(path, "words", "text", self.sizes[place])
        return self._words[place]

    def words(self, place: int, item: int) -> str:
        """Return words that tell a side's unique item from the others, given its place from 0."""
        words = self.words_of_side(place)
        return f"{self.sides[place].name} {item + 1}" if words is None else words[item]

    @cached_property
    def grid(self) -> Grid | None:
        """The grid of all classes, or None if it was not kept."""
        return self._kept_grid if self.manifest["keep"] == "grid" else None

    @property
    def kept_classes(self) -> list[int]:
        """Numbers of the classes whose grid can be read; empty if only sums were kept."""
        if self.manifest["keep"] == "classes":
            return list(self.manifest["kept_classes"])
        return list(range(self.manifest["n_classes"])) if self.manifest["keep"] == "grid" else []

    def class_grid(self, c: int, reading: Reading = "logits") -> NDArray[np.float32]:
        """Return the model's output for one class on every pair, shape (U_1, U_2).

        With more sides, there is an axis for each.

        Parameters
        ----------
        c : int
            One of `kept_classes`.
        reading : {"logits", "centred", "probabilities"}
            As projected; minus the mean over classes; or after the softmax.

        Raises
        ------
        RunError
            If the grid of this class was not kept.
        """
        if self._kept_grid is None:
            raise RunError(f"only sums were kept of run {self.id!r}, not its grid")
        return self._kept_grid.load_class(c, reading)

    def pair(self, text: int, image: int) -> Decomposition:
        """Return one cell of the kept grid as the only example of a decomposition.

        It is centred over classes under a softmax, and NaN for classes that were not kept.

        Raises
        ------
        RunError
            If only sums were kept.
        """
        if self._kept_grid is None:
            raise RunError(f"only sums were kept of run {self.id!r}, not its grid")
        self.two_sides("a pair")
        cell = self._kept_grid.cell(text, image).astype(np.float64)
        logits = np.full(self.manifest["n_classes"], np.nan)
        if self._kept_grid.kept is None:
            logits[:] = cell - (cell.mean() if self.softmax else 0.0)
        else:
            logits[self.kept_classes] = cell[:-2] - (cell[-2] if self.softmax else 0.0)
        return dataclasses.replace(
            self.shares,
            logits=logits[None],
            index=(np.array([text]), np.array([image])),
        )

    @cached_property
    def _kept_grid(self) -> Grid | None:
        if self.manifest["keep"] == "sums":
            return None
        kept = self.manifest["kept_classes"] if self.manifest["keep"] == "classes" else None
        shape = (
            *self.sizes,
            n_channels(self.manifest["n_classes"], kept),
        )
        return Grid(self._folder.grid, self._arrays["text_order"], kept, shape)

    def thumbnail(self, image: int) -> bytes:
        """Return the JPEG of a unique image, at most 256 pixels per side.

        Raises
        ------
        RunError
            If the run has no such image.
        """
        return self.poster(1, image)

    def poster(self, place: int, item: int) -> bytes:
        """Return the small JPEG of a side's unique item, given the side's place from 0.

        Raises
        ------
        RunError
            If the run has no such item or keeps no pictures of the side, as for a first side of
            texts.
        """
        number, row, n_rows = self._place_of(place, item)
        path = self._folder.previews(place) / f"part-{number:06d}.parquet"
        if (place, number) not in self._posters:
            self._posters[place, number] = self._stored.thumbnails(path, n_rows)
        return self._stored.thumbnail(path, self._posters[place, number], row)

    def content(self, place: int, item: int) -> bytes:
        """Return a unique item's preview to look at or listen to, in its modality's media type.

        Empty if only the poster was kept; raises the errors of `poster`.
        """
        number, row, n_rows = self._place_of(place, item)
        path = self._folder.previews(place) / f"pictures-{number:06d}.parquet"
        kind = modality(self.sides[place].modality)
        return self._stored.content(path, n_rows, row, kind.media_type)

    def picture(self, image: int) -> bytes:
        """Return a large JPEG of a unique image, or its thumbnail if none was kept.

        Raises
        ------
        RunError
            If the run has no such image.
        """
        kind = self.sides[1].modality
        return (self.content(1, image) if kind == "image" else b"") or self.thumbnail(image)

    def _place_of(self, place: int, item: int) -> tuple[int, int, int]:
        """Return the number of an item's file, its row there, and how many rows that has."""
        if len(self.sides) == 2:
            per_chunk = self.manifest["images_per_part" if place else "texts_per_part"]
        else:
            per_chunk = self.manifest["sides"][place]["items_per_part"]
        size = self.sizes[place]
        if not 0 <= item < size or per_chunk is None:
            raise RunError(f"run {self.id!r} has no {self.sides[place].name} {item}")
        if place == 0:
            # Files are in the order in which tiles were scored.
            item = int(np.flatnonzero(self._arrays["text_order"] == item)[0])
        number = int(item) // per_chunk
        return number, int(item % per_chunk), min(per_chunk, size - number * per_chunk)

    @cached_property
    def linear_probes(self) -> dict[str, Array]:
        """Scores of linear probes, each of shape (N, C); empty without a training split."""
        if not self._folder.linear_probes.exists():
            return {}
        return self._stored.arrays(self._folder.linear_probes, LINEAR_PROBE_ARRAYS)

    @cached_property
    def density(self) -> Array | None:
        """How much likelier each pair is among the examples than among recombinations.

        Shape (U_1, U_2) if the run was asked for ``density="encodings"``; otherwise None.
        """
        if not self._folder.density.exists():
            return None
        log_ratio = self._stored_density["log_ratio"]
        return np.asarray(np.exp(log_ratio.astype(np.float64)))

    @cached_property
    def _stored_density(self) -> dict[str, Any]:
        return self._stored.arrays(self._folder.density, DENSITY_ARRAYS)

    @cached_property
    def _arrays(self) -> dict[str, Any]:
        return self._stored.arrays(self._folder.sums, self.method.layouts_of(len(self.sides)))

    def means_of_two(self, first: str, second: str) -> Array:
        """Return the model's output for two sides' items, averaged over all other sides.

        Parameters
        ----------
        first, second : str
            Names of two sides; the run has more.

        Returns
        -------
        ndarray of shape (U, V, C)

        Raises
        ------
        RunError
            If there are no such sides, or the run has no means of two of them.
        """
        names = [side.name for side in self.sides]
        if len(names) == 2 or first == second or first not in names or second not in names:
            raise RunError(
                f"run {self.id!r} has no means of {first!r} and {second!r} over other sides; its "
                f"sides are {', '.join(names)}"
            )
        places = names.index(first), names.index(second)
        low, high = sorted(places)
        layouts = {name_of_means(low, high): layout_of_means(low, high)}
        file = self._folder.means_of_two
        found = self._stored.arrays(file, layouts) if file.exists() else {}
        if not found:
            why = "they were too large to keep"
            if not self.method.scores_all_pairs:
                why = f"method {self.method.name} scores a part of the grid"
            raise RunError(f"run {self.id!r} has no means over pairs of sides: {why}")
        (means,) = found.values()
        return means if places == (low, high) else means.swapaxes(0, 1)


def usable_metrics(manifest: dict[str, Any]) -> list[str]:
    """Return the metrics of a manifest that fit its task and number of classes.

    If the manifest has another name for one, its own name is used.
    """

    def fits(name: str) -> bool:
        try:
            inference.check_use(name, manifest["task"], manifest["n_classes"])
        except SettingError:
            return False
        return True

    return list(
        dict.fromkeys(inference.metric(name).name for name in manifest["metrics"] if fits(name))
    )
