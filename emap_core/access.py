"""What a browser may ask of this server; its operator decides.

These rules do not bind the command line or Python: anyone who has those has the machine.
"""

from __future__ import annotations

import glob
import ipaddress
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from emap_core.allowed_folders import (
    check_path,
    for_a_child,
    lies_in,
    path_or_hub_id,
    roots_of_environment,
)
from emap_core.errors import AccessError, SettingError
from emap_core.hub import OF_THE_HUB
from emap_core.models import LOADERS as MODEL_LOADERS
from emap_core.runs.folder import runs_root
from emap_core.specs import Loaders

RUNS_CODE = ("torchscript", "export")
"""Prefixes of files that hold or may hold a program."""
UPLOADABLE = ("csv", "json", "jsonl", "parquet", "imagefolder")
"""Prefixes allowed in the uploads folder; other formats follow paths inside their files."""
PATH_OPTIONS = ("head", "adapter")
"""Loader options that name a file; the code that opens the file checks the roots, too."""
Edit = Literal["annotate", "archive", "delete"]
EDITS = ("none", "annotate", "archive", "delete")
"""What visitors may do to finished runs; each includes all before it."""
_WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class Policy:
    """Who may do what.

    Attributes
    ----------
    viewer : bool
        Visitors may open, explore and export finished runs, and nothing else.
    roots : tuple of Path or None
        Folders that paths from a browser must lead into; None allows any.
    allow_code : bool
        Whether a browser may name Python code, or files that hold a program.
    emails : frozenset of str or None
        Who may come in, as addresses or ``@domain``; None allows everybody who can sign in.
    edits : str
        The last of `EDITS` that visitors may do to finished runs; in viewer mode, none.
    """

    viewer: bool = False
    roots: tuple[Path, ...] | None = None
    allow_code: bool = False
    emails: frozenset[str] | None = None
    edits: str = "delete"

    @classmethod
    def from_environment(cls, address: str | None) -> Policy:
        """Return the rules that ``EMAP_MODE``, ``EMAP_ROOTS``, ``EMAP_ALLOW_CODE`` and others set.

        Parameters
        ----------
        address : str or None
            Where the server listens; None for everywhere. If other computers can reach it, it is in
            viewer mode and accepts no paths, unless the environment says otherwise.

        Raises
        ------
        SettingError
            If one of them has an invalid value.
        """
        here = is_loopback(address)
        mode = os.environ.get("EMAP_MODE") or ("full" if here else "viewer")
        if mode not in ("full", "viewer"):
            raise SettingError(f"EMAP_MODE is {mode!r}; expected full or viewer")
        code = os.environ.get("EMAP_ALLOW_CODE", "")
        if code not in ("", "0", "1"):
            raise SettingError(f"EMAP_ALLOW_CODE is {code!r}; expected 1 or nothing")
        edits = os.environ.get("EMAP_EDITS") or "delete"
        if edits not in EDITS:
            raise SettingError(f"EMAP_EDITS is {edits!r}; expected one of {', '.join(EDITS)}")
        emails = os.environ.get("EMAP_ALLOWED_EMAILS")
        roots = roots_of_environment()
        return cls(
            viewer=mode == "viewer",
            roots=() if roots is None and not here else roots,
            allow_code=code == "1",
            emails=None if emails is None else _listed(emails),
            edits=edits,
        )

    def check_full(self) -> None:
        """Raise an AccessError in viewer mode."""
        if self.viewer:
            raise AccessError(
                "this server only shows finished runs; its operator can change this with EMAP_MODE"
            )

    def may(self, edit: Edit) -> bool:
        """Return whether visitors may do something to a finished run."""
        return not self.viewer and EDITS.index(self.edits) >= EDITS.index(edit)

    def check_edit(self, edit: Edit) -> None:
        """Raise an AccessError unless visitors may do something to a finished run."""
        if not self.may(edit):
            setting = "EMAP_MODE" if self.viewer else "EMAP_EDITS"
            raise AccessError(
                f"visitors of this server may not {edit} a run; its operator can change this with "
                f"{setting}"
            )

    def check_work(self, model: str, data: str, settings: Mapping[str, Any]) -> None:
        """Raise an AccessError unless this model may be run on these data.

        Parameters
        ----------
        model, data : str
            Specs.
        settings : mapping
            As in `emap_core.jobs.RunSpecification`.
        """
        self.check_full()
        self.check_model(model)
        self.check_data(data)
        if settings.get("train_data"):
            self.check_data(settings["train_data"])
        for name in ("model_arg", "data_arg", "train_arg"):
            for argument in settings.get(name) or ():
                self._check_argument(str(argument))

    def check_model(self, spec: str) -> None:
        """Raise an AccessError unless this model may be loaded."""
        self.check_full()
        self._check_spec("model", spec, MODEL_LOADERS)

    def check_data(self, spec: str) -> None:
        """Raise an AccessError unless this dataset may be loaded."""
        from emap_core.datasets import LOADERS, with_prefix

        self.check_full()
        self._check_spec("dataset", with_prefix(spec), LOADERS)

    def environment(self, *data: str) -> dict[str, str]:
        """Return the environment that keeps a child process's data within the roots.

        A table may name images in the roots and in its own folder; an uploaded table, only in its
        own folder. Images are fetched only from public addresses, unless the operator says
        otherwise.
        """
        from emap_core.datasets import with_prefix

        uploaded = any(lies_in(with_prefix(one).partition(":")[2], [uploads()]) for one in data)
        fetched = os.environ.get("EMAP_FETCH") or "public"
        return {
            **for_a_child(self.roots, () if uploaded else self.roots),
            "EMAP_FETCH": "none" if self.viewer else fetched,
        }

    def admits(self, email: str | None) -> bool:
        """Return whether somebody who signed in may come in."""
        if self.emails is None:
            return True
        name, at, domain = (email or "").strip().casefold().rpartition("@")
        return bool(name and at) and not self.emails.isdisjoint({name + at + domain, at + domain})

    def _check_spec(self, kind: str, spec: str, loaders: Loaders) -> None:
        prefix, _, name = spec.partition(":")
        if prefix == "demo":
            return
        if not self.allow_code and (prefix not in loaders or prefix in RUNS_CODE):
            raise AccessError(
                f"{kind} {spec!r} is code, which a browser may not start here; use the command "
                "line, or start the server with EMAP_ALLOW_CODE=1"
            )
        if prefix == "openai" and prefix in loaders:
            self._check_asking()
            return
        if prefix not in loaders or self.roots is None:
            return
        allowed = (*self.roots, uploads()) if prefix in UPLOADABLE else self.roots
        if prefix in OF_THE_HUB and path_or_hub_id(name, self.roots) is None:
            return
        for path in _named(prefix, name):
            check_path(kind, path, allowed)

    def _check_asking(self) -> None:
        """Raise an AccessError if no server may be asked; a job asks at most public ones."""
        if self.environment()["EMAP_FETCH"] == "none":
            raise AccessError("asking other servers is turned off here by EMAP_FETCH")

    def _check_argument(self, argument: str) -> None:
        name, _, given = argument.partition("=")
        if name == "custom_code" and not self.allow_code:
            raise AccessError(
                "custom_code= runs Python code from a checkpoint, which a browser may not start "
                "here; use the command line, or start the server with EMAP_ALLOW_CODE=1"
            )
        if self.roots is None:
            return
        for value in texts_in(given):
            path = Path(value)
            leads_away = path.is_absolute() or ".." in path.parts or value.startswith("~")
            if leads_away or name in PATH_OPTIONS:
                check_path("option", value, self.roots)


