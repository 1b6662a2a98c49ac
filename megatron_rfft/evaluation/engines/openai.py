"""A server that speaks OpenAI's HTTP interface: ``vllm serve``, a cluster's own service, DeepSeek's.

It is asked as text, because ids of a vocabulary that is not at hand mean nothing; where the tokenizer is at hand, a
server of vLLM takes and gives ids, and what it makes of text does not matter.

======================================================  ==========================================================
what happens                                            what is done
======================================================  ==========================================================
no connection, 429, 5xx                                 asked again, later each time, for ``retry_seconds``
a reply that is not an answer                           asked again; given up when it breaks alike twice
prompt and budget do not fit into the context           asked with the budget that fits, or counted as unasked
a parameter is refused (``temperature``, ...)           left out from then on; ``sent`` says what was sent
``max_tokens`` is refused for its other name            ``max_completion_tokens`` from then on
anything else is refused                                the question is given up; with no answer at all the run ends
======================================================  ==========================================================

What stays without an answer is reported by ``unanswered`` and is not in the completions: a server that is gone must not
look like a model that errs.
"""

import asyncio
import os
import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

from megatron_rfft.common.errors import CommandFailed, UserError
from megatron_rfft.evaluation.engines.base import AnyCompletion, Completion, Engine, Request, Start, TextCompletion

try:
    import httpx
except ImportError as error:
    raise UserError("httpx is not installed; pip install 'httpx<1', or choose another --engine") from error

from megatron_rfft.evaluation.engines.openai_replies import (
    LONGEST_WAIT_SECONDS,
    BrokenReply,
    PassingError,
    Refusal,
    prompt_tokens,
    read_ids,
    read_text,
    require_success,
)

FIRST_WAIT_SECONDS = 0.5
CONNECT_SECONDS = 30.0
LOST_IN_A_ROW = 3  # questions given up one after the other, with no answer between them: the server is gone
# Greedy decoding also where a server takes what is not said from the model's generation_config. None of them is needed.
NEUTRAL = {"temperature": 0, "presence_penalty": 0, "frequency_penalty": 0, "repetition_penalty": 1.0}
BUDGET_NAMES = ("max_tokens", "max_completion_tokens")


