"""``openai:URL``: a model that a server asks, pair by pair, for the first token of its answer."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, Self

import numpy as np
from PIL import Image

from emap_core.class_names import names_of_classes
from emap_core.datasets.base import fingerprint_of
from emap_core.errors import ModelError, SettingError
from emap_core.models.rgb_images import in_colours
from emap_core.models.servers.first_tokens import FirstTokens
from emap_core.models.servers.kept_answers import Answer, KeptAnswers
from emap_core.models.servers.server import Server
from emap_core.network_addresses import cache_folder
from emap_core.option_names import option, option_name
from emap_core.types import Array

Answers = Literal["words", "letters"]

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PROMPTS = {
    "words": "{text}\nAnswer with one of these, and nothing else: {answers}.",
    "letters": "{text}\n{answers}\nAnswer with the letter alone.",
}
_N_LISTED = 20
"""First tokens to request: every server of the protocol lists this many."""
_MOST_AT_ONCE = 256
_MOST_TOKENS = 10**9
_WAVES = 16
"""A call has at least this many requests in a row, so that its last ones leave no slot idle."""
_SCORING = "1"
"""Raise it when the same answers give other outputs."""


class ChatModel:
    """A plain callable of texts and images; each class is an answer that a server may start.

    Parameters
    ----------
    server : Server
    served : str
        The server's name for its model.
    classes : sequence of str or None
    answers : {"words", "letters"}
    prompt, system : str or None
    at_once, max_requests : int
    extra : mapping
        Further entries of a request.
    max_image_side : int
        In pixels; larger images are scaled down.
    """

    output = "logits"
    # A log-probability is never above 0.
    has_threshold = False

    def __init__(
        self,
        server: Server,
        served: str,
        classes: Sequence[str] | None,
        *,
        answers: Answers,
        prompt: str | None,
        system: str | None,
        at_once: int,
        max_requests: int,
        extra: Mapping[str, Any],
        max_image_side: int,
    ) -> None:
        self._server = server
        self._served = served
        self._answers = answers
        self._prompt = prompt or _PROMPTS[answers]
        self._system = system
        self._extra = dict(extra)
        self._at_once = at_once
        self._max_requests = max_requests
        self._max_image_side = max_image_side
        place = hashlib.sha256(f"{server.url} {served}".encode()).hexdigest()[:12]
        name = re.sub(r"[^A-Za-z0-9.-]+", "-", f"{server.name}-{served}")[:60]
        self._kept = KeptAnswers(cache_folder() / "answers" / f"{name}-{place}.sqlite")
        self._pool = ThreadPoolExecutor(at_once, "asks")
        self._time = self._n_times = 0
        self._has_scored = False
        self._run = ""
        self._unlisted: dict[str, bool] = {}
        self._take_classes(classes)

    @property
    def device(self) -> str:
        """The device of the model: a server."""
        return self._server.name

    @property
    def description(self) -> dict[str, Any]:
        """What is asked of which server, for the record of a run."""
        return {
            "server": self._server.url,
            "served_model": self._served,
            "answers": self._answers,
            "prompt": self._prompt,
            "system": self._system,
        }

    @property
    def fingerprint(self) -> str:
        """Hash of the address, the model's name, and everything else in a request."""
        return fingerprint_of(
            _SCORING,
            json.dumps(self._body("", ""), sort_keys=True),
            str(self._max_image_side),
            *(self.classes or ()),
        )

    @property
    def pairs_at_once(self) -> int:
        """How many pairs one call handles well."""
        return _WAVES * self._at_once

    @property
    def pairs_per_second(self) -> float:
        """Measured on the server's answers, without kept ones."""
        seconds = self._kept.totals()[2]
        return self._at_once / max(seconds or 1.0, 1e-4)

    def with_classes(self, classes: Sequence[str]) -> Self:
        """Use these classes as answers, for instance those of a dataset."""
        self._take_classes(classes)
        return self

    def notes(self, texts: list[str]) -> list[str]:
        """Return notes on what the scores are."""
        return [
            f"A score is the log-probability with which {self._served} on {self._server.name} "
            f"begins its answer with the {'letter' if self._answers == 'letters' else 'class'}. "
            "The server may change what it serves under that name without a trace here.",
            f"Images are sent as PNG, those of more than {self._max_image_side:,} pixels per side "
            f"smaller ({option_name('max_image_side', 'model')}).",
        ]

    def reads(self, text: str) -> list[str]:
        """Return which server it asks, and what it asks about a text."""
        asked = self._body(text, "")["messages"][-1]["content"][-1]["text"]
        return [f"{self._served} on {self._server.name}", f"Prompt: {asked}"]

    def cost(self, n_pairs: int) -> list[str]:
        """Return the cost of a number of pairs in requests, in sentences.

        Raises
        ------
        ModelError
            If there are more than `max_requests`.
        """
        if n_pairs > self._max_requests:
            raise ModelError(
                f"{n_pairs:,} pairs need as many requests to {self._server.name}, more than "
                f"max_requests allows ({self._max_requests:,}); take a sample of the examples, "
                f"choose {option('method', 'sampled', 'run')}, or give "
                f"{option('max_requests', str(n_pairs), 'model')}"
            )
        n_kept, n_read, _ = self._kept.totals()
        tokens = "" if n_read is None else f", of about {n_read:,.0f} tokens each"
        return [
            f"Each pair is a request: {n_pairs:,} to {self._server.name}{tokens}. {n_kept:,} "
            "answers of this model are kept and will not be requested again."
        ]

    def scores_for(self, run: str) -> None:
        """Count everything scored since the model was loaded, and from now on, for a run.

        Parameters
        ----------
        run : str
            The same if an interrupted run resumes.
        """
        self._run = run
        self._kept.put_scored(run, self._unlisted)
        self._unlisted = {}

    def remarks(self) -> list[str]:
        """Return notes for after pairs are scored, one sentence each."""
        n_scored, n_unlisted = self._kept.scored(self._run)
        if not n_unlisted:
            return []
        return [
            f"In {n_unlisted:,} of {n_scored:,} scored pairs, an answer was not among the "
            f"{_N_LISTED} likeliest first tokens; it got the largest probability that it can have."
        ]

    @contextlib.contextmanager
    def anew(self) -> Iterator[None]:
        """Within the block, ask the server again even if an answer is kept, to see if it differs.

        These answers are also kept, separately for each time.
        """
        self._n_times += 1
        self._time = self._n_times
        try:
            yield
        finally:
            self._time = 0

    def __call__(self, texts: list[str], images: list[Any]) -> Array:
        """Return the scores of B aligned pairs, shape (B, C)."""
        if self._reader is None:
            raise ModelError(
                "the model answers from a list, and there is none: give "
                f"{option('classes', of='model')}"
            )
        shown: dict[int, str] = {}
        bodies = []
        for text, image in zip(texts, images, strict=True):
            if id(image) not in shown:
                shown[id(image)] = _address_of(in_colours([image])[0], self._max_image_side)
            bodies.append(self._body(text, shown[id(image)]))
        answers = self._answers_to(bodies)
        found = [self._reader.scores(answer.tokens) for answer in answers]
        if not self._has_scored and not any(n for _, n in found):
            begins = ", ".join(repr(token) for token, _ in answers[0].tokens[:3])
            letters = f", or give {option('answers', 'letters', 'model')}"
            raise ModelError(
                f"{self._served} begins its answers with {begins}, not with one of the given "
                f"answers; say in {option('prompt', of='model')} how to answer"
                + (letters if self._answers == "words" else "")
            )
        self._has_scored = True
        self._count(bodies, [n < len(scores) for scores, n in found])
        return np.stack([scores for scores, _ in found])

    def _count(self, bodies: list[dict[str, Any]], unlisted: list[bool]) -> None:
        """Count the pairs in which a class was not listed; a pair asked twice counts once."""
        if self._time:
            return
        self._unlisted |= dict(zip(map(_hash_of, bodies), unlisted, strict=True))
        if self._run:
            self.scores_for(self._run)

    def _take_classes(self, classes: Sequence[str] | None) -> None:
        self.classes = None if classes is None else list(classes)
        self._reader: FirstTokens | None = None
        if self.classes is None:
            return
        if self._answers == "words":
            self._reader = FirstTokens(self.classes)
            return
        if len(self.classes) > len(_LETTERS):
            raise ModelError(
                f"the model has {len(self.classes)} classes, but there are only {len(_LETTERS)} "
                "letters to list them by; name fewer, or give "
                f"{option('answers', 'words', 'model')}"
            )
        self._reader = FirstTokens(_LETTERS[: len(self.classes)])

    def _body(self, text: str, image: str) -> dict[str, Any]:
        named = self.classes or []
        lines = [f"{letter}. {name}" for letter, name in zip(_LETTERS, named, strict=False)]
        listed = ", ".join(named) if self._answers == "words" else "\n".join(lines)
        # In this order, since a text may contain anything.
        before, _, after = self._prompt.replace("{answers}", listed).partition("{text}")
        asked = before + text + after
        content = [
            {"type": "image_url", "image_url": {"url": image}},
            {"type": "text", "text": asked},
        ]
        system = [{"role": "system", "content": self._system}] if self._system else []
        body = {
            "model": self._served,
            "messages": [*system, {"role": "user", "content": content}],
            "max_tokens": 1,
            # Only listed tokens count, and the written token must not vary.
            "temperature": 0.0,
            "logprobs": True,
            "top_logprobs": _N_LISTED,
            **self._extra,
        }
        return {name: value for name, value in body.items() if value is not None}

    def _answers_to(self, bodies: list[dict[str, Any]]) -> list[Answer]:
        """Return the answers to requests: kept ones, and the others, requested in parallel."""
        again = f" {self._time}" if self._time else ""
        names = [_hash_of(body, again) for body in bodies]
        found = {name: self._kept.get(name) for name in dict.fromkeys(names)}
        missing = {
            name: body for name, body in zip(names, bodies, strict=True) if found[name] is None
        }
        self._server.go_on()
        asked = {name: self._pool.submit(self._ask, name, body) for name, body in missing.items()}
        try:
            found |= {name: future.result() for name, future in asked.items()}
        except BaseException:
            # Requests under way finish and are kept; no others start.
            self._server.give_up()
            for future in asked.values():
                future.cancel()
            raise
        return [answer for name in names if (answer := found[name]) is not None]

    def _ask(self, name: str, body: dict[str, Any]) -> Answer:
        began = time.monotonic()
        answer = _read(self._server.completion(body), time.monotonic() - began, self._server.name)
        self._kept.put(name, answer)
        return answer


