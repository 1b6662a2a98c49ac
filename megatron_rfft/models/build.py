"""A ModelConfig as a megatron-core model: the only place that chooses modules and the model class."""

import torch
import torch.nn.functional as F
from megatron.core.models.gpt.gpt_layer_specs import get_gpt_layer_local_spec
from megatron.core.transformer.spec_utils import ModuleSpec
from megatron.core.transformer.transformer_block import TransformerBlockSubmodules, get_num_layers_to_build

from megatron_rfft.mcore import DEVICE, GPTModel, TransformerConfig, parallel_state
from megatron_rfft.mcore.modules import RMSNorm, SDPAttention
from megatron_rfft.models.config import ModelConfig


def transformer_config(
    model: ModelConfig,
    *,
    dtype: torch.dtype,
    tensor_parallel: int = 1,
    pipeline_parallel: int = 1,
    sequence_parallel: bool = False,
) -> TransformerConfig:
    """megatron-core's config of ``model`` in one layout; ``dtype`` is that of parameters and pipeline messages."""
    return TransformerConfig(
        num_layers=model.num_layers,
        hidden_size=model.hidden_size,
        ffn_hidden_size=model.ffn_hidden_size,
        num_attention_heads=model.num_attention_heads,
        num_query_groups=model.num_query_groups,
        kv_channels=model.head_dim,
        normalization="RMSNorm",
        layernorm_epsilon=model.norm_epsilon,
        gated_linear_unit=True,
        activation_func=F.silu,
        add_bias_linear=False,
        add_qkv_bias=True,
        hidden_dropout=0.0,
        attention_dropout=0.0,
        tensor_model_parallel_size=tensor_parallel,
        pipeline_model_parallel_size=pipeline_parallel,
        sequence_parallel=sequence_parallel,
        params_dtype=dtype,
        pipeline_dtype=dtype,
        bf16=dtype == torch.bfloat16,
        init_method_std=model.init_std,
        # Initialization is ours (models/initialize.py): the same weights in every layout.
        perform_initialization=False,
        use_cpu_initialization=False,
        # Off: fusions that need apex or CUDA extensions.
        gradient_accumulation_fusion=False,
        masked_softmax_fusion=False,
        persist_layer_norm=False,
        bias_activation_fusion=False,
        bias_dropout_fusion=False,
        apply_rope_fusion=False,
        # Must be known before the data-parallel wrapper is built, or gradients are scaled by 1/DP.
        calculate_per_token_loss=True,
    )


def _layer_spec() -> ModuleSpec:
    spec = get_gpt_layer_local_spec(normalization="RMSNorm")
    spec.submodules.input_layernorm = RMSNorm
    spec.submodules.pre_mlp_layernorm = RMSNorm
    spec.submodules.self_attention.submodules.core_attention = SDPAttention
    return spec


def build_model(model: ModelConfig, config: TransformerConfig) -> GPTModel:
    """This pipeline stage's part of ``model``, uninitialized, on the device; needs initialized parallel state."""
    block = TransformerBlockSubmodules(
        layer_specs=[_layer_spec()] * get_num_layers_to_build(config), layer_norm=RMSNorm
    )
    stage = GPTModel(
        config,
        block,
        vocab_size=model.padded_vocab_size,
        max_sequence_length=model.max_position_embeddings,
        pre_process=parallel_state.is_pipeline_first_stage(),
        post_process=parallel_state.is_pipeline_last_stage(),
        share_embeddings_and_output_weights=model.tie_embeddings,
        position_embedding_type="rope",
        rotary_base=model.rope_theta,
    )
    return stage.to(DEVICE)
