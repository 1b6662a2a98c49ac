"""vLLM in this process: continuous batching, prefix caching; on a GPU as it comes, on a CPU as it runs best.

The CPU settings were measured with a 1M-parameter model on two shared cores: one OpenMP thread in one process generates
8,000 tokens/s, as many as two threads on an idle machine, starts in half the time, and does not collapse beside others.
"""

import logging
import os
import warnings
from collections.abc import Collection, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.evaluation.engines.base import Completion, Engine, Request, Start

CPU_OPTIONS = {"enforce_eager": True, "kv_cache_memory_bytes": 2**29, "max_num_seqs": 128}
QUIET_ENVIRONMENT = {
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",  # stdout belongs to the command
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
}
_BATCH_INVARIANT = "VLLM_BATCH_INVARIANT"
CPU_ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": "1",
}


class VllmEngine(Engine):
    """A batch is what is in flight, so a resumed run, or another number of parts, may round otherwise.

    In float32 no token has differed yet (tests/evaluation/test_batching.py); in bfloat16 some may, unless the engine
    is ``batch_invariant``.
    """

    name = "vllm"

    def __init__(
        self,
        model: Path,
        start: Start,
        *,
        tensor_parallel: int = 1,
        prefix_caching: bool = True,
        batch_invariant: bool = False,
    ):
        self.version = f"vllm {_installed()}"
        options = llm_options(start.library_dtype, start.max_length, tensor_parallel, prefix_caching, batch_invariant)
        self.dtype = options["dtype"]
        self._stops = start.stops
        self._batching = {"prefix_caching": prefix_caching, "batch_invariant": _is_batch_invariant()}
        self._prompt_tokens = self._cached_tokens = 0
        self._llm = _load(model, options)
        self.device = "cpu" if _on_cpu() else _gpu_name()
        if _on_cpu():
            _require_cpu_attention(self._llm.model_config.get_head_size())

    def generate(self, requests: Sequence[Request], finished: Collection[int] = ()) -> Iterator[Completion]:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        engine = self._llm.llm_engine
        for position, request in enumerate(requests):
            if position in finished:
                continue
            sampling = SamplingParams(
                temperature=0.0,
                max_tokens=request.max_tokens,
                stop_token_ids=self._stops,
                ignore_eos=True,  # the tokenizer's stop token is the one that training taught
                detokenize=False,
                output_kind=RequestOutputKind.FINAL_ONLY,  # as LLM.generate does: no output for every token
            )
            engine.add_request(str(position), {"prompt_token_ids": request.prompt_ids}, sampling)
        while engine.has_unfinished_requests():
            for output in engine.step():
                if output.finished:
                    yield self._completion(output)

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), **self._batching}

    def statistics(self) -> dict[str, Any]:
        """How much of the prompts was found in the prefix cache: questions of one task follow each other for that."""
        if not self._prompt_tokens:
            return {}
        return {"prefix_cache_hit_rate": round(self._cached_tokens / self._prompt_tokens, 3)}

    def reset_prefix_cache(self) -> None:
        """Forget all prompts, as if nothing had been asked yet."""
        self._llm.reset_prefix_cache()

    def _completion(self, output) -> Completion:
        self._prompt_tokens += len(output.prompt_token_ids)
        self._cached_tokens += output.num_cached_tokens or 0
        token_ids = list(output.outputs[0].token_ids)
        stopped = bool(token_ids) and token_ids[-1] in self._stops
        return Completion(int(output.request_id), token_ids[:-1] if stopped else token_ids, stopped)


def llm_options(
    dtype: str,
    max_length: int,
    tensor_parallel: int = 1,
    prefix_caching: bool = True,
    batch_invariant: bool = False,
) -> dict[str, Any]:
    """What ``vllm.LLM`` takes besides the model. Sets its environment too: call it before torch and vllm are imported.

    ``prefix_caching`` computes what prompts have in common once. ``batch_invariant`` has vLLM use kernels that round
    alike whatever else is in flight; it is slower. Raises UserError if vLLM is not installed, or not for GPUs where
    that is asked for.
    """
    on_cpu = _on_cpu()
    if on_cpu and batch_invariant:
        raise UserError(
            "--batch-invariant takes kernels that vLLM has for GPUs; this is vLLM for CPUs: leave it out, and keep "
            "--dtype float32"
        )
    if on_cpu and tensor_parallel > 1:
        raise UserError(
            f"--tensor-parallel {tensor_parallel} splits a model over GPUs; this is vLLM for CPUs: leave it out"
        )
    for key, value in {**QUIET_ENVIRONMENT, **(CPU_ENVIRONMENT if on_cpu else {})}.items():
        os.environ.setdefault(key, value)
    if batch_invariant:
        os.environ[_BATCH_INVARIANT] = "1"
    return {
        "dtype": dtype if dtype != "auto" else ("float32" if on_cpu else "bfloat16"),
        "max_model_len": max_length,
        "tensor_parallel_size": tensor_parallel,
        "enable_prefix_caching": prefix_caching,
        "skip_tokenizer_init": True,
        "use_tqdm_on_load": False,
        **(CPU_OPTIONS if on_cpu else {}),
    }


def _installed() -> str:
    try:
        return version("vllm")
    except PackageNotFoundError as error:
        raise UserError("vLLM is not installed; install it (tools/setup_cpu.sh) or choose --engine hf") from error


def _is_batch_invariant() -> bool:
    return os.environ.get(_BATCH_INVARIANT, "0").lower() in ("1", "true")


def _on_cpu() -> bool:
    return "cpu" in _installed()  # how vLLM itself tells its CPU build


def _load(model: Path, options: dict[str, Any]):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("torch._library.triton").setLevel(logging.ERROR)
        from vllm import LLM

        return LLM(str(model), **options)


def _require_cpu_attention(head_dim: int) -> None:
    """vLLM itself would only fail at the first step, and tell so in C++."""
    from vllm.v1.attention.backends.cpu_attn import CPUAttentionBackend

    supported = CPUAttentionBackend.get_supported_head_sizes()
    if head_dim not in supported:
        raise UserError(f"vLLM on a CPU takes no head_dim of {head_dim}, only {supported}; choose --engine hf")


def _gpu_name() -> str:
    import torch

    return torch.cuda.get_device_name()
