"""A server that speaks OpenAI's HTTP interface: ``vllm serve``, a cluster's own service, DeepSeek's.

It is asked as text, because ids of a vocabulary that is not at hand mean nothing; where the tokenizer is at hand, a
server of vLLM takes and gives ids, and what it makes of text does not matter. What fails for a reason that may pass
(no connection, 429, 5xx, a reply that breaks off) is asked again, later each time. What stays without an answer is
reported by ``unanswered`` and is not in the completions: a server that is gone must not look like a model that errs.
"""

import asyncio
import json
import os
import random
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from megatron_rfft.common.errors import CommandFailed, UserError
from megatron_rfft.evaluation.engines.base import AnyCompletion, Completion, Engine, Request, TextCompletion

try:
    import httpx
except ImportError as error:
    raise UserError("httpx is not installed; pip install 'httpx<1', or choose another --engine") from error

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.5, 60.0
CONNECT_SECONDS = 30.0
LOST_IN_A_ROW = 3  # questions given up one after the other, with no answer between them: the server is gone
PASSING = {408, 409, 425, 429}  # and all of 5xx
ENDED, CUT = "stop", "length"


class _PassingError(Exception):
    """It may work the next time; ``wait`` is what the server asks for in seconds, if it does."""

    def __init__(self, reason: str, wait: float | None = None):
        super().__init__(reason)
        self.wait = wait


class OpenAiEngine(Engine):
    """Up to ``concurrency`` requests at once; each is asked again for up to ``retry_seconds``."""

    name = "openai"
    dtype = "as served"
    device = "remote"

    def __init__(
        self,
        model: str,
        base_url: str,
        *,
        chat: bool,
        stop_id: int | None = None,
        api_key_env: str | None = None,
        concurrency: int = 16,
        retry_seconds: float = 600.0,
        request_seconds: float = 3600.0,
    ):
        ways = "chat/completions" if chat else "completions"
        self.version = f"openai {ways}" + (" by token ids" if stop_id is not None else "")
        self._stop_id = stop_id
        self._model, self._base_url, self._chat = model, base_url, chat
        self._key = read_key(api_key_env)
        self._concurrency, self._retry_seconds = concurrency, retry_seconds
        self._timeout = httpx.Timeout(request_seconds, connect=CONNECT_SECONDS)
        self._lost: list[str] = []
        self._lost_in_a_row = 0
        self._retries = 0

    @property
    def unanswered(self) -> list[str]:
        """The reason for each question that was given up."""
        return self._lost

    def statistics(self) -> dict[str, Any]:
        return {"server": self._base_url, "retries": self._retries}

    def generate(self, requests: Sequence[Request], finished: Collection[int] = ()) -> Iterator[AnyCompletion]:
        loop = asyncio.new_event_loop()
        asking: set[asyncio.Task] = set()
        client = httpx.AsyncClient(
            timeout=self._timeout,
            limits=httpx.Limits(max_connections=self._concurrency),
            headers=_headers(self._key),
        )
        try:
            waiting = (position for position in range(len(requests)) if position not in finished)
            while self._lost_in_a_row < LOST_IN_A_ROW:
                while len(asking) < self._concurrency and (position := next(waiting, None)) is not None:
                    asking.add(loop.create_task(self._ask(client, position, requests[position])))
                if not asking:
                    break
                done, asking = loop.run_until_complete(asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED))
                yield from filter(None, [task.result() for task in done])
        finally:
            for task in asking:
                task.cancel()
            loop.run_until_complete(_finish(asking, client))
            loop.close()

    async def _ask(self, client: httpx.AsyncClient, position: int, request: Request) -> AnyCompletion | None:
        """The answer, or None after ``retry_seconds`` of failures."""
        clock = asyncio.get_running_loop().time
        give_up, wait = clock() + self._retry_seconds, FIRST_WAIT_SECONDS
        while True:
            try:
                response = await self._ask_once(client, request)
                read = _read_choice if self._stop_id is None else self._read_ids
                answer = read(response, position)
            except _PassingError as error:
                pause = max(wait * random.uniform(0.75, 1.25), error.wait or 0.0)  # not all at the same moment again
                if clock() + pause > give_up:
                    self._lost.append(str(error))
                    self._lost_in_a_row += 1
                    return None
                self._retries += 1
                await asyncio.sleep(pause)
                wait = min(2 * wait, LONGEST_WAIT_SECONDS)
            else:
                self._lost_in_a_row = 0
                return answer

    async def _ask_once(self, client: httpx.AsyncClient, request: Request) -> httpx.Response:
        body = {"model": self._model, "max_tokens": request.max_tokens, "temperature": 0}
        if self._stop_id is not None:
            path, body["prompt"] = "completions", request.prompt_ids
            body |= {"return_token_ids": True, "stop_token_ids": [self._stop_id], "ignore_eos": True}
        elif self._chat:
            path, body["messages"] = "chat/completions", [{"role": "user", "content": request.text}]
        else:
            path, body["prompt"] = "completions", request.text
        try:
            response = await client.post(f"{self._base_url}/{path}", json=body)
        except httpx.TransportError as error:
            raise _PassingError(f"{type(error).__name__} at {self._base_url}") from error
        _require_success(response, self._key)
        return response

    def _read_ids(self, response: httpx.Response, position: int) -> Completion:
        with _whole(response):
            token_ids = [int(token) for token in response.json()["choices"][0]["token_ids"]]
        stopped = bool(token_ids) and token_ids[-1] == self._stop_id
        return Completion(position, token_ids[:-1] if stopped else token_ids, stopped)


