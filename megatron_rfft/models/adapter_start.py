"""The values that adapters start from: the same in every layout, as they are computed from whole matrices."""

import math

import torch
from torch import Tensor

from megatron_rfft.mcore import GPTModel, parallel_state
from megatron_rfft.models.adapter_config import AdapterConfig
from megatron_rfft.models.adapters import in_layer, subtract_start, trained_part
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.models.geometry import Linear, Parallel
from megatron_rfft.models.initialize import fill_shards, seeded_generator
from megatron_rfft.models.low_rank import principal_factors, projections

Place = tuple[str, int, int]
"""Path of a matrix (without layer number), layer, projection."""


def start_adapters(stage: GPTModel, adapter: AdapterConfig, model: ModelConfig, seed: int) -> None:
    """Set the adapters of ``stage`` to their first values, for the weights that it has now; collective.

    LoRA: A uniform up to ``inputs ** -0.5`` as PEFT has it, B zero. PiSSA: both from the principal part of the weight,
    which leaves the weight.
    """
    specs = {spec.path: spec for spec in adapter.linears(model)}
    factors = _principal_parts(stage, adapter, model, seed) if adapter.method == "pissa" else {}

    def full_tensor(key: str, layer: int | None, shape: tuple[int, ...]) -> Tensor:
        name, tensor = key.rsplit(".adapter.", 1)
        tensor, parts = tensor.removeprefix("start_"), specs[name].parts
        places = [(name, layer, part) for part in range(len(parts))]
        if factors and tensor == "a":
            return torch.cat([factors[place][1] for place in places])
        if factors:
            return factors[places[parts.index(tensor.removeprefix("b_"))]][0]
        if tensor != "a":
            return torch.zeros(shape)
        drawn = [seeded_generator("/".join(map(str, (seed, *place)))) for place in places]
        return torch.cat([_draw_a(adapter.rank, shape[1], generator) for generator in drawn])

    state = trained_part(stage, stage.sharded_state_dict())
    fill_shards(state, full_tensor)
    subtract_start(stage)


def _draw_a(rank: int, inputs: int, generator: torch.Generator) -> Tensor:
    bound = 1.0 / math.sqrt(inputs)
    return torch.empty(rank, inputs).uniform_(-bound, bound, generator=generator)


def _principal_parts(
    stage: GPTModel, adapter: AdapterConfig, model: ModelConfig, seed: int
) -> dict[Place, tuple[Tensor, Tensor]]:
    """(B, A) of every projection in ``stage``, whole, on each of its ranks.

    The projections are dealt out to the stage's data- and tensor-parallel ranks; a whole matrix is gathered only on
    the rank that decomposes it. All ranks end up with that rank's bits.
    """
    units = [
        ((spec.path, layer.layer_number - 1, part), in_layer(layer, spec), spec)
        for layer in stage.decoder.layers
        for spec in adapter.linears(model)
        for part in range(len(spec.parts))
    ]
    tensor, data = parallel_state.get_tensor_model_parallel_group(), _data_group()
    mine = units[data.rank() :: data.size()]
    factors: dict[Place, tuple[Tensor, Tensor]] = {}
    for first in range(0, len(mine), tensor.size()):
        held = None
        for owner, (place, linear, spec) in enumerate(mine[first : first + tensor.size()]):
            whole = _gather(_projection(linear, spec, place[2]), spec, owner)
            held = held if whole is None else (place, whole)
        if held is not None:
            place, whole = held
            generator = seeded_generator(f"{seed}/{place[0]}/{place[1]}/{place[2]}")
            b, a = principal_factors(whole, adapter.rank, adapter.svd_iterations, generator)
            root = math.sqrt(adapter.scale)
            factors[place] = ((b / root).to(whole.dtype).contiguous(), (a / root).to(whole.dtype).contiguous())
    for number, (place, linear, spec) in enumerate(units):
        outputs, inputs = spec.shapes[place[2]]
        if place not in factors:
            empty = linear.weight.new_empty
            factors[place] = (empty(outputs, adapter.rank), empty(adapter.rank, inputs))
        data_owner, turn = number % data.size(), number // data.size()
        for factor in factors[place]:
            if data.rank() == data_owner:
                torch.distributed.broadcast(factor, group=tensor, group_src=turn % tensor.size())
            torch.distributed.broadcast(factor, group=data, group_src=data_owner)
    return factors


def _data_group():
    return parallel_state.get_data_parallel_group(with_context_parallel=True)


def _projection(linear: torch.nn.Module, spec: Linear, part: int) -> Tensor:
    """This rank's share of one projection's weight."""
    shards = 1 if spec.parallel is Parallel.ROW else parallel_state.get_tensor_model_parallel_world_size()
    outputs = [rows // shards for rows in spec.outputs]
    return projections(linear.weight.detach(), outputs, max(spec.groups // shards, 1))[part]


def _gather(share: Tensor, spec: Linear, owner: int) -> Tensor | None:
    """The whole matrix on the tensor-parallel rank ``owner``, None on the others."""
    group = parallel_state.get_tensor_model_parallel_group()
    share = share.contiguous()
    pieces = [torch.empty_like(share) for _ in range(group.size())] if group.rank() == owner else None
    torch.distributed.gather(share, pieces, group=group, group_dst=owner)
    return None if pieces is None else torch.cat(pieces, dim=1 if spec.parallel is Parallel.ROW else 0)
