"""Low-rank adapters (LoRA, PiSSA) on megatron-core's parallel linear layers, in every layout.

An adapter is a child ``adapter`` of its layer, whose other parameters keep their names, so that checkpoints of bare and
of adapted models agree. Of each pair, the factor on the side that the layer is split along is split with it, the other
one is whole on every tensor-parallel rank; what they send each other is as wide as the rank, never as the layer.
"""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from megatron_rfft.mcore import GPTModel, parallel_state
from megatron_rfft.models.adapter_config import AdapterConfig
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.models.geometry import LAYERS, Linear, Parallel
from megatron_rfft.models.low_rank import interleave, product

from megatron.core.tensor_parallel import (
    copy_to_tensor_model_parallel_region,
    gather_from_sequence_parallel_region,
    reduce_from_tensor_model_parallel_region,
    reduce_scatter_to_sequence_parallel_region,
    set_tensor_model_parallel_attributes,
)
from megatron.core.transformer.utils import ensure_metadata_has_dp_cp_group, make_sharded_tensors_for_checkpoint

_CHILD = "adapter"


class Adapter(torch.nn.Module):
    """This rank's share of the adapters of one layer's projections; zero, until initialized or loaded."""

    def __init__(self, linear: torch.nn.Module, spec: Linear, adapter: AdapterConfig):
        super().__init__()
        ranks = parallel_state.get_tensor_model_parallel_world_size()
        self.spec, self.scale, self.sequence_parallel = spec, adapter.scale, linear.config.sequence_parallel
        self.groups = max(spec.groups // ranks, 1)
        self.splits_inputs = spec.parallel is Parallel.ROW
        kind = {"dtype": linear.config.params_dtype, "device": linear.weight.device}
        a = torch.zeros(len(spec.parts) * adapter.rank, linear.weight.size(1), **kind)
        b = [torch.zeros(rows // (1 if self.splits_inputs else ranks), adapter.rank, **kind) for rows in spec.outputs]
        self.a = torch.nn.Parameter(a)
        for part, values in zip(spec.parts, b, strict=True):
            self.register_parameter(f"b_{part}", torch.nn.Parameter(values))
        self.has_start = adapter.method == "pissa"
        if self.has_start:  # what was taken out of the weight; needed to take it out again, and to merge
            self.register_buffer("start_a", a.clone())
            for part, values in zip(spec.parts, b, strict=True):
                self.register_buffer(f"start_b_{part}", values.clone())
        self._mark_parameters()

    def _mark_parameters(self) -> None:
        """Tell megatron-core which parameters are split, and whose gradients are sums over sequence shards."""
        for name, parameter in self.named_parameters():
            axis = self.split_axis(name)
            set_tensor_model_parallel_attributes(parameter, axis is not None, -1 if axis is None else axis, 1)
            parameter.sequence_parallel = self.sequence_parallel and axis is None
            parameter.allreduce = True

    def split_axis(self, name: str) -> int | None:
        """The axis along which tensor ``name`` is split over tensor-parallel ranks; None: it is whole on each."""
        is_a = name.removeprefix("start_") == "a"
        if self.splits_inputs:
            return 1 if is_a else None
        return None if is_a else 0

    def forward(self, x: Tensor) -> Tensor:
        """The update of the layer's output for the layer's own (normed, as yet ungathered) input."""
        hidden = F.linear(x, self.a) * self.scale
        if self.splits_inputs:
            reduce_parts = reduce_scatter_to_sequence_parallel_region
            hidden = (reduce_parts if self.sequence_parallel else reduce_from_tensor_model_parallel_region)(hidden)
        elif self.sequence_parallel:
            hidden = gather_from_sequence_parallel_region(hidden)
        else:
            hidden = copy_to_tensor_model_parallel_region(hidden)
        pieces = hidden.chunk(len(self.spec.parts), dim=-1)
        return interleave([F.linear(piece, b) for piece, b in zip(pieces, self._b(), strict=True)], self.groups)

    def start(self) -> Tensor | float:
        """This rank's part of what the adapter was worth before training, in fp32."""
        return self.scale * product(self.start_a, self._b("start_"), self.groups) if self.has_start else 0.0

    def change(self) -> Tensor:
        """This rank's part of what training has made of the weight that the adapter was put on, in fp32."""
        return self.scale * product(self.a, self._b(), self.groups) - self.start()

    def _b(self, prefix: str = "") -> list[Tensor]:
        return [getattr(self, f"{prefix}b_{part}") for part in self.spec.parts]


def _add_update(linear: torch.nn.Module, args: tuple, result: tuple) -> tuple:
    """Forward hook of a parallel linear layer that carries an adapter."""
    x = args[0]
    if not getattr(linear, "return_layernorm_output", False):
        output, bias = result
    elif len(result) == 3:  # Transformer Engine's fused norm, with its bias left to the caller
        output, bias, x = result
    else:
        (output, x), bias = result
    return output + linear.adapter(x), bias


def _sharded_state_dict(
    linear: torch.nn.Module, prefix: str = "", sharded_offsets: tuple = (), metadata: dict | None = None
) -> dict:
    """What the layer's own method returns, with the adapter's tensors split as they are."""
    metadata = ensure_metadata_has_dp_cp_group(metadata)
    state = type(linear).sharded_state_dict(linear, prefix, sharded_offsets, metadata)
    bare = {key: value for key, value in state.items() if not key.startswith(f"{prefix}{_CHILD}.")}
    tensors = linear.adapter.state_dict(keep_vars=True)
    axes = {name: axis for name in tensors if (axis := linear.adapter.split_axis(name)) is not None}
    return bare | make_sharded_tensors_for_checkpoint(
        tensors,
        f"{prefix}{_CHILD}.",
        axes,
        sharded_offsets,
        tp_group=parallel_state.get_tensor_model_parallel_group(),
        dp_cp_group=metadata["dp_cp_group"],
    )


def attach(stage: GPTModel, adapter: AdapterConfig, model: ModelConfig) -> None:
    """Freeze ``stage`` and put trainable adapters on its target layers; call before the data-parallel wrapper is built.

    Works by what the layers have, not by their class: megatron-core's own and those of Transformer Engine, of which the
    ones with a fused norm are told to hand its output out.
    """
    stage.requires_grad_(False)
    put_adapters({linear: Adapter(linear, spec, adapter) for linear, spec in _targets(stage, adapter, model)})
    if stage.config.recompute_granularity is not None and stage.pre_process:
        # Recomputation runs a layer's backward only if its input wants a gradient: a frozen embedding's does not.
        stage.embedding.register_forward_hook(lambda module, args, output: output.requires_grad_())


def _targets(stage: GPTModel, adapter: AdapterConfig, model: ModelConfig) -> list[tuple[torch.nn.Module, Linear]]:
    layers, specs = stage.decoder.layers, adapter.linears(model)
    return [(in_layer(layer, spec), spec) for layer in layers for spec in specs]


def in_layer(layer: torch.nn.Module, spec: Linear) -> torch.nn.Module:
    """The module of ``spec`` in a transformer layer."""
    return layer.get_submodule(spec.path.removeprefix(LAYERS))


def put_adapters(adapters: dict[torch.nn.Module, Adapter]) -> None:
    """Give layers their adapters."""
    for linear, adapter in adapters.items():
        linear.add_module(_CHILD, adapter)
        adapter.hook = linear.register_forward_hook(_add_update)
        linear.sharded_state_dict = partial(_sharded_state_dict, linear)  # found before the method of its class
        if hasattr(linear, "return_layernorm_output"):
            linear.return_layernorm_output = True


def take_adapters(stage: GPTModel) -> dict[torch.nn.Module, Adapter]:
    """Take all adapters off ``stage``; :func:`put_adapters` puts them back."""
    taken = {linear: linear.adapter for linear in adapted_layers(stage)}
    for linear, adapter in taken.items():
        adapter.hook.remove()
        delattr(linear, _CHILD)
        del linear.sharded_state_dict
        if hasattr(linear, "return_layernorm_output"):
            linear.return_layernorm_output = False
    return taken


def put_foreign_adapters(stage: GPTModel, adapter: AdapterConfig, model: ModelConfig) -> None:
    """Put empty adapters on a bare ``stage`` to load others' into and merge them; nothing is frozen."""
    put_adapters({linear: Adapter(linear, spec, adapter) for linear, spec in _targets(stage, adapter, model)})


def adapted_layers(stage: GPTModel) -> list[torch.nn.Module]:
    """The layers of ``stage`` that carry adapters."""
    return [module for module in stage.modules() if isinstance(getattr(module, _CHILD, None), Adapter)]


def trained_part(stage: GPTModel, state: dict) -> dict:
    """Of a (sharded) state dict of ``stage`` what its checkpoints hold: the adapters alone, if it has any."""
    if not adapted_layers(stage):
        return state
    return {key: value for key, value in state.items() if f".{_CHILD}." in key}


@torch.no_grad()
def subtract_start(stage: GPTModel) -> None:
    """PiSSA: take out of each weight, as loaded, what its adapter was before training."""
    for linear in adapted_layers(stage):
        if linear.adapter.has_start:
            linear.weight.copy_(linear.weight.float() - linear.adapter.start())


@torch.no_grad()
def merge(stage: GPTModel) -> None:
    """Add what training changed to each weight, as loaded: untrained adapters leave it as it is, bit for bit."""
    for linear in adapted_layers(stage):
        linear.weight.copy_(linear.weight.float() + linear.adapter.change())
