"""Options that several commands share, each with one name, one meaning and one text of help."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from megatron_rfft.common.restart import Part
from megatron_rfft.tasks import read_tasks

TASKS_HELP = "names, with lengths of their own if wanted (a,b:1-5,8), or pretrain, held-out, extra, pretrain/code"
LENGTHS_HELP = "lengths of the tasks given without: 1-10, 2-30:2 or 1-5,10"


def same_named(options: Namespace, kind: type) -> dict[str, Any]:
    """The options that are named like fields of the dataclass ``kind``."""
    return {each.name: getattr(options, each.name) for each in fields(kind) if hasattr(options, each.name)}


def add_json(parser: ArgumentParser, what: str = "the result") -> None:
    """``--json``: what a script reads."""
    parser.add_argument("--json", action="store_true", help=f"print {what} as JSON")


def add_task_file(parser: ArgumentParser, use: str = "to know") -> None:
    """``--task-file``: own tasks as ``tasks.load_task_files`` takes them; ``use`` says what for."""
    look = {"type": Path, "metavar": "FILE", "action": "append", "default": []}
    parser.add_argument("--task-file", help=f"own task {use}, or a folder of them; repeatable", **look)


def add_tasks(parser: ArgumentParser) -> None:
    """``--tasks`` and ``--lengths``, as ``read_lengths`` takes them."""
    parser.add_argument("--tasks", required=True, help=TASKS_HELP)
    parser.add_argument("--lengths", help=LENGTHS_HELP)


def read_lengths(tasks: str, lengths: str | None) -> dict[str, tuple[int, ...]]:
    """The lengths asked of each task, whether it has them or not. Raises UserError as ``tasks.read_tasks`` does."""
    return {name: asked.plain() for name, asked in read_tasks(tasks, lengths).items()}


def add_engine(parser: ArgumentParser, engines: Iterable[str]) -> None:
    """``--engine``, which ``chosen_engine`` takes."""
    text = "what generates the answers; auto: vllm where vLLM is installed, else hf (transformers)"
    parser.add_argument("--engine", choices=("auto", *engines), default="auto", help=text)


def chosen_engine(name: str, needs_vllm: bool) -> str:
    """The engine that ``--engine`` names: for "auto" vLLM if another option needs it or it is there, else "hf"."""
    if name != "auto":
        return name
    if needs_vllm or find_spec("vllm"):
        return "vllm"
    print("engine: hf (transformers), since vLLM is not installed here", file=sys.stderr)
    return "hf"


def add_shard(parser: ArgumentParser, text: str) -> None:
    """``--shard I/N``, which ``read_shard`` takes. I counts from 0, as a job array does that runs it."""
    parser.add_argument("--shard", metavar="I/N", help=f"{text}; I counts from 0 to N-1, as in a job array")


def read_shard(text: str | None) -> Part | None:
    """The part that ``--shard`` names. Raises UserError for one that does not exist."""
    return Part.parse(text) if text else None
