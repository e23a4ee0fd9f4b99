"""Encodings of a run's items: each item is encoded once, and the encoding is kept."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from emap_core.errors import ModelError
from emap_core.modalities import Modality, Preview
from emap_core.models import encodings as trees
from emap_core.models.base import Scorer
from emap_core.models.encodings import Encodings, Product, boxes
from emap_core.runs.store import on_disk, replacing
from emap_core.types import Index

TEXTS_PER_CHUNK = 64
_DECODED_BYTES = 256 * 2**20
_CHUNKS_AT_HAND = 4


class EncodedItems:
    """Encodings of a side's unique items, chunk by chunk, and on disk once there is a folder.

    Parameters
    ----------
    name : str
        See `name_of_items`.
    n_items : int
    per_chunk : int
    encode : callable
        Chunk number to encodings.
    persistent : bool
        Whether encoded chunks are kept; the items of a plain callable are their own encodings.
    device : str
        Where the model is.
    budget : int or None
        Bytes that the encodings may take there; more of them wait on the host, pinned, and are
        brought over a range at a time while the device is busy with the range before.
    """

    def __init__(
        self,
        name: str,
        n_items: int,
        per_chunk: int,
        encode: Callable[[int], Encodings],
        persistent: bool,
        device: str,
        budget: int | None = None,
    ) -> None:
        self.name = name
        self.n_items = n_items
        self.per_chunk = per_chunk
        self.n_chunks = -(-n_items // per_chunk)
        self._encode = encode
        self._persistent = persistent
        self._device = device
        self._budget = budget
        self.streamed = False
        """Whether the encodings wait on the host, known once the first chunk is encoded."""
        self._copies: torch.cuda.Stream | None = None
        if device.startswith("cuda"):
            self._copies = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # as torch
        self.held = persistent
        """Whether anything requested once stays available."""
        self._chunks: dict[int, Encodings] = {}
        self._folder: Path | None = None
        self._last: tuple[slice, list[tuple[slice, Encodings]]] | None = None

    def keep_in(self, folder: Path) -> None:
        """Keep encodings in `folder` from now on, including those already made."""
        if not self._persistent:
            return
        self._folder = folder
        for number, encodings in self._chunks.items():
            _save(self._file(number), encodings)

    def chunks(self, items: slice) -> range:
        """Return the numbers of the chunks that hold a range of items."""
        return range(items.start // self.per_chunk, -(-items.stop // self.per_chunk))

    def prepare(self, number: int) -> None:
        """Make sure that a chunk is encoded."""
        if number in self._chunks:
            return
        stored = self.stored(number)
        if stored is None:
            stored = self._encode(number)
            self.store(number, stored)
        else:
            stored = trees.to_device(stored, self._device)
        self._chunks[number] = self._placed(stored)

    def stored(self, number: int) -> Encodings | None:
        """Return a chunk's encodings from disk, on the host; None if they are not there."""
        return None if self._folder is None else _load(self._file(number))

    def store(self, number: int, encodings: Encodings) -> None:
        """Write a chunk's encodings to disk if there is a folder."""
        if self._folder is not None:
            _save(self._file(number), encodings)

    def encode_with(self, encode: Callable[[int], Encodings]) -> None:
        """Get chunks from `encode` from now on, and release those that are there."""
        self._encode = encode
        self._chunks = {}
        self._last = None

    def release(self, number: int) -> Encodings:
        """Return a chunk's encodings and release them."""
        self.prepare(number)
        return self._chunks.pop(number)

    def _placed(self, encodings: Encodings) -> Encodings:
        """Return the encodings on the device, or on the host if they would not all fit."""
        if self._budget is not None and not self.streamed:
            expected = trees.n_bytes(encodings) * self.n_items / trees.count(encodings)
            self.streamed = expected > self._budget
        if not self.streamed:
            return encodings
        return trees.pinned(encodings) if self._copies else trees.to_device(encodings, "cpu")

    def _on_device(self, encodings: Encodings) -> Encodings:
        if not self.streamed:
            return encodings
        if self._copies is None:
            return trees.to_device(encodings, self._device)
        # A stream of its own, so that the copy runs beside the tile that is being computed.
        with torch.cuda.stream(self._copies):
            moved = trees.to_device(encodings, self._device)
        now = torch.cuda.current_stream(self._device)
        now.wait_stream(self._copies)
        for leaf in trees.leaves(moved):
            if isinstance(leaf, torch.Tensor):
                leaf.record_stream(now)
        return moved

    def get(self, items: slice) -> list[tuple[slice, Encodings]]:
        """Return the encodings of a range, in as few pieces as their shapes allow.

        A plain callable's items are released once a later range is asked for.
        """
        if self._last is not None and self._last[0] == items:
            return self._last[1]
        self._last = None
        chunks = self.chunks(items)
        self.forget_before(items.start)
        pieces: list[tuple[slice, list[Encodings]]] = []
        shapes = None
        for number in chunks:
            self.prepare(number)
            first = number * self.per_chunk
            start = max(items.start, first)
            stop = min(items.stop, first + self.per_chunk)
            encodings = self._on_device(
                trees.take(self._chunks[number], slice(start - first, stop - first))
            )
            if pieces and trees.item_shapes(encodings) == shapes:
                pieces[-1] = (slice(pieces[-1][0].start, stop), [*pieces[-1][1], encodings])
            else:
                shapes = trees.item_shapes(encodings)
                pieces.append((slice(start, stop), [encodings]))
        joined = [(where, trees.concatenate(parts)) for where, parts in pieces]
        # A range of images meets every range of texts in turn.
        self._last = (items, joined)
        return joined

    def at(self, items: Index) -> list[tuple[Index, Encodings]]:
        """Return the encodings of single items by shape, with their positions in `items`."""
        numbers = items // self.per_chunk
        groups: dict[Any, tuple[list[Index], list[Encodings]]] = {}
        for number in np.unique(numbers):
            self.prepare(int(number))
            positions = np.flatnonzero(numbers == number)
            encodings = self._on_device(
                trees.take(self._chunks[number], items[positions] - number * self.per_chunk)
            )
            places, parts = groups.setdefault(trees.item_shapes(encodings), ([], []))
            places.append(positions)
            parts.append(encodings)
        return [
            (np.concatenate(places), trees.concatenate(parts)) for places, parts in groups.values()
        ]

    def leaves(self, number: int) -> list[NDArray[Any]]:
        """Return the arrays of a chunk's encodings, on the host; lists are left out."""
        self.prepare(number)
        return [
            leaf.float().cpu().numpy() if isinstance(leaf, torch.Tensor) else leaf
            for leaf in trees.leaves(self._chunks[number])
            if isinstance(leaf, np.ndarray)
            or (isinstance(leaf, torch.Tensor) and leaf.is_floating_point())
        ]

    def vectors(self) -> NDArray[np.float32]:
        """Return one vector per item: its floating leaves, averaged over their middle axes.

        Leaves whose width differs between chunks, or that hold a number that is not finite, are
        left out.

        Raises
        ------
        ModelError
            If the encodings hold no numbers.
        """
        columns: dict[int, list[NDArray[np.float32]]] = {}
        for number in range(self.n_chunks):
            for place, leaf in enumerate(self.leaves(number)):
                if not np.issubdtype(leaf.dtype, np.floating):
                    continue
                pooled = (
                    leaf.reshape(len(leaf), -1)
                    if leaf.ndim <= 2
                    else leaf.mean(axis=tuple(range(1, leaf.ndim - 1)))
                )
                columns.setdefault(place, []).append(pooled.astype(np.float32))
        whole = [
            np.concatenate(parts)
            for parts in columns.values()
            if len(parts) == self.n_chunks
            and len({part.shape[1] for part in parts}) == 1
            and all(np.isfinite(part).all() for part in parts)
        ]
        if not whole:
            raise ModelError("the model's encodings hold no numbers to learn from")
        return np.concatenate(whole, axis=1)

    def forget_before(self, item: int) -> None:
        """Release a plain callable's items before this one."""
        if not self.held:
            first = item // self.per_chunk
            self._chunks = {k: v for k, v in self._chunks.items() if k >= first}

    def needed(self, items: slice) -> list[tuple[EncodedItems, slice]]:
        """Return the encodings that a range asks for, and the range that it asks of them."""
        return [(self, items)]

    def _file(self, number: int) -> Path:
        assert self._folder is not None  # noqa: S101 - both callers have just looked
        return self._folder / f"{self.name}-{number:06d}.safetensors"