def load(
    url: str,
    model: str | None = None,
    classes: str | Sequence[str] | None = None,
    answers: Answers = "words",
    prompt: str | None = None,
    system: str | None = None,
    at_once: int = 8,
    max_requests: int = 100_000,
    extra: Mapping[str, Any] | None = None,
    max_image_side: int = 1_024,
) -> ChatModel:
    """Return a model behind a server of the chat-completions protocol with log-probabilities.

    vLLM, SGLang, llama.cpp and some hosted servers support it. The key in ``OPENAI_API_KEY`` is
    sent only to the server in ``OPENAI_BASE_URL`` (api.openai.com if that is not set).

    Parameters
    ----------
    url : str
        The address before ``/chat/completions``, usually ending in ``/v1``.
    model : str, optional
        Which of the server's models; not needed if it has only one.
    classes : str or sequence of str, optional
        The answers, as a list or with commas; else those of the dataset.
    answers : {"words", "letters"}
        Whether an answer begins like the class, or is the letter before it in a list.
    prompt : str, optional
        With ``{text}``, and with ``{answers}`` if the answers are listed.
    system : str, optional
        The system message for the server's model.
    at_once : int
        Requests at a time.
    max_requests : int
        With more pairs, the run is refused before it starts.
    extra : mapping, optional
        Entries to add to a request or to replace in it; None leaves one out.
    max_image_side : int
        Pixels of the longer side; larger images are scaled down, since they cost more.

    Raises
    ------
    SpecError
        If `url` is not an address.
    SettingError
        If a setting has an invalid value.
    ModelError
        If the server does not answer, or has several models and none is named.
    AccessError
        If asking servers is not allowed here.
    """
    if answers not in _PROMPTS:
        raise SettingError(f"answers is {answers!r}; expected 'words' or 'letters'")
    if prompt is not None and "{text}" not in str(prompt):
        raise SettingError(f"prompt is {prompt!r}; expected {{text}} in it")
    for name, value, most in (
        ("at_once", at_once, _MOST_AT_ONCE),
        ("max_requests", max_requests, 10**12),
        ("max_image_side", max_image_side, 10**6),
    ):
        if type(value) is not int or not 1 <= value <= most:
            raise SettingError(f"{name} is {value!r}; expected a whole number from 1 to {most:,}")
    if not isinstance(extra or {}, Mapping):
        raise SettingError(f'extra is {extra!r}; expected an object, as in {{"seed": 0}}')
    server = Server(url)
    return ChatModel(
        server,
        _chosen(server, model),
        names_of_classes(classes),
        answers=answers,
        prompt=prompt,
        system=system,
        at_once=at_once,
        max_requests=max_requests,
        extra=extra or {},
        max_image_side=max_image_side,
    )


