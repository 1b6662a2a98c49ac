"""Greedy generation behind one interface: vLLM in process, transformers, or a server (``engines.openai``)."""

from megatron_rfft.evaluation.engines.base import DTYPES, Completion, Engine, Request, Start, TextCompletion
from megatron_rfft.evaluation.engines.options import (
    ENGINES,
    EngineOptions,
    HfOptions,
    ServerOptions,
    VllmOptions,
    engine_options,
)

__all__ = [
    "DTYPES",
    "ENGINES",
    "Completion",
    "Engine",
    "EngineOptions",
    "HfOptions",
    "Request",
    "ServerOptions",
    "Start",
    "TextCompletion",
    "VllmOptions",
    "engine_options",
]
