"""The arithmetic of adapters, and what they ask of the layers that they sit on, on one process."""

from dataclasses import replace

import pytest
import torch

from megatron_rfft.conversion.parameter_mapping import mappings
from megatron_rfft.mcore import parallel_state, tensor_parallel
from megatron_rfft.models.adapter_config import AdapterConfig
from megatron_rfft.models.adapter_start import start_adapters
from megatron_rfft.models.adapters import Adapter, adapted_layers, attach, put_adapters, take_adapters
from megatron_rfft.models.build import build_model, transformer_config
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.models.geometry import LINEARS
from megatron_rfft.models.initialize import initialize_weights
from megatron_rfft.models.low_rank import principal_factors, product, projections
from megatron_rfft.training.layout import destroy_parallel, start_process_group

MODEL = ModelConfig(2, 32, 48, num_attention_heads=4, num_query_groups=2, vocab_size=128)
PISSA = AdapterConfig("pissa", 4, 4.0, LINEARS, svd_iterations=8)


@pytest.fixture
def one_process():
    """megatron-core's parallel state of a single process."""
    start_process_group(1)
    parallel_state.initialize_model_parallel(create_gloo_process_groups=False)
    tensor_parallel.model_parallel_cuda_manual_seed(0)
    yield
    destroy_parallel()


@pytest.mark.parametrize("name", LINEARS)
def test_a_fused_update_is_the_updates_of_the_projections(name):
    spec, rank = MODEL.geometry.linears[name], 3
    a = torch.randn(len(spec.parts) * rank, spec.inputs)
    b = [torch.randn(rows, rank) for rows in spec.outputs]
    each = [up @ down for up, down in zip(b, a.chunk(len(b)), strict=True)]
    blocks = mappings(MODEL)[spec.weight].blocks
    fused = torch.cat([each[part][start:stop] for part, start, stop in blocks])
    torch.testing.assert_close(product(a, b, spec.groups), fused)
    parts = projections(fused, spec.outputs, spec.groups)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(parts, each, strict=True))


@pytest.mark.parametrize("iterations", [None, 16])
def test_principal_factors_are_the_best_approximation(iterations):
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(80, 120, generator=generator)  # a flat spectrum: the hard case of the randomized SVD
    b, a = principal_factors(weight, 8, iterations, generator)
    values = torch.linalg.svdvals(weight)
    best = values[8:].square().sum().sqrt()
    assert float(torch.linalg.norm(weight - b @ a)) == pytest.approx(float(best), rel=1e-4)
    torch.testing.assert_close(b.T @ b, a @ a.T, atol=1e-3, rtol=1e-3)  # the singular values, in equal shares


def _stage(**settings):
    (stage,) = build_model(MODEL, replace(transformer_config(MODEL, dtype=torch.float32), **settings))
    initialize_weights(stage, 1)
    attach(stage, PISSA, MODEL)
    start_adapters(stage, PISSA, MODEL, seed=1)
    return stage


def _gradients(stage) -> dict[str, torch.Tensor]:
    tokens = torch.randint(0, 128, (1, 24), generator=torch.Generator().manual_seed(1))
    stage(tokens, torch.arange(24)[None], None, labels=tokens).mean().backward()
    return {name: parameter.grad for name, parameter in stage.named_parameters() if parameter.grad is not None}


def test_adapters_alone_are_trained_also_when_activations_are_recomputed(one_process):
    """A checkpointed layer whose input wants no gradient would get no backward: the frozen embedding's output."""
    plain = _gradients(_stage())
    assert len(plain) == 2 * (4 + 7)
    assert all(".adapter." in name and gradient.abs().max() > 0 for name, gradient in plain.items())
    again = _gradients(_stage(recompute_granularity="full", recompute_method="uniform", recompute_num_layers=1))
    assert again.keys() == plain.keys()
    for name, gradient in plain.items():
        torch.testing.assert_close(again[name], gradient)


def test_adapters_come_off_and_on_again(one_process):
    stage = _stage()
    before, names = _gradients(stage), set(stage.state_dict())
    own = take_adapters(stage)
    assert not adapted_layers(stage)
    assert not any(".adapter." in name for name in stage.state_dict())
    put_adapters(own)
    assert set(stage.state_dict()) == names
    stage.zero_grad()
    assert all(torch.equal(before[name], gradient) for name, gradient in _gradients(stage).items())


class FusedNormLinear(tensor_parallel.ColumnParallelLinear):
    """The outputs of Transformer Engine's LayerNormLinear as megatron-core's wrapper passes them on."""

    return_layernorm_output = False
    te_return_bias = False

    def forward(self, x):
        normed = torch.nn.functional.rms_norm(x, x.shape[-1:])
        output, _ = super().forward(normed)
        if self.te_return_bias:
            return (output, self.bias, normed) if self.return_layernorm_output else (output, self.bias)
        return ((output, normed) if self.return_layernorm_output else output), None


@pytest.mark.parametrize("te_return_bias", [False, True])
def test_a_fused_norm_hands_its_output_to_the_adapter(one_process, te_return_bias):
    config = transformer_config(MODEL, dtype=torch.float32)
    linear = FusedNormLinear(32, 96, config=config, init_method=None, bias=True, skip_bias_add=te_return_bias)
    linear.te_return_bias = te_return_bias
    torch.nn.init.normal_(linear.weight)
    torch.nn.init.normal_(linear.bias)
    adapter = Adapter(linear, MODEL.geometry.linears["linear_fc1"], PISSA)
    for parameter in adapter.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(5, 1, 32)
    bare, _ = linear(x)
    put_adapters({linear: adapter})
    output, bias = linear(x)
    assert (bias is linear.bias) == te_return_bias
    normed = torch.nn.functional.rms_norm(x, (32,))
    b = [adapter.b_gate, adapter.b_up]
    torch.testing.assert_close(output - bare, normed @ product(adapter.a, b, 1).T, atol=1e-4, rtol=1e-4)