def _chosen(server: Server, model: str | None) -> str:
    """Return the requested model, or the only one that a server has."""
    listed = server.models()
    if model is not None:
        if listed and str(model) not in listed:
            raise ModelError(
                f"the server {server.name} has no model {model!r}; it has {_some(listed)}"
            )
        return str(model)
    if len(listed) == 1:
        return listed[0]
    raise ModelError(
        f"the server {server.name} has {_some(listed) or 'no list of models'}; name one with "
        f"{option('model', of='model')}"
    )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (", …" if len(names) > 8 else "")


def _hash_of(body: Mapping[str, Any], again: str = "") -> str:
    written = json.dumps(body, sort_keys=True) + again
    return hashlib.sha256(written.encode()).hexdigest()


def _address_of(image: Image.Image, max_side: int) -> str:
    """Return an image as a data address, lossless unless it has to be scaled down."""
    written = io.BytesIO()
    if max(image.size) > max_side:
        image = image.copy()
        image.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    image.save(written, "PNG")
    return f"data:image/png;base64,{base64.b64encode(written.getvalue()).decode()}"


def _read(answer: Mapping[str, Any], seconds: float, name: str) -> Answer:
    """Return the likeliest first tokens of a server's answer."""
    try:
        listed = answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        tokens = [(str(one["token"]), float(one["logprob"])) for one in listed]
        if not tokens or any(value != value or value > 1e-3 for _, value in tokens):
            raise ValueError("no log-probabilities")
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise ModelError(
            f"the server {name} answers without log-probabilities (logprobs and top_logprobs of "
            "the chat-completions protocol); vLLM, SGLang and llama.cpp give them"
        ) from error
    usage = answer.get("usage")
    n_read = usage.get("prompt_tokens") if isinstance(usage, Mapping) else None
    # A malformed entry must not lose the answer, which has been paid for.
    counted = isinstance(n_read, int) and 0 <= n_read < _MOST_TOKENS
    return Answer(tokens, n_read if counted else None, seconds)