class OpenAiEngine(Engine):
    """Up to ``concurrency`` requests at once; each is asked again for up to ``retry_seconds``."""

    name = "openai"
    dtype = "as served"
    device = "remote"

    def __init__(
        self,
        model: str,
        base_url: str,
        start: Start,
        *,
        api_key_env: str | None = None,
        concurrency: int = 16,
        retry_seconds: float = 600.0,
        request_seconds: float = 3600.0,
    ):
        """With ``start.stop_id`` it is asked by token ids."""
        self._stops = start.stops
        ways = "chat/completions" if start.chat else "completions"
        self.version = f"openai {ways}" + (" by token ids" if self._stops else "")
        self._model, self._base_url, self._chat = model, base_url, start.chat
        self._max_positions = start.max_positions
        self._key = read_key(api_key_env)
        self._concurrency, self._retry_seconds = concurrency, retry_seconds
        self._timeout = httpx.Timeout(request_seconds, connect=CONNECT_SECONDS)
        self._budget_name = BUDGET_NAMES[0]
        self._optional = dict(NEUTRAL) if self._stops else {**NEUTRAL, "add_special_tokens": False}
        self._lost: list[str] = []
        self._refusal: Refusal | None = None
        self._lost_in_a_row = self._not_taken = self._answered = self._retries = self._uncounted = 0

    @property
    def unanswered(self) -> list[str]:
        """The reason for each question that was given up."""
        return self._lost

    def statistics(self) -> dict[str, Any]:
        """``sent``: what decided the decoding, as sent last; ``uncounted``: answers whose tokens nobody counted."""
        uncounted = {"uncounted": self._uncounted} if self._uncounted else {}
        sent = {self._budget_name: "by question", **self._optional}
        return {"server": self._base_url, "retries": self._retries, "sent": sent, **uncounted}

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
                # As many questions not taken as can be asked at once, and no answer: then those under way decide.
                goes_on = self._answered or self._not_taken < self._concurrency
                while goes_on and len(asking) < self._concurrency and (position := next(waiting, None)) is not None:
                    asking.add(loop.create_task(self._ask(client, position, requests[position])))
                if not asking:
                    break
                done, asking = loop.run_until_complete(asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED))
                failed = [task.exception() for task in done if task.exception()]  # of all, so that each is seen
                yield from filter(None, [task.result() for task in done if not task.exception()])
                if failed:
                    raise failed[0]
            if self._refusal and not (self._answered or finished):
                raise UserError(f"{self._refusal}; check --base-url, --model and --max-tokens")
        finally:
            for task in asking:
                task.cancel()
            loop.run_until_complete(_finish(asking, client))
            loop.close()

    async def _ask(self, client: httpx.AsyncClient, position: int, request: Request) -> AnyCompletion | None:
        """The answer, or None for a question that is given up."""
        clock = asyncio.get_running_loop().time
        give_up, wait, last_broken = clock() + self._retry_seconds, FIRST_WAIT_SECONDS, None
        while True:
            try:
                answer = await self._ask_within_context(client, position, request)
            except PassingError as error:
                broken = error.reason if isinstance(error, BrokenReply) else None
                pause = max(wait * random.uniform(0.75, 1.25), error.wait or 0.0)  # not all at the same moment again
                if clock() + pause > give_up or (broken and broken == last_broken):
                    self._lost.append(error.reason)
                    self._lost_in_a_row += not broken
                    self._not_taken += bool(broken)
                    return None
                self._retries += 1
                last_broken = broken or last_broken
                await asyncio.sleep(pause)
                wait = min(2 * wait, LONGEST_WAIT_SECONDS)
            except Refusal as refusal:
                self._refusal = refusal
                self._lost.append(str(refusal))
                self._not_taken += 1
                return None
            else:
                self._lost_in_a_row = 0
                self._answered += 1
                self._uncounted += isinstance(answer, TextCompletion) and answer.num_tokens is None
                return answer

    async def _ask_within_context(
        self, client: httpx.AsyncClient, position: int, request: Request
    ) -> Completion | TextCompletion:
        """The answer within ``max_tokens``, or what the context leaves of them; an empty one if it leaves none."""
        budget, cut = request.max_tokens, None
        while True:
            try:
                response = await self._ask_once(client, request, budget)
            except Refusal as refusal:
                if not refusal.is_too_long:
                    raise
                budget = cut = await self._fitting_budget(client, request, budget, refusal.limit)
                if budget:
                    continue
                empty = TextCompletion(position, "", 0, False)
                return replace(Completion(position, [], False) if self._stops else empty, budget=0)
            if self._stops:
                return replace(read_ids(response, position, self._stops), budget=cut)
            return replace(read_text(response, position, budget), budget=cut)

    async def _fitting_budget(
        self, client: httpx.AsyncClient, request: Request, refused: int, limit: int | None
    ) -> int:
        """A budget below ``refused`` that may fit into the context of ``limit`` tokens; 0 if not even one token does.

        How long the prompt is, the server says when it is asked for a single token.
        """
        if refused <= 1:
            return 0
        try:
            response = await self._ask_once(client, request, 1)
        except Refusal as refusal:
            if refusal.is_too_long:
                return 0
            raise
        limit, length = limit or self._max_positions, prompt_tokens(response)
        if limit and length and 0 < limit - length < refused:
            return limit - length
        return refused // 2

    async def _ask_once(self, client: httpx.AsyncClient, request: Request, budget: int) -> httpx.Response:
        """The reply to one request, without those optional parameters that the server refuses.

        A refusal that names no parameter may be about any of them, as long as nothing was answered with them: they are
        left out if it takes the question without. Raises Refusal for what it has to take, PassingError for what may
        work the next time.
        """
        bare = False
        while True:
            budget_name, optional = self._budget_name, _least(self._optional) if bare else dict(self._optional)
            path, question = self._question(request)
            body = {"model": self._model, budget_name: budget, **optional, **question}
            try:
                response = await client.post(f"{self._base_url}/{path}", json=body)
            except httpx.TransportError as error:
                raise PassingError(f"{type(error).__name__} at {self._base_url}") from error
            try:
                require_success(response, self._key)
            except Refusal as refusal:
                if refusal.is_too_long:
                    raise
                if not self._leave_out(refusal, budget_name, optional):
                    if bare or self._answered or optional == _least(optional):
                        raise
                    bare = True
            else:
                self._optional = optional if bare else self._optional
                return response

    def _question(self, request: Request) -> tuple[str, dict[str, Any]]:
        """The path, and what of the body is about the prompt."""
        if self._stops:
            ids = {"return_token_ids": True, "stop_token_ids": self._stops, "ignore_eos": True}
            return "completions", {"prompt": request.prompt_ids, **ids}
        if self._chat:
            return "chat/completions", {"messages": [{"role": "user", "content": request.text}]}
        return "completions", {"prompt": request.text}

    def _leave_out(self, refusal: Refusal, budget_name: str, optional: dict[str, Any]) -> bool:
        """Change what is sent by the parameters that ``refusal`` names; whether the next request is another one."""
        if budget_name == BUDGET_NAMES[0] and refusal.named(BUDGET_NAMES[1:]):
            self._budget_name = BUDGET_NAMES[1]
        elif named := refusal.named(optional):
            self._optional = {key: value for key, value in self._optional.items() if key not in named}
        return self._budget_name != budget_name or not optional.items() <= self._optional.items()


