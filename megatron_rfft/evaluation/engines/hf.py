"""transformers' own ``generate``: slower than vLLM, needs nothing but transformers, and is the reference for it.

On a GPU, keys and values lie in a cache of fixed size, for which transformers compiles a decoding step and records it
as a CUDA graph: without that, starting its kernels takes longer than what they compute. Shapes are kept few, since each
one is compiled. What cannot be compiled is answered with a growing cache, as on a CPU.
"""

import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
import transformers
from transformers import (
    AutoModelForCausalLM,
    CompileConfig,
    GenerationConfig,
    StaticCache,
    StoppingCriteria,
    StoppingCriteriaList,
)

from megatron_rfft.evaluation.engines.base import Completion, Engine, Request, Start

BATCH_SIZE = {"cpu": 64, "cuda": 256}
"""At most: answers come by whole batches, and a killed run loses the one under way."""
CACHE_SHARE = 0.2
"""Of the device's memory, what the keys and values of a batch may take; concatenating them needs as much again."""
LEAST_LENGTH = 256
"""Of a cache of fixed size; others are powers of two."""
MOST_SHAPES = 32
"""That are compiled before torch gives up on compiling."""


@dataclass(frozen=True)
class Batch:
    """Requests that are answered together, by their positions."""

    positions: list[int]
    rows: int
    """Of the tensors; with a cache of fixed size there may be empty ones."""
    length: int
    """Most tokens of a row, prompt and answer."""


def cut_into_batches(
    requests: Sequence[Request], most: int, bytes_per_token: int, budget: float, fixed: bool = False
) -> Iterator[Batch]:
    """Requests of like length together, the longest first: at most ``most`` rows, and ``budget`` bytes of cache.

    A row takes ``bytes_per_token`` for each token of the longest prompt and the longest answer of its batch. ``fixed``
    keeps shapes few: lengths are powers of two, and a batch that is not full has the shape of the one before it. What
    is left to answer changes nothing: a resumed run forms the same batches.
    """
    rows, length_before = 0, 0
    for positions, length, allowed in _groups(requests, most, bytes_per_token, budget, fixed):
        if not fixed:
            rows = len(positions)
        elif length != length_before or len(positions) > rows:
            rows = min(1 << (len(positions) - 1).bit_length(), allowed)
        length_before = length
        yield Batch(positions, rows, length)


