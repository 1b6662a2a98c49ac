"""transformers' own ``generate``: slower than vLLM, needs nothing but transformers, and is the reference for it."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import psutil
import torch
import transformers
from transformers import AutoModelForCausalLM, GenerationConfig, StoppingCriteria, StoppingCriteriaList

from megatron_rfft.evaluation.engines.base import Completion, Engine, Request

BATCH_SIZE = {"cpu": 64, "cuda": 128}
"""At most: answers come by whole batches, and a killed run loses the one under way."""
CACHE_SHARE = 0.2
"""Of the device's memory, what the keys and values of a batch may take; concatenating them needs as much again."""


def cut_into_batches(
    requests: Sequence[Request], most: int, bytes_per_token: int, budget: float
) -> Iterator[list[int]]:
    """Positions of ``requests``, those of like length together: at most ``most`` rows, and ``budget`` bytes of cache.

    A row takes ``bytes_per_token`` for each token of the longest prompt and answer of its batch. What is left to
    answer changes nothing: a resumed run forms the same batches.
    """
    order = sorted(range(len(requests)), key=lambda p: (requests[p].max_tokens, len(requests[p].prompt_ids), p))
    batch: list[int] = []
    longest = 0
    for position in order:
        length = len(requests[position].prompt_ids) + requests[position].max_tokens
        if batch and (len(batch) == most or (len(batch) + 1) * max(longest, length) * bytes_per_token > budget):
            yield batch
            batch, longest = [], 0
        batch.append(position)
        longest = max(longest, length)
    if batch:
        yield batch


class HfEngine(Engine):
    """Left-padded batches of requests of like length."""

    name = "hf"

    def __init__(self, model: Path, *, dtype: str, stop_id: int, other_stops: Collection[int] = ()):
        self.version = f"transformers {transformers.__version__}"
        on_gpu = torch.cuda.is_available()
        self.device = torch.cuda.get_device_name() if on_gpu else "cpu"
        self.dtype = dtype if dtype != "auto" else ("bfloat16" if on_gpu else "float32")
        self._stop_id, self._stops = stop_id, [stop_id, *other_stops]
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

    def generate(self, requests: Sequence[Request], finished: Collection[int] = ()) -> Iterator[Completion]:
        for batch in cut_into_batches(requests, BATCH_SIZE[self._model.device.type], self._cache_bytes, self._budget):
            # Padding touches the rounding of a whole batch, so one with a missing answer is computed as it was before.
            if any(position not in finished for position in batch):
                answers = self._generate_batch([requests[position] for position in batch])
                for position, (token_ids, stopped) in zip(batch, answers, strict=True):
                    if position not in finished:
                        yield Completion(position, token_ids, stopped)

    @torch.inference_mode()
    def _generate_batch(self, batch: list[Request]) -> list[tuple[list[int], bool]]:
        """The ids without stop token and whether there was one, for each request."""
        width = max(len(request.prompt_ids) for request in batch)
        padding = [width - len(request.prompt_ids) for request in batch]
        rows = [[self._stop_id] * pad + list(r.prompt_ids) for pad, r in zip(padding, batch, strict=True)]
        input_ids = torch.tensor(rows, device=self._model.device)  # [batch, width]
        attention_mask = torch.arange(width, device=input_ids.device) >= torch.tensor(padding).to(input_ids)[:, None]
        budgets = torch.tensor([request.max_tokens for request in batch], device=input_ids.device)
        output = self._model.generate(
            input_ids,
            attention_mask=attention_mask.long(),
            do_sample=False,
            max_new_tokens=int(budgets.max()),
            eos_token_id=self._stops,
            pad_token_id=self._stop_id,
            stopping_criteria=StoppingCriteriaList([_Budgets(width + budgets)]),
        )
        return [
            _cut(row, request.max_tokens, self._stops)
            for row, request in zip(output[:, width:].tolist(), batch, strict=True)
        ]


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