class EncodedProduct:
    """Encodings of every combination of items of several sides, each item encoded once.

    Combinations are numbered as `emap_core.datasets.grid_cells.column_numbers` does it.

    Parameters
    ----------
    sides : sequence of EncodedItems
    """

    def __init__(self, sides: Sequence[EncodedItems]) -> None:
        self.sides = tuple(sides)
        self.sizes = tuple(one.n_items for one in sides)
        self.n_items = prod(self.sizes)
        self._last: tuple[slice, list[tuple[slice, Product]]] | None = None

    def get(self, items: slice) -> list[tuple[slice, Product]]:
        """Return the encodings of a range, in as few products as it has and shapes allow."""
        if self._last is None or self._last[0] != items:
            self._last = None
            self._last = (items, list(self._products(items)))
        return self._last[1]

    def _products(self, items: slice) -> Iterator[tuple[slice, Product]]:
        start = items.start
        for box in boxes(items.start, items.stop, self.sizes):
            pieces = [
                [encodings for _, encodings in side.get(part)]
                for side, part in zip(self.sides, box, strict=True)
            ]
            for one in _in_turn(pieces):
                product = Product(one)
                yield slice(start, start + len(product)), product
                start += len(product)

    def at(self, items: Index) -> list[tuple[Index, tuple[Encodings, ...]]]:
        """Return the encodings of single combinations by shape, with their positions in `items`."""
        groups: list[tuple[Index, tuple[Encodings, ...]]] = [(np.arange(len(items)), ())]
        for side, numbers in zip(self.sides, np.unravel_index(items, self.sizes), strict=True):
            groups = [
                (places[among], (*(trees.take(one, among) for one in before), encodings))
                for places, before in groups
                for among, encodings in side.at(numbers[places])
            ]
        return groups

    def forget_before(self, item: int) -> None:
        """Release nothing: items of all sides but the first come up again."""

    def needed(self, items: slice) -> list[tuple[EncodedItems, slice]]:
        """Return the encodings that a range asks for, and the range that it asks of them."""
        first, *others = self.sides
        inner = prod(self.sizes[1:])
        of_first = slice(items.start // inner, -(-items.stop // inner))
        return [(first, of_first), *((one, slice(0, one.n_items)) for one in others)]


def _in_turn(pieces: Sequence[Sequence[Encodings]]) -> Iterator[tuple[Encodings, ...]]:
    """Yield products of the pieces of each side, so that combinations stay in their order."""
    first, *rest = pieces
    tails = list(_in_turn(rest)) if rest else [()]
    for one in first:
        if len(tails) == 1:
            yield (one, *tails[0])
            continue
        for place in range(trees.count(one)):
            item = trees.take(one, slice(place, place + 1))
            for tail in tails:
                yield (item, *tail)


def name_of_items(place: int) -> str:
    """Return what the encodings of a side are called on disk, by its place from 0."""
    return ("texts", "images")[place] if place < 2 else f"side-{place}"


@dataclass
class UniqueItems:
    """The unique items of a side, opened ahead on threads, each once.

    Parameters
    ----------
    kind : Modality
        Of the items.
    images : sequence
        What people see.
    inputs : sequence or None
        What the model sees, where it is not the images themselves.
    examples : ndarray of shape (U_2,)
        For each unique image, an example that shows it.
    per_chunk : int
    wanted : slice or None
        The images that are needed, all by default.
    picture_bytes : int
        Disk that the picture of each may take, beside its thumbnail.
    """

    kind: Modality
    images: Sequence[Any]
    inputs: Sequence[Any] | None
    examples: np.ndarray[Any, np.dtype[np.intp]]
    per_chunk: int
    wanted: slice | None = None
    picture_bytes: int = 0
    folder: Path | None = None
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(2))
    _ahead: dict[int, list[Future[Any]]] = field(default_factory=dict)
    _made: dict[int, list[Preview | None]] = field(default_factory=dict)

    def load(self, number: int) -> list[Any]:
        """Return what the model sees of one chunk, and begin to decode the next."""
        waiting = self._ahead.pop(number, None) or self._start(number)
        if number + 1 in self._chunks():
            self._ahead.setdefault(number + 1, self._start(number + 1))
        loaded = [one.result() for one in waiting]
        self._made[number] = [made for _, made in loaded]
        if self.folder is not None:
            self.keep(self.folder)
        return [item for item, _ in loaded]

    def keep(self, folder: Path) -> None:
        """Write thumbnails and pictures to `folder` from now on, those made already included."""
        self.folder = folder
        for number in list(self._made):
            made = [one for one in self._made.pop(number) if one is not None]
            if not made:
                continue
            pictures = [one.content for one in made]
            if any(pictures):
                # Each is read by itself, and a JPEG cannot be made smaller.
                _write(self._file("pictures", number), "picture", pictures, "none", 1)
            thumbnails = [one.poster for one in made]
            _write(self._file("part", number), "thumbnail", thumbnails, "snappy", None)

    def complete(self) -> None:
        """Make what is not there yet, because encodings came from disk."""
        for number in self._chunks():
            if not self._file("part", number).exists():
                self.load(number)

    def _chunks(self) -> range:
        wanted = self.wanted or slice(0, len(self.examples))
        return range(wanted.start // self.per_chunk, -(-wanted.stop // self.per_chunk))

    def seen(self, number: int) -> Any:
        """Return what the model sees of one unique image, decoded anew."""
        return (self.images if self.inputs is None else self.inputs)[int(self.examples[number])]

    def close(self) -> None:
        """Stop the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _file(self, kind: str, number: int) -> Path:
        assert self.folder is not None  # noqa: S101 - set before it is asked for
        return self.folder / f"{kind}-{number:06d}.parquet"

    def _start(self, number: int) -> list[Future[Any]]:
        first = number * self.per_chunk
        examples = self.examples[first : first + self.per_chunk]
        # A plain callable's items of the first side are opened again for each part of the second.
        kept = self.folder is not None and self._file("part", number).exists()
        return [self._pool.submit(self._open, int(example), kept) for example in examples]

    def _open(self, example: int, kept: bool) -> tuple[Any, Preview | None]:
        image = self.images[example]
        made = None if kept else self.kind.preview(image, self.picture_bytes)
        return (image if self.inputs is None else self.inputs[example]), made


def _write(
    path: Path, name: str, images: Sequence[bytes], compression: str, rows: int | None
) -> None:
    with replacing(path) as temporary:
        table = pa.table({name: pa.array(images, pa.binary())})
        pq.write_table(
            table,
            temporary,
            compression=compression,
            row_group_size=rows,
            use_dictionary=rows is None,
            write_statistics=rows is None,
        )


def items_per_chunk(kind: Modality, item: Any) -> int:
    """Return how many items of a modality are opened at a time, from the size of the first."""
    return int(min(max(_DECODED_BYTES // max(kind.n_bytes(item), 1), 1), 64))


def encoded_texts(scorer: Scorer, texts: list[str]) -> EncodedItems:
    """Return the encodings of `texts`, in the order given."""

    def encode(number: int) -> Encodings:
        first = number * TEXTS_PER_CHUNK
        return scorer.encode_texts(texts[first : first + TEXTS_PER_CHUNK])

    return EncodedItems(
        "texts",
        len(texts),
        TEXTS_PER_CHUNK,
        encode,
        scorer.staged,
        scorer.device,
        encodings_budget(scorer.device),
    )


def encoded_side(scorer: Scorer, items: UniqueItems, place: int) -> EncodedItems:
    """Return the encodings of a side's unique items, which are opened when they are needed."""

    def encode(number: int) -> Encodings:
        return scorer.encode(place, items.load(number))

    return EncodedItems(
        name_of_items(place),
        len(items.examples),
        items.per_chunk,
        encode,
        scorer.staged,
        scorer.device,
        encodings_budget(scorer.device),
    )


def encoded_columns(scorer: Scorer, sides: Sequence[UniqueItems]) -> EncodedItems | EncodedProduct:
    """Return the encodings of the grid's columns: items of the second side, or combinations."""
    encoded = [encoded_side(scorer, one, place) for place, one in enumerate(sides, start=1)]
    if len(encoded) == 1:
        return encoded[0]
    for one in encoded[1:]:
        # Opened again for every item of the side before it, unless there are many of them.
        one.held = one.held or one.n_chunks <= _CHUNKS_AT_HAND
    return EncodedProduct(encoded)


def encodings_budget(device: str) -> int | None:
    """Return how many bytes the encodings of either side may take on a device, None for no limit.

    A quarter of what is free once the model is there; the rest is for the tiles.
    """
    if not device.startswith("cuda"):
        return None
    return int(torch.cuda.mem_get_info(device)[0] // 4)


def _save(path: Path, encodings: Encodings) -> None:
    leaves = trees.leaves(encodings)
    if not all(isinstance(leaf, (torch.Tensor, np.ndarray)) for leaf in leaves):
        # Other encodings cannot be written; they are encoded anew after an interruption.
        return
    # Copies, because leaves may be views of one tensor, which the format refuses.
    tensors = {
        str(i): torch.as_tensor(leaf).detach().cpu().clone().contiguous()
        for i, leaf in enumerate(leaves)
    }
    numbers = iter(range(len(leaves)))
    structure = trees.map_leaves(
        lambda leaf: f"{'tensor' if isinstance(leaf, torch.Tensor) else 'array'} {next(numbers)}",
        encodings,
    )
    with replacing(path) as temporary:
        try:
            save_file(tensors, temporary, {"structure": json.dumps(_tagged(structure))})
        except SafetensorError as error:
            # It tells the number of the system's error in words alone.
            number = re.search(r"os error (\d+)", str(error))
            if number is None:
                raise
            raise OSError(int(number[1]), os.strerror(int(number[1]))) from error


def _load(path: Path) -> Encodings | None:
    try:
        with on_disk(path) as file, safe_open(file, framework="pt", device="cpu") as stored:
            structure = _untagged(json.loads(stored.metadata()["structure"]))

            def read(name: str) -> Any:
                kind, key = name.split()
                tensor = stored.get_tensor(key)
                return tensor if kind == "tensor" else tensor.numpy()

            return trees.map_leaves(read, structure)
    except FileNotFoundError:
        return None
    except (SafetensorError, OSError, KeyError, ValueError):
        # A damaged file costs one more encoding, nothing else.
        return None


def _tagged(structure: Encodings) -> Any:
    """Return tuples as {"tuple": [...]}, which JSON would make lists of."""
    if isinstance(structure, tuple):
        return {"tuple": [_tagged(part) for part in structure]}
    if isinstance(structure, dict):
        return {"dict": [[key, _tagged(part)] for key, part in structure.items()]}
    return structure


def _untagged(content: Any) -> Encodings:
    if isinstance(content, str):
        return content
    if "tuple" in content:
        return tuple(_untagged(part) for part in content["tuple"])
    return {key: _untagged(part) for key, part in content["dict"]}