def _groups(
    requests: Sequence[Request], most: int, bytes_per_token: int, budget: float, fixed: bool
) -> Iterator[tuple[list[int], int, int]]:
    """Positions, tokens of a row, and the rows that there may be."""

    def shape(prompt: int, answer: int) -> tuple[int, int]:
        length = prompt + answer
        length = max(LEAST_LENGTH, 1 << (length - 1).bit_length()) if fixed else length
        return length, max(1, min(most, int(budget // (length * bytes_per_token))))

    order = sorted(range(len(requests)), key=lambda p: (-requests[p].max_tokens, -len(requests[p].prompt_ids), p))
    group: list[int] = []
    longest = (0, 0)
    for position in order:
        own = (len(requests[position].prompt_ids), requests[position].max_tokens)
        both = (max(own[0], longest[0]), max(own[1], longest[1]))
        if group and len(group) >= shape(*both)[1]:
            yield group, *shape(*longest)
            group, both = [], own
        group.append(position)
        longest = both
    if group:
        yield group, *shape(*longest)


class HfEngine(Engine):
    """Left-padded batches of requests of like length."""

    name = "hf"

    def __init__(self, model: Path, start: Start, *, fixed: bool | None = None):
        """``fixed``: whether the cache has a fixed size, for which a GPU's decoding is compiled; None: on a GPU."""
        self.version = f"transformers {transformers.__version__}"
        on_gpu = torch.cuda.is_available()
        self.device = torch.cuda.get_device_name() if on_gpu else "cpu"
        self.dtype = start.library_dtype if start.dtype != "auto" else ("bfloat16" if on_gpu else "float32")
        self._stop_id, self._stops = start.stop_id, start.stops
        transformers.utils.logging.disable_progress_bar()
        loaded = AutoModelForCausalLM.from_pretrained(model, dtype=getattr(torch, self.dtype), local_files_only=True)
        loaded.generation_config = GenerationConfig()  # a shipped one may ask for sampling or a repetition penalty
        self._model = loaded.to("cuda" if on_gpu else "cpu").eval()
        shape = loaded.config
        head_dim = getattr(shape, "head_dim", None) or shape.hidden_size // shape.num_attention_heads
        memory = torch.cuda.get_device_properties(0).total_memory if on_gpu else psutil.virtual_memory().total
        self._budget = CACHE_SHARE * memory
        self._cache_bytes = 2 * shape.num_hidden_layers * shape.num_key_value_heads * head_dim * loaded.dtype.itemsize
        """Keys and values of one token."""
        self._fixed = on_gpu if fixed is None else fixed
        self._works = self._fixed
        """False once a batch with a cache of fixed size has failed."""
        self._cache: tuple[tuple[int, int], StaticCache] | None = None
        """The last one, with its rows and length: CUDA graphs are recorded for its place in memory."""
        if on_gpu and self._fixed:
            torch._dynamo.config.recompile_limit = max(MOST_SHAPES, torch._dynamo.config.recompile_limit)

    @property
    def has_fixed_cache(self) -> bool:
        """Whether answers come with a cache of fixed size (and so, on a GPU, from compiled code)."""
        return self._works

    def generate(self, requests: Sequence[Request], finished: Collection[int] = ()) -> Iterator[Completion]:
        most = BATCH_SIZE[self._model.device.type]
        for batch in cut_into_batches(requests, most, self._cache_bytes, self._budget, self._fixed):
            # Padding touches the rounding of a whole batch, so one with a missing answer is computed as it was before.
            if any(position not in finished for position in batch.positions):
                answers = self._answer([requests[position] for position in batch.positions], batch)
                for position, (token_ids, stopped) in zip(batch.positions, answers, strict=True):
                    if position not in finished:
                        yield Completion(position, token_ids, stopped)

    def _answer(self, requests: list[Request], batch: Batch) -> list[tuple[list[int], bool]]:
        """The ids without stop token and whether there was one, for each request."""
        if self._works:
            try:
                return self._generate(requests, batch.rows, self._empty_cache(batch))
            except torch.OutOfMemoryError:
                raise
            except Exception as error:  # compilers, drivers and graphs have errors of many kinds
                self._works, self._cache = False, None
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
                print(
                    f"note: decoding with a cache of fixed size failed ({type(error).__name__}: {reason[:200]}); going "
                    "on with a growing one, which is slower",
                    file=sys.stderr,
                )
        return self._generate(requests, len(requests), None)

    def _empty_cache(self, batch: Batch) -> StaticCache:
        shape = (batch.rows, batch.length)
        if self._cache is None or self._cache[0] != shape:
            self._cache = None  # frees the memory of the one before
            self._cache = shape, StaticCache(config=self._model.config, max_cache_len=batch.length)
        cache = self._cache[1]
        cache.reset()
        return cache

    def _generate(
        self, requests: list[Request], num_rows: int, cache: StaticCache | None
    ) -> list[tuple[list[int], bool]]:
        """Decode ``num_rows`` rows, those beyond ``requests`` for one token; in ``cache``, or in a growing one."""
        width = max(len(request.prompt_ids) for request in requests)
        empty = [Request([self._stop_id], 1)] * (num_rows - len(requests))
        padding = [width - len(request.prompt_ids) for request in [*requests, *empty]]
        rows = [[self._stop_id] * pad + r.prompt_ids for pad, r in zip(padding, [*requests, *empty], strict=True)]
        input_ids = torch.tensor(rows, device=self._model.device)  # [rows, width]
        attention_mask = torch.arange(width, device=input_ids.device) >= torch.tensor(padding).to(input_ids)[:, None]
        budgets = torch.tensor([request.max_tokens for request in [*requests, *empty]], device=input_ids.device)
        options = {} if cache is None else {"past_key_values": cache}
        if cache is not None and input_ids.device.type == "cuda":
            options["compile_config"] = CompileConfig(dynamic=False)  # CUDA graphs are of one shape each
        # Tensors of the inference mode cannot be written to outside of it, as the cache is when it is emptied.
        with torch.inference_mode() if cache is None else nullcontext():
            output = self._model.generate(
                input_ids,
                attention_mask=attention_mask.long(),
                do_sample=False,
                max_new_tokens=int(budgets.max()),
                eos_token_id=self._stops,
                pad_token_id=self._stop_id,
                stopping_criteria=StoppingCriteriaList([_Budgets(width + budgets)]),
                **options,
            )
        answers = output[: len(requests), width:].tolist()
        return [_cut(row, r.max_tokens, self._stops) for row, r in zip(answers, requests, strict=True)]


class _Budgets(StoppingCriteria):
    """End each row at its own length, so that a batch does not wait for rows whose budget is spent."""

    def __init__(self, max_lengths: torch.Tensor):
        self._max_lengths = max_lengths

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **kwargs) -> torch.Tensor:
        return input_ids.shape[1] >= self._max_lengths


def _cut(token_ids: list[int], max_tokens: int, stops: Collection[int]) -> tuple[list[int], bool]:
    """What lies before the first stop token within ``max_tokens``, and whether there is one."""
    token_ids = token_ids[:max_tokens]
    end = next((place for place, token in enumerate(token_ids) if token in stops), None)
    return token_ids[:end], end is not None