def _least(optional: dict[str, Any]) -> dict[str, Any]:
    """The optional parameter that nearly every server takes."""
    return {key: value for key, value in optional.items() if key == "temperature"}


async def _finish(tasks: Collection[asyncio.Task], client: httpx.AsyncClient) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)
    await client.aclose()


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
    """``url`` without a slash at its end. Raises UserError for what is not an HTTP address, or has a login in it."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise UserError(f"{url!r} is not an HTTP address; write for example http://localhost:8000/v1")
    if parsed.userinfo or parsed.query:
        raise UserError(f"the address at {parsed.host} holds a login or query; give the key by --api-key-env")
    return url.rstrip("/")


def served_model(base_url: str, api_key_env: str | None) -> str:
    """The name of the one model that a server has. Raises UserError if it has several, CommandFailed without it."""
    try:
        names = [entry["id"] for entry in _models(base_url, api_key_env)]
    except (httpx.TransportError, PassingError, Refusal, ValueError, LookupError, TypeError) as error:
        raise CommandFailed(f"{base_url}/models gives no models ({error}); is the server up?") from error
    if len(names) != 1:
        raise UserError(f"{base_url} serves {', '.join(names) or 'nothing'}; give one as --model and --base-url")
    return names[0]


def served_positions(base_url: str, model: str, api_key_env: str | None) -> int | None:
    """The longest sequence that a server lets ``model`` have, prompt and answer; None if it does not say."""
    try:
        lengths = [entry.get("max_model_len") for entry in _models(base_url, api_key_env) if entry["id"] == model]
    except (httpx.TransportError, PassingError, Refusal, ValueError, LookupError, TypeError, AttributeError):
        return None
    return next((length for length in lengths if isinstance(length, int) and length > 0), None)


def _models(base_url: str, api_key_env: str | None) -> list[dict[str, Any]]:
    key = read_key(api_key_env)
    response = httpx.get(f"{base_url}/models", headers=_headers(key), timeout=CONNECT_SECONDS)
    require_success(response, key)
    return response.json()["data"]
