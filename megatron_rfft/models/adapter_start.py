"""The values that adapters start from: the same in every layout, as they are computed from whole matrices."""

import math

import torch
from torch import Tensor

from megatron_rfft.mcore import GPTModel, parallel_state
from megatron_rfft.models.adapter_config import AdapterConfig, Linear
from megatron_rfft.models.adapters import subtract_start, trained_part
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.models.initialize import fill_shards, seeded_generator
from megatron_rfft.models.low_rank import principal_factors, projections

Place = tuple[str, int, int]
"""Name of a linear layer (without layer number), layer, projection."""


def start_adapters(stage: GPTModel, adapter: AdapterConfig, model: ModelConfig, seed: int) -> None:
    """Set the adapters of ``stage`` to their first values, for the weights that it has now; collective.

    LoRA: A uniform up to ``inputs ** -0.5`` as PEFT has it, B zero. PiSSA: both from the principal part of the weight,
    which leaves the weight.
    """
    shapes = {spec.name: spec.shapes(model) for spec in adapter.linears}
    factors = _principal_parts(stage, adapter, model, seed) if adapter.method == "pissa" else {}

    def full_tensor(key: str, layer: int | None, shape: tuple[int, ...]) -> Tensor:
        name, tensor = key.rsplit(".adapter.", 1)
        tensor = tensor.removeprefix("start_")
        parts = range(len(shapes[name]))
        if factors and tensor == "a":
            return torch.cat([factors[name, layer, part][1] for part in parts])
        if factors:
            return factors[name, layer, _part(adapter, name, tensor)][0]
        if tensor != "a":
            return torch.zeros(shape)
        return torch.cat([_draw_a(f"{seed}/{name}/{layer}/{part}", adapter.rank, shape[1]) for part in parts])

    state = trained_part(stage, stage.sharded_state_dict())
    fill_shards(state, full_tensor)
    subtract_start(stage)


def _draw_a(words: str, rank: int, inputs: int) -> Tensor:
    bound = 1.0 / math.sqrt(inputs)
    return torch.empty(rank, inputs).uniform_(-bound, bound, generator=seeded_generator(words))


def _part(adapter: AdapterConfig, name: str, tensor: str) -> int:
    spec = next(spec for spec in adapter.linears if spec.name == name)
    return spec.parts.index(tensor.removeprefix("b_"))


def _principal_parts(
    stage: GPTModel, adapter: AdapterConfig, model: ModelConfig, seed: int
) -> dict[Place, tuple[Tensor, Tensor]]:
    """(B, A) of every projection in ``stage``, whole, on each of its ranks.

    The projections are dealt out to the stage's data- and tensor-parallel ranks; a whole matrix is gathered only on
    the rank that decomposes it. All ranks end up with that rank's bits.
    """
    layers = [
        (layer.layer_number - 1, layer.get_submodule(spec.module), spec) for layer, spec in _pairs(stage, adapter)
    ]
    units = [
        ((spec.name, number, part), linear, spec) for number, linear, spec in layers for part in range(len(spec.parts))
    ]
    tensor, data = parallel_state.get_tensor_model_parallel_group(), _data_group()
    mine = units[data.rank() :: data.size()]
    factors: dict[Place, tuple[Tensor, Tensor]] = {}
    for first in range(0, len(mine), tensor.size()):
        held = None
        for owner, (place, linear, spec) in enumerate(mine[first : first + tensor.size()]):
            whole = _gather(_projection(linear, spec, place[2], model), spec, owner)
            held = held if whole is None else (place, whole)
        if held is not None:
            place, whole = held
            generator = seeded_generator(f"{seed}/{place[0]}/{place[1]}/{place[2]}")
            b, a = principal_factors(whole, adapter.rank, adapter.svd_iterations, generator)
            root = math.sqrt(adapter.scale)
            factors[place] = ((b / root).to(whole.dtype).contiguous(), (a / root).to(whole.dtype).contiguous())
    for number, (place, linear, spec) in enumerate(units):
        outputs, inputs = spec.shapes(model)[place[2]]
        if place not in factors:
            empty = linear.weight.new_empty
            factors[place] = (empty(outputs, adapter.rank), empty(adapter.rank, inputs))
        data_owner, turn = number % data.size(), number // data.size()
        for factor in factors[place]:
            if data.rank() == data_owner:
                torch.distributed.broadcast(factor, group=tensor, group_src=turn % tensor.size())
            torch.distributed.broadcast(factor, group=data, group_src=data_owner)
    return factors


def _pairs(stage: GPTModel, adapter: AdapterConfig) -> list[tuple[torch.nn.Module, Linear]]:
    return [(layer, spec) for layer in stage.decoder.layers for spec in adapter.linears]


def _data_group():
    return parallel_state.get_data_parallel_group(with_context_parallel=True)


def _projection(linear: torch.nn.Module, spec: Linear, part: int, model: ModelConfig) -> Tensor:
    """This rank's share of one projection's weight."""
    shards = 1 if spec.row_parallel else parallel_state.get_tensor_model_parallel_world_size()
    outputs = [rows // shards for rows, _ in spec.shapes(model)]
    return projections(linear.weight.detach(), outputs, max(spec.groups(model) // shards, 1))[part]


def _gather(share: Tensor, spec: Linear, owner: int) -> Tensor | None:
    """The whole matrix on the tensor-parallel rank ``owner``, None on the others."""
    group = parallel_state.get_tensor_model_parallel_group()
    share = share.contiguous()
    pieces = [torch.empty_like(share) for _ in range(group.size())] if group.rank() == owner else None
    torch.distributed.gather(share, pieces, group=group, group_dst=owner)
    return None if pieces is None else torch.cat(pieces, dim=1 if spec.row_parallel else 0)
