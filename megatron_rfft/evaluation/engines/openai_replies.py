"""Replies of servers with OpenAI's interface: what answers, what may work the next time, and what was refused."""

import json
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from megatron_rfft.common.errors import UserError
from megatron_rfft.evaluation.engines.base import Completion, TextCompletion

LONGEST_WAIT_SECONDS = 60.0
PASSING = {408, 409, 425, 429}  # and all of 5xx
ENDED = {"stop", "eos", "eos_token", "end_turn", "stop_sequence"}
CUT = {"length", "max_tokens"}
_CONTEXT = re.compile(r"context.?(length|window|size)|maximum (model|input) length|prompt is too long", re.IGNORECASE)
# "Input length (1100)" alone is the prompt's, not the context's.
_LIMIT = re.compile(r"(?:context|model|maximum input) (?:length|window|size)(?: is| of)?[ (:]+(\d+)", re.IGNORECASE)
_SURROGATE = re.compile("[\ud800-\udfff]")


class PassingError(Exception):
    """It may work the next time; ``wait`` is what the server asks for in seconds, if it does."""

    def __init__(self, reason: str, wait: float | None = None):
        super().__init__(reason)
        self.reason, self.wait = reason, wait


class BrokenReply(PassingError):
    """A reply that is not an answer: it may be one the next time, but not when it breaks alike twice."""


class Refusal(Exception):
    """The request was not taken as it is, for what the server ``said``; asked again, it would not be either."""

    def __init__(self, said: str, place: str = ""):
        super().__init__(said, place)
        self.said, self.place = said, place

    def __str__(self) -> str:
        return f"{self.place}: {self.said}" if self.place else self.said

    @property
    def is_too_long(self) -> bool:
        """Whether prompt and budget do not fit into the model's context."""
        return _CONTEXT.search(self.said) is not None

    @property
    def limit(self) -> int | None:
        """The context's tokens, if they are named."""
        found = _LIMIT.search(self.said)
        return int(found[1]) if found else None

    def named(self, parameters: Collection[str]) -> list[str]:
        """Those of ``parameters`` that it complains about."""
        return [name for name in parameters if re.search(rf"\b{name}\b", self.said)]


def require_success(response: httpx.Response, key: str | None) -> None:
    """Raise PassingError, Refusal, or UserError for a refused key; ``key`` is in no message."""
    status = response.status_code
    if status in PASSING or status >= 500:
        raise PassingError(f"HTTP {status} from {response.url}", _retry_after(response))
    if status in (401, 403):
        raise UserError(f"HTTP {status} from {response.url}: the key was refused; name its variable in --api-key-env")
    if status != 200:
        said = " ".join(response.text.split())[:500]
        said = said.replace(key, "***") if key else said
        raise Refusal(said, f"HTTP {status} from {response.url}")


def _retry_after(response: httpx.Response) -> float | None:
    try:
        return min(LONGEST_WAIT_SECONDS, float(response.headers["retry-after"]))
    except (KeyError, ValueError):  # absent, or a date
        return None


def read_text(response: httpx.Response, position: int, budget: int) -> TextCompletion:
    """The text with its thoughts in ``<think>``, the tokens that the server counted, and whether the model ended it.

    A server that gives no reason has ended the answer, unless it has as many tokens as it may have. Characters that are
    half of one (a lone surrogate) become U+FFFD.
    """
    with _whole(response):
        content = response.json()
        choice = content["choices"][0]
        num_tokens = (content.get("usage") or {}).get("completion_tokens")
        num_tokens = int(num_tokens) if num_tokens is not None else None
        reason = choice.get("finish_reason")
        message = choice.get("message")
        text = _text(message["content"]) if message else choice["text"] or ""
        thoughts = (message.get("reasoning_content") or message.get("reasoning")) if message else None
        text = f"<think>\n{thoughts}\n</think>\n\n{text}" if thoughts else text
        text = _SURROGATE.sub("\ufffd", text)
    if reason is None:
        return TextCompletion(position, text, num_tokens, num_tokens is None or num_tokens < budget)
    if reason not in ENDED | CUT:
        raise BrokenReply(f"finish_reason {reason!r}")
    return TextCompletion(position, text, num_tokens, reason in ENDED)


def _text(content: str | list[dict[str, Any]] | None) -> str:
    """A message's content, which may come in parts."""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if part.get("type") == "text")
    return content or ""


def read_ids(response: httpx.Response, position: int, stops: Collection[int]) -> Completion:
    """The token ids up to one of ``stops``. A server that gives none is not vLLM."""
    with _whole(response):
        token_ids = [int(token) for token in response.json()["choices"][0]["token_ids"]]
    stopped = bool(token_ids) and token_ids[-1] in stops
    return Completion(position, token_ids[:-1] if stopped else token_ids, stopped)


def prompt_tokens(response: httpx.Response) -> int | None:
    """How many tokens the server made of the prompt, if it says so."""
    with _whole(response):
        counted = (response.json().get("usage") or {}).get("prompt_tokens")
        return int(counted) if counted is not None else None


@contextmanager
def _whole(response: httpx.Response) -> Iterator[None]:
    """While a reply is read: one that is torn or of another form may be whole the next time."""
    try:
        yield
    except (json.JSONDecodeError, UnicodeDecodeError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise BrokenReply(f"a reply that is not a completion: {response.text[:200]!r}") from error
