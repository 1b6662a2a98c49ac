"""Answers a second of ``--engine hf``: with a cache of fixed size, compiled on a GPU, and with a growing one."""

import random
import time
from pathlib import Path
from typing import Any

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from megatron_rfft.diagnostics.checks.settings import Settings
from megatron_rfft.evaluation.engines import Request, Start
from megatron_rfft.evaluation.engines.hf import HfEngine

SMALL = {"num_hidden_layers": 8, "hidden_size": 384, "intermediate_size": 1152, "num_attention_heads": 6}
"""About 15M parameters, the size of examples/one-gpu."""
TINY = {"num_hidden_layers": 2, "hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2}
VOCABULARY = 2000


def check_generation(settings: Settings) -> dict[str, Any]:
    """Greedy answers of a small random model, which hardly ever stops by itself, to prompts of like lengths.

    Rates are of the last pass over the same requests: the first one may compile, so its time stands beside. The two
    kinds of cache may round differently in bfloat16; ``equal_answers`` says how many of ``answers`` are the same.
    """
    number, prompt, answer = (8, 20, 10) if settings.tiny else (1024, 400, 400)
    noise = random.Random(1)
    requests = [
        Request(noise.choices(range(1, VOCABULARY), k=prompt - noise.randrange(prompt // 4)), answer)
        for _ in range(number)
    ]
    model = settings.work / "generation"
    _save_model(model, TINY if settings.tiny else SMALL)
    answers, rates = {}, {}
    # The growing cache is slow, and compiles nothing: a part of the requests and one pass say enough.
    for kind, asked, passes in (("fixed", requests, 2), ("growing", requests[: number // 8], 1)):
        engine = HfEngine(model, Start(stop_id=0), fixed=kind == "fixed")
        seconds = []
        for _ in range(passes):
            taken, answers[kind] = _timed(engine, asked)
            seconds.append(taken)
        rates[kind] = {
            "kept_to_it": engine.has_fixed_cache == (kind == "fixed"),
            "seconds": [round(taken, 2) for taken in seconds],
            "answers_per_second": round(len(asked) / seconds[-1], 2),
            "tokens_per_second": round(sum(map(len, answers[kind].values())) / seconds[-1], 1),
        }
        del engine
        torch.cuda.empty_cache()
    common = answers["growing"].keys()
    return {
        "requests": number,
        **rates,
        "speedup": round(rates["fixed"]["answers_per_second"] / rates["growing"]["answers_per_second"], 2),
        "answers": len(common),
        "equal_answers": sum(answers["fixed"][position] == answers["growing"][position] for position in common),
    }


def _save_model(folder: Path, shape: dict[str, int]) -> None:
    torch.manual_seed(0)
    config = Qwen2Config(vocab_size=VOCABULARY, num_key_value_heads=shape["num_attention_heads"], **shape)
    Qwen2ForCausalLM(config).save_pretrained(folder)


def _timed(engine: HfEngine, requests: list[Request]) -> tuple[float, dict[int, list[int]]]:
    started = time.perf_counter()
    answers = {completion.position: completion.token_ids for completion in engine.generate(requests)}
    return time.perf_counter() - started, answers
