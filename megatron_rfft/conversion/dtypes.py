"""The number format that converted weights get."""

from pathlib import Path

import torch

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.number_formats import NUMBER_FORMATS

CHOICES = {"keep": None, **{name: getattr(torch, long) for name, long in NUMBER_FORMATS.items()}}
HF_NAMES = {torch.float32: "float32", torch.bfloat16: "bfloat16", torch.float16: "float16"}


def target_dtype(found: set[torch.dtype], choice: str, source: Path) -> torch.dtype:
    """The format that all weights of ``source`` get. Raises UserError if ``keep`` would have to convert some."""
    if choice not in CHOICES:
        raise UserError(f"--dtype is {choice!r}; give one of {', '.join(CHOICES)}")
    if (wanted := CHOICES[choice]) is not None:
        return wanted
    if len(found) > 1:
        names = " and ".join(sorted(str(dtype).removeprefix("torch.") for dtype in found))
        raise UserError(f"{source} holds weights in {names}; give --dtype bf16 or fp32")
    return next(iter(found))
