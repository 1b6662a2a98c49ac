"""Parameters filled from full tensors, each rank taking its slice: random initial weights or a given checkpoint's."""

import hashlib
import math
from collections.abc import Callable

import torch

from megatron_rfft.mcore import GPTModel

from megatron.core.dist_checkpointing.dict_utils import nested_values
from megatron.core.dist_checkpointing.mapping import ShardedTensor, apply_factories

_OUTPUT_PROJECTIONS = ("linear_proj.weight", "linear_fc2.weight")

FullTensor = Callable[[str, int | None, tuple[int, ...]], torch.Tensor]
"""(global name without layer number, layer or None, full shape) -> the full parameter."""


def fill_parameters(model: GPTModel, full_tensor: FullTensor) -> None:
    """Set every parameter of this rank's stage to its slice of ``full_tensor(name, layer, shape)``.

    Names are those of megatron-core's sharded checkpoints (``decoder.layers.mlp.linear_fc1.weight``).
    """
    fill_shards(model.sharded_state_dict(), full_tensor)


@torch.no_grad()
def fill_shards(sharded: dict, full_tensor: FullTensor) -> None:
    """Set every tensor of a sharded state dict, or of a part of one, to its slice of the full tensor."""
    apply_factories(sharded)
    for shard in nested_values(sharded):
        if not isinstance(shard, ShardedTensor):
            continue
        # Layers are stacked along a prepended axis: the offset there is the layer, the other axes the parameter's.
        stacked = shard.prepend_axis_num
        layer = shard.global_offset[0] if stacked else None
        full = full_tensor(shard.key, layer, tuple(shard.global_shape[stacked:]))
        starts = zip(shard.global_offset[stacked:], shard.local_shape, strict=True)
        shard.data.copy_(full[tuple(slice(start, start + size) for start, size in starts)])


def initialize_weights(model: GPTModel, seed: int) -> None:
    """Random weights as a pure function of (seed, parameter name): the same model in every parallel layout.

    Matrices are normal with the model's ``init_std``, the two projections into the residual stream with
    ``init_std / sqrt(2 * layers)``; norms are one, biases zero (Radford et al. 2019, section 2.3).
    """

    def draw(name: str, layer: int | None, shape: tuple[int, ...]) -> torch.Tensor:
        if name.endswith("bias"):
            return torch.zeros(shape)
        if "norm" in name:
            return torch.ones(shape)
        std = model.config.init_method_std
        if name.endswith(_OUTPUT_PROJECTIONS):
            std /= math.sqrt(2 * model.config.num_layers)
        return torch.empty(shape).normal_(0.0, std, generator=seeded_generator(f"{seed}/{name}/{layer}"))

    fill_parameters(model, draw)


def seeded_generator(words: str) -> torch.Generator:
    """A CPU generator that is a pure function of ``words``."""
    digest = hashlib.sha256(words.encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
