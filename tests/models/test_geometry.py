"""The list of a model's parts against the parameters that megatron-core makes of it, for every family."""

import math

import pytest
import torch

from megatron_rfft.common.families import FAMILIES
from megatron_rfft.mcore import parallel_state, tensor_parallel
from megatron_rfft.models.build import build_model, transformer_config
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.models.geometry import LINEARS, Norm, Parallel
from megatron_rfft.training.layout import destroy_parallel, start_process_group

SMALL = {"num_layers": 2, "hidden_size": 48, "ffn_hidden_size": 80, "num_attention_heads": 4, "num_query_groups": 2}


def model_of(architecture: str, tied: bool) -> ModelConfig:
    """A small model, with wider heads than hidden_size / num_attention_heads where the family may have them."""
    head_dim = 0 if FAMILIES[architecture].head_dim == "derived" else 20
    return ModelConfig(**SMALL, architecture=architecture, head_dim=head_dim, vocab_size=300, tie_embeddings=tied)


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("architecture", FAMILIES)
def test_it_lists_what_megatron_core_makes(architecture, tied):
    model = model_of(architecture, tied)
    start_process_group(1)
    parallel_state.initialize_model_parallel(create_gloo_process_groups=False)
    tensor_parallel.model_parallel_cuda_manual_seed(0)
    try:
        (stage,) = build_model(model, transformer_config(model, dtype=torch.float32))
    finally:
        destroy_parallel()
    shapes: list[tuple[int, ...]] = []
    for part in model.geometry.parts():
        copies = model.num_layers if part in model.geometry.layer else 1
        if isinstance(part, Norm):
            shapes += [(part.size,)] * copies
            continue
        shapes += [part.on_rank(1)] * copies + [(part.rows,)] * (copies if part.bias else 0)
    found = [tuple(parameter.shape) for parameter in stage.parameters()]
    assert sorted(found) == sorted(shapes)
    padding = (model.padded_vocab_size - model.vocab_size) * model.hidden_size * (1 if tied else 2)
    assert model.num_parameters() == sum(map(math.prod, found)) - padding


@pytest.mark.parametrize("architecture", FAMILIES)
def test_ranks_hold_all_of_a_matrix_together(architecture):
    linears = model_of(architecture, False).geometry.linears
    assert tuple(linears) == LINEARS
    for linear in linears.values():
        rows, columns = linear.on_rank(2)
        assert 2 * rows * columns == linear.num_weights
        assert (columns < linear.inputs) == (linear.parallel is Parallel.ROW)
        assert all(size % linear.groups == 0 for size in linear.outputs)
