"""The hub, or a server like it at ``HF_ENDPOINT``: repositories, downloaded once."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from emap_core.downloads import Download, is_heard
from emap_core.errors import MissingExtraError, SpecError

_LOG_IN = "log in with “hf auth login” or HF_TOKEN"

OF_THE_HUB = ("hf", "hf-any", "openclip", "naturalbench", "winoground")
"""Prefixes of specs that name a repository."""
_commits: dict[tuple[str, str], str] = {}
"""Commits of what this process has loaded, by kind and name."""


def downloaded(
    name: str, kind: Literal["model", "dataset"], patterns: Sequence[str], why: str
) -> Path:
    """Return the folder of a repository's files at one commit; the folder is named after it.

    Files in the library's cache are not downloaded again, and interrupted downloads resume. Bars on
    the terminal show progress, or listeners are told; see `emap_core.downloads`.

    Parameters
    ----------
    name : str
        The id of a repository, with or without ``@revision``.
    kind : {"model", "dataset"}
    patterns : sequence of str
        Which files are wanted.
    why : str
        Why the hub is asked; messages begin with it.

    Raises
    ------
    MissingExtraError
        If the hub's library is not installed.
    SpecError
        If the repository or revision does not exist, may not be read, or cannot be reached.
    """
    try:
        from huggingface_hub import constants, errors, snapshot_download
    except ImportError as error:
        raise MissingExtraError(
            f"{why}; to load a {kind} from the hub: pip install huggingface_hub"
        ) from error
    what = "checkpoint" if kind == "model" else "dataset"
    hub_id, _, revision = name.partition("@")
    try:
        found = snapshot_download(
            hub_id,
            repo_type=kind,
            revision=revision or None,
            allow_patterns=list(patterns),
            tqdm_class=_telling(hub_id) if is_heard() else None,
        )
    except errors.HFValidationError as error:
        raise SpecError(f"{why}, and the name is not a valid hub id") from error
    except errors.GatedRepoError as error:
        raise SpecError(
            f"{why}, and the hub's {what} {hub_id} is gated; accept its terms on its page, and "
            f"{_LOG_IN}"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise SpecError(_missing(why, what)) from error
    except errors.RevisionNotFoundError as error:
        raise SpecError(
            f"{why}, and the hub's {what} {hub_id} has no revision {revision!r}; leave it out, or "
            "name a branch, a tag or a commit"
        ) from error
    except errors.LocalEntryNotFoundError as error:
        where = (
            "HF_HUB_OFFLINE forbids downloading it"
            if constants.HF_HUB_OFFLINE
            else f"{constants.ENDPOINT} cannot be reached; try again"
        )
        raise SpecError(f"{why}, {hub_id} has not been downloaded, and {where}") from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 404):
            raise SpecError(_missing(why, what)) from error
        raise SpecError(
            f"{why}, and the hub answers {status}; try again (downloaded files are kept)"
        ) from error
    except Exception as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise SpecError(f"{why}, and the hub has no such {what}: {said}") from error
    _commits[kind, name] = Path(found).name
    return Path(found)


def _telling(hub_id: str) -> Any:
    """Return a class of progress bars that draw nothing and report the bytes received."""
    from tqdm import tqdm

    download = Download(hub_id, "B")

    class Bar(tqdm):  # type: ignore[misc]
        def display(self, *_: Any, **__: Any) -> bool:
            return True

        def update(self, n: float | None = 1) -> None:
            super().update(n)
            if self.unit == "B":
                download.is_at(int(self.n), int(self.total or 0))

    return Bar


def files_listed(hub_id: str, kind: Literal["model", "dataset"], commit: str) -> list[str]:
    """Return the names of all files in a repository; none if the hub does not say."""
    from huggingface_hub import HfApi

    with contextlib.suppress(Exception):
        return list(HfApi().list_repo_files(hub_id, repo_type=kind, revision=commit))
    return []


def pinned(spec: str, kind: Literal["model", "dataset"]) -> str:
    """Return a spec with the commit that was loaded, if the spec names a hub repository."""
    prefix, colon, name = spec.partition(":")
    return f"{prefix}{colon}{pinned_name(name, kind)}" if prefix in OF_THE_HUB else spec


def pinned_name(name: str, kind: Literal["model", "dataset"]) -> str:
    """Return the id of a repository with the commit that was loaded, or the name as given."""
    commit = _commits.get((kind, name))
    return name if commit is None else f"{name.partition('@')[0]}@{commit}"


def _missing(why: str, what: str) -> str:
    return f"{why}, and the hub has no such {what}, or it is private; check its name, or {_LOG_IN}"
