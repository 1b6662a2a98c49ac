"""A ModelConfig as a megatron-core model: the only place that chooses modules and the model class."""

from typing import Any

import torch
import torch.nn.functional as F

from megatron_rfft.mcore import (
    DEVICE,
    HAVE_TE,
    ON_GPU,
    GPTModel,
    TENorm,
    TransformerConfig,
    parallel_state,
)
from megatron_rfft.mcore.modules import RMSNorm, SDPAttention
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.models.fp8 import settings as fp8_settings

from megatron.core.models.gpt.gpt_layer_specs import (
    get_gpt_layer_local_spec,
    get_gpt_layer_with_transformer_engine_spec,
)
from megatron.core.transformer.spec_utils import ModuleSpec
from megatron.core.transformer.transformer_block import TransformerBlockSubmodules, get_num_layers_to_build

_ACTIVATIONS = {"silu": F.silu}


def transformer_config(
    model: ModelConfig,
    *,
    dtype: torch.dtype,
    tensor_parallel: int = 1,
    pipeline_parallel: int = 1,
    virtual_pipeline: int = 1,
    context_parallel: int = 1,
    sequence_parallel: bool = False,
    recompute: str = "none",
    recompute_layers: int | None = None,
    fp8: str = "none",
    fp8_first_last_bf16: bool = False,
    deterministic: bool = False,
    local_layers: bool = False,
    tensor_overlap: bool = False,
    fp8_activation_input: bool = False,
    te_cross_entropy: bool = False,
) -> TransformerConfig:
    """megatron-core's config of ``model`` in one layout; ``dtype`` is that of parameters and pipeline messages."""
    interleaved, te = virtual_pipeline > 1, HAVE_TE and not local_layers
    asked = dict(
        **_dimensions(model),
        hidden_dropout=0.0,
        attention_dropout=0.0,
        tensor_model_parallel_size=tensor_parallel,
        pipeline_model_parallel_size=pipeline_parallel,
        virtual_pipeline_model_parallel_size=virtual_pipeline if interleaved else None,
        context_parallel_size=context_parallel,
        sequence_parallel=sequence_parallel,
        # Without overlap, two interleaved stages would match messages by order, and silently train on wrong ones.
        overlap_p2p_comm=interleaved,
        batch_p2p_comm=not interleaved,
        deallocate_pipeline_outputs=pipeline_parallel > 1,
        params_dtype=dtype,
        pipeline_dtype=dtype,
        bf16=dtype == torch.bfloat16,
        # Initialization is ours (models/initialize.py): the same weights in every layout.
        perform_initialization=False,
        gradient_accumulation_fusion=ON_GPU,
        activation_func_fp8_input_store=fp8_activation_input,
        tp_comm_overlap=tensor_overlap,
        transformer_impl="transformer_engine" if te else "local",
        # Must be known before the data-parallel wrapper is built, or gradients are scaled by 1/DP.
        calculate_per_token_loss=True,
        deterministic_mode=deterministic,
        first_last_layers_bf16=fp8_first_last_bf16 and fp8 != "none",
        **_fusions(te, te_cross_entropy),
        **_recompute_settings(recompute, recompute_layers),
        **fp8_settings(fp8),
    )
    config = TransformerConfig(**asked)
    config.asked_for = [name for name, value in asked.items() if value is True]  # for switched_off
    if recompute == "selective":  # megatron-core refuses this number, and has no use for it: _build_chunk has
        config.recompute_num_layers = recompute_layers
    return config


def with_te(config: TransformerConfig) -> bool:
    """Whether a model of this config has Transformer Engine's layers."""
    return config.transformer_impl == "transformer_engine"


def switched_off(config: TransformerConfig) -> list[str]:
    """Settings of ``transformer_config`` that megatron-core has turned off since."""
    return [f"{name} (megatron-core: see its warnings)" for name in config.asked_for if not getattr(config, name)]


