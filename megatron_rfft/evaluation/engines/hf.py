"""transformers' own ``generate``: slower than vLLM, needs nothing but transformers, and is the reference for it."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, GenerationConfig, StoppingCriteria, StoppingCriteriaList

from megatron_rfft.evaluation.engines.base import Completion, Engine, Request

CPU_BATCH_SIZE = 64
GPU_BATCH_SIZE = 128
"""At most: answers come by whole batches, and a killed run loses the one under way."""
CACHE_SHARE = 0.2
"""Of a GPU's memory, what the keys and values of one batch may take; concatenating them needs as much again."""


class HfEngine(Engine):
    """Left-padded batches of requests of like length."""

    name = "hf"

    def __init__(self, model: Path, *, dtype: str, stop_id: int):
        self.version = f"transformers {transformers.__version__}"
        on_gpu = torch.cuda.is_available()
        self.device = torch.cuda.get_device_name() if on_gpu else "cpu"
        self.dtype = dtype if dtype != "auto" else ("bfloat16" if on_gpu else "float32")
        self._stop_id = stop_id
        transformers.utils.logging.disable_progress_bar()
        loaded = AutoModelForCausalLM.from_pretrained(model, dtype=getattr(torch, self.dtype), local_files_only=True)
        loaded.generation_config = GenerationConfig()  # a shipped one may ask for sampling or a repetition penalty
        self._model = loaded.to("cuda" if on_gpu else "cpu").eval()
        shape = loaded.config
        head_dim = getattr(shape, "head_dim", None) or shape.hidden_size // shape.num_attention_heads
        self._cache_bytes = 2 * shape.num_hidden_layers * shape.num_key_value_heads * head_dim * loaded.dtype.itemsize
        """Keys and values of one token."""

    def generate(self, requests: Sequence[Request], finished: Collection[int] = ()) -> Iterator[Completion]:
        order = sorted(range(len(requests)), key=lambda p: (requests[p].max_tokens, len(requests[p].prompt_ids), p))
        for batch in self._batches(requests, order):
            # Padding touches the rounding of a whole batch, so one with a missing answer is computed as it was before.
            if any(position not in finished for position in batch):
                answers = self._generate_batch([requests[position] for position in batch])
                for position, (token_ids, stopped) in zip(batch, answers, strict=True):
                    if position not in finished:
                        yield Completion(position, token_ids, stopped)

    def _batches(self, requests: Sequence[Request], order: Sequence[int]) -> Iterator[Sequence[int]]:
        """Cut ``order`` into batches: the same ones on the same kind of device, whatever is finished."""
        if self._model.device.type == "cpu":
            yield from (order[start : start + CPU_BATCH_SIZE] for start in range(0, len(order), CPU_BATCH_SIZE))
            return
        budget = CACHE_SHARE * torch.cuda.get_device_properties(self._model.device).total_memory
        batch: list[int] = []
        width = 0
        for position in order:
            request = requests[position]
            wider = max(width, len(request.prompt_ids) + request.max_tokens)
            if batch and (len(batch) == GPU_BATCH_SIZE or (len(batch) + 1) * wider * self._cache_bytes > budget):
                yield batch
                batch, wider = [], len(request.prompt_ids) + request.max_tokens
            batch.append(position)
            width = wider
        if batch:
            yield batch

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
            eos_token_id=self._stop_id,
            pad_token_id=self._stop_id,
            stopping_criteria=StoppingCriteriaList([_Budgets(width + budgets)]),
        )
        return [
            _cut(row, request.max_tokens, self._stop_id)
            for row, request in zip(output[:, width:].tolist(), batch, strict=True)
        ]


class _Budgets(StoppingCriteria):
    """End each row at its own length, so that a batch does not wait for rows whose budget is spent."""

    def __init__(self, max_lengths: torch.Tensor):
        self._max_lengths = max_lengths

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **kwargs) -> torch.Tensor:
        return input_ids.shape[1] >= self._max_lengths


def _cut(token_ids: list[int], max_tokens: int, stop_id: int) -> tuple[list[int], bool]:
    """What lies before the first stop token within ``max_tokens``, and whether there is one."""
    token_ids = token_ids[:max_tokens]
    if stop_id in token_ids:
        return token_ids[: token_ids.index(stop_id)], True
    return token_ids, False