def texts_in(given: str) -> list[str]:
    """Return the texts in an option's value as loaders get them: parsed as JSON if it is valid."""
    try:
        value = json.loads(given)
    except (ValueError, RecursionError):
        return [given]
    found, waiting = [], [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, str):
            found.append(one)
    return found


def is_loopback(address: str | None) -> bool:
    """Return whether only this computer can reach a server that listens at an address."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False


def check_host(address: str | None, host: str | None) -> None:
    """Raise an AccessError if a server for this computer only is asked for by another name.

    If somebody else points a name here, their page can talk to this server as if it were theirs. A
    proxy on this computer does the same on purpose; in that case, set ``EMAP_MODE``.

    Parameters
    ----------
    address : str or None
        Where the server listens.
    host : str or None
        The name that the browser asked for, with or without a port; None if unknown.
    """
    if host is None or os.environ.get("EMAP_MODE") or not is_loopback(address):
        return
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        name = None
    if not is_loopback(name):
        raise AccessError(
            f"this server is only for this computer, but the browser asked for {name or host!r}; "
            "open it as localhost, or, behind a proxy, start it with EMAP_MODE set"
        )


def uploads() -> Path:
    """Return the folder of files uploaded in the browser."""
    return runs_root() / ".uploads"


def _listed(emails: str) -> frozenset[str]:
    return frozenset(one.strip() for one in emails.casefold().split(",")) - {""}


def _named(prefix: str, name: str) -> list[str]:
    """Return the paths that a spec names; for a pattern, its folder and all matches."""
    if prefix == "vqa2":
        from emap_core.datasets.vqa2 import vqa2_files

        return vqa2_files(name)
    if prefix != "webdataset":
        return [name]
    if ".." in Path(name).parts:
        return [name]
    from emap_core.datasets.webdataset import shard_patterns

    found = []
    for one in shard_patterns(name):
        fixed = _WILD.split(one, maxsplit=1)[0]
        found.append(one if fixed == one else fixed.rpartition("/")[0] or ".")
        # A link among the folders that match part of it must reveal nothing about its target.
        for part in (*map(str, Path(one).parents), one):
            if part == one or _WILD.search(part):
                found += glob.glob(part)  # noqa: PTH207 - may be absolute
    return found
