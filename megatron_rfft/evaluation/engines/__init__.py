"""Greedy generation behind one interface: vLLM in process, transformers, or a server (``engines.openai``)."""

from megatron_rfft.evaluation.engines.base import Completion, Engine, Request, TextCompletion
from megatron_rfft.evaluation.engines.options import (
    DTYPES,
    ENGINES,
    EngineOptions,
    HfOptions,
    ServerOptions,
    Start,
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