def _dimensions(model: ModelConfig) -> dict[str, Any]:
    """What the family and the size of ``model`` say of its layers."""
    return {
        "num_layers": model.num_layers,
        "hidden_size": model.hidden_size,
        "ffn_hidden_size": model.ffn_hidden_size,
        "num_attention_heads": model.num_attention_heads,
        "num_query_groups": model.num_query_groups,
        "kv_channels": model.head_dim,
        "normalization": "RMSNorm",
        "layernorm_epsilon": model.norm_epsilon,
        "gated_linear_unit": True,
        "activation_func": _ACTIVATIONS[model.family.activation],
        "add_bias_linear": False,
        "add_qkv_bias": model.family.qkv_bias,
        "qk_layernorm": model.family.qk_norm,
        "init_method_std": model.init_std,
    }


def _fusions(te: bool, te_cross_entropy: bool) -> dict[str, Any]:
    """What Transformer Engine brings is on where it is; a CPU has a SwiGLU of our own."""
    return {
        "masked_softmax_fusion": False,
        "persist_layer_norm": False,
        "bias_activation_fusion": te or not ON_GPU,
        "bias_dropout_fusion": False,
        "apply_rope_fusion": te,
        "cross_entropy_loss_fusion": te,
        "cross_entropy_fusion_impl": "te" if te_cross_entropy else "native",
    }


def _recompute_settings(recompute: str, layers: int | None) -> dict[str, Any]:
    if recompute == "none":
        return {}
    if recompute == "selective":  # attention keeps little under flash attention: the MLP is what pays
        return {"recompute_granularity": "selective", "recompute_modules": ["mlp"]}
    how = {"recompute_method": "uniform", "recompute_num_layers": 1}
    if layers is not None:
        how = {"recompute_method": "block", "recompute_num_layers": layers}
    return {"recompute_granularity": "full", **how}


def _layer_spec(qk_norm: bool, te: bool) -> ModuleSpec:
    if te:
        return get_gpt_layer_with_transformer_engine_spec(qk_layernorm=qk_norm)
    spec = get_gpt_layer_local_spec(normalization="RMSNorm", qk_layernorm=qk_norm)
    spec.submodules.input_layernorm = RMSNorm
    spec.submodules.pre_mlp_layernorm = RMSNorm
    attention = spec.submodules.self_attention.submodules
    attention.core_attention = SDPAttention
    if qk_norm:
        attention.q_layernorm = attention.k_layernorm = RMSNorm
    return spec


def build_model(model: ModelConfig, config: TransformerConfig) -> list[GPTModel]:
    """This rank's chunks of ``model`` (one, but under interleaved pipelines), uninitialized, on the device.

    Needs initialized parallel state.
    """
    chunks = config.virtual_pipeline_model_parallel_size
    return [_build_chunk(model, config, chunk) for chunk in (range(chunks) if chunks else (None,))]


def _build_chunk(model: ModelConfig, config: TransformerConfig, chunk: int | None) -> GPTModel:
    where = {"ignore_virtual": False, "vp_stage": chunk}
    te = with_te(config)
    block = TransformerBlockSubmodules(
        layer_specs=[_layer_spec(model.family.qk_norm, te)] * get_num_layers_to_build(config, vp_stage=chunk),
        layer_norm=TENorm if te else RMSNorm,
    )
    scaled = model.rope_scaling_factor != 1
    stage = GPTModel(
        config,
        block,
        vocab_size=model.padded_vocab_size,
        max_sequence_length=model.max_position_embeddings,
        pre_process=parallel_state.is_pipeline_first_stage(**where),
        post_process=parallel_state.is_pipeline_last_stage(**where),
        share_embeddings_and_output_weights=model.tie_embeddings,
        position_embedding_type="rope",
        rotary_base=model.rope_theta,
        rope_scaling=scaled,
        rope_scaling_factor=model.rope_scaling_factor,
        vp_stage=chunk,
    )
    if config.recompute_granularity == "selective" and config.recompute_num_layers is not None:
        for layer in stage.decoder.layers[config.recompute_num_layers :]:
            layer.recompute_mlp = False
    return stage.to(DEVICE)