async def _finish(tasks: Collection[asyncio.Task], client: httpx.AsyncClient) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)
    await client.aclose()


@contextmanager
def _whole(response: httpx.Response) -> Iterator[None]:
    """While a reply is read: one that is torn or of another form may be whole the next time."""
    try:
        yield
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise _PassingError(f"a reply that is no completion: {response.text[:200]!r}") from error


def _read_choice(response: httpx.Response, position: int) -> TextCompletion:
    """The text with its thoughts in ``<think>``, the tokens that the server counted, and whether the model ended it."""
    with _whole(response):
        content = response.json()
        choice, num_tokens = content["choices"][0], int(content["usage"]["completion_tokens"])
        reason = choice["finish_reason"]
        message = choice.get("message")
        text = (message["content"] if message else choice["text"]) or ""
        thoughts = (message.get("reasoning_content") or message.get("reasoning")) if message else None
    if reason not in (ENDED, CUT):
        raise _PassingError(f"finish_reason {reason!r}")
    text = f"<think>\n{thoughts}\n</think>\n\n{text}" if thoughts else text
    return TextCompletion(position, text, num_tokens, reason == ENDED)


def _require_success(response: httpx.Response, key: str | None) -> None:
    status = response.status_code
    if status in PASSING or status >= 500:
        raise _PassingError(f"HTTP {status} from {response.url}", _retry_after(response))
    if status in (401, 403):
        raise UserError(f"HTTP {status} from {response.url}: the key was refused; name its variable in --api-key-env")
    if status != 200:
        said = " ".join(response.text.split())[:300]
        said = said.replace(key, "***") if key else said
        raise UserError(f"HTTP {status} from {response.url}: {said}; check --base-url, --model and --max-tokens")


def _retry_after(response: httpx.Response) -> float | None:
    try:
        return min(LONGEST_WAIT_SECONDS, float(response.headers["retry-after"]))
    except (KeyError, ValueError):  # absent, or a date
        return None


def _headers(key: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


def read_key(variable: str | None) -> str | None:
    """The key in the environment variable of that name. Raises UserError if it is not set."""
    if variable is None:
        return None
    if not (key := os.environ.get(variable, "").strip()):
        raise UserError(f"the environment has no {variable}; export the server's key under that name")
    return key


def check_base_url(url: str) -> str:
    """``url`` without a slash at its end. Raises UserError for what is no HTTP address, or one with a login in it."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise UserError(f"{url!r} is no HTTP address; write for example http://localhost:8000/v1")
    if parsed.userinfo or parsed.query:
        raise UserError(f"the address at {parsed.host} holds a login or query; give the key by --api-key-env")
    return url.rstrip("/")


def served_model(base_url: str, api_key_env: str | None) -> str:
    """The name of the one model that a server has. Raises UserError if it has several, CommandFailed without it."""
    key = read_key(api_key_env)
    try:
        response = httpx.get(f"{base_url}/models", headers=_headers(key), timeout=CONNECT_SECONDS)
        _require_success(response, key)
        names = [entry["id"] for entry in response.json()["data"]]
    except (httpx.TransportError, _PassingError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, UserError):
            raise
        raise CommandFailed(f"{base_url}/models gives no models ({error}); is the server up?") from error
    if len(names) != 1:
        raise UserError(f"{base_url} serves {', '.join(names) or 'nothing'}; give one as --model and --base-url")
    return names[0]
