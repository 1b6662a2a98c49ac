"""Prove that a Hugging Face folder and a checkpoint hold the same model: every tensor bitwise, and its logits."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from math import prod
from pathlib import Path

import numpy as np
import torch

from megatron_rfft.common.files import require_directory
from megatron_rfft.conversion.checkpoint_weights import Reader, check_parameters, merged_reader
from megatron_rfft.conversion.from_hf import tie_problem
from megatron_rfft.conversion.parameter_mapping import ParameterMapping, hf_names, parameters
from megatron_rfft.conversion.storage.safetensors_io import HFWeights
from megatron_rfft.conversion.storage.stored import Passing, contents
from megatron_rfft.conversion.storage.written_files import default_workers
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.training.checkpoint_files import weights_chain

_UNLIKE = ("init_std", "max_position_embeddings")
"""What a config may say otherwise without being of another model."""


def first_difference(folder: Path, checkpoint: Path, base: Path | None = None, workers: int | None = None) -> str:
    """What first differs between the HF ``folder`` and ``checkpoint`` (adapters merged), in an export's order; or "".

    Every tensor of either is compared bitwise, in the folder's number format. Raises UserError if the checkpoint is
    damaged or the folder no model.
    """
    require_directory(folder, "give a Hugging Face model folder")
    chain = weights_chain(checkpoint, base)
    model, theirs = ModelConfig(**chain[0][1]["model"]), ModelConfig.from_hf(folder)
    for key, value in model.as_dict().items():
        if key not in _UNLIKE and theirs.as_dict()[key] != value:
            return f"{key}: {theirs.as_dict()[key]!r} in {folder}, {value!r} in {checkpoint}"
    weights, reader = HFWeights(folder), merged_reader(chain)
    check_parameters(reader, model, checkpoint)
    wanted = [name for mapping, layer in parameters(model) for name in hf_names(mapping, layer)]
    for name in wanted:
        if name not in weights.names:
            return f"{name}: in {checkpoint} alone"
    copies = {"lm_head.weight"} if model.tie_embeddings else set()
    if left_over := sorted(weights.names - set(wanted) - copies):
        return f"{left_over[0]}: in {folder} alone"
    if problem := tie_problem(weights, model):
        return problem
    with ThreadPoolExecutor(workers or default_workers(), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        found = pool.map(partial(_difference, weights, reader), parameters(model))
        return next(filter(None, found), "")


def _difference(weights: HFWeights, reader: Reader, parameter: tuple[ParameterMapping, int | None]) -> str:
    mapping, layer = parameter
    stored = reader.stored(mapping.megatron, layer)
    for name, ranges, shape in zip(hf_names(mapping, layer), mapping.split(), mapping.shapes, strict=True):
        theirs = weights.stored(name)
        if shape != theirs.shape:
            return f"{name}: {theirs.shape} in the folder, {shape} in the checkpoint"
        ours = contents([(stored, start, stop) for start, stop in ranges], theirs.dtype)
        beside = Passing(contents([(theirs, 0, theirs.shape[0])], theirs.dtype))
        if differing := sum(_differing(ours_part, beside, theirs.dtype.itemsize) for ours_part in ours):
            return f"{name}: {differing} of {prod(shape)} values differ"
    return ""


def _differing(ours: memoryview, beside: Passing, itemsize: int) -> int:
    """How many values differ in any bit from those beside them: a NaN equals itself, and zero is not minus zero."""
    count = position = 0
    for theirs in beside.take(len(ours)):
        unequal = np.frombuffer(theirs, np.uint8) != np.frombuffer(ours, np.uint8, len(theirs), position)
        count += int(unequal.reshape(-1, itemsize).any(1).sum()) if unequal.any() else 0
        position += len(theirs)
    return count


@torch.no_grad()
def logits_difference(folder: Path, checkpoint: Path, base: Path | None = None) -> tuple[float, float]:
    """The largest difference of logits in fp32 between transformers on ``folder`` and megatron-core on ``checkpoint``.

    Of 2 x 40 random tokens; beside it the largest logit. Both models are in memory: for small ones.
    """
    from transformers import AutoModelForCausalLM

    from megatron_rfft.mcore import DEVICE

    chain = weights_chain(checkpoint, base)
    model = ModelConfig(**chain[0][1]["model"])
    tokens = torch.randint(0, model.vocab_size, (2, 40), generator=torch.Generator().manual_seed(1))
    hf = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()
    expected = hf(tokens).logits
    del hf
    logits = _megatron_logits(merged_reader(chain), model, tokens.to(DEVICE)).cpu()
    return float((logits - expected).abs().max()), float(expected.abs().max())


def _megatron_logits(reader: Reader, model: ModelConfig, tokens: torch.Tensor) -> torch.Tensor:
    from megatron_rfft.models.build import build_model, transformer_config
    from megatron_rfft.models.initialize import fill_parameters
    from megatron_rfft.training.layout import single_rank

    with single_rank():
        (stage,) = build_model(model, transformer_config(model, dtype=torch.float32))
        fill_parameters(stage, lambda name, layer, shape: reader.read(name, layer))
        positions = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
        return stage.eval()(tokens, positions, None)[..., : model.vocab_size]
