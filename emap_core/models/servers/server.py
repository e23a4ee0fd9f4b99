"""A server of the chat-completions protocol: how to ask it, how to retry, and with which key."""

from __future__ import annotations

import http.client
import json
import os
import random
import threading
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import SplitResult, urlsplit

from emap_core.errors import ModelError, SpecError
from emap_core.network_addresses import PASSING, RefusedError, opener, whom_to_ask

_TRIES = 8
_LONGEST_WAIT = 60.0
_SECONDS_TO_ANSWER = 300
_LARGEST_ANSWER = 4 * 2**20
_USUAL = "https://api.openai.com/v1"
_NO_MONEY = "insufficient_quota"
"""Messages of a server that looks busy but will not answer later either."""


class Server:
    """The server at an address; it gets the key in the environment if the key is for it.

    Parameters
    ----------
    url : str
        The address before ``/chat/completions``, usually ending in ``/v1``.

    Raises
    ------
    SpecError
        If it is not such an address.
    AccessError
        If asking servers is not allowed here.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._parts = _parts(url)
        whom = whom_to_ask(
            "asking other servers is turned off here by EMAP_FETCH; name a checkpoint's folder, as "
            "in hf:FOLDER"
        )
        # A redirect's target must not get the key.
        self._opener = opener(whom, follows=False)
        self._key = _key_for(self._parts)
        self._given_up = threading.Event()

    @property
    def name(self) -> str:
        """Host and port."""
        return self._parts.netloc

    def models(self) -> list[str]:
        """Return the models that the server lists; none if it has no list.

        Raises
        ------
        ModelError
            If the server does not answer.
        """
        try:
            found = self._once("/models", None)
        except urllib.error.HTTPError as error:
            if error.code in (404, 405, 501):
                return []
            raise self._failed(self._told(error)) from error
        except (OSError, http.client.HTTPException) as error:
            raise self._failed(self._reason(error)) from error
        listed = found.get("data") if isinstance(found, dict) else None
        if not isinstance(listed, list):
            return []
        return [str(one["id"]) for one in listed if isinstance(one, dict) and "id" in one]

    def completion(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a request; retry while the server is busy or away.

        Raises
        ------
        ModelError
            If it does not answer, or says that the request is wrong.
        """
        why = ""
        for attempt in range(_TRIES):
            try:
                found = self._once("/chat/completions", body)
            except urllib.error.HTTPError as error:
                why, asked_to_wait = self._told(error), error.headers.get("Retry-After", "")
                if error.code not in PASSING or _NO_MONEY in why:
                    raise self._failed(why) from error
            except RefusedError as error:
                raise self._failed(str(error)) from error
            except (OSError, http.client.HTTPException) as error:
                why, asked_to_wait = self._reason(error), ""
                if isinstance(getattr(error, "reason", None), RefusedError):
                    raise self._failed(why) from error
            else:
                if isinstance(found, dict):
                    return found
                raise self._failed("its answer is not an object")
            if attempt + 1 < _TRIES and self._given_up.wait(_wait(attempt, asked_to_wait)):
                break
        raise self._failed(f"{why}, {_TRIES} times")

    def give_up(self) -> None:
        """Make requests that wait for a retry fail at once."""
        self._given_up.set()

    def go_on(self) -> None:
        """Let requests wait again."""
        self._given_up.clear()

    def _once(self, path: str, body: dict[str, Any] | None) -> Any:
        headers = {"User-Agent": "emap-lens", "Accept": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, content, headers)  # noqa: S310 - http(s) alone
        with self._opener.open(request, timeout=_SECONDS_TO_ANSWER) as answer:
            read = answer.read(_LARGEST_ANSWER + 1)
        if len(read) > _LARGEST_ANSWER:
            raise RefusedError("its answer is too long for such a request")
        try:
            return json.loads(read)
        except (ValueError, RecursionError) as error:
            raise self._failed("its answer is not JSON") from error

    def _told(self, error: urllib.error.HTTPError) -> str:
        """Return a server's error message in one line, without the key."""
        said = str(error.reason or "")
        try:
            found = json.loads(error.read(_LARGEST_ANSWER))
            about = found.get("error", found) if isinstance(found, dict) else found
            if isinstance(about, dict):
                code = about.get("code")
                said = f"{about.get('message') or about.get('detail') or about}"
                said += f" ({code})" if isinstance(code, str) else ""
            else:
                said = str(about)
        except (OSError, ValueError, http.client.HTTPException, RecursionError):
            # The status says enough.
            pass
        told = f"it answers {error.code}: {self._without_key(said)[:300]}"
        if error.code in (401, 403):
            told += (
                "; put its key in OPENAI_API_KEY and its address in OPENAI_BASE_URL: the key is "
                "sent nowhere else"
            )
        return told

    def _reason(self, error: Exception) -> str:
        cause = getattr(error, "reason", None) or error
        return self._without_key(str(cause) or type(cause).__name__)

    def _without_key(self, said: str) -> str:
        return said.replace(self._key, "…") if self._key else said

    def _failed(self, why: str) -> ModelError:
        return ModelError(f"the server {self.name} does not answer properly: {why}")


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        right = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        right = False
    if not right:
        # Do not show a password that makes the address unreadable either.
        told = "…" if set("@?#").intersection(url) else url
        raise SpecError(
            f"model 'openai:{told}' does not name a server's address; write "
            "openai:http://HOST:PORT/v1"
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise SpecError(
            "model 'openai:…' has more in its address than a host and a path, and every run would "
            "keep it; put a key in OPENAI_API_KEY, and its address in OPENAI_BASE_URL"
        )
    return parts


def _key_for(parts: SplitResult) -> str:
    """Return the key if it is for this server, otherwise nothing."""
    meant = urlsplit(os.environ.get("OPENAI_BASE_URL") or _USUAL)
    same = (meant.scheme, meant.netloc.lower()) == (parts.scheme, parts.netloc.lower())
    key = os.environ.get("OPENAI_API_KEY", "").strip()
    return key if same and key.isprintable() and key.isascii() else ""


def _wait(attempt: int, asked_to_wait: str) -> float:
    """Return how many seconds to wait before a retry."""
    if asked_to_wait.isascii() and asked_to_wait.isdecimal():
        return min(float(asked_to_wait), _LONGEST_WAIT)
    # Requests that failed together must not retry together.
    return min(2.0**attempt, _LONGEST_WAIT) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
