"""Images that a table names by address: downloaded once, into a cache."""

from __future__ import annotations

import hashlib
import http.client
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from emap_core.datasets.base import (
    Address,
    Examples,
    ImageFile,
    ImageFiles,
    fingerprint_of,
    has_address,
)
from emap_core.datasets.sample import Picked, pick
from emap_core.downloads import Download
from emap_core.environment import whole_number
from emap_core.errors import DatasetError
from emap_core.network_addresses import PASSING, RefusedError, cache_folder, opener, whom_to_ask
from emap_core.option_names import option

MAX_BYTES = 32 * 2**20
"""Larger images are not fetched unless ``EMAP_MAX_FETCHED_BYTES`` is higher."""
MAX_ADDRESSES = 100_000
"""More are not fetched for one dataset unless ``EMAP_MAX_FETCHED_IMAGES`` is higher."""

_AT_ONCE = 16
_TRIES = 3
_SECONDS_TO_ANSWER = 20
_SECONDS_IN_ALL = 120
_CHUNK = 1 << 16
_HEADERS = {"User-Agent": "emap-lens", "Accept": "image/*"}


def with_images_fetched(data: Examples, skip_bad: bool = False) -> Examples:
    """Return a dataset whose images are all on this machine.

    Parameters
    ----------
    data : Examples
    skip_bad : bool
        Leave out examples whose image cannot be fetched, and list them.

    Raises
    ------
    AccessError
        If fetching is not allowed here.
    DatasetError
        If an image cannot be fetched, or there are too many.
    """
    to_fetch = {
        place: files
        for place, one in enumerate(data.items_by_side)
        if (files := _files_of(one.items)) is not None and any(map(has_address, files))
    }
    if not to_fetch:
        return data
    addresses = [one for files in to_fetch.values() for file in files for one in _addresses(file)]
    found = fetch_all(list(dict.fromkeys(one.url for one in addresses)))
    wrong: dict[int, str] = {}
    whole = data
    for place, files in to_fetch.items():
        names = [_name_of(whole, place, row) for row in range(len(files))]
        here = ImageFiles([_fetched(file, found) for file in files], names)
        data = data.with_items(place, here)
        for row, file in enumerate(files):
            for one in _addresses(file):
                if isinstance(why := found[one.url], str):
                    wrong.setdefault(row, f"{names[row]} cannot be fetched: {why}")
            if skip_bad and row not in wrong:
                try:
                    _ = here[row]
                except DatasetError as error:
                    wrong[row] = str(error)
    if wrong and not skip_bad:
        first = wrong[min(wrong)]
        of_all = f"; the same goes for {len(wrong):,} of {len(data):,}" if len(wrong) > 1 else ""
        raise DatasetError(f"{first}{of_all} ({option('skip_bad', 'true')} leaves such rows out)")
    if len(wrong) == len(data):
        raise DatasetError(f"no image could be fetched; the first: {wrong[0]}")
    if whole.fingerprint:
        sizes = [
            f"{one.url} {path.stat().st_size}"
            for one in addresses
            if isinstance(path := found[one.url], Path)
        ]
        data = replace(data, fingerprint=fingerprint_of(whole.fingerprint, *sizes))
    if not wrong:
        return data
    rows = np.array([row for row in range(len(data)) if row not in wrong], dtype=np.intp)
    kept = pick(data, rows, fingerprint_of(str(data.fingerprint), rows.tobytes()))
    return replace(kept, skipped=[*kept.skipped, *wrong.values()])


def fetch_all(urls: Sequence[str]) -> dict[str, Path | str]:
    """Return where each image now is in the cache, or why it is not there.

    A bar on the terminal shows progress, or listeners are told. Images in the cache are not fetched
    again.

    Raises
    ------
    AccessError
        If fetching is not allowed here.
    DatasetError
        If there are too many.
    """
    whom = whom_to_ask(
        "fetching images from addresses is turned off here by EMAP_FETCH; download them first"
    )
    most = whole_number("EMAP_MAX_FETCHED_IMAGES", MAX_ADDRESSES)
    if len(urls) > most:
        raise DatasetError(
            f"the data has {len(urls):,} image addresses, more than the {most:,} that may be "
            f"fetched (EMAP_MAX_FETCHED_IMAGES); take a sample with {option('limit')}"
        )
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        each = pool.map(lambda url: _path_or_reason(url, whom), urls)
        found: dict[str, Path | str] = {}
        download = Download("images", "images")
        # Without a terminal there is no bar.
        for url, path in zip(urls, tqdm(each, "Images", len(urls), disable=None), strict=True):
            found[url] = path
            download.is_at(len(found), len(urls))
        return found


def _path_or_reason(url: str, whom: str) -> Path | str:
    name = hashlib.sha256(url.encode()).hexdigest()
    path = cache_folder() / "images" / name[:2] / name
    if path.is_file():
        return path
    why = ""
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(0.5 * 2**attempt)
        try:
            content = _content(url, whom)
            break
        except urllib.error.HTTPError as error:
            why = f"the server answers {error.code} {error.reason}".rstrip()
            if error.code not in PASSING:
                return why
        except RefusedError as error:
            return str(error)
        except (OSError, http.client.HTTPException, ValueError) as error:
            if isinstance(cause := getattr(error, "reason", None), RefusedError):
                return str(cause)
            why = str(cause or error) or type(error).__name__
    else:
        return f"{why}, {_TRIES} times"
    try:
        # A page that says sorry must not be kept as an image.
        ImageFiles([content], ["what it shows"]).check(0)
    except DatasetError as error:
        return str(error)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content)
    # Only a complete file takes its place.
    Path(file.name).replace(path)
    return path


def _content(url: str, whom: str) -> bytes:
    most = whole_number("EMAP_MAX_FETCHED_BYTES", MAX_BYTES)
    until = time.monotonic() + _SECONDS_IN_ALL
    request = urllib.request.Request(url, headers=_HEADERS)  # noqa: S310 - only http and https
    with opener(whom).open(request, timeout=_SECONDS_TO_ANSWER) as answer:
        parts, size = [], 0
        while part := answer.read(_CHUNK):
            parts.append(part)
            size += len(part)
            if size > most:
                raise RefusedError(
                    f"it has more than the {most:,} bytes that are allowed (EMAP_MAX_FETCHED_BYTES)"
                )
            if time.monotonic() > until:
                raise RefusedError(f"it takes more than {_SECONDS_IN_ALL} seconds")
    return b"".join(parts)


def _files_of(images: Any) -> list[ImageFile] | None:
    if isinstance(images, Picked):
        files = _files_of(images.entries)
        return None if files is None else [files[int(row)] for row in images.rows]
    return images.files if isinstance(images, ImageFiles) else None


def _name_of(data: Examples, place: int, row: int) -> str:
    of_side = data.items_by_side[place]
    images: Any = of_side.items
    at = row
    while isinstance(images, Picked):
        images, at = images.entries, int(images.rows[at])
    names = getattr(images, "names", None)
    return (
        f"the {of_side.side.name} of example {data.ids[row]!r}" if names is None else str(names[at])
    )


def _addresses(file: ImageFile) -> Iterator[Address]:
    for part in file if isinstance(file, tuple) else (file,):
        if isinstance(part, Address):
            yield part


def _fetched(file: ImageFile, found: dict[str, Path | str]) -> ImageFile:
    """Return a file with each address replaced by its place, if it could be fetched."""

    def place(part: Any) -> Any:
        there = found[part.url] if isinstance(part, Address) else None
        return there if isinstance(there, Path) else part

    return tuple(map(place, file)) if isinstance(file, tuple) else place(file)
