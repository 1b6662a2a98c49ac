"""Greedy generation behind one interface: vLLM in process, transformers, or a server (``engines.openai``)."""

from collections.abc import Collection
from pathlib import Path

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.number_formats import NUMBER_FORMATS
from megatron_rfft.evaluation.engines.base import Completion, Engine, Request, TextCompletion

ENGINES = ("vllm", "hf", "openai")
DTYPES = ("auto", *NUMBER_FORMATS)

__all__ = ["DTYPES", "ENGINES", "Completion", "Engine", "Request", "TextCompletion", "load_engine"]


def load_engine(
    name: str,
    model: Path,
    *,
    dtype: str = "auto",
    stop_id: int,
    max_length: int,
    other_stops: Collection[int] = (),
    tensor_parallel: int = 1,
    prefix_caching: bool = True,
    batch_invariant: bool = False,
) -> Engine:
    """Load ``model`` (an HF folder) into the engine ``name``, "vllm" or "hf".

    ``max_length`` is the longest prompt plus budget that will be asked for, in tokens. ``dtype`` "auto" is fp32 on a
    CPU and bf16 on a GPU; ``other_stops`` end an answer as ``stop_id`` does; ``tensor_parallel`` is the number of
    GPUs that vLLM splits a model over, and the last two are for vLLM too: see ``llm_options``.
    The engines' libraries are imported here and not before: a finished run needs neither.
    """
    dtype = NUMBER_FORMATS.get(dtype, dtype)
    if name == "vllm":
        from megatron_rfft.evaluation.engines.vllm import VllmEngine

        return VllmEngine(
            model,
            dtype=dtype,
            stop_id=stop_id,
            max_length=max_length,
            other_stops=other_stops,
            tensor_parallel=tensor_parallel,
            prefix_caching=prefix_caching,
            batch_invariant=batch_invariant,
        )
    if name == "hf":
        from megatron_rfft.evaluation.engines.hf import HfEngine

        return HfEngine(model, dtype=dtype, stop_id=stop_id, other_stops=other_stops)
    raise UserError(f"no engine {name!r} takes a folder; choose vllm or hf")
